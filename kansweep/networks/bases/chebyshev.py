"""Chebyshev polynomials of tanh(x); the size is the degree. SS et al. 2024, arXiv:2405.07200."""

from __future__ import annotations

from typing import Any

from kansweep.networks.bases import ArrayT, Basis


class Chebyshev(Basis):
    """T_0 ... T_d of u = tanh(x), by T_j = 2 u T_{j-1} - T_{j-2}."""

    def at(self, x: ArrayT, size: int, xp: Any) -> tuple[ArrayT, ArrayT]:
        u = xp.tanh(x)
        values, slopes = [xp.ones_like(u), u], [xp.zeros_like(u), xp.ones_like(u)]
        for _ in range(size - 1):
            slopes.append(2 * values[-1] + 2 * u * slopes[-1] - slopes[-2])
            values.append(2 * u * values[-1] - values[-2])
        return xp.stack(values, axis=-1), xp.stack(slopes, axis=-1) * (1 - u * u)[..., None]
