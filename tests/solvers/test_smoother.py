"""Higher differences where the points leave much open."""

from __future__ import annotations

from dataclasses import replace

import mixed_model
import numpy as np
import pytest
import torch
from nets import normal, points, random_kan, uneven_kan
from torch import Tensor

from kansweep.networks.kan import KAN, Shape
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton import leave_one_out, penalty, posterior, smoother
from kansweep.solvers.gauss_newton.descent import Limits, descend
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.solvers.gauss_newton.reml import Weight
from kansweep.solvers.gauss_newton.strain.compiled import CompiledStrain
from kansweep.solvers.gauss_newton.strain.tensor import TensorStrain
from kansweep.solvers.gauss_newton.weights import Memory

SEEDS = (0, 1, 2)


def example(x: Tensor) -> Tensor:
    return torch.exp(torch.sin(torch.pi * x[..., :1]) + x[..., 1:] ** 2)


def layer(x: Tensor) -> Tensor:
    return torch.tanh(40 * (x[..., :1] - 0.3)) + x[..., 1:] ** 2


def chain(function, n: int, grids: tuple[int, ...], noise: float = 0.0):
    """Outcomes of every grid of [2, 1, 1], or of [2, 1] for what is additive, by three seeds."""
    x = points(len(SEEDS), n, 2)
    problem = Problem(x, function(x) + noise * normal(*x.shape[:2], 1), (-1.0, 1.0), SEEDS)
    width = (2, 1) if function is layer else (2, 1, 1)
    net, memory, outcomes = LM().start(Shape(width, 3, grids[0], False), problem), None, []
    for size in grids:
        outcomes.append(LM().solve(net.refined(size), problem, memory))
        net, memory = outcomes[-1].net, outcomes[-1].memory
    return outcomes, problem


def orders(outcome) -> list[float]:
    return Memory.of(outcome.memory).beyond.tolist()


@pytest.mark.parametrize("make", [random_kan, uneven_kan])
def test_rows_of_a_higher_order_are_numpys_and_alike_in_loops_and_tensors(make):
    net = replace(make((2, 1, 1), grid_size=12), beyond=smoother.BEYOND)
    theta, half = net.theta(), normal(2, net.n_params, 1)
    loops, tensors = (of(net, theta, half) for of in (CompiledStrain, TensorStrain))
    np.testing.assert_allclose(loops.rows, tensors.rows, rtol=1e-9, atol=1e-9)
    w, d = normal(2, 2, 3).square(), normal(2, net.n_params, seed=3)
    for one, other in (
        (loops.change(d), tensors.change(d)),
        (loops.pull(w, loops.change(d)), tensors.pull(w, tensors.change(d))),
    ):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-6)
    if make is random_kan:
        rows = mixed_model.rows(15, smoother.BEYOND + 1)[0]
        first = sum(penalty.ranks(net)[:3])
        found = penalty.strain(net, theta)[0, first : first + len(rows)]
        np.testing.assert_allclose(found, rows @ net.layers[1].coef[0, 0, 0].numpy())


def test_leave_one_out_errors_at_a_higher_order_are_those_of_training_again():
    x = points(1, 40, 2)
    problem = Problem(x, layer(x) + 0.1 * normal(1, 40, 1), (-1.0, 1.0), (0,))
    blank = replace(random_kan((2, 1), grid_size=9, replicas=1), beyond=smoother.BEYOND)
    w = torch.tensor([[[1e-3, 1e-2, 1e-3]]]).double()

    def fitted(of: Problem, w: Tensor) -> KAN:
        return descend(blank, of, Limits(100, 1e-13), Weight.fixed(w), 1e-3).net

    squares = leave_one_out.errors(fitted(problem, w), problem, w)[0]
    for i in (0, 7, 23):
        rest = [j for j in range(40) if j != i]
        part = Problem(x[:, rest], problem.y[:, rest], (-1.0, 1.0), (0,))
        unit = (problem.spread / part.spread).square()
        net = fitted(part, w * unit[..., None] * 40 / 39 / unit[..., None])
        error = ((net(x[:, [i]]) - problem.y[:, [i]]) / problem.spread).square().sum()
        assert squares[i].item() == pytest.approx(error.item(), rel=0.05)


def test_of_a_smooth_function_a_hundred_points_tell_enough_for_a_grid_of_a_hundred():
    outcomes, _ = chain(example, 100, (5, 10, 20, 50, 100))
    fresh = points(len(SEEDS), 5000, 2, seed=9)
    error = (outcomes[-1].net(fresh) - example(fresh)).square().mean((1, 2)).sqrt()
    assert error.median() < 2e-6  # differences of the usual order alone: 1e-5
    assert set(orders(outcomes[0])) == {2.0}
    assert smoother.BEYOND in orders(outcomes[-1])
    assert all(outcome.net.beyond == 2 for outcome in outcomes)


def test_layers_and_noise_keep_the_usual_order():
    for outcomes, _ in (chain(layer, 60, (10, 40)), chain(example, 60, (5, 20), noise=0.2)):
        assert orders(outcomes[-1]) == [2.0] * 3


def test_only_what_points_leave_open_is_looked_at():
    """Few points a parameter, or fewer than four in an outermost interval of the hidden values."""
    outcomes, problem = chain(example, 2000, (20,))
    net = outcomes[0].net
    looked = smoother._undetermined(net, problem)
    values = replace(net, layers=net.layers[:1])(problem.x)[..., 0].numpy()
    for row, found in zip(values, looked.tolist(), strict=True):
        counts = np.histogram(row, bins=20)[0]
        assert found == (min(counts[0], counts[-1]) < 4)
    assert smoother._undetermined(net, problem.at(slice(0, 100))).all()
    pair = random_kan((2, 2, 1), 20, replicas=3)
    assert not smoother._undetermined(pair, problem.at(slice(0, 100))).any()


def test_where_points_are_many_only_what_is_in_doubt_has_a_rival(monkeypatch):
    outcomes, problem = chain(example, 500, (5,))
    doubt = torch.tensor([0.6, 0.8, 2.0]).double() * 1e-3
    monkeypatch.setattr(smoother.unseen, "deviations", lambda *_: (doubt, 0 * doubt + 1e-3))
    monkeypatch.setattr(smoother, "_undetermined", lambda net, _: torch.ones(len(SEEDS)).bool())
    trained: list[int] = []

    def train(net, part, weight, observe, damping):
        trained.extend(part.seeds)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        smoother._rivalled(outcomes[0], train, problem, None)
    assert trained == [1, 2]


def test_the_posterior_is_that_of_the_differences_that_were_kept():
    outcomes, problem = chain(example, 100, (5, 10, 20, 50))
    r = orders(outcomes[-1]).index(smoother.BEYOND)
    net, memory = outcomes[-1].net[r : r + 1], outcomes[-1].memory[r : r + 1]
    known = posterior.posterior(net, problem[torch.tensor([r])], memory)
    assert known.kan.beyond == smoother.BEYOND
    left = Memory.of(memory)
    usual = replace(left, beyond=0 * left.beyond + 2, kept=left.weight).numbers
    other = posterior.posterior(net, problem[torch.tensor([r])], usual)
    assert known.deviations(problem.x[0]).median() < other.deviations(problem.x[0]).median()
    assert known.edf < other.edf


def test_a_memory_from_before_is_one_of_the_usual_order():
    left = Memory.of(normal(3, 8))
    assert (left.beyond == 2).all()
    assert left.kept is left.weight
    assert Memory.of(left.numbers).weight.equal(left.weight)
