"""The floor: the error of a KAN made of the best splines of a target's own functions.

Where a target's structure is known (``Target.structure``), each of its univariate functions is
replaced by its best spline on G intervals: least squares with uniform weight over the true range of
the function's input, whatever the density of that input. The floor is the RMSE of their
composition over the uniform distribution on the target's domain: for exp(sin(pi x1) + x2^2) and
k = 3, on equal intervals, 6.62e-3 at G = 5 and 2.66e-8 at G = 100. It is a reference and not a
bound: splines fitted jointly, on a range that training chose or with more nodes than needed, can
come out below.

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
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from itertools import repeat

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.interpolate import BSpline

from kansweep.data import knots
from kansweep.data.knots import Spacing
from kansweep.data.splines import Grid, adapted_grid, best_spline, equal_grid
from kansweep.data.structure import Structure, structure
from kansweep.data.targets import Array, Edge, NoStructure, Target, Univariate, outputs_of

_BINS = 2**14  # of a node's range, at least; and at least _BINS_PER_INTERVAL of each interval
_BINS_PER_INTERVAL = 64
_PIECES = 2**12  # of an input's range, at least, for breaks that are not equal
_SAMPLE_BITS = 16  # of the points, in binary, where nodes feed several edges
_IDLE = "hidden nodes of it are only added up or multiplied, where networks beat composed splines"
FINEST = 10_000  # intervals, of which a floor takes ten seconds
_RARE = 1e-12  # a bin less likely, against the likeliest, is lost in the transform's round-off


@dataclass(frozen=True)
class _Splines:
    """What the functions are replaced by: splines of order k on G intervals each."""

    k: int
    grid_size: int
    spacing: Spacing

    def grid(self, function: Univariate, law: _Law) -> Grid:
        """The grid of a function whose input has a law."""
        if self.spacing == "uniform":
            return equal_grid(law.lower, law.upper, self.grid_size)
        if self.spacing == "adaptive":
            return adapted_grid(function, law.lower, law.upper, self.k, self.grid_size)
        unit = (law.points - law.lower) / (law.upper - law.lower)
        return Grid(law.lower, law.upper, knots.at_quantiles(unit, law.moments[0], self.grid_size))

    def best(self, function: Univariate, law: _Law) -> tuple[Grid, Univariate]:
        """The best spline of a function whose input has a law, and the grid that it is on."""
        grid = self.grid(function, law)
        spline = best_spline(function, grid, self.k)
        if self.spacing == "uniform":
            return grid, spline
        return grid, _linear_beyond(spline, law.lower, law.upper)


def floor(
    target: Target,
    hidden: tuple[int, ...],
    k: int,
    grid_size: int,
    spacing: Spacing = "uniform",
) -> float | None:
    """RMSE of the composed best splines on ``grid_size`` intervals, of several outputs together, as
    ``Outputs.together`` has it.

    None where no floor is known, for the reason that ``missing`` gives: no structure of these
    widths is known, splines of order ``k`` represent it exactly, or the composed ones are no
    reference for what networks do (``structure``); and on more than ``FINEST`` intervals. On fine
    grids the value sinks into round-off, near 1e-16 of the target's size: a rule that compares
    with it must do so itself.

    With ``spacing="adaptive"`` each function has the knots that ``knots.adapted`` finds for it, the
    function known; with "quantile" those at quantiles of its true input. Beyond the last knot these
    splines continue linearly, those on equal intervals by their last piece.
    """
    each = of_each(target, hidden, k, grid_size, spacing)
    return None if each is None else outputs_of(target).together(each)


@lru_cache(maxsize=1024)
def of_each(
    target: Target,
    hidden: tuple[int, ...],
    k: int,
    grid_size: int,
    spacing: Spacing = "uniform",
) -> Array | None:
    """The floor of each output, (n_outputs,), in its own unit: 0 where splines represent it."""
    if grid_size > FINEST or missing(target, hidden, k):
        return None
    known = structure(target, hidden)
    splines = _Splines(k, grid_size, spacing)
    parts = [known]  # all of it leads to a single output
    if target.n_outputs > 1:
        parts = [known.of_output(index) for index in range(target.n_outputs)]
    squares = [
        0.0
        if k >= part.exact_from
        else (_by_quadrature if part.is_tree else _by_sample)(part, target, splines)
        for part in parts
    ]
    return np.sqrt(np.maximum(squares, 0.0))


def missing(target: Target, hidden: tuple[int, ...], k: int) -> str:
    """Why there is no floor, as the end of a sentence; '' where there is one."""
    if is_exact(target, hidden, k):
        return f"splines of order {k} represent it exactly"
    try:
        known = structure(target, hidden)
    except NoStructure as error:
        return str(error)
    return _IDLE if k >= known.idle_from else ""


def is_exact(target: Target, hidden: tuple[int, ...], k: int) -> bool:
    """Whether splines of order ``k`` represent a target without error on a KAN of these widths."""
    if target.exact_from is not None:
        return k >= target.exact_from
    try:
        return k >= structure(target, hidden).exact_from
    except NoStructure:
        return False


def _by_quadrature(known: Structure, target: Target, splines: _Splines) -> float:
    """The mean square error of a tree, of one output."""
    inputs = {interval: _input(interval, splines) for interval in set(target.intervals)}
    laws = {i: inputs[interval] for i, interval in enumerate(target.intervals)}
    for layer in known.layers:
        sums = {edge.sink: [e for e in layer if e.sink == edge.sink] for edge in layer}
        laws = {sink: _sum(edges, laws, splines) for sink, edges in sums.items()}
    (law,) = laws.values()
    return float(law.likely().moments[2].sum())


def _by_sample(known: Structure, target: Target, splines: _Splines) -> float:
    """The same where nodes feed several edges, over the points of a scrambled Sobol sequence."""
    from scipy.stats import qmc  # slow to import

    lower, upper = target.bounds
    unit = qmc.Sobol(target.n_inputs, rng=np.random.default_rng(0)).random_base2(_SAMPLE_BITS)
    nodes = {i: (x, x) for i, x in enumerate((lower + (upper - lower) * unit).T)}
    ranges = dict(enumerate(target.intervals))
    for layer in known.layers:
        sums = {edge.sink: np.zeros((2, unit.shape[0])) for edge in layer}  # true and by splines
        bounds = {edge.sink: np.zeros(2) for edge in layer}
        for edge in layer:
            law = _Law.of_sample(nodes[edge.source][0], *(edge.domain or ranges[edge.source]))
            true = np.clip(nodes[edge.source][0], law.lower, law.upper)
            spline = splines.best(edge.function, law)[1]
            sums[edge.sink] += edge.function(true), spline(nodes[edge.source][1])
            bounds[edge.sink] += edge.values
        nodes = {sink: (true, value) for sink, (true, value) in sums.items()}
        ranges = {sink: (low, high) for sink, (low, high) in bounds.items()}
    ((true, value),) = nodes.values()
    return float(np.mean((value - true) ** 2))


@dataclass(frozen=True, eq=False)
class _Law:
    """Distribution of a node's true value u and its error e: at each of q points of u.

    ``lower`` and ``upper`` bound u; rows of ``moments`` (3, q) are the probability P of the point,
    P E[e | u] and P E[e^2 | u]. Where the points are ends of bins, ``step`` apart, a point stands
    for the density around it.
    """

    lower: float
    upper: float
    points: Array
    moments: Array
    step: float = 0.0

    @classmethod
    def of_sample(cls, u: Array, lower: float, upper: float) -> _Law:
        """The law of a sample: (n,) values."""
        moments = np.zeros((3, u.size))
        moments[0] = 1.0 / u.size
        return cls(lower, upper, np.sort(u), moments)

    def errors(self) -> tuple[Array, ...]:
        """Equally likely errors at each point that have the moments of e: two, or none at all."""
        if not self.moments[1:].any():
            return (self.moments[1],)
        mean, square = self.moments[1:] / self.moments[0]
        spread = np.sqrt(np.maximum(square - mean**2, 0.0))
        return mean - spread, mean + spread

    def likely(self) -> _Law:
        """The same law without the points that have no probability."""
        some = self.moments[0] > 0.0
        return replace(self, points=self.points[some], moments=self.moments[:, some])

    def resolved(self, places: Array) -> _Law:
        """The same law at two Gauss points of each piece of the bins and of the intervals.

        Intervals may be narrower than a bin. The density is linear from one end of a bin to the
        other.
        """
        pieces = max(_BINS_PER_INTERVAL, -(-_PIECES // (places.size - 1)))
        share = np.arange(pieces) / pieces
        inner = places[:-1, None] + np.diff(places)[:, None] * share
        inside = self.points <= self.upper
        points, moments = self.points[inside], self.moments[:, inside]
        edges = np.unique(np.concatenate([inner.ravel(), points, places[-1:]]))
        middle, half = (edges[1:] + edges[:-1]) / 2.0, np.diff(edges) / 2.0
        u = (middle + half * np.array([[-1.0], [1.0]]) / np.sqrt(3.0)).ravel()
        reach = np.minimum(points - self.lower, self.step) + np.minimum(
            self.upper - points, self.step
        )  # of the bins beside a point
        density = moments / (reach / 2.0)
        finer = np.stack([np.interp(u, points, row) for row in density]) * np.tile(half, 2)
        return replace(self, points=u, moments=finer).likely()


def _input(domain: tuple[float, float], splines: _Splines) -> _Law:
    if splines.spacing == "uniform":
        points, weight = equal_grid(*domain, splines.grid_size).gauss(splines.k)
    else:
        points, weight = np.array(domain), np.full(2, 0.5)
    moments: Array = np.stack([weight, np.zeros_like(weight), np.zeros_like(weight)])
    return _Law(*domain, points, moments, domain[1] - domain[0])


def _sum(edges: Iterable[Edge], laws: dict[int, _Law], splines: _Splines) -> _Law:
    """The law of a node, the sum of its edges; those with function and law in common go as one."""
    terms = Counter((laws[edge.source], edge.function, edge.values) for edge in edges)
    lower = sum(n * values[0] for (_, _, values), n in terms.items())
    upper = sum(n * values[1] for (_, _, values), n in terms.items())
    grid_size = splines.grid_size
    bins = grid_size * max(_BINS_PER_INTERVAL, -(-_BINS // grid_size))
    size = fft.next_fast_len(bins + 2 * terms.total(), real=True)
    step = (upper - lower) / bins
    jets: list[NDArray[np.complex128]] = []
    for (law, function, values), count in terms.items():
        place, moments = _through(law, function, splines)
        jet = fft.rfft(_spread((place - values[0]) / step, moments, size))
        jets += repeat(jet, count)
    total: Array = fft.irfft(reduce(_product, jets), size)
    total[:, total[0] <= _RARE * total[0].max()] = 0.0
    points = np.asarray(lower + step * np.arange(size), dtype=np.float64)
    return _Law(lower, upper, points, total, step)


def _through(law: _Law, function: Univariate, splines: _Splines) -> tuple[Array, Array]:
    """Values of an edge at points of a law, (q,), and the moments of its error, (3, q)."""
    grid, spline = splines.best(function, law)
    law = law.likely() if splines.spacing == "uniform" else law.resolved(grid.places)
    values = function(law.points)
    errors = np.stack([spline(law.points + error) - values for error in law.errors()])
    given = np.stack([np.ones_like(values), errors.mean(axis=0), (errors**2).mean(axis=0)])
    return values, law.moments[0] * given


def _linear_beyond(spline: BSpline, lower: float, upper: float) -> Univariate:
    slope = spline.derivative()

    def value(x: Array) -> Array:
        nearest = np.clip(x, lower, upper)
        return np.asarray(spline(nearest) + slope(nearest) * (x - nearest))

    return value


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
