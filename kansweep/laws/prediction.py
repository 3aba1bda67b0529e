"""The test RMSE of a new seed at a size and a data size, from the cells of a sweep.

Where the floor is known, which can be computed at any size, it carries the prediction, and what
stands above it is the model of ``mixed``. Elsewhere it is the joint form of ``joint``, with the
variance that its fit leaves or, beyond the cells, that by which it missed the largest of them when
these were not shown to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from pandas import DataFrame, Series

from kansweep.laws import joint, mixed
from kansweep.laws.mixed import AXES, Sample
from kansweep.laws.verdicts import TINY

LEAST_CELLS = 5  # for the joint form


@dataclass(frozen=True)
class Place:
    """A cell, trained or not: parameters and floor (NaN where unknown) belong to its size."""

    size: int
    n_train: int
    n_params: float
    floor: float = float("nan")

    @property
    def cell(self) -> DataFrame:
        """Itself as the only row of a table, without seeds."""
        return DataFrame([{name: vars(self)[name] for name in AXES}])


@dataclass(frozen=True, eq=False)
class Prediction:
    """The test RMSE of a new seed with its 95% interval, and what it rests on."""

    place: Place
    rmse: float
    low: float
    high: float
    formula: str
    parameters: Mapping[str, float]
    cells: DataFrame  # AXES: a row a cell that was fitted
    n_seeds: int
    beyond: Mapping[str, float] = field(default_factory=dict)  # by what factor, up or down
    power_law: float = float("nan")  # what that of `power_law_of` training points says
    power_law_of: int = 0
    measured: Series = field(default_factory=lambda: Series(dtype=float))  # by seed, if trained


def predict(place: Place, ended: DataFrame, usable: DataFrame, spread: float) -> Prediction:
    """What a sweep's rows, as ``cells.checked`` gives them, say of a place.

    `usable` are those that ``pooled.usable`` gives, with their floors. Three sizes of them and a
    floor at the place are enough for the floor to carry the prediction. `spread` is the target's
    standard deviation. Raises ValueError where there are too few cells.
    """
    above = _above_floor(usable)
    sizes = set(above.index.get_level_values("size"))
    if place.floor > 0 and len(sizes) >= mixed.LEAST and above.shape[1]:
        predicted = _by_floor(place, above)
    else:
        predicted = _by_joint(place, joint.by_seed(ended), spread)
    return replace(predicted, beyond=_beyond(place, predicted.cells))


def power_law(place: Place, cells: DataFrame) -> tuple[float, int]:
    """What the power law in G of the nearest data size says, and which data size that is: through
    the classified cells of it that count; NaN where there are no two."""
    counting = cells[cells["counts"]].groupby("n_train").filter(lambda part: len(part) > 1)
    if counting.empty:
        return float("nan"), 0
    numbers = counting["n_train"].unique()
    nearest = int(numbers[np.argmin(np.abs(np.log(numbers / place.n_train)))])
    part = counting[counting["n_train"] == nearest]
    size, rmse = (np.log(part[name].to_numpy(float)) for name in ("size", "test_rmse"))
    slope, level = np.polyfit(size, rmse, 1)
    return float(np.exp(level + slope * np.log(place.size))), nearest


def _above_floor(usable: DataFrame) -> DataFrame:
    """ln(RMSE / floor), a row a cell and a column a seed that has them all."""
    errors = usable["test_rmse"].astype(float).clip(lower=TINY) / usable["floor_rmse"]
    by_seed = usable.assign(log=np.log(errors)).pivot(index=AXES, columns="seed", values="log")
    return by_seed.dropna(axis=1)


def _beyond(place: Place, cells: DataFrame) -> dict[str, float]:
    """By which factors a place lies outside what was fitted."""
    axes = {name: (vars(place)[name], cells[name]) for name in ("size", "n_train")}
    axes["P/n"] = (place.n_params / place.n_train, cells["n_params"] / cells["n_train"])
    factors = {
        name: value / float(np.clip(value, inside.min(), inside.max()))
        for name, (value, inside) in axes.items()
    }
    return {name: factor for name, factor in factors.items() if factor != 1.0}


def _by_floor(place: Place, above: DataFrame) -> Prediction:
    model = mixed.fitted(Sample.of(above))
    value, half = model.at(Sample.of(place.cell.set_index(AXES)))
    rmse, low, high = (float(place.floor * np.exp(value + side * half)) for side in (0, -1, 1))
    formula = f"floor exp(a + c P/n{' + delta ln G' if model.delta else ''})"
    coefficients = dict(zip(mixed.NAMES, map(float, model.solve().coefficients), strict=False))
    parameters = {"floor": place.floor, **coefficients}
    cells = above.index.to_frame(index=False)
    return Prediction(place, rmse, low, high, formula, parameters, cells, above.shape[1])


def _by_joint(place: Place, logs: DataFrame, spread: float) -> Prediction:
    cells = joint.cells_of(logs)
    if len(cells) < LEAST_CELLS:
        raise ValueError(
            f"a prediction takes {mixed.LEAST} sizes that count, with a floor, or {LEAST_CELLS}"
            f" sound cells; there are {len(cells)}"
        )
    best = joint.joint(cells, spread)
    model = joint.Model(best.form.designs(place.cell), spread)
    value, gradient = model.log_rmse(best.values)[0], model.jacobian(best.values)[0]
    freedom = len(cells) - len(best.values)
    left = float(best.residuals @ best.residuals) / freedom
    misfit = max(left, _missed(best.form, cells, place, spread))
    lever = gradient @ np.linalg.pinv(best.jacobian, rcond=1e-9)
    sample = Sample.of(logs.dropna(axis=1))
    (common, own), seeds = sample.among_seeds(), max(sample.n_seeds - 1, 1)
    crowding = Sample.of(place.cell.set_index(AXES)).crowding[0]
    parts = [(misfit * (1 + lever @ lever), freedom), (common, seeds), (own * crowding, 2 * seeds)]
    half = mixed.half_width(parts)
    rmse, low, high = (float(np.exp(value + side * half)) for side in (0, -1, 1))
    parameters = best.named(best.values)
    return Prediction(place, rmse, low, high, best.form.name, parameters, cells, logs.shape[1])


def _missed(form: joint.Form, cells: DataFrame, place: Place, spread: float) -> float:
    """The mean square by which a form missed the largest cells that it was not shown, where a place
    lies beyond them."""
    beyond = [name for name in ("size", "n_train") if vars(place)[name] > cells[name].max()]
    missed = [joint.held_out(form, cells, spread, name) ** 2 for name in beyond]
    return float(np.nanmax([0.0, *missed]))
