"""Our errors beside published ones, as Markdown, CSV, LaTeX and HTML; '' where there are none."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from pandas import DataFrame, Series

from kansweep.data.published import TABLES
from kansweep.kinds import KINDS
from kansweep.laws.notation import DASH, counted
from kansweep.report import latex as tex
from kansweep.report import markup

_HEADER = [
    *("function", "network", "size", "RMSE", "worst seed", "published, same shape", "best KAN"),
    *("MLP", "ours / same shape", "ours / best KAN", "ours / MLP"),
]
_RATIOS = ("over_shape", "over_kan", "over_mlp")
NOTE = (
    "Published values are the least over seeds, grids and, without a shape, depths; ours are"
    " medians over the seeds, of the size with the least. Ranges are ours where none are published,"
    " and a ratio near 1 says little."
)


def markdown(table: DataFrame) -> str:
    rows = [[f"{name}: `{formula}`", *rest] for name, formula, *rest in _rows(table)]
    rows = [[text.replace("|", r"\|") for text in row] for row in rows]
    rule = ["---", "---", *["---:"] * (len(_HEADER) - 2)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [_HEADER, rule, *rows])


def csv(table: DataFrame) -> str:
    """Every column, to the last digit."""
    return table.to_csv(index=False).rstrip("\n")


def latex(table: DataFrame) -> str:
    """For booktabs, as ``report.latex``."""
    rows = [
        [
            f"{tex.escaped(name)}: \\texttt{{{tex.escaped(formula)}}}",
            tex.escaped(network),
            tex.in_math(size),
            *(tex.NONE if number == DASH else number for number in numbers),
        ]
        for name, formula, network, size, *numbers in _rows(table, ".1e")
    ]
    columns = f"lll{'S' * (len(_HEADER) - 3)}"
    header = [
        title if column == "l" else f"{{{title}}}"
        for title, column in zip(_HEADER, columns, strict=True)
    ]
    return tex.table(columns, header, rows)


FORMATS: dict[str, Callable[[DataFrame], str]] = {"md": markdown, "csv": csv, "tex": latex}
"""By the ending of a file."""


def sentences(summary: DataFrame, table: DataFrame) -> list[str]:
    """What the table comes to, then what is not sure of its rows."""
    found = [
        f"{TABLES[row['table']]}: the best of our KANs is at or below the best published KAN in"
        f" {row['below_kan']} of {row['n_functions']}, median ratio {row['median_kan']:.3g}, and at"
        f" or below the published MLP in {row['below_mlp']}, median ratio {row['median_mlp']:.3g};"
        f" the table has {counted(row['n_published'], 'function')}."
        for _, row in summary.iterrows()
    ]
    doubts = table.loc[table["doubt"] != "", ["data", "doubt"]].drop_duplicates()
    return found + [f"  {name}: {doubt}." for name, doubt in doubts.itertuples(index=False)]


def section(table: DataFrame) -> str:
    """Of a page."""
    if table.empty:
        return ""
    rows = [[f"{name}: {formula}", *rest] for name, formula, *rest in _rows(table)]
    caption = "Test RMSE beside what was published for the same function"
    form = f"hp{'n' * (len(_HEADER) - 2)}"
    return f"{markup.table(caption, _HEADER, rows, form)}\n{markup.paragraph(NOTE, 'note')}"


def _rows(table: DataFrame, ratio: str = ".2g") -> list[list[str]]:
    """Name, formula, then the rest of ``_HEADER``; with the sweep's name where several have such a
    network."""
    alike = table.duplicated(["data", "model", "shape"], keep=False)
    return [
        _row(row, ratio, several) for (_, row), several in zip(table.iterrows(), alike, strict=True)
    ]


def _row(row: Series, ratio: str, with_sweep: bool) -> list[str]:
    kind = KINDS[row["model"]]
    notes = [row["network"], row["sweep"] if with_sweep else ""]
    network = " ".join([kind.title, row["shape"], *(f"({note})" for note in notes if note)])
    errors = ("rmse", "worst", "shape_rmse", "kan_rmse", "mlp_rmse")
    return [
        *(row["data"], row["formula"], network, f"{kind.symbol} = {row['size']}"),
        *(_number(row[name], ".2e") for name in errors),
        *(_number(row[name], ratio) for name in _RATIOS),
    ]


def _number(value: float, form: str) -> str:
    return DASH if pd.isna(value) else f"{value:{form}}"
