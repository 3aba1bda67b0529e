"""The page of the KAN paper's tables: made of what was run, and some of its rows run again."""

from __future__ import annotations

import re
import runpy
from types import SimpleNamespace

import pandas as pd
import pytest
from places import ROOT

tables = SimpleNamespace(**runpy.run_path(str(ROOT / "docs" / "tables.py")))
ROWS = {
    "feynman": ["III.10.19", "I.30.5", "II.35.18"],
    "special": ["sph_harm(0,1,x,y)", "sph_harm(0,2,x,y)", "kv(x,y)"],
}
SHAPE = {"feynman": ("kan", "human"), "special": ("smallest", "smallest")}


def lines(name: str) -> dict[str, list[str]]:
    """The cells of a table of the page behind each function's name."""
    found = re.search(tables.SLOT.format(f"table: {name}"), tables.PAGE.read_text(), re.DOTALL)
    assert found is not None
    rows = [line.strip("| ").split(" | ") for line in found[0].splitlines() if line[:1] == "|"]
    return {row[0]: row[1:] for row in rows[2:]}


def test_the_pages_functions_are_those_that_are_there() -> None:
    assert tables.functions() in tables.PAGE.read_text()


@pytest.mark.parametrize(("name", "count"), [("feynman", 27), ("special", 15)])
def test_the_pages_published_values_are_the_published_ones(name: str, count: int) -> None:
    page, empty = lines(name), tables.table(name, pd.DataFrame(columns=tables.NEEDED))
    assert len(page) == count
    for line in empty.splitlines()[2:]:
        function, *cells = line.strip("| ").split(" | ")
        assert [page[function][i] for i, cell in enumerate(cells) if cell != "-"] == [
            cell for cell in cells if cell != "-"
        ]


@pytest.mark.parametrize("name", ROWS)
def test_three_rows_of_a_table_come_out_again(name: str, kansweep) -> None:
    model, shape = SHAPE[name]
    files = {path.stem: path for path in (ROOT / "configs/data" / name).iterdir()}
    chosen = [f"{name}/{stem}" for stem in files if tables.named(files[stem]) in ROWS[name]]
    words = [f"model={model}", f"data={','.join(chosen)}"]
    assert kansweep("run", f"experiment={name}", *words).status == 0
    assert kansweep("plot", f"names={name}*", "plot.formats=[svg]").status == 0
    made = tables.table(name, pd.read_csv(f"outputs/{name}+/published.csv"))
    again = {
        row[0]: row[1:] for row in (line.strip("| ").split(" | ") for line in made.splitlines())
    }
    column = tables.SHAPES[name].index(shape) * 3 + 1
    for function in ROWS[name]:
        ours = float(again[function][column])
        assert float(lines(name)[function][column]) == pytest.approx(ours, rel=0.3)
