"""Functions to learn: name, dimension, domain, formula, suggested hidden widths and source.

The five targets are those of the KAN paper's scaling-law figure (Liu et al., "KAN:
Kolmogorov-Arnold Networks", arXiv:2404.19756, Fig. 3.1), all on the cube [-1, 1]^d.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import j0

Array = NDArray[np.float64]

PAPER = "Liu et al. 2024, arXiv:2404.19756, section 3.1"


@dataclass(frozen=True)
class Target:
    """A function from (n, n_inputs) to (n, n_outputs), and what is known of it.

    ``hidden`` are the hidden widths of the KAN that represents its structure; from order
    ``exact_from`` on its splines do so without error, and there is no law to measure.
    """

    name: str
    formula: str
    function: Callable[[Array], Array]
    n_inputs: int
    hidden: tuple[int, ...]
    source: str
    n_outputs: int = 1
    domain: tuple[float, float] = (-1.0, 1.0)
    exact_from: int | None = None


def exp_sin(x: Array) -> Array:
    """exp(sin(pi x1) + x2^2), (n, 2) -> (n, 1)."""
    return np.exp(np.sin(np.pi * x[:, [0]]) + x[:, [1]] ** 2)


def bessel(x: Array) -> Array:
    """J0(20 x), (n, 1) -> (n, 1)."""
    return np.asarray(j0(20.0 * x), dtype=np.float64)


def product(x: Array) -> Array:
    """x1 x2, (n, 2) -> (n, 1)."""
    return x[:, [0]] * x[:, [1]]


def sine_mean(x: Array) -> Array:
    """exp(mean_i sin^2(pi x_i / 2)), (n, d) -> (n, 1)."""
    value: Array = np.exp(np.mean(np.sin(np.pi * x / 2.0) ** 2, axis=1, keepdims=True))
    return value


def nested(x: Array) -> Array:
    """exp((sin(pi (x1^2 + x2^2)) + sin(pi (x3^2 + x4^2))) / 2), (n, 4) -> (n, 1)."""
    squares = x**2
    left = np.sin(np.pi * (squares[:, [0]] + squares[:, [1]]))
    right = np.sin(np.pi * (squares[:, [2]] + squares[:, [3]]))
    return np.exp(0.5 * (left + right))


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("exp_sin", "exp(sin(pi x1) + x2^2)", exp_sin, 2, (1,), PAPER),
        Target("bessel", "J0(20 x1)", bessel, 1, (), PAPER),
        Target("product", "x1 x2", product, 2, (2,), PAPER, exact_from=2),
        Target("sine_mean", "exp(mean sin^2(pi xi / 2))", sine_mean, 100, (1,), PAPER),
        Target(
            "nested",
            "exp((sin(pi (x1^2 + x2^2)) + sin(pi (x3^2 + x4^2))) / 2)",
            nested,
            4,
            (4, 2),
            PAPER,
        ),
    )
}
