"""What several test modules read off results: their curves, laws and orders, and known tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from pandas import DataFrame

from kansweep.laws import cells, fits, orders, references
from kansweep.laws.cells import DEFAULT, Curve, Rules

SIZES = [5, 10, 20, 50, 100]
FLOOR = dict(zip(SIZES, [6.62e-3, 3.03e-4, 1.72e-5, 4.28e-7, 2.66e-8], strict=True))


def published(**columns) -> DataFrame:
    """The published table of Example 8, as a sweep of one seed."""
    table = pd.read_csv(Path(__file__).parent / "data" / "example8_published.csv")
    table = table.assign(data="exp_sin", seed=0, k=3, width="2-1-1", status="ok", dtype="float64")
    table = table.assign(n_params=3 * (table["grid_size"] + 3), floor_rmse=np.nan)
    return table.assign(**columns)


def with_floor() -> DataFrame:
    table = published()
    return table.assign(floor_rmse=table["grid_size"].map(FLOOR))


def power_law(slopes=(-4.0,), amplitudes=(1.0,), sizes=SIZES, **columns) -> DataFrame:
    """RMSE = amplitude · G^slope exactly, one seed a slope, at 10,000 points."""
    rows = [
        {"seed": seed, "grid_size": size, "n_params": 3 * (size + 3), "rmse": a * size**slope}
        for seed, (slope, a) in enumerate(zip(slopes, amplitudes, strict=True))
        for size in sizes
    ]
    frame = DataFrame(rows).assign(data="f", k=3, n_train=10_000, status="ok", dtype="float64")
    return frame.assign(train_rmse=frame["rmse"], test_rmse=frame["rmse"], **columns)


def at(results: DataFrame, seed: int | None = None, **where) -> pd.Series:
    where |= {} if seed is None else {"seed": seed}
    return (results[list(where)] == pd.Series(where)).all(axis=1)


def only(laws: DataFrame, **where) -> pd.Series:
    found = laws[at(laws, **where)]
    assert len(found) == 1
    return found.iloc[0]


def reasons(results: DataFrame, rules: Rules = DEFAULT) -> dict[int, str]:
    classified = cells.classify(results, rules)
    return dict(zip(classified["size"], classified["reason"], strict=True))


def curves(results: DataFrame, rules: Rules = DEFAULT) -> list[Curve]:
    return cells.classified(cells.checked(results), rules)


def fit_laws(results: DataFrame, x: str | None = None, rules: Rules = DEFAULT) -> DataFrame:
    return fits.fit_laws(curves(results, rules), x or cells.axis(results), rules)


def observed_orders(results: DataFrame, rules: Rules = DEFAULT) -> DataFrame:
    return orders.observed_orders(cells.classify(results, rules))


def envelope(results: DataFrame, split: str, rules: Rules = DEFAULT) -> DataFrame:
    return references.envelope(cells.classify(results, rules), split)
