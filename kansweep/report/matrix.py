"""A sweep's matrix for reading and for other programs: cells' states -> text."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas import DataFrame

from kansweep import kinds
from kansweep.report import latex
from kansweep.sweep.columns import State

LEFT = [State.RUNNING, State.WAITING]  # to be done

_BY = ["n_train", "size"]


def matrix(cells: DataFrame) -> DataFrame:
    """A row a data size and size: counts, median errors over the seeds that are done, and seconds,
    those spent and those that what is left is expected to take.

    `size` is what the kind of network, `model`, grows along; `grid_size` is null where that is no
    grid.
    """
    if "size" not in cells:
        cells = cells.assign(size=cells["grid_size"])
    kind, by = kinds.of(cells), _BY
    counts = pd.crosstab([cells[name] for name in by], cells["status"])
    done = cells[cells["status"] == State.DONE]
    medians = done.groupby(by)[["train_rmse", "test_rmse"]].median()
    spent = cells.groupby(by)[["seconds"]].sum()
    left = cells["status"].isin(LEFT)
    to_go = cells.assign(seconds_left=_expected(cells).where(left, 0.0))
    expected = to_go.groupby(by)[["seconds_left"]].sum(min_count=1)
    counts = counts.reindex(columns=list(State), fill_value=0)
    table = counts.join(medians).join(spent).join(expected).reset_index()
    sizes = table.pop("size")
    table.insert(1, "grid_size", sizes if kind.on_grid else None)
    return table.assign(size=sizes, model=kind.name)


def _expected(cells: DataFrame) -> pd.Series:
    """Seconds that each cell may take: the mean of its like, or what the likeness of others says.

    Where none of a cell's data size and size has been trained, log seconds are taken as linear in
    the logarithms of both, as far as what has been trained tells; NaN before anything has been.
    """
    by = _BY
    trained = cells[cells["seconds"] > 0].groupby(by)["seconds"].mean().reset_index()
    if trained.empty:
        return pd.Series(np.nan, cells.index)
    terms = [np.ones(len(trained)), np.log(trained["n_train"]), np.log(trained["size"])]
    # The least norm among what fits as well leaves out what cannot be told, about the mean.
    centres = [0.0, *(float(term.mean()) for term in terms[1:])]
    design = np.column_stack([t - c for t, c in zip(terms, centres, strict=True)])
    weights = np.linalg.lstsq(design, np.log(trained["seconds"]), rcond=1e-9)[0]
    guess = np.exp(
        weights[0]
        + weights[1] * (np.log(cells["n_train"]) - centres[1])
        + weights[2] * (np.log(cells["size"]) - centres[2])
    )
    like = cells[by].merge(trained, on=by, how="left")["seconds"].set_axis(cells.index)
    return like.fillna(guess)


def text(matrix: DataFrame, form: str, name: str, at_work: int = 0) -> str:
    """The matrix as `table`, `markdown`, `csv`, `json` or `latex`; the first two are for reading,
    and tell what remains to be waited for with that many workers ``at_work``."""
    if form == "latex":
        return latex.matrix(matrix)
    if form == "csv":
        return matrix.to_csv(index=False).rstrip("\n")
    if form == "json":
        rows = matrix.astype(object).where(matrix.notna(), None).to_dict("records")
        return json.dumps(rows, indent=2)
    lines = _markdown(texts(matrix)) if form == "markdown" else aligned(texts(matrix))
    counts = ", ".join(f"{matrix[state].sum()} {state}" for state in State)
    title = f"{name}: median test RMSE over seeds ({counts})"
    return "\n".join([title, "", *lines, "", _times(matrix, at_work)])


def _times(matrix: DataFrame, at_work: int) -> str:
    """Time in the cells, summed over the workers: spent, and expected for what is left."""
    spent = f"Time in cells: {duration(matrix['seconds'].sum())} spent"
    if not matrix[LEFT].to_numpy().any():
        return f"{spent}."
    left = to_go(matrix)
    if left is None:
        return f"{spent}, what is left is not known."
    together = f", {duration(left / at_work)} with {at_work} at work" if at_work > 1 else ""
    return f"{spent}, some {duration(left)} to go{together}."


def to_go(matrix: DataFrame) -> float | None:
    """Seconds that the cells which are left may take together; None where nothing tells."""
    left = float(matrix["seconds_left"].sum(skipna=False))
    return None if np.isnan(left) else left


def duration(seconds: float) -> str:
    """To about two digits: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def aligned(texts: Sequence[Sequence[str]], aligns: str | None = None) -> list[str]:
    """Rows of a table as lines, every column `<` or `>` as `aligns` says; unless given, `>`."""
    aligns = aligns or ">" * len(texts[0])
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return [
        "  ".join(f"{text:{a}{w}}" for text, a, w in zip(row, aligns, widths, strict=True)).rstrip()
        for row in texts
    ]


def _markdown(texts: list[list[str]]) -> list[str]:
    header, *lines = (f"| {' | '.join(row)} |" for row in texts)
    return [header, "|" + " ---: |" * len(texts[0]), *lines]


def texts(matrix: DataFrame) -> list[list[str]]:
    """The header, then a line a data size with an entry a size."""
    entries = [
        (f"{row['test_rmse']:.2e}" if row[State.DONE] else "-")
        + "".join(f" ({row[state]} {state})" for state in list(State)[1:] if row[state])
        for row in matrix.to_dict("records")
    ]
    table = matrix.assign(entry=entries).pivot(index="n_train", columns="size", values="entry")
    table = table.fillna("")  # what `grid.points` leaves out
    symbol = kinds.of(matrix).symbol
    header = ["n_train", *(f"{symbol}={size}" for size in table.columns)]
    return [header, *([str(n_train), *row] for n_train, row in table.iterrows())]
