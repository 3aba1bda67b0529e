"""Rows as sweeps store them, from closed forms and of the published table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame
from places import DATA

GRIDS = [5, 10, 20, 50, 100]
WIDTHS = [5, 10, 20, 50, 100]
# Test RMSE of the best cubic splines of sin(pi x), y^2 and exp composed: what the grid allows.
EXP_SIN_FLOOR = dict(zip(GRIDS, [6.62e-3, 3.03e-4, 1.72e-5, 4.28e-7, 2.66e-8], strict=True))
PUBLISHED = DATA / "example8_published.csv"


def published(**columns: Any) -> DataFrame:
    """The published table of Example 8, as a sweep of one seed."""
    table = pd.read_csv(PUBLISHED)
    table = table.assign(data="exp_sin", seed=0, k=3, width="2-1-1", status="ok", dtype="float64")
    table = table.assign(n_params=3 * (table["grid_size"] + 3), floor_rmse=np.nan)
    return table.assign(**columns)


def with_floor() -> DataFrame:
    table = published()
    return table.assign(floor_rmse=table["grid_size"].map(EXP_SIN_FLOOR))


def broken() -> DataFrame:
    """The published table, where the larger grids of one data size failed."""
    table = published()
    lost = (table["n_train"] == 300) & (table["grid_size"] > 10)
    table.loc[lost, ["train_rmse", "test_rmse", "status"]] = [np.nan, np.nan, "failed"]
    return table


def power_law(
    slopes: Sequence[float] = (-4.0,),
    amplitudes: Sequence[float] = (1.0,),
    sizes: Sequence[int] = GRIDS,
    **columns: Any,
) -> DataFrame:
    """RMSE = amplitude · G^slope exactly, one seed a slope, at 10,000 points."""
    rows = [
        {"seed": seed, "grid_size": size, "n_params": 3 * (size + 3), "rmse": a * size**slope}
        for seed, (slope, a) in enumerate(zip(slopes, amplitudes, strict=True))
        for size in sizes
    ]
    frame = DataFrame(rows).assign(data="f", k=3, n_train=10_000, status="ok", dtype="float64")
    return frame.assign(train_rmse=frame["rmse"], test_rmse=frame["rmse"], **columns)


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
