"""Adapted knots against closed forms and brute force, floors of them against composed splines."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import BSpline, make_lsq_spline
from scipy.optimize import minimize
from scipy.special import bernoulli

from kansweep.data.floor import floor, of_each
from kansweep.data.knots import adapted, at_quantiles
from kansweep.data.splines import adapted_grid, equal_grid
from kansweep.data.targets import TARGETS, Edge, Target

CONSTANT = math.sqrt(abs(bernoulli(8)[-1]) / math.factorial(8))  # of cubic best splines


def nearest(function, breaks):
    """Weighted discrete least squares on Chebyshev points of each interval, by SciPy."""
    node, weight = np.polynomial.legendre.leggauss(40)
    width = np.diff(breaks)[:, None]
    x = (breaks[:-1, None] + width * (node + 1) / 2).ravel()
    weight = (width * weight / 2).ravel()
    knots = np.r_[[breaks[0]] * 3, breaks, [breaks[-1]] * 3]
    spline = make_lsq_spline(x, function(x), knots, 3, w=np.sqrt(weight))
    return spline, math.sqrt(weight @ (spline(x) - function(x)) ** 2)


def error(function, breaks):
    return nearest(function, breaks)[1]


def equal(grid_size):
    return np.linspace(0, 1, grid_size + 1)


def found(function, grid_size):
    return adapted_grid(function, 0.0, 1.0, 3, grid_size).breaks


def x_log_x(x):
    return np.where(x > 0, x * np.log(np.maximum(x, 1e-300)), 0.0)


def sine(x):
    return np.sin(np.pi * (2 * x - 1))


def layer(x):
    return np.exp(-20 * x)


def logarithm(x):
    return np.log(0.02 + x)


def tanh(x):
    return np.tanh(30 * (2 * x - 1))


def bump(x):
    return 1 / (1 + 100 * (2 * x - 1) ** 2)


def cusp(x):
    return np.abs(2 * x - 1) ** 1.5


def arcsine(x):
    return np.arcsin(2 * x - 1)


# ------------------------------------------------------------------------------------ the rule


@pytest.mark.parametrize("grid_size", [1, 5, 12])
def test_a_polynomial_has_equal_intervals(grid_size):
    breaks = np.array([0.0, 0.1, 0.5, 0.6, 1.0])
    polynomial = BSpline(np.r_[[0.0] * 3, breaks, [1.0] * 3], np.zeros(7), 3)
    third = np.full((2, 4), 6.0) + polynomial(0.5)
    np.testing.assert_array_equal(adapted(breaks, third, 3, grid_size), equal(grid_size))


@pytest.mark.parametrize("old", [1, 2, 3, 6, 40])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_breaks_rise_from_0_to_1_whatever_the_derivatives(old, k):
    rng = np.random.default_rng(old)
    breaks = np.r_[0.0, np.sort(rng.uniform(size=old - 1)), 1.0]
    new = adapted(breaks, rng.standard_cauchy((3, old)) ** 5, k, 30)
    assert new[0] == 0.0
    assert new[-1] == 1.0
    assert (np.diff(new) > 0).all()
    assert np.diff(new).max() <= 1 / (0.02 * 30) + 1e-12


def test_the_scale_of_the_splines_does_not_count_nor_does_their_number():
    third = np.random.default_rng(0).normal(size=(1, 8))
    breaks = adapted(equal(8), third, 3, 16)
    np.testing.assert_allclose(adapted(equal(8), 1e9 * third, 3, 16), breaks, rtol=1e-12)
    twice = adapted(equal(8), np.repeat(third, 2, axis=0), 3, 16)
    np.testing.assert_allclose(twice, breaks, rtol=1e-12)


def test_mirrored_splines_have_mirrored_knots():
    third = np.random.default_rng(1).normal(size=(2, 9))
    mirrored = adapted(equal(9), third[:, ::-1], 3, 12)
    np.testing.assert_allclose(mirrored, 1 - adapted(equal(9), third, 3, 12)[::-1], atol=1e-12)


def test_quantile_knots_hold_equal_shares_but_for_two_per_cent():
    points = np.sort(np.random.default_rng(0).beta(2, 5, 20_001))
    points = (points - points[0]) / (points[-1] - points[0])
    breaks = at_quantiles(points, np.ones(points.size), 10)
    expected = 0.98 * np.quantile(points, equal(10)) + 0.02 * equal(10)
    np.testing.assert_allclose(breaks, expected, atol=1e-12)


# ------------------------------------------------------------------------- knots of a function


@pytest.mark.parametrize("function", [layer, logarithm, tanh, np.sqrt, sine])
def test_few_knots_come_near_the_best_that_a_search_finds(function):
    def breaks(parts):
        return np.r_[0.0, np.cumsum(np.exp(parts) / np.exp(parts).sum())[:-1], 1.0]

    start = np.log(np.diff(found(function, 4)))
    options = {"xatol": 1e-3, "fatol": 1e-9, "maxiter": 400}
    best = min(
        minimize(
            lambda parts: math.log(error(function, breaks(parts))),
            parts,
            method="Nelder-Mead",
            options=options,
        ).fun
        for parts in (start, np.zeros(4))
    )
    assert error(function, found(function, 4)) < 3 * math.exp(best)


@pytest.mark.parametrize(
    ("function", "fourth"),
    [
        (layer, lambda x: 20**4 * np.exp(-20 * x)),
        (logarithm, lambda x: 6 / (0.02 + x) ** 4),
        (np.exp, np.exp),
    ],
)
def test_many_knots_have_the_least_error_that_there_is(function, fourth):
    """C_k G^-(k+1) (integral of |f^(k+1)|^(2/(2k+3)))^((2k+3)/2) (de Boor 1973)."""
    x = (np.arange(200_000) + 0.5) / 200_000
    least = CONSTANT * 48**-4 * np.mean(fourth(x) ** (2 / 9)) ** 4.5
    assert error(function, found(function, 48)) == pytest.approx(least, rel=0.12)


@pytest.mark.parametrize("grid_size", [6, 12, 24])
@pytest.mark.parametrize("function", [sine, np.square, np.exp])
def test_smooth_functions_lose_nothing(function, grid_size):
    adaptive, uniform = (
        error(function, found(function, grid_size)),
        error(function, equal(grid_size)),
    )
    assert adaptive < 1.05 * uniform or uniform < 1e-15


@pytest.mark.parametrize("function", [tanh, bump, logarithm, layer, np.sqrt])
def test_difficult_ones_gain_much(function):
    assert error(function, found(function, 24)) < 0.05 * error(function, equal(24))


def test_a_coarse_grid_refined_step_by_step_finds_a_root():
    breaks = equal(6)
    for grid_size in (6, 12, 24, 48):
        for _ in range(6):
            third = nearest(np.sqrt, breaks)[0].derivative(3)((breaks[1:] + breaks[:-1]) / 2)
            breaks = adapted(breaks, third[None], 3, grid_size)
    assert error(np.sqrt, breaks) < 1e-3 * error(np.sqrt, equal(48))


# ---------------------------------------------------------------------------- floors


def alone(function):
    def edge(x):
        return function(np.clip(x, 0.0, 1.0))

    layers = ((Edge(0, 0, edge, (-np.pi / 2, np.pi / 2)),),)
    return Target("one", "", lambda x: edge(x), 1, (), "", domain=((0.0, 1.0),), structure=layers)


def inside(function, outer):
    x = np.linspace(0, 1, 10_001)
    low, high = float(function(x).min()), float(function(x).max())
    if function is x_log_x:
        low = -math.exp(-1)
    inner = tuple(Edge(i, 0, function, (low, high)) for i in range(2))
    ends = outer(np.linspace(2 * low, 2 * high, 10_001))
    last = (Edge(0, 0, outer, (float(ends.min()), float(ends.max()))),)
    return replace(alone(function), n_inputs=2, hidden=(1,), structure=(inner, last))


SINGULAR = (np.sqrt, cusp, x_log_x, arcsine)


@pytest.mark.parametrize("function", SINGULAR)
@pytest.mark.parametrize("outer", [None, np.exp, np.sin])
def test_singular_functions_keep_the_order_of_smooth_ones(function, outer):
    target = alone(function) if outer is None else inside(function, outer)
    sizes = (10, 30, 100)
    floors = [floor(target, target.hidden, 3, size, "adaptive") for size in sizes]
    slope = np.polyfit(np.log(sizes), np.log(floors), 1)[0]
    # exp weighs one end of two, with few intervals at G = 10: -3.7 from there, -3.9 from 20 on.
    one_end = function is arcsine and outer is np.exp
    assert slope == pytest.approx(-4, abs=0.3 if one_end else 0.25)


@pytest.mark.parametrize("grid_size", [5, 20])
def test_the_floor_is_the_composition_integrated_on_a_product_rule(grid_size):
    target = TARGETS["exp_sin"]
    splines = []
    for layer_ in target.structure:
        for edge, (lower, upper) in zip(layer_, ((-1, 1), (-1, 1)), strict=False):
            ends = (lower, upper) if len(layer_) == 2 else (-1.0, 2.0)
            grid = adapted_grid(edge.function, *ends, 3, grid_size)
            splines.append(nearest(edge.function, ends[0] + (ends[1] - ends[0]) * grid.breaks)[0])
    node, weight = np.polynomial.legendre.leggauss(8)
    x = (-1 + 2 * (np.arange(80)[:, None] + (node + 1) / 2) / 80).ravel()
    weight = np.tile(weight / 2 / 80, 80)
    u = splines[0](x)[:, None] + splines[1](x)
    nearest_u = np.clip(u, -1, 2)
    value = splines[2](nearest_u) + splines[2].derivative()(nearest_u) * (u - nearest_u)
    missed = value - np.exp(np.sin(np.pi * x)[:, None] + x**2)
    expected = math.sqrt(weight @ missed**2 @ weight)
    assert floor(target, (1,), 3, grid_size, "adaptive") == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("name", ["exp_sin", "nested"])
def test_the_quadrature_over_breaks_agrees_with_that_over_equal_intervals(name, monkeypatch):
    """Laws of squares, with an inverse root in them, are among those of nested."""
    monkeypatch.setattr(
        "kansweep.data.floor.adapted_grid",
        lambda function, lower, upper, k, grid_size: equal_grid(lower, upper, grid_size),
    )
    target = TARGETS[name]
    uniform = floor(target, target.hidden, 3, 10)
    # An entry of the cache would outlive the test.
    (adaptive,) = of_each.__wrapped__(target, target.hidden, 3, 10, "adaptive")
    assert adaptive == pytest.approx(uniform, rel=1e-3)


def test_equal_laws_have_equal_quantiles():
    """exp(x1): what splines on quantiles of a uniform input miss, those on equal knots do."""
    target = alone(np.exp)
    uniform = floor(target, (), 3, 10)
    assert floor(target, (), 3, 10, "quantile") == pytest.approx(uniform, rel=1e-6)


def test_round_off_does_not_carry_the_last_knot_beyond_the_end():
    lower, upper = -1.540567311559915, 0.06515261304367206
    assert lower + (upper - lower) > upper
    grid = adapted_grid(np.exp, lower, upper, 3, 6)
    assert grid.places[-1] == upper
