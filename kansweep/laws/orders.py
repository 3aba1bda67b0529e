"""Observed orders, as numerical analysts print them: how fast errors fall from grid to grid."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pandas as pd
from pandas import DataFrame

from kansweep.kinds import KINDS
from kansweep.laws.cells import CELL, CURVE, SPLITS

ORDER_COLUMNS = [*CURVE, "split", "size", "next_size", "order", "counts", "across"]


def observed_orders(
    cells: DataFrame, sizes: Iterable[int] | None = None, splits: Iterable[str] = SPLITS
) -> DataFrame:
    """Order ln(e1/e2) / ln(G2/G1) of neighbouring grid sizes, one row a pair and split.

    `counts` says that both cells do, `across` that one of the sizes lies between, of these or of
    those that given cells have. Kinds that are not on a grid have none. The cells are classified,
    and sorted by curve and size.
    """
    rows, known = [], np.unique(list(cells["size"] if sizes is None else sizes))
    on_grid = cells["model"].map(lambda name: KINDS[name].on_grid).astype(bool)
    for _, curve in cells[on_grid].groupby(CURVE, dropna=False):
        coarse, fine = curve.iloc[:-1].reset_index(drop=True), curve.iloc[1:].reset_index(drop=True)
        pair = coarse[CELL].assign(next_size=fine["size"])
        for split in splits:
            drop = np.log(coarse[f"{split}_rmse"] / fine[f"{split}_rmse"])
            order = drop / np.log(fine["size"] / coarse["size"])
            both = coarse["counts"] & fine["counts"]
            steps = np.searchsorted(known, fine["size"]) - np.searchsorted(known, coarse["size"])
            rows.append(pair.assign(split=split, order=order, counts=both, across=steps > 1))
    if not rows:
        return DataFrame(columns=ORDER_COLUMNS)
    return pd.concat(rows, ignore_index=True)[ORDER_COLUMNS]


def floor_orders(cells: DataFrame) -> dict[tuple[int, int], float]:
    """Orders of the floor between neighbouring sizes of classified cells, as far as known."""
    floor = cells.dropna(subset=["floor_rmse"]).groupby("size")["floor_rmse"].first()
    positive = floor[floor > 0]
    return {
        (coarse, fine): float(np.log(positive[coarse] / positive[fine]) / np.log(fine / coarse))
        for coarse, fine in itertools.pairwise(positive.index)
    }
