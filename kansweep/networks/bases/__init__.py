"""Functions of one variable that the edges of a KAN may be series in, each family in a file.

Each is written once for NumPy and for torch: ``xp`` is either, and names what both have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    ArrayT = TypeVar("ArrayT", NDArray[np.float64], Tensor)
else:
    ArrayT = TypeVar("ArrayT")

_POINTS = 64  # of a quadrature on [-1, 1]


class Basis:
    """A family b_1 ... b_K of functions for each size. Inputs stand on [-1, 1], hidden values
    roughly there."""

    def at(self, x: ArrayT, size: int, xp: Any) -> tuple[ArrayT, ArrayT]:
        """Values and slopes of all functions at points (...), (..., K) each."""
        raise NotImplementedError

    def refinement(self, old: int, new: int) -> NDArray[np.float64]:
        """What makes coefficients at a size those of the same function at another, (K', K).

        Unless a family says otherwise, its functions at a size are the first of a larger one.
        """
        return np.eye(self.length(new), self.length(old))

    def length(self, size: int) -> int:
        """The number K of functions."""
        return int(self.at(np.zeros(()), size, np)[0].shape[-1])

    def spread(self, size: int) -> float:
        """Root mean square over [-1, 1] of a series with coefficients of variance 1."""
        points, weights = np.polynomial.legendre.leggauss(_POINTS)
        values, _ = self.at(points, size, np)
        return float(np.sqrt((weights @ values**2).sum() / 2))


def projection(
    basis: Basis, old: int, new: int, ends: tuple[float, float], first: int
) -> NDArray[np.float64]:
    """A refinement by least squares over an interval, of functions that move with the size.

    The ``first`` ones do not: their coefficients stay. Where each old function is a series in the
    new ones it is exact.
    """
    kept, moved = np.eye(first), slice(first, None)
    x = np.linspace(*ends, 16 * max(basis.length(old), basis.length(new)))
    before, after = (basis.at(x, size, np)[0][:, moved] for size in (old, new))
    best = np.linalg.lstsq(after, before)[0]
    return np.block(
        [[kept, np.zeros((first, best.shape[1]))], [np.zeros((best.shape[0], first)), best]]
    )
