"""Training points of one seed in parts, each held out once: a source that has no test points."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kansweep.data.outputs import Outputs
from kansweep.data.sampling import Array, Points, Source
from kansweep.data.streams import Stream, generator

PARTS = 5


def parts(n: int, seed: int) -> np.ndarray:
    """Which part each of n points is of, (n,)."""
    return generator(seed, Stream.FOLDS).permutation(np.arange(n) % PARTS)


@dataclass(frozen=True)
class Folds:
    """The first ``n`` training points of a source's seed, a multiple of ``PARTS``, in as many parts
    that are drawn at random.

    Fold i, which stands where a source has its seeds, holds out the i-th part: it is the test of a
    network that is trained on the others. The source's own test points are never asked for.
    """

    source: Source
    n: int
    seed: int

    @property
    def n_held(self) -> int:
        return self.n // PARTS

    @property
    def n_fitted(self) -> int:
        return self.n - self.n_held

    @property
    def bounds(self) -> tuple[Array, Array]:
        return self.source.bounds

    @property
    def outputs(self) -> Outputs:
        return self.source.outputs

    @property
    def noise(self) -> float | Array:
        return self.source.noise

    @cached_property
    def spread(self) -> float:
        """Standard deviation of the outputs, of several that of all in their units."""
        return self.outputs.together(self._points[1].std(0))

    def train(self, n: int, fold: int) -> Points:
        return self._part(n, np.flatnonzero(self._parts != fold))

    def test(self, n: int, fold: int) -> Points:
        return self._part(n, np.flatnonzero(self._parts == fold))

    def derivatives(self, x: Array) -> None:
        return None

    @cached_property
    def _points(self) -> Points:
        return self.source.train(self.n, self.seed)

    @cached_property
    def _parts(self) -> np.ndarray:
        """Which part each point is of, (n,)."""
        return parts(self.n, self.seed)

    def _part(self, n: int, index: np.ndarray) -> Points:
        x, y = self._points
        return x[index[:n]], y[index[:n]]
