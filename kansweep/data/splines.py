"""Best splines of known functions, on given breaks and on those that suit a function."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.interpolate import BSpline, make_lsq_spline

from kansweep.data.knots import adapted
from kansweep.data.targets import Array, Univariate

_PIECES = 512  # of a quadrature rule, at least
_FINER = 4  # times as many intervals are those on which knots are sought
_STEPS = 60  # of the search, at most
_STILL = 1e-2  # of the narrower interval beside it: a break that moves less stands still
_EXACT = 1e-14  # of a function: a spline that misses less tells nothing of where knots should go


@dataclass(frozen=True, eq=False)
class Grid:
    """Intervals of [lower, upper], by their ``breaks`` in it as in [0, 1]: (G+1,)."""

    lower: float
    upper: float
    breaks: Array

    @property
    def equal(self) -> bool:
        """Whether the intervals have one width."""
        return np.array_equal(self.breaks, np.linspace(0.0, 1.0, self.breaks.size))

    @property
    def places(self) -> Array:
        """The breaks themselves."""
        if self.equal:
            return np.linspace(self.lower, self.upper, self.breaks.size)
        places = self.lower + (self.upper - self.lower) * self.breaks
        places[-1] = self.upper  # which round-off may have passed
        return places

    def gauss(self, k: int) -> tuple[Array, Array]:
        """Points and weights, adding up to one, of k + 5 a piece of each interval: (q,)."""
        grid_size = self.breaks.size - 1
        pieces = grid_size * -(-_PIECES // grid_size)
        node, weight = _legendre(k + 5)
        unit = ((np.arange(pieces)[:, None] + (node + 1.0) / 2.0) / pieces).ravel()
        weights = np.tile(weight / 2.0 / pieces, pieces)
        if not self.equal:
            unit = np.interp(unit, np.linspace(0.0, 1.0, grid_size + 1), self.breaks)
            weights *= np.repeat(grid_size * np.diff(self.breaks), unit.size // grid_size)
        return self.lower + (self.upper - self.lower) * unit, weights


_legendre = cache(np.polynomial.legendre.leggauss)


def equal_grid(lower: float, upper: float, grid_size: int) -> Grid:
    return Grid(lower, upper, np.linspace(0.0, 1.0, grid_size + 1))


def best_spline(function: Univariate, grid: Grid, k: int) -> BSpline:
    """The spline on a grid nearest to a function in L2(lower, upper).

    The end knots are repeated: the same splines as on the extended knots, but a basis whose
    condition stays small at any k.
    """
    x, weight = grid.gauss(k)
    knots = np.concatenate([np.full(k, grid.lower), grid.places, np.full(k, grid.upper)])
    root, values = np.sqrt(weight), function(x)
    first = make_lsq_spline(x, values, knots, k, w=root)
    # Once more for what round-off left: much, where SciPy (before 1.15) squares the condition.
    rest = make_lsq_spline(x, values - first(x), knots, k, w=root)
    return BSpline(knots, first.c + rest.c, k)


def adapted_grid(function: Univariate, lower: float, upper: float, k: int, grid_size: int) -> Grid:
    """The grid that suits a function: of the breaks that its best spline on a finer one asks for.

    On the finer one they are adapted until they stand still. Where splines on equal intervals are
    exact to round-off, these it is.
    """
    for finer in range(_FINER, 0, -1):
        grid = equal_grid(lower, upper, finer * grid_size)
        if not _exact(function, grid, k):
            break
    else:
        return grid
    for step in range(_STEPS):
        breaks = _asked(function, grid, k, grid.breaks.size - 1)
        # Every other step is half a step, for knots that would jump to and fro.
        moved = (breaks - grid.breaks) / (1 + step % 2)
        grid = Grid(lower, upper, grid.breaks + moved)
        width = np.diff(grid.breaks)
        if (np.abs(moved[1:-1]) <= _STILL * np.minimum(width[1:], width[:-1])).all():
            break
    return Grid(lower, upper, _asked(function, grid, k, grid_size))


def _asked(function: Univariate, grid: Grid, k: int, grid_size: int) -> Array:
    """Breaks for ``grid_size`` intervals by the best spline on a grid: (grid_size + 1,)."""
    middle = (grid.places[1:] + grid.places[:-1]) / 2.0
    derivative = best_spline(function, grid, k).derivative(k)(middle)
    return adapted(grid.breaks, derivative[None], k, grid_size)


def _exact(function: Univariate, grid: Grid, k: int) -> bool:
    x, weight = grid.gauss(k)
    values = function(x)
    error = best_spline(function, grid, k)(x) - values
    return bool(weight @ error**2 <= _EXACT**2 * (weight @ values**2))
