"""Gaussians around the ends of equal intervals, and silu; the size is the number of intervals.

The idea of FastKAN, Li 2024, arXiv:2405.06721, whose layer norm is left out: it joins the inputs
of a layer, and leaves nothing of a single one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kansweep.networks.bases import ArrayT, Basis, projection
from kansweep.networks.bases.silu import silu

ENDS = (-2.0, 2.0)  # the outermost centres


class Gaussian(Basis):
    """silu(x) and G + 1 functions exp(-(x - c_j)^2 / h^2), h the distance of the centres.

    So narrow they miss 2 exp(-pi^2) of a constant, however many they are (Maz'ya and Schmidt 1996,
    IMA J. Numer. Anal. 16).
    """

    def at(self, x: ArrayT, size: int, xp: Any) -> tuple[ArrayT, ArrayT]:
        h = (ENDS[1] - ENDS[0]) / size
        centre = ENDS[0] + h * xp.arange(size + 1, dtype=x.dtype, device=x.device)
        z = (x[..., None] - centre) / h
        bell, (base, slope) = xp.exp(-z * z), silu(x, xp)
        return (
            xp.concatenate([base[..., None], bell], axis=-1),
            xp.concatenate([slope[..., None], -2 / h * z * bell], axis=-1),
        )

    def refinement(self, old: int, new: int) -> NDArray[np.float64]:
        return projection(self, old, new, ENDS, 1)
