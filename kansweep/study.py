"""Studies of stored sweeps: of one, or of several together, with floors filled and rules chosen."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame, Series

from kansweep.config.rules import COUNT, MOST, plain
from kansweep.data import floor
from kansweep.data.knots import Spacing
from kansweep.data.targets import TARGETS, Target
from kansweep.kinds import KINDS
from kansweep.laws import cells, findings, pooled, prediction
from kansweep.laws.cells import Rules
from kansweep.laws.findings import Study
from kansweep.laws.notation import listed
from kansweep.laws.prediction import Place, Prediction

_SHAPE = ["data", "k", "width", "size", "spacing"]  # all that a floor depends on
Targets = Mapping[str, Target]  # by the names that rows have them by in the column `data`


def of_one(
    results: DataFrame,
    x: str | None = None,
    margin: float = cells.DEFAULT.margin,
    targets: Targets = TARGETS,
) -> Study:
    """The study of one sweep's rows, against ``x`` or what its networks have."""
    results = with_floor(results, targets)
    why = without_floor(results, targets)
    return findings.study(results, rules(results, margin), x, without_floor=why)


def of_several(
    sweeps: Mapping[str, DataFrame],
    x: str | None = None,
    margin: float = cells.DEFAULT.margin,
    targets: Mapping[str, Targets] | None = None,
    points: Mapping[str, Mapping[str, Any]] | None = None,
) -> Study:
    """The study of several sweeps, each with its name in the column ``data``: a curve belongs to
    its sweep, whatever target they share. The target is in ``target``; ``targets`` are those of
    each sweep, by its name, and ``points`` the settings that decide its points, as far as known:
    sweeps of other points are not compared."""
    of_sweep = {name: (targets or {}).get(name, TARGETS) for name in sweeps}
    floored = {name: with_floor(results, of_sweep[name]) for name, results in sweeps.items()}
    why = {
        name: reason
        for name, results in floored.items()
        for reason in without_floor(results, of_sweep[name]).values()
    }
    rows = together(floored, points or {})
    return findings.study(rows, Rules(margin=margin), x, without_floor=why)


def together(
    sweeps: Mapping[str, DataFrame], points: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
) -> DataFrame:
    """The rows of several sweeps, each named in ``data``, its target in ``target`` and the settings
    of its points in ``points``, as JSON."""
    named = []
    for name, results in sweeps.items():
        exact, results = rules(results).exact, cells.complete(results)
        known = json.dumps(dict(points.get(name, {})), sort_keys=True)
        named.append(results.assign(target=results["data"], data=name, exact=exact, points=known))
    return pd.concat(named, ignore_index=True)


def rules(results: DataFrame, margin: float = cells.DEFAULT.margin) -> Rules:
    """The rules for these results: nothing is measured where splines are exact."""
    exact = _exact(cells.complete(results), TARGETS)
    return Rules(exact=bool(len(exact)) and bool(exact.all()), margin=margin)


def with_floor(results: DataFrame, targets: Targets = TARGETS) -> DataFrame:
    """The results with ``floor_rmse`` of every cell whose target's structure is known, of kinds
    with a theory, and with ``exact`` where splines represent one.

    That of a user's own target, whose structure the rows do not hold, stays as they have it.
    """
    results = cells.complete(results)
    has_theory, known = _has_theory(results), _known(results, targets)
    of_known = results[known].reindex(columns=_SHAPE)
    shapes = list(of_known.itertuples(index=False, name=None))
    by_shape = {shape: _floor(targets[shape[0]], *shape[1:]) for shape in dict.fromkeys(shapes)}
    floors = pd.Series(np.nan, results.index)
    if "floor_rmse" in results:
        floors = results["floor_rmse"].astype(float).where(has_theory)
    floors[known] = np.array([by_shape[shape] for shape in shapes], float)
    results = results.assign(floor_rmse=floors)
    exact = _exact(results, targets)
    return results.assign(exact=exact) if exact.any() else results


def without_floor(results: DataFrame, targets: Targets = TARGETS) -> dict[str, str]:
    """Why known targets have no floor, by their names in ``data``: the end of a sentence."""
    results = cells.complete(results)
    known = results[_known(results, targets)]
    if known.empty:
        return {}
    whose = known[["data", "k", "width"]].drop_duplicates()
    reasons = {
        name: floor.missing(targets[name], _hidden(width), int(k))
        for name, k, width in whose.itertuples(index=False, name=None)
    }
    return {name: reason for name, reason in reasons.items() if reason}


def _floor(target: Target, k: int, width: str, grid_size: int, spacing: Spacing) -> float | None:
    return floor.floor(target, _hidden(width), int(k), int(grid_size), spacing)


def _hidden(width: str) -> tuple[int, ...]:
    return tuple(map(int, width.split("-")[1:-1]))


def _has_theory(results: DataFrame) -> Series:
    return results["model"].map(lambda name: KINDS[name].has_theory).astype(bool)


def _known(results: DataFrame, targets: Targets) -> Series:
    """The rows whose target says what floor there is; rows may stand without their widths."""
    known: Series = results["data"].isin(targets) & _has_theory(results) & ("width" in results)
    return known


def _exact(results: DataFrame, targets: Targets) -> Series:
    """Whether networks represent a target without error: those whose theory is of splines."""
    exact = results["exact"].astype(bool) if "exact" in results else Series(False, results.index)
    known = results[_known(results, targets)]
    if known.empty:
        return exact
    shapes = list(known[["data", "k", "width"]].itertuples(index=False, name=None))
    by_shape = {
        (name, k, width): floor.is_exact(targets[name], _hidden(width), int(k))
        for name, k, width in dict.fromkeys(shapes)
    }
    exact[known.index] = np.array([by_shape[shape] for shape in shapes])
    return exact


def predicted(
    results: DataFrame,
    size: int | None = None,
    n_train: int | None = None,
    *,
    sizes: Sequence[int] | None = None,
    n_trains: Sequence[int] | None = None,
    targets: Targets = TARGETS,
    spread: float = 1.0,
    output: str | None = None,
) -> Prediction:
    """What one sweep's rows, or those of these sizes and data sizes alone, say of a cell.

    Unset, the size and the data size are the sweep's largest, and the error is that of all outputs
    together; else that of one of several, in its own unit. `targets` are what is known of what was
    learned, by its name in the rows, and `spread` is its standard deviation. Raises ValueError
    where the networks are on no grid, where the size is above ``floor.FINEST``, where a size to
    rest on or the output is none of the sweep's, or where too few cells count.
    """
    _check_asked(results, size, n_train)
    of_sweep = of_one(results, targets=targets)
    floor_at = _floor_at(of_sweep.results, targets, output)
    if output is not None:
        of_sweep = of_sweep.of_output(output)
        spread = float(of_sweep.ended["spread"].iloc[0])
    ended, cells_ = of_sweep.ended, of_sweep.cells
    if not of_sweep.kind.on_grid:
        raise ValueError(f"{of_sweep.kind.title}s have no grid, and no law of a whole sweep")
    place = _place(ended, size, n_train, floor_at)
    least = of_sweep.rules.least_error(ended["dtype"].iloc[0])
    if place.floor < least:
        raise ValueError(
            f"the floor at that size, {place.floor:.1e}, is below round-off, {least:.1e}"
        )
    chosen = {"size": ("sizes", sizes), "n_train": ("n_trains", n_trains)}
    parts = [ended, pooled.usable(ended, cells_, of_sweep.rules), cells_]
    for column, (name, values) in chosen.items():
        if values is not None:
            _check_chosen(name, values, ended[column])
            parts = [part[part[column].isin(values)] for part in parts]
    found = prediction.predict(place, parts[0], parts[1], spread)
    at = (ended["size"] == place.size) & (ended["n_train"] == place.n_train) & ended["ok"]
    line, line_of = prediction.power_law(place, parts[2])
    measured = ended[at].set_index("seed")["test_rmse"]
    return replace(found, power_law=line, power_law_of=line_of, measured=measured)


def _check_asked(results: DataFrame, size: int | None, n_train: int | None) -> None:
    if cells.complete(results).empty:
        raise ValueError("`results` must have a row")
    for name, value, most in (("size", size, floor.FINEST), ("n_train", n_train, MOST)):
        number = plain(value)
        if number is not None and not (COUNT.holds(number) and number <= most):
            raise ValueError(f"`{name}` must be an integer from 1 to {most}; got {value!r}")


def _check_chosen(name: str, values: Sequence[int], there: pd.Series) -> None:
    of = listed(sorted(set(there)))
    if not isinstance(chosen := plain(values), tuple):
        raise ValueError(f"`{name}` must be a list out of the sweep's {of}; got {values!r}")
    if missing := [value for value in chosen if value not in set(there)]:
        raise ValueError(f"`{name}` must be out of the sweep's {of}; got {listed(missing)}")


FloorAt = Callable[[int], float | None]  # of a size


def _floor_at(results: DataFrame, targets: Targets, output: str | None) -> FloorAt:
    """The floor of the networks of these rows at other sizes."""
    row = results.iloc[0]
    target = targets.get(row["data"])
    if target is None or "width" not in results:
        return lambda size: None
    shape = target, row["k"], row["width"]

    def floor_at(size: int) -> float | None:
        if output is None:
            return _floor(*shape, size, row["spacing"])
        each = floor.of_each(target, _hidden(row["width"]), int(row["k"]), size, row["spacing"])
        return None if each is None else float(each[target.names.index(output)])

    return floor_at


def _place(ended: DataFrame, size: int | None, n_train: int | None, floor_at: FloorAt) -> Place:
    """A cell with what belongs to its size: P is linear in the number of intervals."""
    size = int(ended["size"].max()) if size is None else size
    n_train = int(ended["n_train"].max()) if n_train is None else n_train
    by_size = ended.groupby("size")["n_params"].first()
    if len(by_size) < 2:
        raise ValueError("a prediction takes three sizes; the sweep has one")
    slope, level = np.polyfit(by_size.index.to_numpy(float), by_size.to_numpy(float), 1)
    known = floor_at(size)
    floor_there = float("nan") if known is None else known
    return Place(size, n_train, round(level + slope * size), floor_there)
