"""What it costs to get to a cell: where a network is extended, all smaller ones are on the way."""

from __future__ import annotations

import numpy as np
from pandas import DataFrame, Series

from kansweep import kinds
from kansweep.laws.cells import CELL, CURVE
from kansweep.laws.verdicts import TINY


def to_get_there(rows: DataFrame) -> Series:
    """Seconds to each cell of these rows, of whatever sweeps, by their index; NaN where unknown.

    Those of the cell and, where its network is extended from smaller ones, of all of them in these
    rows.
    """
    if "seconds" not in rows:
        return Series(np.nan, rows.index)
    ordered = rows.sort_values("size")
    seconds = ordered["seconds"].astype(float)
    chains = [ordered[name] for name in (*CURVE, "seed")]
    together = seconds.groupby(chains, dropna=False).cumsum()
    return together.where(kinds.extended(ordered), seconds).reindex(rows.index)


def timed(ended: DataFrame) -> DataFrame:
    """The rows that ended ok, with `seconds` those to get there: what failed took its time too."""
    rows: DataFrame = ended.assign(seconds=to_get_there(ended))[ended["ok"]]
    return rows


def of_cells(timed: DataFrame) -> DataFrame:
    """Geometric means over seeds of the `seconds` of each cell, a row a cell."""
    logs = timed["seconds"].astype(float).clip(lower=TINY).map(np.log)
    means = logs.groupby([timed[name] for name in CELL], dropna=False).mean()
    cells: DataFrame = means.map(np.exp).rename("seconds").reset_index()
    return cells
