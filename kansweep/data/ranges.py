"""The values that functions take: by their values on a grid, refined about the extremes."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from kansweep.data.expressions import Array, Function
from kansweep.data.targets import Interval, NoStructure

_POINTS = 2**12 + 1  # of a function's grid: a peak that none of them meets is not seen
_ZOOMS, _CLOSER = 12, 33  # times that an extreme is enclosed, by that many points
_PEAK = 10.0  # times the range on the grid, at most, that an extreme stands beyond it: else a pole
_SETTLED = 1e-9  # of an extreme, at most, that it still moves by at last
_SAMPLE, _ROUNDS, _NEAREST = 2**14, 50, 8  # of the search in several variables
_INSIDE = 1e-12  # of a range: its ends, where it was sought, are not beyond what is reached


@lru_cache(maxsize=4096)
def of_function(function: Function, lower: float, upper: float) -> Interval:
    """The least and the greatest value of a univariate function; raises NoStructure for poles."""
    x = np.linspace(lower, upper, _POINTS)
    if np.isfinite(function(x)).all():
        low, high = -_greatest(lambda u: -function(u), x), _greatest(function, x)
        if np.isfinite([low, high]).all():
            return low, high
    raise NoStructure(f"{function} is not bounded for u in [{lower:.4g}, {upper:.4g}]")


def _greatest(function: Callable[[Array], Array], x: Array) -> float:
    """The greatest value, sought ever closer to the best point; infinite for a pole."""
    values = function(x)
    best = before = float(values.max())
    most = best + _PEAK * float(np.ptp(values))
    for _ in range(_ZOOMS):
        i = int(np.argmax(values))
        x = np.linspace(x[max(i - 1, 0)], x[min(i + 1, x.size - 1)], _CLOSER)
        values = function(x)
        before, best = best, max(best, float(values.max()))
    settled = best - before <= _SETTLED * max(abs(best), 1.0)
    return best if settled and best <= most and np.isfinite(values).all() else np.inf


def of_many(function: Callable[[Array], Array], intervals: tuple[Interval, ...]) -> Interval:
    """The same of a function of several variables, (n, d) -> (n,), about the best of a sample."""
    low, high = -_sought(lambda x: -function(x), intervals), _sought(function, intervals)
    slack = _INSIDE * (high - low)
    return low + slack, high - slack


def _sought(function: Callable[[Array], Array], intervals: tuple[Interval, ...]) -> float:
    rng = np.random.default_rng(0)
    lower, upper = np.array(intervals).T
    x = rng.uniform(lower, upper, (_SAMPLE, lower.size))
    reach = (upper - lower) / 4.0
    for _ in range(_ROUNDS):
        nearest = x[np.argsort(function(x))[-_NEAREST:]]
        around = nearest + reach * rng.uniform(-1.0, 1.0, (128, *nearest.shape))
        around = np.clip(around.reshape(-1, lower.size), lower, upper)  # extremes may be corners
        x, reach = np.concatenate([nearest, around]), reach * 0.6
    return float(function(x).max())
