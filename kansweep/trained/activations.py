"""Activations as NumPy functions, with their slopes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import erf, expit

from kansweep.data.targets import Array


@dataclass(frozen=True)
class Activation:
    values: Callable[[Array], Array]
    slope: Callable[[Array], Array]


def silu(v: Array) -> Array:
    return v * expit(v)


def silu_slope(v: Array) -> Array:
    gate = expit(v)
    return gate * (1.0 + v * (1.0 - gate))


def _normal_cdf(v: Array) -> Array:
    return np.asarray(0.5 * (1.0 + erf(v / np.sqrt(2.0))))


def _normal_pdf(v: Array) -> Array:
    return np.asarray(np.exp(-0.5 * v**2) / np.sqrt(2.0 * np.pi))


ACTIVATIONS = {
    "tanh": Activation(np.tanh, lambda v: 1.0 - np.tanh(v) ** 2),
    "silu": Activation(silu, silu_slope),
    "relu": Activation(lambda v: np.maximum(v, 0.0), lambda v: (v > 0.0).astype(np.float64)),
    "gelu": Activation(lambda v: v * _normal_cdf(v), lambda v: _normal_cdf(v) + v * _normal_pdf(v)),
}
