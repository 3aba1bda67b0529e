"""From a sweep's results to its laws and figures, in a notebook or on the command line.

results = kansweep.load_results("outputs/example8")
laws = kansweep.fit_laws(results)
kansweep.plot_laws(results, laws).savefig("law.png")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pandas import DataFrame

from kansweep import figures, floor, law, plot, store
from kansweep.targets import TARGETS


def load_results(path: str | Path) -> DataFrame:
    """The rows of a sweep, from its folder or its ``results.parquet``, with the floor filled in.

    Raises FileNotFoundError where there is no such file.
    """
    return with_floor(store.read_results(Path(path)))


def with_floor(results: DataFrame) -> DataFrame:
    """The results with ``floor_rmse`` of every cell whose target's structure is known."""
    by = ["data", "k", "width", "grid_size"]
    cells = results[by].drop_duplicates()
    known = [_floor(*cell) for cell in cells.itertuples(index=False)]
    floors = cells.assign(floor_rmse=pd.Series(known, cells.index, dtype=float))
    return results.assign(floor_rmse=results[by].merge(floors, how="left")["floor_rmse"].to_numpy())


def _floor(data: str, k: int, width: str, grid_size: int) -> float | None:
    hidden = tuple(map(int, width.split("-")[1:-1]))
    target = TARGETS.get(data)
    return None if target is None else floor.floor(target, hidden, k, grid_size)


def rules(results: DataFrame, margin: float = law.DEFAULT.margin) -> law.Rules:
    """The rules for these results: nothing is measured where splines are exact."""
    exact = [
        target.exact_from is not None and k >= target.exact_from
        for data, k in results[["data", "k"]].drop_duplicates().itertuples(index=False)
        if (target := TARGETS.get(data)) is not None
    ]
    return law.Rules(exact=bool(exact) and all(exact), margin=margin)


def laws(results: DataFrame, rules: law.Rules) -> DataFrame:
    """The laws of a sweep against every axis, as ``laws.csv`` holds them."""
    fitted = [law.fit_laws(results, x, rules) for x in law.AXES]
    return pd.concat(fitted, ignore_index=True)


def together(
    sweeps: Mapping[str, DataFrame], margin: float = law.DEFAULT.margin
) -> tuple[DataFrame, DataFrame]:
    """The results and the laws of several sweeps, each with its name in the column ``data``: a
    curve belongs to its sweep, whatever target they share."""
    named = [
        results.assign(data=name, exact=rules(results).exact) for name, results in sweeps.items()
    ]
    results = pd.concat(named, ignore_index=True)
    return results, laws(results, law.Rules(margin=margin))


def figures_of_one(
    results: DataFrame, laws: DataFrame, rules: law.Rules, splits: Sequence[str]
) -> dict[str, Figure]:
    """All figures of one sweep, by name; ``laws`` against one axis. The map and the local orders
    are those of the last split, which is the test's unless only the other was asked for."""
    drawn = plot.draw(results, laws, rules, _axis(laws), splits)
    return drawn | figures.draw(results, splits[-1:], rules)


def figures_of_several(
    results: DataFrame, laws: DataFrame, rules: law.Rules, splits: Sequence[str]
) -> dict[str, Figure]:
    """The figures of several sweeps, by name, as ``together`` gives them."""
    drawn = plot.draw_together(results, laws, rules, _axis(laws), splits)
    if laws["theory"].nunique() > 1:
        largest = laws.groupby("data")["n_train"].transform("max")
        drawn["orders"] = figures.measured_orders(laws[laws["n_train"] == largest], rules.margin)
    return drawn


def _axis(laws: DataFrame) -> str:
    return str(laws["x"].iloc[0])


def spread(results: DataFrame) -> float:
    """Standard deviation of the target over its domain, by a fixed sample; 1 if it is unknown."""
    target = TARGETS.get(str(results["data"].iloc[0]))
    if target is None:
        return 1.0
    x = np.random.default_rng(0).uniform(*target.domain, (20_000, target.n_inputs))
    return float(np.std(target.function(x)))


def fit_laws(results: DataFrame, x: str = "grid_size") -> DataFrame:
    """The law of every curve, as ``laws.csv`` has it; see ``kansweep.law.fit_laws``."""
    return law.fit_laws(results, x, rules(results))


def plot_laws(results: DataFrame, laws: DataFrame, split: str = "test") -> Figure:
    """RMSE against the axis of the laws, with each curve's exponent in the legend."""
    x = _axis(laws)
    return plot.draw(results, laws, rules(results), x, [split])[f"{split}_rmse_vs_{x}"]
