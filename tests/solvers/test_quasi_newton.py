"""L-BFGS's memory against the two-loop recursion, and its search against the Wolfe conditions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from nets import normal
from torch import Tensor

from kansweep.solvers.quasi_newton import (
    CURVATURE,
    SPARE,
    SUFFICIENT_DECREASE,
    Memory,
    Point,
    iterate,
    strong_wolfe,
)


def two_loops(pairs: list[tuple[Tensor, Tensor]], gradient: Tensor) -> Tensor:
    """Nocedal and Wright 2006, algorithm 7.4."""
    q, factors = gradient.clone(), []
    for s, y in reversed(pairs):
        factors.append((s @ q) / (s @ y))
        q -= factors[-1] * y
    s, y = pairs[-1]
    r = q * (s @ y) / (y @ y)
    for (s, y), a in zip(pairs, reversed(factors), strict=True):
        r += s * (a - (y @ r) / (s @ y))
    return -r


def rosenbrock(theta: Tensor) -> Point:
    x = theta.detach().requires_grad_()
    loss = (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()
    return Point(theta, loss.item(), torch.autograd.grad(loss, x)[0])


def test_the_first_direction_is_down_the_gradient():
    gradient = normal(5)
    assert torch.equal(Memory(3, gradient).direction(gradient), -gradient)


@pytest.mark.parametrize("count", [1, 3, 4, 4 + SPARE, 5 + SPARE, 3 * (4 + SPARE)])
def test_directions_are_those_of_the_two_loop_recursion_over_the_last_pairs(count):
    root = normal(8, 8, seed=1)
    hessian = root @ root.mT + torch.eye(8, dtype=torch.float64)
    steps = normal(count, 8, seed=2)
    pairs = [(s, hessian @ s) for s in steps]
    memory, gradient = Memory(4, steps[0]), normal(8, seed=3)
    for s, y in pairs:
        memory.add(s, y)
    np.testing.assert_allclose(
        memory.direction(gradient), two_loops(pairs[-4:], gradient), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("sign", [-1.0, 0.0, math.nan])
def test_a_pair_without_curvature_is_not_remembered(sign):
    memory, s = Memory(4, normal(5)), normal(5, seed=1)
    memory.add(s, sign * s)
    assert memory.end == 0


@pytest.mark.parametrize("step", [1e-6, 1e-3, 1.0, 1e3])
def test_the_search_ends_where_the_strong_wolfe_conditions_hold(step):
    start = rosenbrock(normal(6))
    direction = -start.gradient
    end = strong_wolfe(rosenbrock, start, direction, step)
    assert end is not None
    length = float((end.theta - start.theta) @ direction / (direction @ direction))
    slope = float(start.gradient @ direction)
    assert end.loss <= start.loss + SUFFICIENT_DECREASE * length * slope
    assert abs(float(end.gradient @ direction)) <= CURVATURE * abs(slope)


def test_there_is_no_step_upwards_or_from_a_minimum():
    start = rosenbrock(normal(6))
    assert strong_wolfe(rosenbrock, start, start.gradient, 1.0) is None
    minimum = rosenbrock(torch.ones(6, dtype=torch.float64))
    assert iterate(rosenbrock, minimum, Memory(4, minimum.theta)) is None


def test_a_loss_that_is_not_finite_is_stepped_back_from():
    def walled(theta: Tensor) -> Point:
        point = rosenbrock(theta)
        return point if theta.abs().max() < 2 else Point(theta, math.nan, theta * math.nan)

    start = walled(normal(6).clamp(-1.9, 1.9))
    end = strong_wolfe(walled, start, -start.gradient, 1.0)
    assert end is not None
    assert end.loss < start.loss


def test_it_finds_the_minimum_of_rosenbrocks_function():
    point = rosenbrock(torch.full((10,), -0.5, dtype=torch.float64))
    memory = Memory(8, point.theta)
    for _ in range(300):
        reached = iterate(rosenbrock, point, memory)
        if reached is None:
            break
        assert reached.loss < point.loss
        point = reached
    np.testing.assert_allclose(point.theta, torch.ones(10), atol=1e-7)
