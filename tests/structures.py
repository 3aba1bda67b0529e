"""Errors of best cubic splines: of functions that fall as G^-4 in the end, and of some that do not.

A spline's coefficients are SciPy's least squares at Gauss points of every interval.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special
from scipy.interpolate import BSpline, make_lsq_spline

Function = Callable[[Any], Any]
K = 3


def best_spline(f: Function, low: float, high: float, grid: int) -> tuple[BSpline, float]:
    """The best spline on equal intervals and its RMSE."""
    breaks = np.linspace(low, high, 8 * grid + 1)
    nodes, weights = np.polynomial.legendre.leggauss(8)
    half = np.diff(breaks)[:, None] / 2
    x = ((breaks[:-1, None] + breaks[1:, None]) / 2 + half * nodes).ravel()
    w = (half * weights).ravel()
    knots = np.r_[[low] * K, np.linspace(low, high, grid + 1), [high] * K]
    spline = make_lsq_spline(x, f(x), knots, k=K, w=np.sqrt(w))
    return spline, float(np.sqrt((w * (spline(x) - f(x)) ** 2).sum() / (high - low)))


def of_function(f: Function, low: float = -1.0, high: float = 1.0) -> Callable[[int], float]:
    return lambda grid: best_spline(f, low, high, grid)[1]


def of_sum(outer: Function, *inner: Function) -> Callable[[int], float]:
    """The error of best splines composed, at fixed random points."""
    x = np.random.default_rng(0).uniform(-1, 1, (8000, len(inner)))
    line = np.linspace(-1, 1, 2001)
    low, high = (sum(end(f(line)) for f in inner) for end in (np.min, np.max))
    target = outer(sum(f(column) for f, column in zip(inner, x.T, strict=True)))

    def error(grid: int) -> float:
        splines = [best_spline(f, -1.0, 1.0, grid)[0] for f in inner]
        total = sum(spline(column) for spline, column in zip(splines, x.T, strict=True))
        last = best_spline(outer, low, high, grid)[0]
        return float(np.sqrt(np.mean((last(np.clip(total, low, high)) - target) ** 2)))

    return error


def power(exponent: float, at: float) -> Function:
    return lambda x: np.abs(x - at) ** exponent


TRUE = {
    "sin 2x": of_function(lambda x: np.sin(2 * x)),
    "sin 10x": of_function(lambda x: np.sin(10 * x)),
    "exp 3x": of_function(lambda x: np.exp(3 * x)),
    "runge": of_function(lambda x: 1 / (1 + 25 * x**2)),
    "tanh 5x": of_function(lambda x: np.tanh(5 * x)),
    "tanh 15x": of_function(lambda x: np.tanh(15 * x)),
    "bump": of_function(lambda x: np.exp(-40 * x**2)),
    "log": of_function(lambda x: np.log(1.05 + x)),
    "sqrt": of_function(lambda x: np.sqrt(1.1 + x)),
    "arctan": of_function(lambda x: np.arctan(8 * x - 2)),
    "bessel": of_function(lambda x: special.j0(20 * x)),
    "exp(sin + y^2)": of_sum(np.exp, lambda x: np.sin(np.pi * x), np.square),
    "log(1.2 + x + y^2)": of_sum(lambda s: np.log(1.2 + s), np.positive, np.square),
    "sin(3(exp + cos))": of_sum(lambda s: np.sin(3 * s), np.exp, lambda y: np.cos(2 * y)),
}
FAILING = {
    "|x|": of_function(power(1.0, 0.137)),
    "|x|^1.5": of_function(power(1.5, 0.137)),
    "x|x|": of_function(lambda x: (x - 0.137) * np.abs(x - 0.137)),
    "|x|^2.5": of_function(power(2.5, -0.31)),
    "sqrt at 0": of_function(power(0.5, -1.0)),
    "x^1.5 at 0": of_function(power(1.5, -1.0)),
    "x^2.5 at 0": of_function(power(2.5, -1.0)),
    "x log x": of_function(lambda x: special.xlogy(x + 1, x + 1)),
    "arcsin": of_function(np.arcsin),
    "step": of_function(lambda x: np.sign(x - 0.137)),
    "|sin|": of_function(lambda x: np.abs(np.sin(4 * x + 0.3))),
    "sin + kink": of_function(lambda x: np.sin(6 * x) + 0.02 * np.abs(x - 0.137)),
}
