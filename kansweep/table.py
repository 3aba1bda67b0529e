"""A sweep's matrix for reading and for other programs: cells' states -> text."""

from __future__ import annotations

import json

import pandas as pd
from pandas import DataFrame

STATES = ["done", "failed", "waiting"]


def matrix(cells: DataFrame) -> DataFrame:
    """A row a data size and grid size: median errors over the seeds that are done, and counts."""
    by = ["n_train", "grid_size"]
    counts = pd.crosstab([cells[name] for name in by], cells["status"])
    done = cells[cells["status"] == "done"]
    medians = done.groupby(by)[["train_rmse", "test_rmse"]].median()
    return counts.reindex(columns=STATES, fill_value=0).join(medians).reset_index()


def text(matrix: DataFrame, form: str, name: str) -> str:
    """The matrix as `table`, `markdown`, `csv` or `json`; the first two are for reading."""
    if form == "csv":
        return matrix.to_csv(index=False).rstrip("\n")
    if form == "json":
        rows = matrix.astype(object).where(matrix.notna(), None).to_dict("records")
        return json.dumps(rows, indent=2)
    lines = _markdown(_texts(matrix)) if form == "markdown" else _aligned(_texts(matrix))
    counts = ", ".join(f"{matrix[state].sum()} {state}" for state in STATES)
    return "\n".join([f"{name}: median test RMSE over seeds ({counts})", "", *lines])


def _aligned(texts: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return [
        "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True))
        for row in texts
    ]


def _markdown(texts: list[list[str]]) -> list[str]:
    header, *lines = (f"| {' | '.join(row)} |" for row in texts)
    return [header, "|" + " ---: |" * len(texts[0]), *lines]


def _texts(matrix: DataFrame) -> list[list[str]]:
    """The header, then a line a data size with an entry a grid size."""
    entries = [
        (f"{row['test_rmse']:.2e}" if row["done"] else "-")
        + "".join(f" ({row[state]} {state})" for state in STATES[1:] if row[state])
        for row in matrix.to_dict("records")
    ]
    table = matrix.assign(entry=entries).pivot(index="n_train", columns="grid_size", values="entry")
    header = ["n_train", *(f"G={size}" for size in table.columns)]
    return [header, *([str(n_train), *row] for n_train, row in table.iterrows())]
