"""Levenberg-Marquardt: what it minimises, where it ends, and how it begins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from kans import example, normal, points, random_kan

from kansweep.data import sample
from kansweep.gauge import mid_and_half, normalised
from kansweep.kan import KAN, edges
from kansweep.linalg import solve_damped
from kansweep.solvers import (
    CONVERGED,
    NON_FINITE,
    STEP_LIMIT,
    Problem,
    Shape,
    descent,
    penalty,
    start,
)
from kansweep.solvers.descent import Limits, descend, evaluate, normal_equations
from kansweep.solvers.lm import LM
from kansweep.targets import TARGETS

EXAMPLE = Shape((2, 1, 1), 3, 5, False)
# Test RMSE of the best splines of sin(pi x), y^2 and exp composed: what the grid allows.
FLOOR = {5: 6.62e-3, 10: 3.03e-4, 20: 1.72e-5, 50: 4.28e-7, 100: 2.66e-8}


def fresh_rmse(net: KAN, seeds: tuple[int, ...], target: str = "exp_sin") -> torch.Tensor:
    data = sample(TARGETS[target], 1, 10_000, seeds)
    return (net(data.x_test) - data.y_test).square().mean((1, 2)).sqrt()


def trained(problem: Problem, grid_sizes: tuple[int, ...], solver: LM | None = None) -> list[KAN]:
    solver = solver or LM()
    width = (problem.x.shape[2], 1, 1)
    net, nets = solver.start(Shape(width, 3, grid_sizes[0], False), problem), []
    for grid_size in grid_sizes:
        net = solver.solve(net.refined(grid_size), problem).kan
        nets.append(net)
    return nets


def residuals(net: KAN, x: torch.Tensor, y: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """All whose squares the objective sums, (R, rows): data, then penalties; written out here.

    Hidden values are normalised by their own range on x, which rescales their penalty as well.
    """
    u = raw = x
    parts = []
    for index, layer in enumerate(net.layers):
        out = edges(replace(layer, base=None), u, net.k).sum(2)
        if layer.base is not None:
            v = layer.shift[:, None] + layer.scale[:, None] * raw
            out = out + (v * torch.sigmoid(v)) @ layer.base.mT
        mid, half = mid_and_half(out)
        size = half if index + 1 < len(net.layers) else torch.ones_like(half)
        parts.append((layer.coef.diff(n=net.k + 2) / size[..., None, None]).flatten(1))
        raw, u = out, (out - mid[:, None]) / half[:, None]
    data = (raw - y).flatten(1) / x.shape[1] ** 0.5
    return torch.cat([data, *(w.sqrt()[:, None] * part for part in parts)], dim=1)


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("width", [(2, 1, 1), (3, 2, 2, 1), (2, 3, 2)])
def test_normal_equations_are_those_of_finite_differences(width, base):
    x, y = points(2, 30, width[0]), normal(2, 30, width[-1], seed=7)
    problem, w = Problem(x, y, (-1, 1), (0, 1)), torch.tensor([1e-1, 1e-3]).double()
    net = normalised(normalised(random_kan(width, base=base), x), x)
    matrix, gradient = normal_equations(evaluate(net, problem, w), w)
    theta, h, columns = net.theta(), 1e-6, []
    for p in range(theta.shape[1]):
        move = torch.zeros_like(theta)
        move[:, p] = h
        there, back = (residuals(net.with_theta(theta + d), x, y, w) for d in (move, -move))
        columns.append((there - back) / (2 * h))
    jacobian = torch.stack(columns, dim=2)  # (R, rows, P)
    here = residuals(net, x, y, w)[..., None]
    np.testing.assert_allclose(matrix, jacobian.mT @ jacobian, atol=1e-6)
    np.testing.assert_allclose(gradient[..., None], jacobian.mT @ here, atol=1e-6)


def test_a_solve_that_fails_is_a_rejected_step_and_no_convergence(monkeypatch):
    calls = []

    def failing_once(matrix, rhs, damping):
        calls.append(damping.item())
        x, failed = solve_damped(matrix, rhs, damping)
        return (x, failed) if len(calls) > 1 else (torch.zeros_like(x), ~failed)

    monkeypatch.setattr(descent, "solve_damped", failing_once)
    problem = example(100, (0,))
    net = start.additive(EXAMPLE, problem, torch.tensor([1e-8]).double())
    outcome = LM().solve(net, problem)
    assert calls[1] > calls[0]
    assert outcome.steps[0] > 2
    assert start.training_error(outcome.kan, problem).sqrt() < 1e-2


def test_it_ends_where_the_gradient_vanishes_and_says_so():
    problem = example(300, (0, 1))
    net = LM().start(EXAMPLE, problem)
    w = torch.full((2,), penalty.weight(5, 3)).double()
    outcome = descend(net, problem, Limits(200, 1e-12), w, 1e-3)
    assert outcome.stop_reason == (CONVERGED, CONVERGED)
    assert (outcome.grad_norm < 1e-6).all()


def test_no_step_raises_the_error_on_the_way():
    problem, errors = example(200, (3,)), []
    net = start.additive(EXAMPLE, problem, torch.tensor([penalty.weight(5, 3)]).double())

    def observe(step: int, net: KAN, replicas: torch.Tensor) -> None:
        assert replicas.tolist() == [0]
        errors.append(start.training_error(net, problem).item())

    outcome = LM().solve(net, problem, observe)
    assert len(errors) == outcome.steps[0]
    assert errors[-1] < errors[0]
    assert errors == sorted(errors, reverse=True)


def test_a_limit_on_steps_is_kept_and_told():
    problem = example(100, (0,))
    net = start.additive(EXAMPLE, problem, torch.tensor([1e-8]).double())
    outcome = LM(max_steps=2).solve(net, problem)
    assert (outcome.steps, outcome.stop_reason) == ((2,), (STEP_LIMIT,))


def test_numbers_that_are_not_finite_are_an_outcome_of_that_replica_alone():
    problem = example(100, (0, 1))
    y = problem.y.clone()
    y[1, 0] = torch.nan
    net = random_kan((2, 1, 1), grid_size=5)
    outcome = LM().solve(net, Problem(problem.x, y, problem.domain, problem.seeds))
    assert outcome.stop_reason[1] == NON_FINITE
    assert outcome.stop_reason[0] == CONVERGED


def test_the_example_reaches_its_floor_at_every_grid_with_enough_data():
    nets = trained(example(3000, (0, 1, 2)), tuple(FLOOR))
    for (_, floor), net in zip(FLOOR.items(), nets, strict=True):
        assert fresh_rmse(net, (0, 1, 2)).median() < 1.25 * floor


@pytest.mark.parametrize("n_train", [100, 1000])
def test_every_cold_start_of_the_example_reaches_the_right_basin(n_train):
    problem = example(n_train, tuple(range(20)))
    (net,) = trained(problem, (5,))
    assert ((net(problem.x) - problem.y).square().mean((1, 2)).sqrt() < 1e-2).all()


def test_alone_and_in_a_batch_agree():
    """To the tolerance that the arithmetic earns: conditioning grows with the grid."""
    seeds, grids = (0, 1, 2, 3), (5, 10, 20, 50)
    together = trained(example(300, seeds), grids)
    for r, seed in enumerate(seeds):
        alone = trained(example(300, (seed,)), grids)
        for net, one, tolerance in zip(together, alone, (1e-8, 1e-8, 1e-7, 1e-3), strict=True):
            error = fresh_rmse(net[r : r + 1], (seed,))
            np.testing.assert_allclose(fresh_rmse(one, (seed,)), error, rtol=tolerance)


def test_the_same_twice_is_the_same_to_the_last_bit():
    first, second = (trained(example(100, (0, 1)), (5, 10)) for _ in range(2))
    assert all(torch.equal(a.theta(), b.theta()) for a, b in zip(first, second, strict=True))


def test_training_draws_from_no_global_generator():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    LM(start_from="random", restarts=2).start(EXAMPLE, example(60, (0,)))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


def not_monotone(seeds: tuple[int, ...]) -> Problem:
    """cos(1.2 (sin 2x + y^2)): the additive start ends in a wrong basin for some seeds."""
    x = example(500, seeds).x
    y = torch.cos(1.2 * (torch.sin(2 * x[..., :1]) + x[..., 1:] ** 2))
    return Problem(x, y, (-1, 1), seeds)


def test_an_outer_function_that_is_not_monotone_is_found_by_the_random_starts():
    problem = not_monotone(tuple(range(6)))

    def errors(solver: LM) -> torch.Tensor:
        return start.training_error(trained(problem, (5, 10), solver)[-1], problem).sqrt()

    assert (errors(LM()) < 1e-3).all()
    assert (errors(LM(start_from="additive")) > 1e-2).any()


def test_a_seed_that_needs_random_starts_gets_its_own_whatever_the_batch():
    seeds = tuple(range(4))
    (together,) = trained(not_monotone(seeds), (5,))
    for r, seed in enumerate(seeds):
        (alone,) = trained(not_monotone((seed,)), (5,))
        x = not_monotone((seed,)).x
        np.testing.assert_allclose(together[r : r + 1](x), alone(x), atol=1e-6)


def test_a_product_is_learned_to_round_off_by_two_hidden_nodes():
    problem = example(300, (0, 1), "product")
    solver = LM()
    net = solver.start(Shape((2, 2, 1), 3, 5, False), problem)
    net = solver.solve(net.refined(20), problem).kan
    assert (fresh_rmse(net, (0, 1), "product") < 1e-9).all()


def test_a_linear_model_is_solved_in_one_step():
    problem = example(500, (0,), "bessel")
    outcome = LM().solve(LM().start(Shape((1, 1), 3, 50, False), problem), problem)
    assert outcome.steps == (1,)
    # Least squares with the base branch, by other means: 9.6e-5 on this space.
    assert fresh_rmse(outcome.kan, (0,), "bessel") < 1.1 * 9.6e-5


def test_a_deep_network_trains():
    problem = example(400, (0,), "nested")
    solver = LM(restarts=2, max_steps=15)
    net = solver.start(Shape((4, 4, 2, 1), 3, 3, False), problem)
    assert start.training_error(solver.solve(net, problem).kan, problem).sqrt() < 0.2


def test_the_base_branch_is_trained_too():
    problem = example(1000, (0,))
    shape = Shape((2, 1, 1), 3, 5, True)
    net = LM().solve(LM().start(shape, problem), problem).kan
    assert net.layers[0].base.abs().min() > 0
    assert fresh_rmse(net, (0,)) < FLOOR[5]


def test_single_precision_trains_to_its_own_round_off():
    data = sample(TARGETS["exp_sin"], 1000, 1000, (0,), dtype=torch.float32)
    problem = Problem(data.x_train, data.y_train, (-1, 1), (0,))
    net = trained(problem, (5, 10, 20, 50))[-1]
    error = (net(data.x_test) - data.y_test).square().mean().sqrt()
    assert net.layers[0].coef.dtype == torch.float32
    assert error < 2e-6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same_errors():
    problem = example(1000, (0, 1))
    there = Problem(problem.x.cuda(), problem.y.cuda(), problem.domain, problem.seeds)
    for here, cuda in zip(trained(problem, (5, 10)), trained(there, (5, 10)), strict=True):
        moved = KAN.from_arrays(cuda.to_arrays())
        np.testing.assert_allclose(fresh_rmse(moved, (0, 1)), fresh_rmse(here, (0, 1)), rtol=1e-6)


def test_hidden_values_of_a_trained_network_span_their_grid():
    problem = example(200, (0,))
    (net,) = trained(problem, (5,))
    assert torch.allclose(normalised(net, problem.x).theta(), net.theta(), atol=1e-9)
