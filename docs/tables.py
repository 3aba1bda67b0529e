"""The tables of docs/tables.md, out of what `kansweep plot` wrote of the sweeps that repeat them.

`make tables` trains what is missing, makes the tables and puts them into the page, between
`<!-- table: NAME -->` and `<!-- end -->`, below the commands that it ran. `make tables ARGS=--page`
only does the last.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from pandas import DataFrame, Series

from kansweep.data.published import published
from kansweep.laws.notation import TIMES

ROOT = Path(__file__).parents[1]
PAGE, DATA = ROOT / "docs" / "tables.md", ROOT / "configs" / "data"
COMMANDS = {
    "feynman": (
        "kansweep run experiment=feynman model=kan,pruned seeds=1 'grid.sizes=[3,5,10,20]'",
        "kansweep run experiment=feynman model=kan data=feynman/I.16.6,feynman/I.30.5,"
        "feynman/I.37.4,feynman/I.40.1,feynman/II.35.18,feynman/II.38.3",
        "kansweep run experiment=feynman model=auto data=feynman/I.16.6 grid.spacing=adaptive"
        " name=feynman-adaptive",
        "kansweep run experiment=feynman model=mlp seeds=1 'model.widths=[5,10]'",
        "kansweep run experiment=feynman model=auto model.enough=pruned seeds=1"
        " 'grid.sizes=[3,5,10,20]' name=feynman-enough",
        "kansweep plot 'names=feynman*'",
    ),
    "special": (
        "kansweep run experiment=special model=kan,smallest seeds=1 'grid.sizes=[3,5,10,20]'",
        "kansweep run experiment=special model=kan data=special/lpmv0 seeds=1",
        "kansweep run experiment=special model=auto data=special/lpmv0 grid.spacing=adaptive"
        " name=special-adaptive",
        "kansweep run experiment=special model=mlp seeds=1 'model.widths=[5,10]'",
        "kansweep plot 'names=special*'",
    ),
}
PRUNED, FOUND = "feynman,model=pruned", "feynman-enough,model=auto"  # what ``fewest`` compares
SHAPES = {"feynman": ("human", "pruned"), "special": ("best", "smallest")}
NEEDED = ["data", "model", "shape", "rmse", "over_kan"]  # columns of what `plot` writes
SLOT = "(<!-- {} -->\n).*?(<!-- end -->)"


def table(name: str, found: DataFrame) -> str:
    """Markdown with a line a function: what was published, and ours, of each network."""
    entries = published()
    lines = [
        _line(entry, SHAPES[name], found) for _, entry in entries[entries.table == name].iterrows()
    ]
    shapes = [f"{shape} KAN | ours | published" for shape in SHAPES[name]]
    best = ["our best KAN | ours", "ours / best published"]
    header = ["function", *shapes, *best, "MLP: ours", "published"]
    columns = sum(title.count("|") + 1 for title in header)
    return "\n".join([_row(header), _row(["---"] * columns), *lines])


def _line(entry: Series, shapes: tuple[str, ...], found: DataFrame) -> str:
    ours = found[found["data"] == entry["data"]]
    kans, mlps = (ours[(ours["model"] == "mlp") == is_mlp] for is_mlp in (False, True))
    cells = [entry["data"]]
    for shape in shapes:
        of_shape = kans[kans["shape"] == entry[f"{shape}_shape"]]
        cells += [
            entry[f"{shape}_shape"],
            _least(of_shape["rmse"]),
            _number(entry[f"{shape}_rmse"]),
        ]
    best = kans.sort_values("rmse").head(1)
    cells += [
        _of(best, "shape", str),
        _of(best, "rmse", _number),
        _of(best, "over_kan", "{:.2g}".format),
    ]
    return _row([*cells, _least(mlps["rmse"]), _number(entry["mlp_rmse"])])


def fewest(outputs: Path) -> str:
    """Markdown with a line an equation: the fewest parameters with which the shape that pruning
    ended at, and one that is found, come to the published error of the first."""
    entries = published()
    lines = []
    for _, entry in entries[entries.table == "feynman"].iterrows():
        error, cells = entry["pruned_rmse"], [entry["data"], _number(entry["pruned_rmse"])]
        for sweep in (PRUNED, FOUND):
            path = outputs / f"{sweep},data={entry['data']}" / "results.parquet"
            cells += _at(error, pd.read_parquet(path)) if path.exists() else ["-", "-"]
        lines.append(_row(cells))
    header = ["equation", "pruned KAN, published", "its shape | parameters", "found | parameters"]
    return "\n".join([_row(header), _row(["---"] * 6), *lines])


def _at(error: float, results: DataFrame) -> list[str]:
    """The shape of a sweep, and the fewest parameters with which its median seed comes to an
    error."""
    medians = results.groupby("n_params")["test_rmse"].median()
    least = medians.index[medians <= error].min()
    return [results["width"].iloc[0], "-" if pd.isna(least) else str(least)]


def _of(best: DataFrame, column: str, form: Callable[[Any], str]) -> str:
    """An entry of the one row that there may be."""
    return form(best[column].iloc[0]) if len(best) else "-"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _least(values: Series) -> str:
    return _number(values.min())


def _number(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.2e}"


def named(path: Path) -> str:
    """What rows call the function of a file."""
    return str(yaml.safe_load(path.read_text())["name"])


def functions() -> str:
    """Every function as `data=` chooses it, with its formula, its domain and its shape."""
    lines = [_row(["data=", "function of x₁, x₂, …", "domain", "KAN"]), _row(["---"] * 4)]
    for path in sorted(path for name in COMMANDS for path in DATA.glob(f"{name}/*.yaml")):
        data = yaml.safe_load(path.read_text())
        domain = f" {TIMES} ".join(f"[{low:.4g}, {high:.4g}]" for low, high in data["domain"])
        shape = "-".join(map(str, [len(data["domain"]), *data["hidden"], 1]))
        choice = f"`{path.parent.name}/{path.stem}`"
        lines.append(_row([choice, f"`{data['formula']}`", domain, shape]))
    return "\n".join(lines)


def page() -> str:
    """docs/tables.md with the functions, and with the tables of the sweeps that are there."""
    slots = {"functions": functions()}
    for name, commands in COMMANDS.items():
        path = ROOT / "outputs" / f"{name}+" / "published.csv"
        if path.exists():
            made = table(name, pd.read_csv(path))
            slots[f"table: {name}"] = "\n".join(["```console", *commands, "```", "", made])
    if any((ROOT / "outputs").glob(f"{FOUND},*")):
        slots["table: fewest"] = fewest(ROOT / "outputs")
    page = PAGE.read_text()
    for slot, text in slots.items():
        page = re.sub(SLOT.format(slot), rf"\1\n{text}\n\n\2", page, flags=re.DOTALL)
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description="Repeat the published tables and write the page.")
    parser.add_argument("--page", action="store_true", help="only write the page")
    if not parser.parse_args().page:
        for command in (part for parts in COMMANDS.values() for part in parts):
            words = [sys.executable, "-m", "kansweep", *shlex.split(command)[1:]]
            subprocess.run(words, check=True, cwd=ROOT)
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
