"""Cosines and sines up to a frequency, the size. Xu et al. 2024, arXiv:2406.01034."""

from __future__ import annotations

from typing import Any

from kansweep.networks.bases import ArrayT, Basis


class Fourier(Basis):
    """1, cos x, sin x, cos 2x, sin 2x, ...

    Inputs on [-1, 1] fill a third of the period, so that what is not periodic is a series of these
    as well and no jump is to be fitted.
    """

    def at(self, x: ArrayT, size: int, xp: Any) -> tuple[ArrayT, ArrayT]:
        frequency = xp.arange(1, size + 1, dtype=x.dtype, device=x.device)
        angle = x[..., None] * frequency
        one, cos, sin = xp.ones_like(x)[..., None], xp.cos(angle), xp.sin(angle)
        of_frequency = frequency[:, None]
        values = xp.stack([cos, sin], axis=-1).reshape(*x.shape, 2 * size)
        slopes = (xp.stack([-sin, cos], axis=-1) * of_frequency).reshape(*x.shape, 2 * size)
        return xp.concatenate([one, values], axis=-1), xp.concatenate([0 * one, slopes], axis=-1)
