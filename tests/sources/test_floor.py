"""Floors against published values, the asymptotic error of splines, and composed splines."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import make_lsq_spline
from scipy.special import bernoulli, jvp

from kansweep.data.floor import FINEST, floor, of_each
from kansweep.data.targets import TARGETS, Edge, Target

EXP_SIN = TARGETS["exp_sin"]
GRIDS = (5, 10, 20, 50, 100)
STRUCTURED = [name for name, target in TARGETS.items() if target.structure is not None]


def sin_pi(x):
    return np.sin(np.pi * x)


def square(x):
    return x**2


def cube(x):
    return x**3


def hundredth(x):
    return x / 100


def steep(u):
    return np.exp(40 * u)


SINE = Target(
    "sine", "sin(pi x1)", sin_pi, 1, (), "", structure=((Edge(0, 0, sin_pi, (-1.0, 1.0)),),)
)


def floors(target, k, grids):
    return np.array([floor(target, target.hidden, k, grid_size) for grid_size in grids])


def orders(target, k, grids):
    return -np.diff(np.log(floors(target, k, grids))) / np.diff(np.log(grids))


def nearest(function, lower, upper, k, grid_size):
    """Discrete least squares on many equal steps, on the extended uniform knots."""
    h = (upper - lower) / grid_size
    x = lower + (upper - lower) * (np.arange(200 * grid_size) + 0.5) / (200 * grid_size)
    knots = lower + h * np.arange(-k, grid_size + k + 1)
    return make_lsq_spline(x, function(x), knots, k)


def composed(name, k, grid_size):
    """The target made of splines fitted here to its functions, written out here as well."""
    n_inputs = TARGETS[name].n_inputs
    if name == "exp_sin":
        sine, parabola = nearest(sin_pi, -1, 1, k, grid_size), nearest(square, -1, 1, k, grid_size)
        outer = nearest(np.exp, -1, 2, k, grid_size)
        return lambda x: outer(sine(x[:, 0]) + parabola(x[:, 1]))
    if name == "nested":
        parabola, sine = nearest(square, -1, 1, k, grid_size), nearest(sin_pi, 0, 2, k, grid_size)
        outer = nearest(lambda u: np.exp(u / 2), -2, 2, k, grid_size)

        def half(a, b):
            return sine(parabola(a) + parabola(b))

        return lambda x: outer(half(x[:, 0], x[:, 1]) + half(x[:, 2], x[:, 3]))
    inner = nearest(lambda x: np.sin(np.pi * x / 2) ** 2 / n_inputs, -1, 1, k, grid_size)
    outer = nearest(np.exp, 0, 1, k, grid_size)
    return lambda x: outer(inner(x).sum(axis=1))


def gauss(lower, upper, pieces):
    node, weight = np.polynomial.legendre.leggauss(8)
    x = lower + (upper - lower) * (np.arange(pieces)[:, None] + (node + 1) / 2) / pieces
    return x.ravel(), np.tile(weight / 2 / pieces, pieces)


# ------------------------------------------------------------------------------ known values


def test_the_cubic_floor_of_exp_sin_is_the_published_one():
    published = [6.62e-3, 3.03e-4, 1.72e-5, 4.28e-7, 2.66e-8]
    np.testing.assert_allclose(floors(EXP_SIN, 3, GRIDS), published, rtol=2e-3)


def test_its_observed_orders_are_the_published_ones():
    assert orders(EXP_SIN, 3, GRIDS).round(2).tolist() == [4.45, 4.14, 4.03, 4.01]


@pytest.mark.parametrize("k", range(1, 6))
def test_one_edge_has_the_asymptotic_error_of_best_splines(k):
    """C_k h^(k+1) rms(f^(k+1)), with C_k^2 = |B_(2k+2)| / (2k+2)! (Barrow and Smith 1978)."""
    constant = math.sqrt(abs(bernoulli(2 * k + 2)[-1]) / math.factorial(2 * k + 2))
    x, weight = gauss(-1, 1, 200)
    bessel_size = 20 ** (k + 1) * math.sqrt(weight @ jvp(0, 20 * x, k + 1) ** 2)
    sine_size = np.pi ** (k + 1) / math.sqrt(2)
    grid_size = 150 if k < 5 else 100
    sine, bessel = constant * (2 / grid_size) ** (k + 1) * np.array([sine_size, bessel_size])
    assert floor(SINE, (), k, grid_size) == pytest.approx(sine, rel=0.02)
    assert floor(TARGETS["bessel"], (), k, 5 * grid_size) == pytest.approx(
        bessel / 5 ** (k + 1), rel=0.02
    )


@pytest.mark.parametrize("k", range(1, 6))
def test_the_order_of_exp_sin_tends_to_the_theory(k):
    assert orders(EXP_SIN, k, (50, 100)) == pytest.approx([k + 1], abs=0.06)


@pytest.mark.parametrize("name", STRUCTURED)
@pytest.mark.parametrize("k", range(1, 11))
def test_a_floor_falls_with_the_grid_at_every_order(name, k):
    values = floors(TARGETS[name], k, (10, 20, 40))
    assert np.isfinite(values).all()
    assert ((values[1:] < values[:-1] / 2) | (values[1:] < 1e-14)).all()


def test_a_very_fine_grid_keeps_the_law():
    coarse, fine = floors(EXP_SIN, 3, (500, 2000))
    assert coarse / fine == pytest.approx(4**4, rel=0.01)


# ------------------------------------------------------------------------ composed splines


@pytest.mark.parametrize("k", range(1, 11))
@pytest.mark.parametrize(("grid_size", "rtol"), [(5, 1e-2), (20, 2e-3)])
def test_exp_sin_is_the_composition_integrated_on_a_product_rule(k, grid_size, rtol):
    (x, weight), spline = gauss(-1, 1, 80), composed("exp_sin", k, grid_size)
    points = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2)
    error = spline(points) - EXP_SIN.function(points)[:, 0]
    expected = math.sqrt(np.outer(weight, weight).ravel() @ error**2)
    assert floor(EXP_SIN, (1,), k, grid_size) == pytest.approx(expected, rel=rtol, abs=1e-14)


@pytest.mark.parametrize(("name", "n"), [("nested", 200_000), ("sine_mean", 10_000)])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("grid_size", [3, 5, 10])
def test_many_inputs_are_integrated_as_a_large_sample_is(name, n, k, grid_size):
    target = TARGETS[name]
    x = np.random.default_rng(0).uniform(-1, 1, (n, target.n_inputs))
    error = composed(name, k, grid_size)(x) - target.function(x)[:, 0]
    expected = math.sqrt(np.mean(error**2))
    assert floor(target, target.hidden, k, grid_size) == pytest.approx(expected, rel=0.03)


def test_the_error_of_two_inputs_passes_through_a_sum():
    """An outer function that splines represent leaves E (e1 + e2)^2, of independent terms."""
    inner = (Edge(0, 0, sin_pi, (-1.0, 1.0)), Edge(1, 0, sin_pi, (-1.0, 1.0)))
    outer = (Edge(0, 0, np.negative, (-2.0, 2.0)),)
    two = replace(SINE, n_inputs=2, hidden=(1,), structure=(inner, outer))
    one = floor(SINE, (), 3, 10)
    assert floor(two, (1,), 3, 10) == pytest.approx(math.sqrt(2) * one, rel=1e-9)


def test_a_sum_of_many_inputs_has_its_exact_distribution():
    """Where the outer spline alone errs: C_k (40 h)^(k+1) rms(exp(40 u)), u the mean of 100 x."""
    k, grid_size = 2, 400
    inner = tuple(Edge(i, 0, hundredth, (-0.01, 0.01)) for i in range(100))
    outer = (Edge(0, 0, steep, (math.exp(-40), math.exp(40))),)
    target = replace(SINE, n_inputs=100, hidden=(1,), structure=(inner, outer))
    constant = math.sqrt(abs(bernoulli(2 * k + 2)[-1]) / math.factorial(2 * k + 2))
    size = (math.sinh(0.8) / 0.8) ** 50  # E exp(80 u) = prod E exp(0.8 x)
    expected = constant * (40 * 2 / grid_size) ** (k + 1) * size
    assert floor(target, (1,), k, grid_size) == pytest.approx(expected, rel=0.01)


def test_the_domain_may_be_another():
    """sin(pi x) on [0, 4] is two periods: G intervals there are G / 2 of [-1, 1]."""
    wide = replace(SINE, domain=((0.0, 4.0),))
    assert floor(wide, (), 3, 200) == pytest.approx(floor(SINE, (), 3, 100), rel=0.01)


# ------------------------------------------------------------------ where there is no floor


@pytest.mark.parametrize(("function", "degree"), [(square, 2), (cube, 3)])
def test_polynomials_are_exact_from_their_degree_on(function, degree):
    target = replace(SINE, structure=((Edge(0, 0, function, (-1.0, 1.0)),),))
    assert floor(target, (), degree - 1, 5) > 1e-3
    for k in range(degree, 11):
        assert floor(target, (), k, 100) < 5e-16


@pytest.mark.parametrize("k", [2, 3, 10])
def test_a_product_has_none_from_order_two_on(k):
    assert floor(TARGETS["product"], (2,), k, 5) is None


def test_linear_splines_miss_a_product_by_two_squares():
    """(x1 + x2)^2 / 4 - (x1 - x2)^2 / 4, each missed by h^2 / (12 sqrt(5)) f'', independently."""
    each = (4 / 40) ** 2 / (12 * math.sqrt(5)) / 2
    assert floor(TARGETS["product"], (2,), 1, 40) == pytest.approx(math.sqrt(2) * each, rel=0.01)


def test_a_target_that_is_exact_from_some_order_has_none_from_there_on():
    target = replace(SINE, exact_from=3)
    assert floor(target, (), 2, 5) is not None
    assert floor(target, (), 3, 5) is None
    assert floor(target, (), 4, 5) is None


def test_a_target_of_unknown_structure_has_none():
    assert floor(replace(EXP_SIN, structure=None, expression=None), (1,), 3, 5) is None


@pytest.mark.parametrize("hidden", [(), (2,), (1, 1)])
def test_another_width_has_none(hidden):
    assert floor(EXP_SIN, hidden, 3, 5) is None


def test_on_a_grid_that_nobody_waits_for_there_is_none():
    assert floor(EXP_SIN, (1,), 3, FINEST + 1) is None


def test_a_floor_is_computed_once():
    floor(EXP_SIN, (1,), 3, 7)
    before = of_each.cache_info()
    assert floor(EXP_SIN, (1,), 3, 7) == floor(EXP_SIN, (1,), 3, 7)
    assert of_each.cache_info().hits == before.hits + 2
    assert of_each.cache_info().misses == before.misses


# -------------------------------------------------------------------- the targets' structures


def test_every_target_of_the_papers_figure_but_the_product_has_a_structure():
    assert set(STRUCTURED) == {"exp_sin", "bessel", "sine_mean", "nested"}


@pytest.mark.parametrize("name", STRUCTURED)
def test_a_structure_composes_to_its_target(name):
    target = TARGETS[name]
    x = np.random.default_rng(0).uniform(*target.bounds, (1000, target.n_inputs))
    nodes = dict(enumerate(x.T))
    for layer in target.structure:
        sums = defaultdict(float)
        for edge in layer:
            sums[edge.sink] += edge.function(nodes[edge.source])
        nodes = sums
    assert list(nodes) == [0]
    np.testing.assert_allclose(nodes[0], target.function(x)[:, 0], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", STRUCTURED)
def test_a_structure_is_a_tree_of_the_suggested_widths(name):
    target = TARGETS[name]
    widths = (target.n_inputs, *target.hidden, target.n_outputs)
    assert len(target.structure) == len(widths) - 1
    for layer, n_sources, n_sinks in zip(target.structure, widths[:-1], widths[1:], strict=True):
        sources = [edge.source for edge in layer]
        assert len(set(sources)) == len(sources)
        assert set(sources) <= set(range(n_sources))
        assert {edge.sink for edge in layer} <= set(range(n_sinks))


@pytest.mark.parametrize("name", STRUCTURED)
def test_an_edge_states_the_range_of_its_values(name):
    ranges = dict(enumerate(TARGETS[name].intervals))
    for layer in TARGETS[name].structure:
        sums = defaultdict(lambda: np.zeros(2))
        for edge in layer:
            values = edge.function(np.linspace(*ranges[edge.source], 20_001))
            assert edge.values == pytest.approx((values.min(), values.max()), abs=1e-5)
            sums[edge.sink] += edge.values
        ranges = sums
