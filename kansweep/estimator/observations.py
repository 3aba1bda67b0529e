"""What a table says, whatever the order of its rows and however often it says so.

Equal rows become one that counts as often as they do, and rows of weight 0 none. So a weight of 3
is the same as a row that stands there three times, to the last digit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kansweep.data.streams import Stream, generator
from kansweep.estimator.checking import Array


@dataclass(frozen=True)
class Observations:
    """Different rows in an order that the seed draws, and how often each counts, None: once."""

    x: Array  # (n, I)
    y: Array  # (n, M)
    counts: Array | None  # (n,)

    @classmethod
    def of(cls, x: Array, y: Array, weight: Array | None, seed: int) -> Observations:
        """From inputs (n, I), outputs (n, M) and weights (n,), 0 or more."""
        counts = np.ones(len(x)) if weight is None else weight
        rows = np.concatenate([x, y], 1)[counts > 0] + 0.0  # there is one zero only
        order = np.lexsort(rows.T[::-1])
        rows, counts = rows[order], counts[counts > 0][order]
        first = np.concatenate([[True], (rows[1:] != rows[:-1]).any(1)])
        counts = np.add.reduceat(counts, first.nonzero()[0])
        drawn = generator(seed, Stream.TRAIN).permutation(len(counts))
        rows, counts = rows[first][drawn], counts[drawn]
        n_inputs = x.shape[1]
        once = None if (counts == 1).all() else counts
        return cls(rows[:, :n_inputs], rows[:, n_inputs:], once)

    @property
    def total(self) -> float:
        """How many observations there are."""
        return float(len(self.x) if self.counts is None else self.counts.sum())

    @property
    def units(self) -> tuple[Array, Array]:
        """Mean and standard deviation of each output, (M,), 1 where it is constant."""
        mean = np.average(self.y, axis=0, weights=self.counts)
        spread = np.sqrt(np.average((self.y - mean) ** 2, axis=0, weights=self.counts))
        rounding = 10 * np.finfo(float).eps * np.abs(self.y).max(0)
        return mean, np.where(spread > rounding, spread, 1.0)

    @property
    def domain(self) -> tuple[Array, Array]:
        """Ends of the inputs, (I,) each, apart also where they do not vary."""
        low, high = self.x.min(0), self.x.max(0)
        apart = np.where(high > low, high - low, np.maximum(np.abs(low), 1.0))
        return low - apart, high + apart
