"""AdamW: its steps against torch's own, and what it owes to its callers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from nets import example, normal, points, random_mlp
from torch import Tensor

from kansweep.config.models import MLPConfig
from kansweep.config.solvers import AdamConfig
from kansweep.data.streams import Stream, generator
from kansweep.networks.mlp import MLP, Shape
from kansweep.solvers.adam import Adam
from kansweep.solvers.contract import Checkpoint, Iteration, Outcome, Problem
from kansweep.solvers.held_out import Split
from kansweep.solvers.reasons import StopReason
from kansweep.solvers.scales import Scales

SHAPE = Shape((2, 6, 6, 1), "tanh")


def method(epochs: int = 30, restarts: int = 1, **more: Any) -> Adam:
    settings = {"batch_size": 16, **more}
    return Adam(AdamConfig(epochs=epochs, **settings), MLPConfig(restarts=restarts))


def trained(problem: Problem, solver: Adam, shape: Shape = SHAPE) -> Outcome[MLP]:
    return solver.solve(solver.start(shape, problem), problem)


def rmse(net: MLP, x: Tensor, y: Tensor) -> Tensor:
    return (net(x) - y).square().mean((1, 2)).sqrt()


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_steps_are_those_of_torchs_adamw(schedule, decay):
    """On the same batches in the same order, on the scaled problem."""
    problem, solver = (
        example(50, (3,)),
        method(4, schedule=schedule, weight_decay=decay, validation=0.0, batch_size=20),
    )
    start = solver.start(SHAPE, problem)
    told = list[Iteration]()
    solver.solve(start, problem, observe=told.append)

    maps = Scales.of(problem)
    scaled, net = maps.scaled(problem), maps.unfolded(start)
    theta = net.theta().clone().requires_grad_()
    adam = torch.optim.AdamW([theta], lr=1e-2, weight_decay=decay)
    shape = torch.optim.lr_scheduler.CosineAnnealingLR(adam, 4 * 3)
    rng = generator(3, Stream.ORDER, 50)
    for _ in range(4):
        for part in torch.from_numpy(rng.permutation(50)).tensor_split(3):
            adam.zero_grad()
            error = net.with_theta(theta)(scaled.x[:, part]) - scaled.y[:, part]
            error.square().mean().backward()
            adam.step()
            if schedule == "cosine":
                shape.step()
    expected = maps.folded(net.with_theta(theta.detach()))
    torch.testing.assert_close(told[-1].net()(problem.x), expected(problem.x), rtol=1e-9, atol=1e-9)


def test_held_out_points_are_not_trained_on_and_choose_the_weights():
    problem, told = example(80, (0,)), list[Iteration]()
    solver = method(25, learning_rate=0.1, schedule="constant")
    outcome = solver.solve(solver.start(SHAPE, problem), problem, observe=told.append)
    scaled = Scales.of(problem).scaled(problem)
    split = Split.of(scaled, 0.1, generator(0, Stream.ORDER, 80))
    assert (split.held_out.x.shape[1], split.training.x.shape[1]) == (8, 72)
    both = torch.cat([split.held_out.x, split.training.x], dim=1)[0]
    assert torch.equal(both.sort(0).values, scaled.x[0].sort(0).values)
    maps = Scales.of(problem)
    errors = [split.error(maps.unfolded(it.net())).item() for it in told]
    found = split.error(maps.unfolded(outcome.net)).item()
    assert found == pytest.approx(min(errors), rel=1e-9)
    assert found < 0.99 * errors[-1]  # the last epoch was not the best


def test_patience_ends_it_before_the_last_epoch():
    x, y = points(1, 60, 2), normal(1, 60, 1)
    problem = Problem(x, y, (-1.0, 1.0), (0,))
    outcome = trained(problem, method(500, patience=10))
    assert outcome.stop_reason == (StopReason.CONVERGED,)
    assert outcome.steps[0] < 200
    assert trained(problem, method(20, patience=None)).stop_reason == (StopReason.STEP_LIMIT,)


def test_seeds_in_a_batch_are_what_they_are_alone():
    solver = method(5, restarts=2)
    together = trained(example(40, (0, 1)), solver)
    for r in range(2):
        alone = trained(example(40, (r,)), solver)
        assert torch.equal(together.net[r : r + 1].theta(), alone.net.theta())


def test_the_same_again_is_the_same_bit_for_bit():
    first, second = (trained(example(40, (0, 1)), method(5, restarts=2)) for _ in "ab")
    assert torch.equal(first.net.theta(), second.net.theta())
    assert torch.equal(first.grad_norm, second.grad_norm)


def test_the_best_of_several_starts_is_kept():
    problem = example(60, (0, 1, 2))
    split = Split.of(problem, 0.1, generator(0, Stream.ORDER, 60))
    one, four = (trained(problem[torch.tensor([0])], method(20, restarts=r)) for r in (1, 4))
    errors = [split[torch.tensor([0])].error(outcome.net).item() for outcome in (one, four)]
    assert errors[1] < errors[0]


def test_what_is_trained_maps_raw_inputs_to_raw_outputs():
    problem = example(60, (0,))
    moved = replace(problem, x=4 + 2 * problem.x, y=50 + 3 * problem.y, domain=(2.0, 6.0))
    for p, scale in ((problem, 1.0), (moved, 3.0)):
        assert rmse(trained(p, method(60, learning_rate=0.05)).net, p.x, p.y).item() < 0.5 * scale


@pytest.mark.parametrize("poison", ["x", "y"])
def test_a_replica_that_diverges_is_an_outcome(poison):
    problem = example(30, (0, 1))
    values = getattr(problem, poison).clone()
    values[0, 0] = torch.nan
    outcome = trained(replace(problem, **{poison: values}), method(3, restarts=2))
    assert outcome.stop_reason == (StopReason.NON_FINITE, StopReason.STEP_LIMIT)
    assert torch.isfinite(outcome.net[1:].theta()).all()


def test_every_epoch_is_told():
    problem, told = example(40, (0, 1)), list[Iteration]()
    outcome = method(4).solve(random_mlp((2, 5, 1)), problem, observe=told.append)
    assert [(it.replicas.item(), it.step) for it in told] == [
        (r, step) for r in range(2) for step in range(1, 5)
    ]
    assert outcome.steps == (4, 4)
    for it in told:
        r = it.replicas
        np.testing.assert_allclose(rmse(it.net(), problem.x[r], problem.y[r]), it.rmse, rtol=1e-9)


def test_an_outcome_is_stored_and_read_back():
    problem = example(40, (0,))
    outcome = trained(problem, method(1))
    assert outcome.memory.shape == (1, 0)
    again = Checkpoint.from_arrays(Checkpoint(outcome.net, outcome.memory).to_arrays(), MLP)
    assert torch.equal(again.net(problem.x), outcome.net(problem.x))


def test_single_precision_stays_single():
    problem = example(40, (0,))
    problem = replace(problem, x=problem.x.float(), y=problem.y.float())
    assert trained(problem, method(5)).net.theta().dtype == torch.float32
