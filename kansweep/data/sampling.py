"""Training and test points of a seed: a function at sampled points, or the rows of a table.

The training points of a seed are one stream, so that a larger set contains the smaller, and its
test set is the same for every size. NumPy, no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from kansweep.config.rules import ConfigError
from kansweep.data.derivatives import NotDifferentiable, gradient, hessian
from kansweep.data.outputs import Outputs
from kansweep.data.streams import Stream, generator
from kansweep.data.targets import Target, outputs_of

if TYPE_CHECKING:  # a table's reader is imported where there is a table: it takes pandas
    from kansweep.data.tables import Table

Array = NDArray[np.float64]
Points = tuple[Array, Array]
"""Inputs (n, n_inputs) and outputs (n, n_outputs)."""
Derivatives = tuple[Array, Array]
"""First and second derivatives of the outputs by the inputs."""


class Source(Protocol):
    """What training asks of its data."""

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Lower and upper end of every input, (n_inputs,) each."""
        ...

    @property
    def outputs(self) -> Outputs:
        """Their names, and the units that they are trained and told in."""
        ...

    @property
    def noise(self) -> float | Array:
        """Standard deviation of what is added to the training outputs, of all or (n_outputs,), in
        their own units."""
        ...

    def train(self, n: int, seed: int) -> Points:
        """The first ``n`` training points of a seed, (n, n_inputs) and (n, n_outputs), in an order
        that says nothing of them: some methods train on the first and judge by the others."""
        ...

    def test(self, n: int, seed: int) -> Points:
        """The ``n`` test points of a seed, without noise."""
        ...

    def derivatives(self, x: Array) -> Derivatives | None:
        """Those of the outputs at points, None where they are not known: (n, n_inputs) -> (n,
        n_outputs, n_inputs) and (n, n_outputs, n_inputs, n_inputs)."""
        ...


@dataclass(frozen=True)
class Sampled:
    """A target at sampled points: ``noise`` is the standard deviation of what is added to the
    training outputs, never to the test set's."""

    target: Target
    noise: float | Array = 0.0
    sampling: str = "uniform"

    @property
    def bounds(self) -> tuple[Array, Array]:
        return self.target.bounds

    @property
    def outputs(self) -> Outputs:
        return outputs_of(self.target)

    def train(self, n: int, seed: int) -> Points:
        x = SAMPLINGS[self.sampling](n, self.target, seed)
        y = self.target.function(x)
        if np.any(self.noise):
            rng = generator(seed, Stream.NOISE)
            y = y + self.noise * rng.standard_normal(y.shape)
        return x, y

    def test(self, n: int, seed: int) -> Points:
        x = _uniform(n, self.target, seed, Stream.TEST)
        return x, self.target.function(x)

    def derivatives(self, x: Array) -> Derivatives | None:
        each = self.target.expressions
        if not each:
            return None
        with suppress(NotDifferentiable):
            first, second = ([of(part, x) for part in each] for of in (gradient, hessian))
            return np.stack(first, axis=1), np.stack(second, axis=1)
        return None


@dataclass(frozen=True)
class Tabled:
    """The rows of a table, in an order that the seed draws: the first are for the test. Outputs
    are trained in units of their spread and reported in their own."""

    table: Table
    n_test: int
    noise: float = 0.0

    @property
    def bounds(self) -> tuple[Array, Array]:
        return self.table.x.min(0), self.table.x.max(0)

    @property
    def outputs(self) -> Outputs:
        # One by one: over a matrix NumPy sums in another order, and an output is what it is alone.
        columns = np.hsplit(self.table.y, len(self.table.outputs))
        mean, deviation = (np.array([of(y) for y in columns]) for of in (np.mean, np.std))
        return Outputs(self.table.outputs, mean, deviation)

    def train(self, n: int, seed: int) -> Points:
        return self._rows(slice(self.n_test, self.n_test + n), seed)

    def test(self, n: int, seed: int) -> Points:
        return self._rows(slice(0, n), seed)

    def derivatives(self, x: Array) -> None:
        return None

    def _rows(self, part: slice, seed: int) -> Points:
        order = generator(seed, Stream.TRAIN).permutation(len(self.table.x))[part]
        return self.table.x[order], self.table.y[order]


# ----------------------------------------------------------------------------------- sampling


def _uniform(n: int, target: Target, seed: int, stream: Stream = Stream.TRAIN) -> Array:
    return generator(seed, stream).uniform(*target.bounds, (n, target.n_inputs))


def _sobol(n: int, target: Target, seed: int) -> Array:
    """The first points of a scrambled Sobol sequence (Owen 1998), a sequence a seed."""
    from scipy.stats import qmc  # slow to import

    rng = generator(seed, Stream.TRAIN)
    # A power of two, as its balance asks for; the first n of it are a prefix of every longer one.
    unit = qmc.Sobol(target.n_inputs, rng=rng).random_base2(max(1, (n - 1).bit_length()))[:n]
    lower, upper = target.bounds
    return lower + (upper - lower) * unit


def _grid(n: int, target: Target, seed: int) -> Array:
    """The regular grid, ends included, of as many points along every axis, in an order that the
    seed draws: row by row the last points, by which starts are judged, would be one of its sides.
    """
    side = _side(n, target.n_inputs)
    axes = [np.linspace(low, high, side) for low, high in target.intervals]
    points = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
    return generator(seed, Stream.TRAIN).permutation(points)


def _side(n: int, d: int) -> int:
    side: int = round(n ** (1 / d))
    return side


SAMPLINGS: dict[str, Callable[[int, Target, int], Array]] = {
    "uniform": _uniform,
    "sobol": _sobol,
    "grid": _grid,
}


# Raised where a sampling gives other points, or in another order, than before.
REVISIONS = {"grid": 1}


def check_grid(sizes: tuple[int, ...], d: int) -> None:
    """Refuse numbers of points that no regular grid in ``d`` dimensions has."""
    for n in sizes:
        side = _side(n, d)
        if side**d != n or side < 2:
            near = sorted({max(2, s) ** d for s in (int(n ** (1 / d)), int(n ** (1 / d)) + 1)})
            raise ConfigError(
                f"`data.sizes` must be numbers to the power of {d} for data.sampling=grid with {d}"
                f" inputs, such as {' or '.join(map(str, near))}; got {n}."
            )
