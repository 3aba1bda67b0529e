"""Structures read off formulas: against the formula, the widths that they imply, and floors."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from benchmarks.accuracy_targets import DEEP, SHALLOW
from kansweep.config.rules import ConfigError
from kansweep.data import floor as floors
from kansweep.data.floor import floor, missing
from kansweep.data.functions import from_formula
from kansweep.data.structure import structure
from kansweep.data.targets import TARGETS

UNIT = ((-1.0, 1.0),)
POSITIVE = ((0.5, 2.0),)
IDLE = "hidden nodes of it are only added up or multiplied"
WRITTEN = {
    "exp_sin": ("exp(sin(pi*x1)+x2^2)", (1,)),
    "bessel": ("j0(20*x1)", ()),
    "sine_mean": (f"exp({'+'.join(f'sin(pi*x{i}/2)^2/100' for i in range(1, 101))})", (1,)),
    "nested": ("exp((sin(pi*(x1^2+x2^2))+sin(pi*(x3^2+x4^2)))/2)", (2, 1)),
}


def of(text, domain=UNIT):
    return from_formula((("", text),), text, domain, None)


def composed(layers, x):
    """Values of the output, and of every node with the range that its edges state of it."""
    nodes, reached = dict(enumerate(x.T)), []
    for layer in layers:
        sums = defaultdict(lambda: np.zeros(len(x)))
        for edge in layer:
            value = edge.function(nodes[edge.source])
            reached += [(nodes[edge.source], edge.domain), (value, edge.values)]
            sums[edge.sink] += value
        nodes = sums
    assert list(nodes) == [0]
    return nodes[0], reached


def check(target, hidden, n=4000):
    """That a structure is its formula, within its ranges, and reaches to their ends."""
    known = structure(target, hidden)
    widths = (target.n_inputs, *hidden, 1)
    for layer, n_sources, n_sinks in zip(known.layers, widths[:-1], widths[1:], strict=True):
        assert {edge.source for edge in layer} <= set(range(n_sources))
        assert {edge.sink for edge in layer} == set(range(n_sinks))
        assert len({(edge.source, edge.sink) for edge in layer}) == len(layer)
    x = np.random.default_rng(0).uniform(*target.bounds, (n, target.n_inputs))
    values, reached = composed(known.layers, x)
    true = target.function(x)[:, 0]
    np.testing.assert_allclose(values, true, rtol=1e-12, atol=1e-12 * np.abs(true).max())
    for u, (low, high) in reached:
        slack = 1e-9 * (high - low)
        assert low - slack <= u.min()
        assert u.max() <= high + slack
    return known, reached


# ---------------------------------------------------------------------------- what is read


@pytest.mark.parametrize(
    ("text", "domain", "hidden"),
    [
        ("exp(sin(pi*x1)+x2^2)", UNIT, (1,)),
        ("sin(4*exp(x1))*x1", UNIT, ()),
        ("x2", UNIT, ()),
        ("x1+x2^2-3", UNIT, ()),
        ("2*(x1+x2^2)+sin(x3)", UNIT, ()),
        ("exp(-x1^2)/(1+x2^2)", UNIT, (1,)),
        ("x1*x2", POSITIVE, (1,)),
        ("-x1*x2/x3", POSITIVE, (1,)),
        ("(x1-3)*(x2-3)*x3", POSITIVE, (1,)),
        ("sqrt(x1*x2)", POSITIVE, (1,)),
        ("log(x1*x2)", POSITIVE, ()),
        ("x1*x2+x3*x4", POSITIVE, (2,)),
        ("exp(x1)*exp(x2)*cosh(x3)", UNIT, (1,)),
        ("x1^x2", ((1.5, 2.0),), (1,)),
        ("hypot(x1, x2)", UNIT, (1,)),
        ("atan2(x1, x2)", ((0.5, 1.0), (1.0, 2.0)), (1,)),
        ("atan2(x2, x1-3)", ((0.5, 1.0), (1.0, 2.0)), (1,)),
        # What is repeated is one node, and what is passed on is added up in one.
        ("exp(x1-x2)*sin(x1-x2)+1/(2+(x1-x2)^2)", UNIT, (1,)),
        ("(x1+x2)*exp(x2+x1)", UNIT, (1,)),
        ("x1+x2+exp(x1+x2)", UNIT, (1,)),
        ("exp(x1+x2)+x3+x4^2", UNIT, (2,)),
        ("exp(sin(x1+x2)+x3)+x4", UNIT, (3, 2)),
        ("exp(sin(x1+x2)+x3)*exp(x4)", UNIT, (2, 1)),
        # Nodes that share inputs.
        ("sin(3*(x1+x2))+exp(x1-x2)", UNIT, (2,)),
        ("max(x1, x2)", UNIT, (2,)),
        ("min(x1, x2)", UNIT, (2,)),
        ("x1*x2", UNIT, (2,)),
        ("x1*x2", POSITIVE, (2,)),
        ("1e6*x1*x2", UNIT, (2,)),
        ("x1*(1e6*x2)", UNIT, (2,)),
        ("x1*x2*x3", UNIT, (4, 2)),
        ("exp(x1)*x2+1", UNIT, (2,)),
        ("sqrt(1+x1^2-2*x1*cos(x2-x3))", ((-1.0, 1.0), (0.0, 6.2), (0.0, 6.2)), (3, 3, 1)),
        ("x1^x2", ((0.5, 2.0), (-1.0, 1.0)), (2, 1)),
        # A sum, unlike a function, is passed on by layers to spare.
        ("x1+x2^2", UNIT, (1,)),
        ("x1+x2^2", UNIT, (1, 1)),
        ("x1*x2", UNIT, (2, 1)),
    ],
)
def test_a_structure_is_its_formula_on_these_widths(text, domain, hidden):
    check(of(text, domain), hidden)


@pytest.mark.parametrize("target", [*SHALLOW, *DEEP[4:5]], ids=lambda target: target.name)
def test_a_structure_that_is_read_has_the_floor_of_the_one_that_was_written(target):
    derived = replace(target, structure=None, expression=target.function.expression)
    check(derived, target.hidden if target.formula not in CHAINS else ())
    for k, grid_size in ((1, 5), (3, 12), (3, 48)):
        expected = floor(target, target.hidden, k, grid_size)
        if target.formula not in CHAINS:
            scale = np.ptp(target.function(np.array(target.bounds)))
            assert floor(derived, target.hidden, k, grid_size) == pytest.approx(
                expected, rel=1e-12, abs=1e-15 * max(scale, 1.0)
            )


CHAINS = {"log(0.02+x1^2)", "sin(12*x1^2)"}  # of one variable, which are one function as read


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("spacing", ["uniform", "adaptive", "quantile"])
def test_a_target_written_as_a_formula_has_its_own_floor(name, spacing):
    text, hidden = WRITTEN[name]
    target, derived = TARGETS[name], of(text)
    for k, grid_size in ((1, 40), (2, 10), (3, 3), (3, 40), (5, 10)):
        expected = floor(target, target.hidden, k, grid_size, spacing)
        # A search for knots, which stops where they stand still, makes more of round-off.
        rel = 1e-8 if spacing == "adaptive" else 1e-12
        derived_floor = floor(derived, hidden, k, grid_size, spacing)
        assert derived_floor == pytest.approx(expected, rel=rel, abs=1e-16)


# ------------------------------------------------------------------------ what there is not


@pytest.mark.parametrize(
    ("text", "domain", "hidden", "why"),
    [
        ("exp(sin(pi*x1)+x2^2)", UNIT, (2,), "its structure is that of a KAN 2-1-1"),
        ("exp(sin(pi*x1)+x2^2)", UNIT, (), "its structure is that of a KAN 2-1-1"),
        ("exp(sin(pi*x1)+x2^2)", UNIT, (1, 1), "its structure is that of a KAN 2-1-1"),
        ("sin(4*x1)", UNIT, (1,), "its structure is that of a KAN 1-1"),
        ("x1+x2+exp(x1+x2)", UNIT, (1, 1), "its structure is that of a KAN 2-1-1"),
        ("x1*x2", POSITIVE, (3,), "its structure is that of a KAN 2-1-1 or 2-2-1"),
        ("x1*x2", UNIT, (1,), "its structure is that of a KAN 2-2-1"),
        ("x1*x2", UNIT, (2,), "splines of order 3 represent it exactly"),
        ("x1+3*x2", UNIT, (), "splines of order 3 represent it exactly"),
        ("exp(x1)*x2", UNIT, (2,), IDLE),
        ("exp(x1+x2)+sin(3*x3)", UNIT, (2,), IDLE),
        ("jv(x1, x2)", POSITIVE, (1,), "jv of two variables is no composition of sums"),
        ("lpmv(0, x1, x2)", POSITIVE, (1,), "lpmv of two variables is no composition of sums"),
        ("atan2(x1, x2)", UNIT, (1,), "atan2 of two variables is no composition of sums"),
        ("(x1+1.5)^x2+(x3+x2)^x1", ((0.0, 1.0),), (1,), "the base of a power of two variables"),
        ("x1/x2", UNIT, (2,), "u ^ -1 is not bounded for u in [-1, 1]"),
        ("tan(2*x1)+x2", UNIT, (), "is not bounded for u in [-1, 1]"),
        ("log(abs(x1-0.1))+x2", UNIT, (), "is not bounded for u in [-1, 1]"),
        ("*".join(f"x{i}" for i in range(1, 9)), UNIT, (8, 4, 2), "more than 6 products"),
        ("x1" + "+x1*(1" * 90 + ")" * 90, UNIT, (1,), ""),
    ],
)
def test_without_a_floor_the_reason_is_told(text, domain, hidden, why):
    target = of(text, domain)
    assert why in missing(target, hidden, 3)
    assert floor(target, hidden, 3, 5) is None


def test_a_target_of_which_nothing_is_known_has_none():
    assert missing(TARGETS["ellipj"], (3,), 3) == ("whether a 2-3-1 KAN represents it is not known")


def test_what_is_exact_is_so_from_the_highest_degree_on():
    for text, hidden, degree in (("x1*x2", (2,), 2), ("x1+x2^3-x2", (), 3), ("x1+x2", (1,), 1)):
        assert structure(of(text), hidden).exact_from == degree
        assert "exactly" in missing(of(text), hidden, degree)
    assert structure(of("x1+abs(x2)"), ()).exact_from == np.inf
    assert structure(of("x1+x2^-2", POSITIVE), ()).exact_from == np.inf


# -------------------------------------------------------------------------------- the ranges


def test_ranges_end_where_the_values_do():
    """Of a node whose terms depend on each other, and of a function that turns."""
    known, _ = check(of("exp(max(x1, x2)-x1)"), (2, 1))
    (last,) = known.layers[-1]
    assert last.domain == pytest.approx((0.0, 2.0), abs=1e-9)  # of intervals alone [-1, 2]
    assert last.values == pytest.approx((1.0, np.exp(2.0)), rel=1e-9)
    (bessel,) = structure(of("j0(20*x1)"), ()).layers[0]
    assert bessel.values == pytest.approx(TARGETS["bessel"].structure[0][0].values, abs=1e-15)


# ------------------------------------------------------------------ floors that are sampled


@pytest.mark.parametrize("name", ["exp_sin", "nested"])
@pytest.mark.parametrize("spacing", ["uniform", "adaptive", "quantile"])
def test_a_sample_gives_the_floor_that_quadrature_does(name, spacing):
    target = TARGETS[name]
    known = structure(target, target.hidden)
    for k, grid_size in ((1, 10), (3, 5), (3, 20)):
        splines = floors._Splines(k, grid_size, spacing)
        sampled = floors._by_sample(known, target, splines)
        assert sampled == pytest.approx(floors._by_quadrature(known, target, splines), rel=0.04)


def test_a_floor_of_nodes_that_share_inputs_is_that_of_their_splines():
    """Two sums of two inputs each: inner functions that splines hold, and errors that add up."""
    target = of("sin(3*(x1+x2))+exp(x1-x2)")
    u = np.random.default_rng(0).uniform(-1, 1, (200_000, 2))
    s, d = u.sum(axis=1), u[:, 0] - u[:, 1]
    for k, grid_size in ((1, 8), (3, 12)):
        grid = floors.equal_grid(-2.0, 2.0, grid_size)
        sine = floors.best_spline(lambda v: np.sin(3 * v), grid, k)
        exp = floors.best_spline(np.exp, grid, k)
        error = sine(s) + exp(d) - np.sin(3 * s) - np.exp(d)
        expected = np.sqrt(np.mean(error**2))
        assert floor(target, (2,), k, grid_size) == pytest.approx(expected, rel=0.01)


# ----------------------------------------------------------------------------- any formula

leaves = st.sampled_from(["x1", "x2", "x3", "2", "0.5", "pi"])


def grown(children):
    unary = st.tuples(st.sampled_from(["sin", "exp", "tanh", "abs", "cosh"]), children)
    binary = st.tuples(children, st.sampled_from(["+", "-", "*", "/"]), children)
    return st.one_of(
        unary.map(lambda parts: f"{parts[0]}({parts[1]})"),
        binary.map(lambda parts: f"({parts[0]}{parts[1]}{parts[2]})"),
        children.map(lambda part: f"{part}^2"),
    )


@settings(max_examples=150, deadline=None)
@given(st.recursive(leaves, grown, max_leaves=8), st.sampled_from([UNIT, POSITIVE]))
def test_whatever_is_read_is_the_formula(text, domain):
    try:
        target = of(text, domain)
    except ConfigError:
        assume(False)
    why = missing(target, (9, 9, 9, 9, 9, 9, 9, 9, 9), 3)
    for shape in why.removeprefix("its structure is that of a KAN").split(" or "):
        if why.startswith("its structure is that of"):
            hidden = tuple(map(int, shape.strip().split("-")[1:-1]))
            check(target, hidden, n=500)
