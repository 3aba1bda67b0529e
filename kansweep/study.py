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

from kansweep import cells as law
from kansweep import curves as plot
from kansweep import floor, kinds, panels, store
from kansweep import heat_map as figures
from kansweep.targets import TARGETS


def load_results(path: str | Path) -> DataFrame:
    """The rows of a sweep, from its folder or its ``results.parquet``, with the floor filled in.

    Raises FileNotFoundError where there is no such file.
    """
    return with_floor(store.read_results(Path(path)))


def with_floor(results: DataFrame) -> DataFrame:
    """The results with ``floor_rmse`` of every cell of a KAN whose target's structure is known.

    That of a user's own target, whose structure the rows do not hold, stays as they have it.
    """
    results = law.complete(results)
    shapes = ["data", "k", "width", "size"]
    ours = results["data"].isin(TARGETS) & (results["model"] == kinds.KAN)
    cells = results.loc[ours, shapes].drop_duplicates().itertuples(index=False, name=None)
    known = {cell: _floor(*cell) for cell in cells}
    floors = pd.Series(np.nan, results.index)
    if "floor_rmse" in results:
        floors = results["floor_rmse"].astype(float).mask(results["model"] != kinds.KAN)
    cells = results.loc[ours, shapes].itertuples(index=False, name=None)
    floors[ours] = np.array([known[cell] for cell in cells], float)
    return results.assign(floor_rmse=floors)


def _floor(data: str, k: int, width: str, grid_size: int) -> float | None:
    hidden = tuple(map(int, width.split("-")[1:-1]))
    return floor.floor(TARGETS[data], hidden, int(k), grid_size)


def rules(results: DataFrame, margin: float = law.DEFAULT.margin) -> law.Rules:
    """The rules for these results: nothing is measured where splines are exact.

    An MLP, whose `k` is null, represents no target exactly.
    """
    exact = [
        target.exact_from is not None and k is not None and k >= target.exact_from
        for data, k in results[["data", "k"]].drop_duplicates().itertuples(index=False)
        if (target := TARGETS.get(data)) is not None
    ]
    return law.Rules(exact=bool(exact) and all(exact), margin=margin)


def laws(results: DataFrame, rules: law.Rules) -> DataFrame:
    """The laws of a sweep against every axis, as ``laws.csv`` holds them."""
    fitted = [law.fit_laws(results, x, rules) for x in law.AXES]
    return pd.concat([part for part in fitted if len(part)] or fitted[:1], ignore_index=True)


def together(
    sweeps: Mapping[str, DataFrame], margin: float = law.DEFAULT.margin
) -> tuple[DataFrame, DataFrame]:
    """The results and the laws of several sweeps, each with its name in the column ``data``: a
    curve belongs to its sweep, whatever target they share. The target is in ``target``."""
    named = []
    for name, results in sweeps.items():
        exact, results = rules(results).exact, law.complete(results)
        named.append(results.assign(target=results["data"], data=name, exact=exact))
    results = pd.concat(named, ignore_index=True)
    return results, laws(results, law.Rules(margin=margin))


def figures_of_one(
    results: DataFrame, laws: DataFrame, rules: law.Rules, splits: Sequence[str]
) -> dict[str, Figure]:
    """All figures of one sweep, by name; ``laws`` against one axis. The map and the local orders,
    which an MLP has not, are those of the last split: the test's unless only the other was asked
    for."""
    drawn = plot.draw(results, laws, rules, _axis(results, laws), splits)
    return drawn | figures.draw(results, splits[-1:], rules)


def figures_of_several(
    results: DataFrame, laws: DataFrame, rules: law.Rules, splits: Sequence[str]
) -> dict[str, Figure]:
    """The figures of several sweeps, by name, as ``together`` gives them: a panel a target where
    KANs and MLPs have several, all in one otherwise."""
    x = _axis(results, laws)
    if panels.wanted(results):
        drawn = panels.draw(results, laws, rules, splits)
    else:
        drawn = plot.draw_together(results, laws, rules, x, splits)
    if x == "grid_size" and laws["theory"].nunique() > 1:
        largest = laws.groupby("data")["n_train"].transform("max")
        drawn["orders"] = figures.measured_orders(laws[laws["n_train"] == largest], rules.margin)
    return drawn


def _axis(results: DataFrame, laws: DataFrame) -> str:
    return str(laws["x"].iloc[0]) if len(laws) else law.axis(results)


def fit_laws(results: DataFrame, x: str | None = None) -> DataFrame:
    """The law of every curve, as ``laws.csv`` has it; see ``kansweep.law.fit_laws``.

    Against ``x``, ``grid_size`` or ``n_params``; left out, the latter where there is an MLP.
    """
    return law.fit_laws(results, x, rules(results))


def plot_laws(results: DataFrame, laws: DataFrame, split: str = "test") -> Figure:
    """RMSE against the axis of the laws, with each curve's exponent in the legend; of one sweep, or
    of several as ``together`` gives them."""
    x, name = _axis(results, laws), f"{split}_rmse_vs_{_axis(results, laws)}"
    if "target" in results:
        return figures_of_several(results, laws, rules(results), [split])[name]
    return plot.draw(results, laws, rules(results), x, [split])[name]
