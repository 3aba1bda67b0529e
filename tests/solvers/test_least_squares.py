"""Levenberg-Marquardt for any network: its systems, its ridge, and what it owes to its callers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from nets import example, normal, points, random_mlp
from scipy.optimize import minimize
from torch import Tensor

from kansweep.config.models import MLPConfig
from kansweep.config.solvers import LMConfig
from kansweep.data.sampling import Sampled
from kansweep.data.targets import TARGETS
from kansweep.networks.mlp import MLP, Shape
from kansweep.solvers.contract import Checkpoint, Iteration, Outcome, Problem
from kansweep.solvers.least_squares import systems
from kansweep.solvers.least_squares.descent import State, iterate
from kansweep.solvers.least_squares.evidence import estimated
from kansweep.solvers.least_squares.lm import LevenbergMarquardt
from kansweep.solvers.least_squares.systems import Dual, Factor, Primal, System, effective
from kansweep.solvers.reasons import StopReason
from kansweep.solvers.scales import Scales
from kansweep.sweep.samples import sample

SHAPE = Shape((2, 6, 6, 1), "tanh")
LINE = Shape((2, 1), "tanh")


def method(
    steps: int = 50, restarts: int = 0, finalists: int = 1, **more: Any
) -> LevenbergMarquardt:
    settings = LMConfig(max_steps=steps, restarts=restarts, **more)
    return LevenbergMarquardt(settings, MLPConfig(restarts=finalists))


def trained(problem: Problem, solver: LevenbergMarquardt, shape: Shape = SHAPE) -> Outcome[MLP]:
    return solver.solve(solver.start(shape, problem), problem)


def rmse(net: MLP, x: Tensor, y: Tensor) -> Tensor:
    return (net(x) - y).square().mean((1, 2)).sqrt()


# ------------------------------------------------------------------------------------- systems


def dense(width: tuple[int, ...], n: int) -> tuple[MLP, Tensor, Tensor, Tensor]:
    """Two networks, their points, residuals and Jacobians (R, n M, P)."""
    net, x = random_mlp(width), points(2, n, width[0])
    residual = net(x) - normal(2, n, width[-1], seed=4)
    jacobian = torch.stack(
        [
            torch.autograd.functional.jacobian(
                lambda theta, r=r: net[r : r + 1].with_theta(theta)(x[r : r + 1]).flatten(),
                net[r : r + 1].theta(),
            )[:, 0]
            for r in range(2)
        ]
    )
    return net, x, residual, jacobian


@pytest.mark.parametrize(("form", "n"), [(Primal, 40), (Primal, 5), (Dual, 40), (Dual, 5)])
def test_steps_and_bends_are_those_of_the_dense_least_squares_problem(
    monkeypatch: pytest.MonkeyPatch, form: type[Primal] | type[Dual], n: int
) -> None:
    """More residuals than parameters or fewer, in one block or several, a replica or all."""
    net, x, residual, jacobian = dense((2, 3, 2), n)
    theta, curvature = net.theta(), normal(2, n, 2, seed=5)
    ridge, damping = torch.tensor([0.3, 2.0]).double(), torch.tensor([0.5, 0.1]).double()
    for most in (50, 10**6):
        monkeypatch.setattr(systems, "BLOCK", most)
        monkeypatch.setattr(systems, "WIDE", most)
        every: System = form.of(net.linearised(x), residual, theta)
        for index in ([0, 1], [1]):
            rows = torch.tensor(index)
            linear = every[rows]
            factor = Factor.of(linear.matrix, (ridge + damping)[rows])
            step = linear.step(factor, theta[rows], ridge[rows], damping[rows])
            bend = linear.bend(factor, curvature[rows])
            for i, r in enumerate(index):
                j, raised = jacobian[r], ridge[r] + damping[r]
                matrix = j.mT @ j + raised * torch.eye(j.shape[1])
                expected = -(j.mT @ residual[r].flatten() + ridge[r] * theta[r])
                torch.testing.assert_close(step[i], torch.linalg.solve(matrix, expected))
                expected = -(j.mT @ curvature[r].flatten())
                torch.testing.assert_close(bend[i], torch.linalg.solve(matrix, expected))
        torch.testing.assert_close(
            every.gradient, (jacobian.mT @ residual.flatten(1)[..., None])[..., 0]
        )
        torch.testing.assert_close(every.diagonal, jacobian.square().sum(1))


@pytest.mark.parametrize("n", [5, 40])
def test_effective_parameters_are_those_of_the_eigenvalues(n):
    net, x, residual, jacobian = dense((2, 3, 2), n)
    values = torch.linalg.svdvals(jacobian).square()
    ridge = torch.tensor([0.3, 2.0]).double()
    expected = (values / (values + ridge[:, None])).sum(1)
    for form in (Primal, Dual):
        linear = form.of(net.linearised(x), residual, net.theta())
        torch.testing.assert_close(effective(linear, ridge), expected)


def test_a_matrix_without_a_factor_is_a_value():
    matrix = torch.diag_embed(torch.tensor([[1.0, -1.0], [1.0, 2.0]], dtype=torch.float64))
    factor = Factor.of(matrix, torch.zeros(2, dtype=torch.float64))
    solved = factor.solve(torch.ones(2, 2, dtype=torch.float64))
    assert solved[0].isnan().all()
    torch.testing.assert_close(solved[1], torch.tensor([1.0, 0.5], dtype=torch.float64))
    assert factor.trace_of_inverse()[0].isnan()


# ------------------------------------------------------------------------------------- evidence


def noisy_line(n: int = 60, seeds: tuple[int, ...] = (0,)) -> Problem:
    problem = example(n, seeds)
    noise = 0.5 * normal(len(seeds), n, 1, seed=8)
    return replace(problem, y=0.4 * problem.x[..., :1] - 0.1 * problem.x[..., 1:] + noise)


def test_the_ridge_maximises_the_evidence_of_a_linear_model():
    """Against scipy on the log evidence itself (Bishop 2006, eq. 3.86)."""
    problem = noisy_line()
    x = np.column_stack([problem.x[0].numpy(), np.ones(60)])
    y = problem.y[0, :, 0].numpy()

    def minus_log_evidence(logs: Any) -> float:
        a, b = np.exp(logs)
        hessian = a * np.eye(3) + b * x.T @ x
        mean = b * np.linalg.solve(hessian, x.T @ y)
        energy = b * ((y - x @ mean) ** 2).sum() / 2 + a * (mean**2).sum() / 2
        return float(
            energy + np.linalg.slogdet(hessian)[1] / 2 - 3 * logs[0] / 2 - 60 * logs[1] / 2
        )

    best = minimize(minus_log_evidence, np.zeros(2), method="BFGS", tol=1e-9).x
    state = State.of(random_mlp((2, 1), replicas=1), problem, 1.0)
    for _ in range(30):
        state = iterate(state, problem, estimate=True)
    np.testing.assert_allclose(state.ridge.item(), np.exp(best[0] - best[1]), rtol=1e-3)


def test_a_ridge_that_cannot_be_estimated_stays_what_it_was():
    net, x = random_mlp((2, 3, 1)), points(2, 40, 2)
    linear = Primal.of(net.linearised(x), net(x), net.theta())
    broken = replace(linear, matrix=-linear.matrix)
    ridge = torch.tensor([1e-3, 2.0]).double()
    assert torch.equal(estimated(broken, ridge, ridge, ridge, 40), ridge)


# ------------------------------------------------------------------------------------- training


def test_a_fixed_penalty_is_a_ridge_on_the_scaled_problem():
    problem = noisy_line()
    outcome = trained(problem, method(penalty=0.1), LINE)
    y = (problem.y[0] - problem.y.mean()) / problem.y.std(correction=0)
    x = torch.cat([problem.x[0], torch.ones(60, 1)], dim=1).double()
    theta = torch.linalg.solve(x.mT @ x / 60 + 0.1 * torch.eye(3), x.mT @ y / 60)
    expected = problem.y.mean() + problem.y.std(correction=0) * x @ theta
    torch.testing.assert_close(outcome.net(problem.x)[0], expected, rtol=1e-8, atol=1e-8)
    assert outcome.grad_norm.item() < 1e-6


def test_seeds_in_a_batch_are_what_they_are_alone():
    """Bit for bit: what rounding changes, the iterations would magnify."""
    solver = method(15, restarts=3, finalists=2)
    together = trained(example(40, (0, 1)), solver)
    for r in range(2):
        alone = trained(example(40, (r,)), solver)
        assert torch.equal(together.net[r : r + 1].theta(), alone.net.theta())
        assert torch.equal(together.memory[r : r + 1], alone.memory)


def test_the_same_again_is_the_same_bit_for_bit():
    first, second = (trained(example(40, (0, 1)), method(10, restarts=2)) for _ in "ab")
    assert torch.equal(first.net.theta(), second.net.theta())
    assert torch.equal(first.grad_norm, second.grad_norm)


def test_what_is_trained_maps_raw_inputs_to_raw_outputs():
    problem = example(60, (0,))
    moved = replace(problem, x=4 + 2 * problem.x, y=50 + 3 * problem.y, domain=(2.0, 6.0))
    for p, scale in ((problem, 1.0), (moved, 3.0)):
        outcome = trained(p, method(15))
        assert rmse(outcome.net, p.x, p.y).item() < 0.2 * scale


def test_a_race_and_more_finalists_find_what_one_start_does_not():
    """The median of three seeds."""
    seeds = tuple(range(3))
    data = sample(Sampled(TARGETS["exp_sin"]), 200, 500, seeds)
    problem = Problem(data.x_train, data.y_train, (-1.0, 1.0), seeds)
    errors = [
        rmse(trained(problem, solver).net, data.x_test, data.y_test)
        for solver in (method(40), method(40, restarts=6, finalists=3))
    ]
    assert errors[1].median().item() < 0.5 * errors[0].median().item()


def test_noise_is_not_learned():
    """Fifty inputs with nothing behind them: the mean is left, whatever the network could do."""
    x, y = points(2, 200, 50), normal(2, 200, 1, seed=9)
    problem = Problem(x, y, (-1.0, 1.0), (0, 1))
    for width in (3, 10):  # fewer parameters than points, and more
        outcome = trained(problem, method(60), Shape((50, width, 1), "tanh"))
        torch.testing.assert_close(outcome.net(x), y.mean(1, keepdim=True).expand_as(y))
        assert outcome.memory.isnan().all()
        assert max(outcome.steps) < 60


def test_a_larger_size_goes_on_from_the_weights_and_the_ridge_of_the_last():
    problem = example(100, (0, 1))
    solver = method(30, restarts=4)
    first = trained(problem, solver)
    again = solver.solve(first.net, problem, first.memory)
    before, after = (rmse(one.net, problem.x, problem.y) for one in (first, again))
    assert (after < 1.01 * before).all()  # the ridge moves on, and some of the points change
    begun_anew = first.memory.clone()
    begun_anew[1] = torch.nan
    mixed = solver.solve(first.net, problem, begun_anew)
    assert torch.equal(mixed.net[:1].theta(), again.net[:1].theta())
    assert mixed.steps[1] > mixed.steps[0] - 20  # with a race


def test_going_on_under_a_given_penalty_never_raises_the_objective():
    problem, penalty = example(100, (0, 1)), 1e-6
    maps = Scales.of(problem)
    scaled = maps.scaled(problem)

    def objective(net):
        net = maps.unfolded(net)
        residual = net(scaled.x) - scaled.y
        return residual.square().mean((1, 2)) + penalty * net.theta().square().sum(1)

    solver = method(5, restarts=4, penalty=penalty)  # not yet at the least
    first = trained(problem, solver)
    again = solver.solve(first.net, problem, first.memory)
    assert (objective(again.net) < objective(first.net)).all()


@pytest.mark.parametrize("poison", ["x", "y"])
@pytest.mark.parametrize("penalty", [None, 1e-6])
def test_a_replica_that_diverges_is_an_outcome(poison, penalty):
    problem = example(30, (0, 1))
    values = getattr(problem, poison).clone()
    values[0, 0] = torch.nan
    outcome = trained(replace(problem, **{poison: values}), method(5, restarts=2, penalty=penalty))
    assert outcome.stop_reason[0] == StopReason.NON_FINITE
    assert torch.isfinite(outcome.net[1:].theta()).all()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_constant_outputs_are_no_trouble(activation):
    problem = example(50, (0,))
    constant = replace(problem, y=torch.full_like(problem.y, 7.0))
    outcome = trained(constant, method(20), Shape((2, 4, 1), activation))
    assert rmse(outcome.net, constant.x, constant.y).item() < 1e-4


def test_every_step_is_told_and_the_last_is_the_outcome():
    problem, told = example(300, (0, 1)), list[Iteration]()
    solver = method(8, restarts=2, finalists=2)
    outcome = solver.solve(solver.start(SHAPE, problem), problem, observe=told.append)
    for r in range(2):
        own = [it for it in told if it.replicas.item() == r]
        assert [it.step for it in own] == list(range(1, outcome.steps[r] + 1))
        last = own[-1]
        np.testing.assert_allclose(last.net().theta(), outcome.net[r : r + 1].theta())
        np.testing.assert_allclose(last.grad_norm, outcome.grad_norm[r : r + 1])
        x, y = problem.x[r : r + 1], problem.y[r : r + 1]
        np.testing.assert_allclose(rmse(last.net(), x, y), last.rmse, rtol=1e-9)


def test_an_outcome_is_stored_and_read_back():
    problem = example(40, (0,))
    outcome = trained(problem, method(3, penalty=1e-9))
    kept = Checkpoint(outcome.net, outcome.memory)
    again = Checkpoint.from_arrays(kept.to_arrays(), MLP)
    assert torch.equal(again.net(problem.x), outcome.net(problem.x))
    assert torch.equal(again.memory, outcome.memory)


def test_single_precision_stays_single():
    problem = example(100, (0,))
    problem = replace(problem, x=problem.x.float(), y=problem.y.float())
    outcome = trained(problem, method(15))
    assert outcome.net.theta().dtype == torch.float32
    assert rmse(outcome.net, problem.x, problem.y).item() < 0.3


@pytest.mark.parametrize(
    ("target", "shape", "bound"),
    [("exp_sin", SHAPE, 5e-3), ("bessel", Shape((1, 8, 8, 1), "tanh"), 2e-2)],
)
def test_it_learns_the_targets(target, shape, bound):
    """The median of three seeds."""
    data = sample(Sampled(TARGETS[target]), 300, 1000, (0, 1, 2))
    problem = Problem(data.x_train, data.y_train, (-1.0, 1.0), (0, 1, 2))
    net = trained(problem, method(40, restarts=2), shape).net
    assert rmse(net, data.x_test, data.y_test).median().item() < bound


def test_an_exact_fit_has_converged_and_not_stalled():
    problem = example(50, (0, 1))
    line = replace(problem, y=3.0 + problem.x[..., :1] - 2.0 * problem.x[..., 1:])
    for penalty in (None, 1e-30):
        outcome = trained(line, method(200, penalty=penalty), LINE)
        assert outcome.stop_reason == (StopReason.CONVERGED, StopReason.CONVERGED)
        assert (rmse(outcome.net, line.x, line.y) < 1e-12).all()


def test_as_many_starts_go_on_as_are_asked_for():
    assert (method(restarts=0, finalists=3).starts, method(restarts=4, finalists=3).starts) == (
        3,
        5,
    )
