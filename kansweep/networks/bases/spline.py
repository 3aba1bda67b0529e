"""Cubic B-splines on a grid that stays, and silu; the size is the number of intervals.

The layer of efficient-kan (Blealtan 2024), which is pykan's (Liu et al. 2024, arXiv:2404.19756)
without grid updates and without factors that the coefficients have already.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kansweep.networks.bases import ArrayT, Basis, projection
from kansweep.networks.bases.silu import silu

ENDS = (-1.0, 1.0)  # of the grid


class Spline(Basis):
    """silu(x) and G + 3 B-splines on G equal intervals, each 0 beyond the four of its own.

    Around its middle, in units of an interval, a cubic B-spline is
    ((2 - |z|)_+^3 - 4 (1 - |z|)_+^3) / 6.
    """

    def at(self, x: ArrayT, size: int, xp: Any) -> tuple[ArrayT, ArrayT]:
        h = (ENDS[1] - ENDS[0]) / size
        middle = ENDS[0] + h * xp.arange(-1, size + 2, dtype=x.dtype, device=x.device)
        z = (x[..., None] - middle) / h
        outer, inner = xp.clip(2 - abs(z), 0, None), xp.clip(1 - abs(z), 0, None)
        spline = (outer**3 - 4 * inner**3) / 6
        slope = xp.sign(z) * (4 * inner**2 - outer**2) / (2 * h)
        base, base_slope = silu(x, xp)
        return (
            xp.concatenate([base[..., None], spline], axis=-1),
            xp.concatenate([base_slope[..., None], slope], axis=-1),
        )

    def refinement(self, old: int, new: int) -> NDArray[np.float64]:
        return projection(self, old, new, ENDS, 1)
