"""Points that count more or less than once: a count of three is the point three times."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from kansweep.networks.points.compiled import CompiledPoints
from kansweep.networks.points.contract import Data, Points
from kansweep.networks.points.tensor import TensorPoints
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton import basins, contained, leave_one_out
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.solvers.gauss_newton.objective import Point
from kansweep.solvers.gauss_newton.weights import Memory
from tests.nets import normal, points, random_kan

COUNTS = torch.tensor([[1.0, 3.0, 2.0, 1.0, 4.0, 1.0, 1.0, 2.0, 5.0, 1.0] * 5] * 2).double()


def counted(n_outputs: int = 1, noise: float = 0.3) -> Problem:
    """50 points of two replicas that count as often as ``COUNTS`` says."""
    x = points(2, 50, 2)
    y = torch.cat([torch.exp(torch.sin(3 * x[..., :1]) + x[..., 1:]), x[..., :1] ** 2], 2)
    y = y + noise * normal(2, 50, 2, seed=4)
    return Problem(x, y[..., :n_outputs], (-1.0, 1.0), (0, 1), COUNTS)


def repeated(problem: Problem) -> Problem:
    at = torch.arange(50).repeat_interleave(COUNTS[0].long())
    return replace(problem, x=problem.x[:, at], y=problem.y[:, at], counts=None)


def data_of(kind: type[CompiledPoints] | type[TensorPoints], problem: Problem) -> Point:
    make = CompiledPoints.of if kind is CompiledPoints else TensorPoints
    found: Points = make(problem.x, problem.y, problem.counts)
    net = random_kan((2, 2, problem.y.shape[2]), base=True)
    margin = (torch.full((2, 2, 2), 0.1).double(),)
    hidden = found.hidden(net, margin)
    return Point.of(hidden.settled(hidden.last))


@pytest.mark.parametrize("kind", [CompiledPoints, TensorPoints])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_sums_over_points_are_those_of_repeated_ones(
    kind: type[CompiledPoints] | type[TensorPoints], n_outputs: int
) -> None:
    problem = counted(n_outputs)
    own, same = (data_of(kind, each) for each in (problem, repeated(problem)))
    assert own.observations == same.observations == 105 * n_outputs
    torch.testing.assert_close(own.mse, same.mse, rtol=1e-12, atol=0)
    step = normal(*own.at.theta.shape, seed=7)
    for a, b in zip(sums(own.at.data(), step), sums(same.at.data(), step), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


def sums(data: Data, step: Tensor) -> tuple[Tensor, ...]:
    products = data.pull(), data.diagonal(), data.bands(), data.product(step)
    return data.gram().tril(), *products


def test_leave_one_out_errors_leave_one_of_the_repeated_points_out() -> None:
    problem = counted()
    at = torch.arange(50).repeat_interleave(COUNTS[0].long())
    w = torch.tensor([1e-3, 1e-2, 3e-3]).double().repeat(2, 2, 1)
    net = random_kan((2, 1, 1))
    own, same = (leave_one_out.errors(net, each, w) for each in (problem, repeated(problem)))
    torch.testing.assert_close(own[:, at], same, rtol=1e-8, atol=1e-10)
    (line, own), (other, same) = (
        contained.linear(contained.blank(net), each) for each in (problem, repeated(problem))
    )
    torch.testing.assert_close(own[:, at], same)
    torch.testing.assert_close(line(problem.x), other(problem.x))


def test_means_and_their_errors_are_those_of_repeated_points() -> None:
    problem = counted()
    values = normal(2, 50, seed=2)
    at = torch.arange(50).repeat_interleave(COUNTS[0].long())
    for a, b in zip(problem.mean(values), repeated(problem).mean(values[:, at]), strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(problem.spread, repeated(problem).spread)
    assert basins.part(problem, rest=True).n_points == COUNTS[0, 45:].sum()


@pytest.mark.parametrize("width", [(2, 1), (2, 1, 1)])
def test_a_descent_ends_where_that_of_repeated_points_does(width: tuple[int, ...]) -> None:
    problem, lm = counted(), LM()
    start = random_kan(width, grid_size=5)
    own, same = (lm.solve(start, each) for each in (problem, repeated(problem)))
    assert own.steps == same.steps
    torch.testing.assert_close(own.net(problem.x), same.net(problem.x), rtol=1e-6, atol=1e-6)
    weights = [Memory.of(each.memory).weight for each in (own, same)]
    torch.testing.assert_close(*weights, rtol=1e-4, atol=1e-12)


def test_what_is_counted_less_moves_the_fit_less() -> None:
    """Half of the points say one thing and half another: the line between them moves."""
    problem = counted()
    x = problem.x[:, :25].repeat(1, 2, 1)
    y = torch.cat([torch.zeros(2, 25, 1), torch.ones(2, 25, 1)], 1).double()
    counts = torch.cat([torch.full((2, 25), 0.75), torch.full((2, 25), 0.25)], 1).double()
    net = LM().solve(random_kan((2, 1)), Problem(x, y, (-1.0, 1.0), (0, 1), counts)).net
    torch.testing.assert_close(net(x), torch.full_like(y, 0.25), rtol=1e-6, atol=1e-6)
