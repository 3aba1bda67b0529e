"""Levenberg-Marquardt: where it ends, and how it begins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from cells import EXP_SIN_FLOOR
from machines import ON_GPU
from nets import example, random_kan
from trainings import EXAMPLE, additive, fresh_rmse, trained

from kansweep.config.solvers import LMConfig
from kansweep.data.sampling import Sampled
from kansweep.data.targets import TARGETS
from kansweep.networks.gauge import MARGIN
from kansweep.networks.kan import KAN, Shape, edges
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton import lm, penalty, race, systems, weights
from kansweep.solvers.gauss_newton.descent import Limits, descend
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.solvers.gauss_newton.objective import training_error
from kansweep.solvers.gauss_newton.reml import Weight
from kansweep.solvers.reasons import StopReason
from kansweep.sweep.samples import sample


def test_it_ends_where_the_gradient_vanishes_and_says_so():
    problem = example(300, (0, 1))
    net = LM().start(EXAMPLE, problem)
    weight = Weight.fixed(penalty.least(5, 3).expand(2, 2, 3))
    outcome = descend(net, problem, Limits(200, 1e-12), weight, 1e-3)
    assert outcome.stop_reason == (StopReason.CONVERGED, StopReason.CONVERGED)
    assert (outcome.grad_norm < 1e-6).all()


def test_no_step_raises_the_error_on_the_way():
    problem, seen = example(200, (3,)), []
    net = additive(problem)
    outcome = LM(LMConfig(penalty=1.0)).solve(net, problem, observe=seen.append)
    assert [now.step for now in seen] == list(range(1, outcome.steps[0] + 1))
    errors = [now.rmse.item() for now in seen]
    assert errors[-1] < errors[0]
    assert errors == sorted(errors, reverse=True)
    for now in seen:
        assert now.replicas.tolist() == [0]
        error = (now.net()(problem.x) - problem.y).square().mean().sqrt()
        assert now.rmse.item() == pytest.approx(error.item(), rel=1e-9)


def test_a_limit_on_steps_is_kept_and_told():
    problem = example(100, (0,))
    net = additive(problem)
    outcome = LM(LMConfig(max_steps=2)).solve(net, problem)
    assert (outcome.steps, outcome.stop_reason) == ((2,), (StopReason.STEP_LIMIT,))


def test_numbers_that_are_not_finite_are_an_outcome_of_that_replica_alone():
    problem = example(100, (0, 1))
    y = problem.y.clone()
    y[1, 0] = torch.nan
    net = random_kan((2, 1, 1), grid_size=5)
    outcome = LM().solve(net, Problem(problem.x, y, problem.domain, problem.seeds))
    assert outcome.stop_reason[1] == StopReason.NON_FINITE
    assert outcome.stop_reason[0] == StopReason.CONVERGED


def test_the_example_reaches_its_floor_at_every_grid_with_enough_data():
    nets = trained(example(3000, (0, 1, 2)), tuple(EXP_SIN_FLOOR))
    for (_, floor), net in zip(EXP_SIN_FLOOR.items(), nets, strict=True):
        assert fresh_rmse(net, (0, 1, 2)).median() < 1.25 * floor


def test_the_example_reaches_its_floor_on_a_regular_grid_of_points():
    data = sample(Sampled(TARGETS["exp_sin"], sampling="grid"), 41**2, 1, (0, 1))
    problem = Problem(data.x_train, data.y_train, (-1.0, 1.0), (0, 1))
    for grid_size, net in zip((5, 10, 20), trained(problem, (5, 10, 20)), strict=True):
        assert (fresh_rmse(net, (0, 1)) < 1.25 * EXP_SIN_FLOOR[grid_size]).all()


def test_the_law_goes_on_to_fine_grids():
    """20,000 points: RMSE falls by G^-4 to 4e-11, by conjugate gradients at last."""
    grids = (5, 10, 20, 50, 100, 200, 500)
    problem = example(20_000, (0,))
    nets = trained(problem, grids)
    assert not systems.is_direct(nets[-1].n_params, 20_000, edges=3)
    errors = np.array([fresh_rmse(net, (0,)).item() for net in nets])
    orders = -np.diff(np.log(errors)) / np.diff(np.log(grids))
    assert errors[-1] < 5e-11
    assert (np.abs(orders[2:] - 4) < 0.2).all()


@pytest.mark.parametrize("k", [1, 2, 4, 5])
def test_other_orders_give_their_own_law(k):
    problem = example(10_000, (0,))
    net, memory, errors = LM().start(Shape((2, 1, 1), k, 10, False), problem), None, []
    for grid_size in (10, 20, 40):
        outcome = LM().solve(net.refined(grid_size), problem, memory)
        net, memory = outcome.net, outcome.memory
        errors.append(fresh_rmse(net, (0,)).item())
    assert np.log2(errors[1] / errors[2]) == pytest.approx(k + 1, abs=0.2)


def test_a_base_function_only_adds_to_what_splines_can():
    """Splines nearly make up for it; damped much, a search ends before it has gone along that."""
    problem = example(300, (0, 1, 2))
    x1, x2 = problem.x.split(1, 2)
    problem = replace(problem, y=(4 + x1.sin() + x2.exp()) ** 2)
    without, with_it = (
        training_error(LM().solve(LM().start(shape, problem), problem).net, problem).sqrt()
        for shape in (Shape((2, 1, 1), 3, 6, base) for base in (False, True))
    )
    assert (with_it < 0.8 * without).all()


@pytest.mark.parametrize("base", [False, True])
def test_a_damping_that_is_given_is_the_first_of_a_descent(monkeypatch, base):
    """Others begin with little, and with a base function with no more than the misfit."""
    problem, seen = example(100, (0,)), []

    def noted(net, problem, limits, weight, damping, observe=None):
        seen.append(torch.as_tensor(damping, dtype=torch.float64).flatten()[0].item())
        return descend(net, problem, limits, weight, damping, observe)

    monkeypatch.setattr(lm, "descend", noted)
    net = LM().start(Shape((2, 1, 1), 3, 5, base), problem)
    error = training_error(net, problem).item()
    for given in (None, 1e-5):
        LM()._descended(net, problem, Weight.fixed(weights.unit(net, None)), None, given)
    assert error < lm.WARM_DAMPING
    assert seen[-2:] == pytest.approx([error if base else lm.WARM_DAMPING, 1e-5], rel=1e-12)


@pytest.mark.parametrize("k", [8, 10])
def test_orders_beyond_those_of_the_loops_are_trained_by_tensors(k):
    problem = example(300, (0,))
    net = LM().start(Shape((2, 1, 1), k, 3, False), problem)
    assert fresh_rmse(LM().solve(net, problem).net, (0,)) < 1e-4


@pytest.mark.parametrize("n_train", [100, 1000])
def test_every_cold_start_of_the_example_reaches_the_right_basin(n_train):
    problem = example(n_train, tuple(range(100)))
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
    first = trained(example(100, (0, 1)), (5, 10))
    race.remembered.cache_clear()
    second = trained(example(100, (0, 1)), (5, 10))
    assert all(torch.equal(a.theta(), b.theta()) for a, b in zip(first, second, strict=True))


def test_training_draws_from_no_global_generator():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    LM(LMConfig(start="random", restarts=2)).start(EXAMPLE, example(60, (0,)))
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
        return training_error(trained(problem, (5, 10), solver)[-1], problem).sqrt()

    assert (errors(LM()) < 1e-3).all()
    assert (errors(LM(LMConfig(start="additive"))) > 1e-2).any()


def test_a_seed_that_needs_random_starts_gets_its_own_whatever_the_batch():
    seeds = tuple(range(4))
    (together,) = trained(not_monotone(seeds), (5,))
    race.remembered.cache_clear()
    for r, seed in enumerate(seeds):
        (alone,) = trained(not_monotone((seed,)), (5,))
        x = not_monotone((seed,)).x
        np.testing.assert_allclose(together[r : r + 1](x), alone(x), atol=1e-6)


def test_a_product_is_learned_to_round_off_by_two_hidden_nodes():
    problem = example(300, (0, 1), "product")
    solver = LM()
    net = solver.start(Shape((2, 2, 1), 3, 5, False), problem)
    net = solver.solve(net.refined(20), problem).net
    assert (fresh_rmse(net, (0, 1), "product") < 1e-9).all()


def test_a_linear_model_needs_steps_only_for_its_weight():
    problem = example(500, (0,), "bessel")
    outcome = LM().solve(LM().start(Shape((1, 1), 3, 50, False), problem), problem)
    assert outcome.stop_reason == (StopReason.CONVERGED,)
    assert LM(LMConfig(penalty=1.0)).solve(outcome.net, problem).steps == (1,)
    # Least squares with the base branch, by other means: 9.6e-5 on this space.
    assert fresh_rmse(outcome.net, (0,), "bessel") < 1.1 * 9.6e-5


def test_a_deep_network_trains():
    problem = example(400, (0,), "nested")
    solver = LM(LMConfig(restarts=2, max_steps=15))
    net = solver.start(Shape((4, 4, 2, 1), 3, 3, False), problem)
    assert training_error(solver.solve(net, problem).net, problem).sqrt() < 0.2


def test_the_base_branch_is_trained_too():
    problem = example(1000, (0,))
    shape = Shape((2, 1, 1), 3, 5, True)
    net = LM().solve(LM().start(shape, problem), problem).net
    assert net.layers[0].base.abs().min() > 0
    assert fresh_rmse(net, (0,)) < EXP_SIN_FLOOR[5]


def test_single_precision_trains_to_its_own_round_off():
    data = sample(Sampled(TARGETS["exp_sin"]), 1000, 1000, (0,), dtype=torch.float32)
    problem = Problem(data.x_train, data.y_train, (-1, 1), (0,))
    net = trained(problem, (5, 10, 20, 50))[-1]
    error = (net(data.x_test) - data.y_test).square().mean().sqrt()
    assert net.layers[0].coef.dtype == torch.float32
    assert error < 2e-6


@ON_GPU
def test_a_gpu_gives_the_same_errors():
    problem = example(1000, (0, 1))
    there = Problem(problem.x.cuda(), problem.y.cuda(), problem.domain, problem.seeds)
    for here, cuda in zip(trained(problem, (5, 10)), trained(there, (5, 10)), strict=True):
        moved = KAN.from_arrays(cuda.to_arrays())
        np.testing.assert_allclose(fresh_rmse(moved, (0, 1)), fresh_rmse(here, (0, 1)), rtol=1e-6)


def test_hidden_values_of_a_trained_network_span_their_grid():
    """Its ends but for margins that are those where the last descent began."""
    problem = example(200, (0,))
    (net,) = trained(problem, (5,))
    s = edges(net.layers[0], problem.x, 3).sum(2)
    assert -1 <= s.min() <= -1 + 2 * MARGIN
    assert 1 >= s.max() >= 1 - 2 * MARGIN


def test_what_is_remembered_are_weights_the_error_and_the_grid():
    problem = example(300, (0, 1))
    net = LM().start(EXAMPLE, problem)
    outcome = LM(LMConfig(penalty=2.0)).solve(net, problem)
    weights, error, grid, beyond, _, kept = outcome.memory.split([6, 1, 1, 1, 1, 6], dim=1)
    assert torch.equal(kept, weights)
    assert (beyond == 2).all()
    np.testing.assert_allclose(weights.view(2, 2, 3), penalty.least(5, 3, 2.0).expand(2, 2, 3))
    expected = training_error(outcome.net, problem).sqrt()
    np.testing.assert_allclose(error[:, 0], expected, rtol=1e-12)
    assert (grid == 5).all()


def test_the_next_grid_begins_where_the_memory_says():
    problem, grown = example(300, (0,)), []
    outcome = LM().solve(LM().start(EXAMPLE, problem), problem)
    memory = outcome.memory.clone()
    for factor in (1.0, 1e6):
        seen, memory[:, :6] = [], outcome.memory[:, :6] * factor
        LM().solve(outcome.net.refined(10), problem, memory, seen.append)
        grown.append(seen[0].penalty.item())
    assert grown[1] > 1e3 * grown[0]
