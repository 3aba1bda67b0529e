"""Targets against the same formulas written with scalars."""

from __future__ import annotations

import math
from dataclasses import replace

import mpmath
import numpy as np
import pytest

from kansweep.data.targets import TARGETS, spread

SCALAR = {
    "exp_sin": lambda x: math.exp(math.sin(math.pi * x[0]) + x[1] * x[1]),
    "product": lambda x: x[0] * x[1],
    "sine_mean": lambda x: math.exp(sum(math.sin(math.pi * v / 2) ** 2 for v in x) / len(x)),
    "nested": lambda x: math.exp(
        0.5 * math.sin(math.pi * (x[0] ** 2 + x[1] ** 2))
        + 0.5 * math.sin(math.pi * (x[2] ** 2 + x[3] ** 2))
    ),
    # J0(z), the mean of cos(z sin t) over the circle, where equal steps converge exponentially.
    "ellipj": lambda x: float(mpmath.ellipfun("sn", x[0], m=x[1])),
    "jacobi": lambda x: [float(mpmath.ellipfun(f, x[0], m=x[1])) for f in ("sn", "cn", "dn")],
    "ellipkinc": lambda x: float(mpmath.ellipf(x[0], x[1])),
    "ellipeinc": lambda x: float(mpmath.ellipe(x[0], x[1])),
    "jv": lambda x: float(mpmath.besselj(x[0], x[1])),
    "lpmv": lambda x: float(mpmath.legendre(x[0], x[1])),
    "bessel": lambda x: (
        math.fsum(math.cos(20 * x[0] * math.sin(math.tau * j / 64)) for j in range(64)) / 64
    ),
}
PAPER = {"exp_sin": (1,), "bessel": (), "product": (2,), "sine_mean": (1,), "nested": (4, 2)}


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_is_its_formula(name):
    target = TARGETS[name]
    x = np.random.default_rng(0).uniform(*target.bounds, (20, target.n_inputs))
    expected = np.reshape([SCALAR[name](row) for row in x.tolist()], (20, target.n_outputs))
    np.testing.assert_allclose(target.function(x), expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "x", "value"),
    [
        ("exp_sin", [0.5, 1.0], math.e**2),
        ("bessel", [0.0], 1.0),
        ("bessel", [2.404825557695773 / 20], 0.0),  # the first zero of J0
        ("product", [-0.5, 0.25], -0.125),
        ("sine_mean", [1.0] * 50 + [0.0] * 50, math.exp(0.5)),
        ("nested", [0.5, 0.5, 0.5, -0.5], math.e),
    ],
)
def test_a_target_has_its_known_values(name, x, value):
    assert TARGETS[name].function(np.array([x])) == pytest.approx(value, abs=1e-14)


@pytest.mark.parametrize("name", PAPER)
def test_a_target_suggests_the_papers_width(name):
    assert TARGETS[name].hidden == PAPER[name]
    assert TARGETS[name].domain == ((-1.0, 1.0),)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_is_found_by_its_name_and_tells_its_source(name):
    assert TARGETS[name].name == name
    assert "2404.19756" in TARGETS[name].source
    assert len(TARGETS[name].intervals) == TARGETS[name].n_inputs


def test_the_spread_is_the_standard_deviation_over_the_domain():
    assert spread(TARGETS["product"]) == pytest.approx(1 / 3, rel=0.02)
    assert spread(replace(TARGETS["product"], domain=((0, 3), (-2, 2)))) == pytest.approx(
        2, rel=0.02
    )
