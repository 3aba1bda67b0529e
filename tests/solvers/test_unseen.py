"""How far networks may be wrong where there are no points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from kansweep.networks.kan import KAN, Shape
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton import start, unseen
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.solvers.gauss_newton.posterior import posterior


def sum_of_two(corner: bool) -> Problem:
    """sin 3(x + y) with a little noise at 400 points, with or without those of one corner."""
    draw = torch.Generator().manual_seed(1)
    x = torch.rand(1, 2000, 2, generator=draw, dtype=torch.float64) * 2 - 1
    kept = x.sum(2)[0] < (2.0 if corner else 1.0)
    x = x[:, kept][:, :400]
    y = (3 * x.sum(2, keepdim=True)).sin()
    return Problem(x, y + 1e-3 * torch.randn(y.shape, generator=draw).to(y), (-1.0, 1.0), (0,))


def found(problem: Problem) -> float:
    solver, shape = LM(), Shape((2, 1, 1), 3, 8, None)
    outcome = solver.solve(solver.start(shape, problem), problem)
    return unseen.deviations(outcome.net, problem, outcome.memory)[0].item()


def test_an_empty_corner_counts():
    assert found(sum_of_two(corner=True)) < 2e-3 < 1e-2 < found(sum_of_two(corner=False))


def test_deviations_are_those_of_the_posterior_at_mixed_points():
    problem = sum_of_two(corner=True)
    net = start.blank(Shape((2, 1), 3, 5, None), problem)
    outcome = LM().solve(net, problem)
    known = posterior(outcome.net, problem, outcome.memory)
    residual = outcome.net(problem.x) - problem.y
    sigma = (residual.square().sum() / (400 - known.edf)).sqrt() / problem.spread.item()
    places = unseen.mixed(problem.x[0])[: unseen.AMONG]
    expected = sigma * known.deviations(places).square().mean().sqrt()
    told, misfit = unseen.deviations(outcome.net, problem, outcome.memory)
    assert told.item() == pytest.approx(expected.item(), rel=1e-9)
    assert misfit.item() == pytest.approx(sigma.item(), rel=1e-9)


def test_places_beyond_the_points_count_by_their_share(monkeypatch):
    """As all places would; with as many as there are, to rounding."""
    problem = sum_of_two(corner=False)
    solver, shape = LM(), Shape((2, 1, 1), 3, 8, None)
    outcome = solver.solve(solver.start(shape, problem), problem)
    known = posterior(outcome.net, problem, outcome.memory)
    every = known.deviations(unseen.mixed(problem.x[0])).square().mean().sqrt()

    def told() -> float:
        deviation, misfit = unseen.deviations(outcome.net, problem, outcome.memory)
        return (deviation / misfit / every).item()

    assert told() == pytest.approx(1.0, rel=0.1)
    monkeypatch.setattr(unseen, "BEYOND", unseen.PLACES)
    monkeypatch.setattr(unseen, "AMONG", unseen.PLACES)
    assert told() == pytest.approx(1.0, rel=1e-9)


def test_single_precision_is_asked_in_double():
    problem = sum_of_two(corner=True)
    single = replace(problem, x=problem.x.float(), y=problem.y.float())
    outcome = LM().solve(start.blank(Shape((2, 1, 1), 3, 5, None), single), single)
    told, _ = unseen.deviations(outcome.net, single, outcome.memory)
    assert told.dtype == torch.float32
    double = KAN.from_arrays(
        {
            name: part.astype(np.float64) if part.dtype == np.float32 else part
            for name, part in outcome.net.to_arrays().items()
        }
    )
    expected = unseen.deviations(double, problem, outcome.memory.double())[0].item()
    assert told.item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("n", "turns"), [(50, 16), (500, 80), (5000, 8)])
def test_every_input_of_a_mixed_point_is_that_of_another_row_and_keeps_its_distribution(n, turns):
    rows = torch.arange(float(n))
    mixed = unseen.mixed(rows[:, None].expand(n, 3))
    assert len(mixed) == turns * n
    assert (mixed[:, [0, 1, 2]] != mixed[:, [1, 2, 0]]).all()
    for column in mixed.T:
        assert torch.equal(column.sort().values, rows.repeat_interleave(turns))
