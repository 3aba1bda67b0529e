"""What errors are drawn beside: the line of the theory's slope, and the envelope of best cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame

from kansweep.laws.cells import CELL, CURVE


@dataclass(frozen=True, eq=False)
class Reference:
    """A line of the theory's slope in log-log, by its two ends."""

    x: NDArray[np.float64]  # (2,)
    rmse: NDArray[np.float64]  # (2,)
    slope: float


def through(points: DataFrame, slope: float) -> list[Reference]:
    """The line through the geometric mean of points, columns `x` and `rmse`, over their range.

    None where no theory gives a slope, or where a single point has no range.
    """
    if np.isnan(slope) or len(points) < 2:
        return []
    x, rmse = (np.log(points[name].to_numpy(float)) for name in ("x", "rmse"))
    ends = np.array([x.min(), x.max()])
    return [Reference(np.exp(ends), np.exp(rmse.mean() + slope * (ends - x.mean())), slope)]


def envelope(cells: DataFrame, split: str) -> DataFrame:
    """The best cell that counts of each curve: its `size` and `rmse`."""
    cells = cells.rename(columns={f"{split}_rmse": "rmse"})
    best = cells[cells["counts"]].sort_values("rmse").drop_duplicates(CURVE)
    return best.sort_values(CURVE, ignore_index=True)[[*CELL, "rmse"]]


def growing(envelope: DataFrame) -> DataFrame:
    """The envelope of one target up to the first use of the largest size: beyond it, more data
    cannot buy a larger one."""
    return envelope.loc[: envelope["size"].idxmax()] if len(envelope) else envelope
