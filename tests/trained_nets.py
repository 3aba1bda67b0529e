"""Trained networks whose edges are known: one that learned exp_sin, and one composed by hand."""

from __future__ import annotations

from functools import cache

import numpy as np
from nets import example
from scipy.interpolate import BSpline

from kansweep.data.targets import Array, Univariate
from kansweep.networks.kan import Shape
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.trained import weights
from kansweep.trained.kan import Layer, TrainedKAN

K, GRID = 3, 30


@cache
def trained() -> TrainedKAN:
    """exp_sin at G = 20, from 1000 points."""
    problem, solver = example(1000, (0,)), LM()
    net = solver.start(Shape((2, 1, 1), K, 5, False), problem)
    coarse = solver.solve(net, problem)
    fine = solver.solve(coarse.net.refined(20), problem, coarse.memory)
    return as_model(fine.net.to_arrays(), "exp_sin")


def as_model(arrays: dict[str, Array], data: str | None = None) -> TrainedKAN:
    found = weights.from_arrays(arrays, data)
    assert isinstance(found, TrainedKAN)
    return found


def spline(function: Univariate, lower: float, upper: float) -> Array:
    """Coefficients on GRID intervals, by least squares at many points: (K,)."""
    x = np.linspace(lower, upper, 40 * GRID)
    knots = lower + (upper - lower) * np.arange(-K, GRID + K + 1) / GRID
    matrix = BSpline.design_matrix(x, knots, K).toarray()
    return np.linalg.lstsq(matrix, function(x), rcond=None)[0]


def layer(functions: list[list[Univariate | None]], ranges: list[tuple[float, float]]) -> Layer:
    """One layer of given functions [sink][source]; None is the constant 0."""
    coef = [
        [
            np.zeros(GRID + K) if function is None else spline(function, *span)
            for function, span in zip(row, ranges, strict=True)
        ]
        for row in functions
    ]
    lower, upper = np.array(ranges).T
    zero = np.zeros(len(ranges))
    return Layer(np.array(coef), lower, upper, None, zero, zero + 1.0, K)


def square(u: Array) -> Array:
    return u**2


def sine(u: Array) -> Array:
    return np.sin(np.pi * u)


def composed() -> TrainedKAN:
    """nested as splines, its nodes at hidden places 3 and 1, and 1 of the next layer; the other
    nodes are there and nothing follows from them."""
    nothing, x = [None] * 4, [(-1.0, 1.0)] * 4
    first = [
        [sine, sine, None, None],
        [None, None, square, square],
        nothing,
        [square, square, None, None],
    ]
    second = [nothing, [None, sine, None, sine]]
    hidden = [(-2.0, 2.0), (0.0, 2.0), (-1.0, 1.0), (0.0, 2.0)]
    last = [[None, lambda u: np.exp(0.5 * u)]]
    layers = (layer(first, x), layer(second, hidden), layer(last, [(-1.0, 1.0), (-2.0, 2.0)]))
    return TrainedKAN(layers, "nested")
