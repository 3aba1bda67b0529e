"""Rows of MLPs and KANs from closed forms, as a sweep of either kind stores them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame

WIDTHS = (5, 10, 20, 50, 100)
GRIDS = (5, 10, 20, 50, 100)


def n_params(width: int) -> int:
    """Of an MLP of two inputs, one output and two hidden layers."""
    return 3 * width + (width + 1) * width + width + 1


def mlps(
    exponent: float = -1.0,
    seeds: int = 1,
    numbers: Sequence[int] = (100_000,),
    sizes: Sequence[int] = WIDTHS,
    **columns: Any,
) -> DataFrame:
    """RMSE = 2^seed · P^exponent exactly, with what an MLP has not as nulls."""
    frame = _cells(seeds, numbers, sizes)
    params = frame["size"].map(n_params)
    error = 2.0 ** frame["seed"] * params**exponent
    widths = [f"2-{size}-{size}-1" for size in frame["size"]]
    given = {"data": "exp_sin", "model": "mlp", "width": widths, "n_params": params}
    for absent in ("grid_size", "k", "reg", "floor_rmse", "start_grid"):
        frame[absent] = None
    return _ended(frame.assign(**given), error, **columns)


def kans(
    seeds: int = 1,
    numbers: Sequence[int] = (10_000,),
    sizes: Sequence[int] = GRIDS,
    k: int = 3,
    **columns: Any,
) -> DataFrame:
    """RMSE = 2^seed · G^-(k+1) exactly, of a KAN with three edges."""
    frame = _cells(seeds, numbers, sizes)
    grid = frame["size"]
    error = 2.0 ** frame["seed"] * grid ** -(k + 1.0)
    given = {"data": "exp_sin", "model": "kan", "width": "2-1-1", "k": k, "grid_size": grid}
    frame = frame.assign(**given, n_params=3 * (grid + k), floor_rmse=np.nan)
    return _ended(frame, error, **columns)


def _cells(seeds: int, numbers: Sequence[int], sizes: Sequence[int]) -> DataFrame:
    names = ["n_train", "seed", "size"]
    product = pd.MultiIndex.from_product([numbers, range(seeds), sizes], names=names)
    return product.to_frame(index=False)


def _ended(frame: DataFrame, error: Any, **columns: Any) -> DataFrame:
    ended = {"status": "ok", "dtype": "float64", "noise": 0.0, "seconds": 1.0, "error": None}
    return frame.assign(train_rmse=error, test_rmse=error, **ended).assign(**columns)
