"""The objective linearised at a settled point.

Near a point the residual is r + J d and the scaled differences of the coefficients are e + B d, so
the objective is a quadratic with matrix A = J^T J / n + B^T W B, W the weight of each difference.
Both know that the ranges of hidden values move with the parameters (``gauge.range_terms``): J is
sparse plus low rank, which is for ``networks.points`` to know, and normalising divides a node's
differences e by its half-range.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.networks.points.contract import Data
from kansweep.solvers.gauss_newton.strain import strain_of
from kansweep.solvers.gauss_newton.strain.contract import Strain


@dataclass(frozen=True)
class Linearised:
    """r + J d, and e + B d."""

    like: KAN  # of the same shape and knots
    data: Data
    strain: Strain

    @classmethod
    def of(cls, like: KAN, data: Data) -> Linearised:
        """At a normalised KAN, with what the points say there."""
        return cls(like, data, strain_of(like, without_removed(like, data.theta), data.half))

    @property
    def n_points(self) -> float:
        return self.data.n_points

    def gradient(self, w: Tensor) -> Tensor:
        """Half the gradient of the objective, (R, P); 0 where edges were pruned."""
        found = self.data.pull() / self.n_points + self.strain.pull(w, self.strain.rows)
        return without_removed(self.like, found)

    def product(self, w: Tensor, d: Tensor) -> Tensor:
        """A d, (R, P) -> (R, P), of which edges that were pruned are no part."""
        d = without_removed(self.like, d)
        found = self.data.product(d) / self.n_points + self.strain.pull(w, self.strain.change(d))
        return without_removed(self.like, found)


def without_removed(like: KAN, numbers: Tensor) -> Tensor:
    """Numbers (R, P), nothing in place of those of edges that were pruned."""
    return numbers if like.removed is None else numbers.masked_fill(like.removed, 0.0)
