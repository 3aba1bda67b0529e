"""One law for a whole sweep, its data sizes together, where the floor is known:

    ln(RMSE / floor) = a + delta ln G + c P/n

`delta` is what the exponent departs from the floor's, 0 in theory; `c` is what P parameters on n
points cost, which the law of a single curve, where P/n grows along with G, takes for a departure.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas import DataFrame
from scipy import stats

from kansweep.laws.cells import CELL, CURVE, DEFAULT, SPLITS, WHOSE, Rules, faults_of, half_width
from kansweep.laws.verdicts import CONFIDENCE, TINY

Array = NDArray[np.float64]
TERMS = ["a", "delta", "c"]
POOLED_COLUMNS = [
    *(*WHOSE, "split"),
    *(f"{term}{end}" for term in TERMS for end in ("", "_low", "_high")),
    *("rms", "n_cells", "n_seeds"),
]


def usable(ended: DataFrame, cells: DataFrame, rules: Rules = DEFAULT) -> DataFrame:
    """The rows without a fault whose cell counts and has a floor above round-off, with `floor_rmse`
    as the cell has it; see ``cells.checked`` for the rows."""
    least = cells["dtype"].map(rules.least_error).astype(float)
    counting = cells[cells["counts"] & (cells["floor_rmse"] > least)]
    curves = [rows for _, rows in ended.groupby(CURVE, dropna=False)]
    if not curves:
        return ended.assign(floor_rmse=np.nan)
    sound = pd.concat([rows[faults_of(rows, rules) == ""] for rows in curves])
    usable: DataFrame = sound.drop(columns="floor_rmse").merge(
        counting[[*CELL, "floor_rmse"]], on=CELL
    )
    return usable


def design(rows: DataFrame) -> Array:
    """The law's terms at these rows, (rows, 3): 1, ln G and P/n."""
    size, n_params, n_train = (
        rows[name].to_numpy(float) for name in ("size", "n_params", "n_train")
    )
    return np.column_stack([np.ones(len(rows)), np.log(size), n_params / n_train])


def pooled(ended: DataFrame, cells: DataFrame, rules: Rules = DEFAULT) -> DataFrame:
    """One row a target, kind, order and split: the least squares of every seed that has all cells,
    and over the seeds mean and 95% Student-t interval; one seed has that of its own residuals.

    Of the cells that count. None where there are fewer than two data sizes or two sizes, or no
    more cells than terms: P/n could not be told from ln G. `rms` is what is left of the mean over
    seeds.
    """
    laws = []
    for key, rows in usable(ended, cells, rules).groupby(WHOSE, dropna=False):
        whose = dict(zip(WHOSE, key, strict=True))
        for split in SPLITS:
            law = _law(rows, split)
            laws += [whose | {"split": split} | law] if law else []
    return DataFrame(laws, columns=POOLED_COLUMNS)


def _law(rows: DataFrame, split: str) -> dict[str, Any]:
    logs = rows.assign(
        log=np.log((rows[f"{split}_rmse"].clip(lower=TINY) / rows["floor_rmse"]).astype(float))
    )
    by_seed = logs.pivot(index=["n_train", "size", "n_params"], columns="seed", values="log")
    by_seed = by_seed.dropna(axis=1)
    places = by_seed.index.to_frame(index=False)
    terms = design(places)
    enough = len(terms) > len(TERMS) and places[["n_train", "size"]].nunique().min() > 1
    if not enough or by_seed.empty or np.linalg.matrix_rank(terms) < len(TERMS):
        return {}
    values = by_seed.to_numpy()  # (cells, seeds)
    found, half, left = estimates(terms, values)
    law: dict[str, Any] = {}
    for term, mean, width in zip(TERMS, found, half, strict=True):
        law |= {term: mean, f"{term}_low": mean - width, f"{term}_high": mean + width}
    rms = np.sqrt(np.mean(left**2))
    return law | {"rms": rms, "n_cells": len(terms), "n_seeds": values.shape[1]}


def estimates(terms: Array, values: Array) -> tuple[Array, Array, Array]:
    """Coefficients, half their 95% intervals, and what is left of the mean over the seeds.

    Of terms (cells, t) and values (cells, seeds): least squares of each seed, and Student's t over
    the seeds or, of one, by its residuals.
    """
    found, *_ = np.linalg.lstsq(terms, values, rcond=None)
    left = (values - terms @ found).mean(axis=1)
    n_seeds, freedom = values.shape[1], len(terms) - terms.shape[1]
    if n_seeds > 1:
        half = half_width(found.std(axis=1, ddof=1), n_seeds)
    else:
        variance = np.diag(np.linalg.inv(terms.T @ terms)) * (left**2).sum() / freedom
        half = stats.t.ppf(0.5 + CONFIDENCE / 2, freedom) * np.sqrt(variance)
    return found.mean(axis=1), half, left
