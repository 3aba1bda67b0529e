"""MLPs trained by L-BFGS: gradients against autograd, and what training owes to its callers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from nets import example, points, random_mlp

from kansweep.config.models import MLPConfig
from kansweep.config.solvers import LBFGSConfig
from kansweep.data.sampling import Sampled
from kansweep.data.targets import TARGETS
from kansweep.networks.mlp import ACTIVATIONS, MLP, Shape
from kansweep.solvers import lbfgs
from kansweep.solvers.contract import Checkpoint, Iteration, Outcome, Problem
from kansweep.solvers.lbfgs import LBFGS
from kansweep.solvers.reasons import StopReason
from kansweep.sweep.samples import sample

SHAPE = Shape((2, 6, 6, 1), "tanh")


def method(steps: int = 50, restarts: int = 1) -> LBFGS:
    return LBFGS(LBFGSConfig(steps=steps), MLPConfig(restarts=restarts))


def trained(problem: Problem, solver: LBFGS, shape: Shape = SHAPE) -> Outcome[MLP]:
    return solver.solve(solver.start(shape, problem), problem)


def rmse(net: MLP, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (net(x) - y).square().mean((1, 2)).sqrt()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("width", [(2, 1), (2, 5, 3), (2, 5, 4, 1)])
def test_loss_and_gradient_are_those_of_autograd(width, activation):
    net, x = random_mlp(width, activation), points(2, 20, 2)
    problem = Problem(x, points(2, 20, width[-1], seed=7), (-1.0, 1.0), (0, 1))
    theta = net.theta().requires_grad_()
    expected = (net.with_theta(theta)(x) - problem.y).square().mean((1, 2))
    (autograd,) = torch.autograd.grad(expected.sum(), theta)
    loss, gradient = lbfgs.loss_and_gradient(net, problem)
    np.testing.assert_allclose(loss, expected.detach(), rtol=1e-13)
    np.testing.assert_allclose(2 * gradient, autograd, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("width", [(2, 5, 1), (2, 5, 4, 3)])
def test_the_gradients_norm_is_the_largest_cosine_with_a_column_of_the_jacobian(width):
    net, x = random_mlp(width, replicas=1), points(1, 20, 2)
    problem = Problem(x, points(1, 20, width[-1], seed=7), (-1.0, 1.0), (0,))
    jacobian = torch.autograd.functional.jacobian(
        lambda theta: net.with_theta(theta)(x).flatten(), net.theta()
    )[:, 0]  # (n M, P)
    residual = (net(x) - problem.y).flatten()
    cosines = (jacobian.mT @ residual).abs() / (jacobian.norm(dim=0) * residual.norm())
    norm = lbfgs.grad_norm(net, problem)
    np.testing.assert_allclose(norm, cosines.max()[None], rtol=1e-10)


@pytest.mark.parametrize(("activation", "variance"), [("tanh", 2 / 500), ("silu", 2 / 300)])
def test_starts_have_glorots_or_hes_variance(activation, variance):
    problem = example(50, (0, 1))
    wide = Shape((2, 300, 200, 1), activation)
    weight = method().start(wide, problem).weights[1]
    assert weight.var().item() == pytest.approx(variance, rel=0.02)


def test_a_start_knows_neither_the_seeds_beside_it_nor_the_number_of_restarts():
    together = method(restarts=1).start(SHAPE, example(40, (0, 1)))
    alone = method(restarts=5).start(SHAPE, example(40, (1,)))
    assert torch.equal(together[1:].theta(), alone.theta())
    assert not torch.equal(together[:1].theta(), alone.theta())


def test_the_start_is_scaled_to_the_data():
    """Inputs on [2, 6] and outputs far from zero make the same start, folded."""
    problem = example(40, (0, 1))
    moved = replace(problem, x=4 + 2 * problem.x, y=50 - 3 * problem.y, domain=(2.0, 6.0))
    first, second = (method().start(SHAPE, p) for p in (problem, moved))
    expected = (first(problem.x) - problem.y.mean(1, True)) / problem.y.std(1, keepdim=True)
    found = (second(moved.x) - moved.y.mean(1, True)) / moved.y.std(1, keepdim=True)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_what_is_trained_maps_raw_inputs_to_raw_outputs():
    problem = example(60, (0,))
    moved = replace(problem, x=4 + 2 * problem.x, y=50 + 3 * problem.y, domain=(2.0, 6.0))
    for p, scale in ((problem, 1.0), (moved, 3.0)):
        outcome = trained(p, method(5))
        assert rmse(outcome.net, p.x, p.y).item() < 0.2 * scale


def test_seeds_in_a_batch_are_what_they_are_alone():
    """Bit for bit: what rounding changes, the iterations would magnify."""
    solver = method(3, restarts=2)
    together = trained(example(40, (0, 1)), solver)
    for r in range(2):
        alone = trained(example(40, (r,)), solver)
        assert torch.equal(together.net[r : r + 1].theta(), alone.net.theta())


def test_the_same_again_is_the_same_bit_for_bit():
    first, second = (trained(example(40, (0, 1)), method(3, restarts=2)) for _ in "ab")
    assert torch.equal(first.net.theta(), second.net.theta())
    assert torch.equal(first.grad_norm, second.grad_norm)


def test_more_restarts_never_raise_the_training_error():
    problem = example(60, (0, 1, 2))
    errors = [
        rmse(
            trained(problem, method(3, restarts=r)).net,
            problem.x,
            problem.y,
        )
        for r in (1, 2, 4)
    ]
    assert (errors[1] <= errors[0]).all()
    assert (errors[2] <= errors[1]).all()
    assert (errors[2] < errors[0]).any()


@pytest.mark.parametrize("poison", ["x", "y"])
def test_a_replica_that_diverges_is_an_outcome(poison):
    problem = example(30, (0, 1))
    values = getattr(problem, poison).clone()
    values[0, 0] = torch.nan
    outcome = trained(replace(problem, **{poison: values}), method(2, restarts=2))
    assert outcome.stop_reason == (StopReason.NON_FINITE, StopReason.STEP_LIMIT)
    assert torch.isfinite(outcome.net[1:].theta()).all()


def test_a_function_that_it_can_represent_is_found_and_training_ends():
    problem = example(50, (0, 1))
    line = replace(problem, y=3.0 + problem.x[..., :1] - 2.0 * problem.x[..., 1:])
    outcome = trained(line, method(200), Shape((2, 1), "tanh"))
    assert outcome.stop_reason == (StopReason.CONVERGED, StopReason.CONVERGED)
    assert max(outcome.steps) < 20
    assert (rmse(outcome.net, line.x, line.y) < 1e-12).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_constant_outputs_are_no_trouble(activation):
    problem = example(50, (0,))
    constant = replace(problem, y=torch.full_like(problem.y, 7.0))
    outcome = trained(constant, method(20), Shape((2, 4, 1), activation))
    assert rmse(outcome.net, constant.x, constant.y).item() < 1e-4


def test_every_step_is_told_and_the_last_of_the_best_restart_is_the_outcome():
    problem, told = example(40, (0, 1)), list[Iteration]()
    solver = method(3, restarts=2)
    outcome = solver.solve(solver.start(SHAPE, problem), problem, observe=told.append)
    assert [(it.replicas.item(), it.step) for it in told] == [
        (r, step) for r in range(2) for step in range(1, 7)
    ]
    assert outcome.steps == (6, 6)
    for r in range(2):
        ends = [it for it in told if it.replicas.item() == r][2::3]
        best = min(ends, key=lambda it: it.rmse.item())
        np.testing.assert_allclose(best.net().theta(), outcome.net[r : r + 1].theta())
        np.testing.assert_allclose(best.grad_norm, outcome.grad_norm[r : r + 1])
        x, y = problem.x[r : r + 1], problem.y[r : r + 1]
        np.testing.assert_allclose(rmse(best.net(), x, y), best.rmse, rtol=1e-9)


def test_an_outcome_is_stored_and_read_back():
    problem = example(40, (0,))
    outcome = trained(problem, method(1))
    assert outcome.memory.shape == (1, 0)
    again = Checkpoint.from_arrays(Checkpoint(outcome.net, outcome.memory).to_arrays(), MLP)
    assert torch.equal(again.net(problem.x), outcome.net(problem.x))


def test_single_precision_stays_single():
    problem = example(40, (0,))
    problem = replace(problem, x=problem.x.float(), y=problem.y.float())
    outcome = trained(problem, method(5))
    assert outcome.net.theta().dtype == torch.float32
    assert rmse(outcome.net, problem.x, problem.y).item() < 0.3


@pytest.mark.parametrize(
    ("target", "n_train", "shape", "restarts", "bound"),
    [
        ("exp_sin", 300, Shape((2, 10, 10, 1), "tanh"), 1, 1.2e-2),
        ("nested", 500, Shape((4, 12, 12, 1), "silu"), 3, 0.15),
    ],
)
def test_it_learns_the_targets(target, n_train, shape, restarts, bound):
    """Of fifteen starts all of the first and two thirds of the second are below the bound; which
    ones hangs on rounding, hence the median of three seeds."""
    data = sample(Sampled(TARGETS[target]), n_train, 1000, (0, 1, 2))
    problem = Problem(data.x_train, data.y_train, (-1.0, 1.0), (0, 1, 2))
    net = trained(problem, method(60, restarts=restarts), shape).net
    assert rmse(net, data.x_test, data.y_test).median().item() < bound
