"""Weights to begin with, and what is carried from grid to grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import normal, points, random_kan

from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton import penalty, weights
from kansweep.solvers.gauss_newton.weights import STIFF, Memory


def memory(errors: list[float], grid_size: int = 10) -> Memory:
    """Of networks of two layers whose weights are all 2."""
    error = torch.tensor(errors, dtype=torch.float64)
    value = torch.full((len(errors), 2, 3), 2.0, dtype=torch.float64)
    return Memory.left(value, error, torch.full_like(error, grid_size))


def test_a_memory_is_its_numbers():
    numbers = normal(3, 16)
    np.testing.assert_array_equal(Memory.of(numbers).numbers, numbers)
    assert Memory.of(numbers).weight.shape == (3, 2, 3)


@pytest.mark.parametrize(
    ("error", "power"), [(1.0, 9), (0.11, 9), (1e-2, 5), (1e-3, 3), (1e-4, 1), (1e-7, 1)]
)
def test_rough_weights_grow_from_grid_to_grid_as_the_error_says(error, power):
    """Noise keeps its size on a finer grid and differences shrink, as G^-(2k+3); what splines
    cannot follow shrinks nearly as fast, to G^-(2k+2)."""
    growth = memory([error]).carried(20, 3).numpy() / 2
    np.testing.assert_allclose(growth[..., penalty.ROUGH], 2.0**power, rtol=1e-9)
    np.testing.assert_array_equal(growth[..., penalty.CURVED :], 1)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_of_full_order_they_grow_by_one_power_at_any_degree(k):
    growth = memory([10.0 ** -(k + 1)]).carried(30, k).numpy() / 2
    np.testing.assert_allclose(growth[..., penalty.ROUGH], 3, rtol=1e-9)


def begun(n: int, last: Memory | None, scale: float | None = None) -> weights.Weight:
    """At a network of 46 parameters on n points of noise."""
    net = random_kan((2, 1, 1), grid_size=20)
    problem = Problem(points(2, n, 2), normal(2, n, 1), (-1, 1), (0, 1))
    return weights.begun(net, problem, scale, last)


def test_weights_that_are_given_are_final_whatever_is_remembered():
    weight = begun(1000, memory([1e-4, 1e-4]), 3.0)
    assert weight.is_final.all()
    np.testing.assert_allclose(weight.value, penalty.least(20, 3, 3.0).expand(2, 2, 3))


def test_weights_that_are_not_remembered_are_fresh():
    last = memory([1e-4, torch.nan])
    last.weight[1] = torch.nan
    both, fresh = begun(1000, last), begun(1000, None)
    np.testing.assert_array_equal(both.value[1], fresh.value[1])
    np.testing.assert_allclose(both.value[0, :, 0], 4)
    assert not both.is_final.any()


def test_no_weight_is_below_the_least_and_that_follows_the_points():
    last = memory([1e-4, 1e-4])
    for n in (100, 1000, 10_000):
        weight = begun(n, Memory.left(0 * last.weight, last.error, last.grid_size))
        assert (weight.value == weight.least).all()
        expected = penalty.least(20, 3) * min(1, 69 / n)
        np.testing.assert_allclose(weight.least, expected.expand(2, 2, 3))


def test_where_points_are_few_weights_begin_stiff():
    few, many = begun(100, None), begun(1000, None)
    np.testing.assert_allclose(few.value, torch.tensor(STIFF).expand(2, 2, 3), rtol=1e-6)
    assert (many.value <= few.value).all()
    assert (many.value[..., penalty.ROUGH] < 1e-3).all()


def test_on_few_points_what_a_coarse_grid_called_noise_stays():
    assert begun(40, memory([0.9, 1e-4])).is_final.tolist() == [True, False]
    assert not begun(1000, memory([0.9, 1e-4])).is_final.any()
