"""Studies of stored sweeps: of one, or of several together, with floors filled and rules chosen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from pandas import DataFrame

from kansweep.data import floor
from kansweep.data.knots import Spacing
from kansweep.data.targets import TARGETS
from kansweep.kinds import KINDS
from kansweep.laws import cells, findings
from kansweep.laws.cells import Rules
from kansweep.laws.findings import Study

_SHAPE = ["data", "k", "width", "size", "spacing"]  # all that a floor depends on


def of_one(results: DataFrame, x: str | None = None, margin: float = cells.DEFAULT.margin) -> Study:
    """The study of one sweep's rows, against ``x`` or what its networks have."""
    results = with_floor(results)
    return findings.study(results, rules(results, margin), x)


def of_several(
    sweeps: Mapping[str, DataFrame], x: str | None = None, margin: float = cells.DEFAULT.margin
) -> Study:
    """The study of several sweeps, each with its name in the column ``data``: a curve belongs to
    its sweep, whatever target they share. The target is in ``target``."""
    floored = {name: with_floor(results) for name, results in sweeps.items()}
    return findings.study(together(floored), Rules(margin=margin), x)


def together(sweeps: Mapping[str, DataFrame]) -> DataFrame:
    """The rows of several sweeps, each named in ``data`` and its target in ``target``."""
    named = []
    for name, results in sweeps.items():
        exact, results = rules(results).exact, cells.complete(results)
        named.append(results.assign(target=results["data"], data=name, exact=exact))
    return pd.concat(named, ignore_index=True)


def rules(results: DataFrame, margin: float = cells.DEFAULT.margin) -> Rules:
    """The rules for these results: nothing is measured where splines are exact."""
    targets = cells.complete(results)[cells.WHOSE].drop_duplicates()
    exact = [
        _is_exact(*whose)
        for whose in targets.itertuples(index=False, name=None)
        if whose[0] in TARGETS
    ]
    return Rules(exact=bool(exact) and all(exact), margin=margin)


def _is_exact(data: str, model: str, k: float) -> bool:
    """Whether networks represent a target without error: those whose theory is of splines."""
    exact_from = TARGETS[data].exact_from
    return KINDS[model].has_theory and exact_from is not None and k >= exact_from


def with_floor(results: DataFrame) -> DataFrame:
    """The results with ``floor_rmse`` of every cell whose target's structure is known, of kinds
    with a theory.

    That of a user's own target, whose structure the rows do not hold, stays as they have it.
    """
    results = cells.complete(results)
    has_theory = results["model"].map(lambda name: KINDS[name].has_theory).astype(bool)
    ours = results["data"].isin(TARGETS) & has_theory
    shapes = list(results.loc[ours, _SHAPE].itertuples(index=False, name=None))
    by_shape = {shape: _floor(*shape) for shape in dict.fromkeys(shapes)}
    floors = pd.Series(np.nan, results.index)
    if "floor_rmse" in results:
        floors = results["floor_rmse"].astype(float).where(has_theory)
    floors[ours] = np.array([by_shape[shape] for shape in shapes], float)
    return results.assign(floor_rmse=floors)


def _floor(data: str, k: int, width: str, grid_size: int, spacing: Spacing) -> float | None:
    hidden = tuple(map(int, width.split("-")[1:-1]))
    return floor.floor(TARGETS[data], hidden, int(k), int(grid_size), spacing)
