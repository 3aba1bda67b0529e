"""The floor: the error of a KAN made of the best splines of a target's own functions.

Where a target's structure is known (``Target.structure``), each of its univariate functions is
replaced by its best spline on G equal intervals: least squares with uniform weight over the true
range of the function's input, whatever the density of that input. The floor is the RMSE of their
composition over the uniform distribution on the target's domain: for exp(sin(pi x1) + x2^2) and
k = 3, 6.62e-3 at G = 5 and 2.66e-8 at G = 100. It is a reference and not a bound: splines fitted
jointly, on a range that training chose or with more nodes than needed, can come out below.

It is integrated by quadrature, at a cost that grows with G and hardly with the number of inputs,
because a structure is a tree and the terms of a node's sum are independent. A node carries the
distribution of its true value u, on a fine uniform grid, and the first two moments of its error e
given u. Adding up terms multiplies their transforms, kept to second order in s:

    E exp(itu + se) = E exp(itu) + s E e exp(itu) + s^2/2 E e^2 exp(itu) + ...

An edge with function f and spline S turns e into S(u + e) - f(u), averaged over the two equally
likely e that have the given moments: exact where u determines e, otherwise to second order in e.
Against product rules (exp_sin, k = 1 ... 10, and nested, k = 2 ... 7) the floor is right to 1.2 per
cent at G = 3, 0.5 at G >= 5, and 1e-4 for k >= 3 and G >= 5, until round-off; against samples of
sine_mean, k = 1 ... 5, to 1.1 per cent, in most cells the error of the sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import repeat

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.interpolate import BSpline, make_lsq_spline

from kansweep.targets import Array, Edge, Target, Univariate

_PIECES = 512  # of a quadrature rule, at least
_BINS = 2**14  # of a node's range, at least; and at least _BINS_PER_INTERVAL of each interval
_BINS_PER_INTERVAL = 64
_RARE = 1e-12  # a bin less likely, against the likeliest, is lost in the transform's round-off


@lru_cache(maxsize=1024)
def floor(target: Target, hidden: tuple[int, ...], k: int, grid_size: int) -> float | None:
    """RMSE of the composed best splines on ``grid_size`` intervals.

    None where no floor is known: the target states no structure, ``hidden`` are not the widths
    that it was stated for, or splines of order ``k`` represent it exactly. On fine grids the value
    sinks into round-off, near 1e-16 of the target's size: a rule that compares with it must do so
    itself.
    """
    exact = target.exact_from is not None and k >= target.exact_from
    if target.structure is None or hidden != target.hidden or exact:
        return None
    intervals = target.intervals
    inputs = {interval: _input(interval, grid_size, k) for interval in set(intervals)}
    laws = {i: inputs[interval] for i, interval in enumerate(intervals)}
    for layer in target.structure:
        sums = {edge.sink: [e for e in layer if e.sink == edge.sink] for edge in layer}
        laws = {sink: _sum(edges, laws, grid_size, k) for sink, edges in sums.items()}
    mean_square = np.mean([law.moments[2].sum() for law in laws.values()])
    return float(np.sqrt(max(mean_square, 0.0)))


def _best_spline(
    function: Univariate, lower: float, upper: float, grid_size: int, k: int
) -> BSpline:
    """The spline on G equal intervals nearest to a function in L2(lower, upper).

    The end knots are repeated: the same splines as on the extended uniform knots, but a basis
    whose condition stays small at any k.
    """
    x, weight = _gauss(lower, upper, grid_size, k)
    inner = np.linspace(lower, upper, grid_size + 1)
    knots = np.concatenate([np.full(k, lower), inner, np.full(k, upper)])
    root, values = np.sqrt(weight), function(x)
    first = make_lsq_spline(x, values, knots, k, w=root)
    # Once more for what round-off left: much, where SciPy (before 1.15) squares the condition.
    rest = make_lsq_spline(x, values - first(x), knots, k, w=root)
    return BSpline(knots, first.c + rest.c, k)


@dataclass(frozen=True, eq=False)
class _Law:
    """Distribution of a node's true value u and its error e: at each of q points of u.

    ``lower`` and ``upper`` bound u; rows of ``moments`` (3, q) are the probability P of the point,
    P E[e | u] and P E[e^2 | u].
    """

    lower: float
    upper: float
    points: Array
    moments: Array

    def errors(self) -> tuple[Array, Array]:
        """Two equally likely errors at each point that have the moments of e."""
        mean, square = self.moments[1:] / self.moments[0]
        spread = np.sqrt(np.maximum(square - mean**2, 0.0))
        return mean - spread, mean + spread


def _input(domain: tuple[float, float], grid_size: int, k: int) -> _Law:
    points, weight = _gauss(*domain, grid_size, k)
    moments: Array = np.stack([weight, np.zeros_like(weight), np.zeros_like(weight)])
    return _Law(*domain, points, moments)


def _gauss(lower: float, upper: float, grid_size: int, k: int) -> tuple[Array, Array]:
    """Points and weights, adding up to one, of k + 5 an equal piece of each interval: (q,)."""
    pieces = grid_size * -(-_PIECES // grid_size)
    node, weight = np.polynomial.legendre.leggauss(k + 5)
    unit = (np.arange(pieces)[:, None] + (node + 1.0) / 2.0) / pieces
    return lower + (upper - lower) * unit.ravel(), np.tile(weight / 2.0 / pieces, pieces)


def _sum(edges: Iterable[Edge], laws: dict[int, _Law], grid_size: int, k: int) -> _Law:
    """The law of a node, the sum of its edges; those with function and law in common go as one."""
    terms = Counter((laws[edge.source], edge.function, edge.values) for edge in edges)
    lower = sum(n * values[0] for (_, _, values), n in terms.items())
    upper = sum(n * values[1] for (_, _, values), n in terms.items())
    bins = grid_size * max(_BINS_PER_INTERVAL, -(-_BINS // grid_size))
    size = fft.next_fast_len(bins + 2 * terms.total(), real=True)
    step = (upper - lower) / bins
    jets: list[NDArray[np.complex128]] = []
    for (law, function, values), count in terms.items():
        place, moments = _through(law, function, grid_size, k)
        jet = fft.rfft(_spread((place - values[0]) / step, moments, size))
        jets += repeat(jet, count)
    total: Array = fft.irfft(reduce(_product, jets), size)
    likely = total[0] > _RARE * total[0].max()
    points = lower + step * np.arange(size)
    return _Law(lower, upper, points[likely], total[:, likely])


def _through(law: _Law, function: Univariate, grid_size: int, k: int) -> tuple[Array, Array]:
    """Values of an edge at the points of a law, (q,), and the moments of its error, (3, q)."""
    spline = _best_spline(function, law.lower, law.upper, grid_size, k)
    values = function(law.points)
    errors = np.stack([spline(law.points + error) - values for error in law.errors()])
    given = np.stack([np.ones_like(values), errors.mean(axis=0), (errors**2).mean(axis=0)])
    return values, law.moments[0] * given


def _spread(place: Array, moments: Array, size: int) -> Array:
    """Moments at places, in bins, shared linearly between the bins beside them: (3, size).

    Sharing keeps totals and means. A place that round-off puts below the first bin wraps around.
    """
    left = np.floor(place).astype(int)
    share = place - left
    index = np.concatenate([left, left + 1])
    weights = np.hstack([moments * (1.0 - share), moments * share])
    return np.stack([np.bincount(index % size, row, size) for row in weights])


def _product(a: NDArray[np.complex128], b: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Of two transforms to second order in s, rows the derivatives in s: (3, m) -> (3, m)."""
    return np.stack(
        [a[0] * b[0], a[0] * b[1] + a[1] * b[0], a[0] * b[2] + 2 * a[1] * b[1] + a[2] * b[0]]
    )
