"""Targets against the same formulas written with scalars."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kansweep.targets import TARGETS

SCALAR = {
    "exp_sin": lambda x: math.exp(math.sin(math.pi * x[0]) + x[1] * x[1]),
    "product": lambda x: x[0] * x[1],
    "sine_mean": lambda x: math.exp(sum(math.sin(math.pi * v / 2) ** 2 for v in x) / len(x)),
    "nested": lambda x: math.exp(
        0.5 * math.sin(math.pi * (x[0] ** 2 + x[1] ** 2))
        + 0.5 * math.sin(math.pi * (x[2] ** 2 + x[3] ** 2))
    ),
    # J0(z), the mean of cos(z sin t) over the circle, where equal steps converge exponentially.
    "bessel": lambda x: (
        math.fsum(math.cos(20 * x[0] * math.sin(math.tau * j / 64)) for j in range(64)) / 64
    ),
}
HIDDEN = {"exp_sin": (1,), "bessel": (), "product": (2,), "sine_mean": (1,), "nested": (4, 2)}


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_is_its_formula(name):
    target = TARGETS[name]
    x = np.random.default_rng(0).uniform(-1, 1, (20, target.n_inputs))
    expected = [[SCALAR[name](row)] for row in x.tolist()]
    np.testing.assert_allclose(target.function(x), expected, rtol=1e-14, atol=1e-14)


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


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_suggests_the_papers_width_and_names_its_source(name):
    target = TARGETS[name]
    assert target.name == name
    assert target.hidden == HIDDEN[name]
    assert target.domain == (-1.0, 1.0)
    assert "2404.19756" in target.source
