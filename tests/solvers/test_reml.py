"""The penalty's weight, as restricted likelihood finds it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from nets import example, normal, points
from scipy.optimize import minimize_scalar
from trainings import EXAMPLE, fresh_rmse, trained

from kansweep.config.solvers import LMConfig
from kansweep.networks.kan import Shape
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton import descent, penalty, projection, start
from kansweep.solvers.gauss_newton.descent import Limits, descend
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.solvers.gauss_newton.reml import Weight
from kansweep.solvers.gauss_newton.systems import Direct, Iterative

SPREAD = 1.40  # standard deviation of exp_sin over its domain


def excess(noise: float, n_train: int, solver: LM | None = None) -> float:
    """Error on the clean target at G = 100 over that at the best grid, medians of four seeds;
    noise in standard deviations of the target, on the training outputs only."""
    seeds = (0, 1, 2, 3)
    problem = example(n_train, seeds)
    draws = [np.random.default_rng([seed, 3]).standard_normal((n_train, 1)) for seed in seeds]
    noisy = replace(problem, y=problem.y + noise * SPREAD * torch.from_numpy(np.stack(draws)))
    nets = trained(noisy, (5, 10, 20, 50, 100), solver)
    errors = [fresh_rmse(net, seeds).median().item() for net in nets]
    return errors[-1] / min(errors)


@pytest.mark.parametrize(("noise", "n_train"), [(0.01, 100), (0.1, 300)])
def test_with_noise_a_grid_far_too_fine_is_as_good_as_the_best(noise, n_train):
    assert excess(noise, n_train) < 1.05


@pytest.mark.parametrize("n_train", [300, 1000])
def test_with_noise_a_penalty_that_is_given_fits_the_noise_and_reml_does_not(n_train):
    assert excess(0.01, n_train, LM(LMConfig(penalty=1.0))) > 2
    assert excess(0.01, n_train) < 1.05


@pytest.mark.parametrize("form", [Direct, Iterative])
def test_a_stiff_penalty_does_not_hold_what_it_leaves_free(form, monkeypatch):
    """At a huge weight the coefficients are the best polynomial of degree k + 1, from nothing."""
    monkeypatch.setattr(descent, "system", form)
    monkeypatch.setattr(projection, "system", form)
    x = points(1, 200, 1)
    y = torch.sin(4 * x) + 0.1 * normal(1, 200, 1, seed=2)
    problem = Problem(x, y, (-1, 1), (0,))
    net = start.blank(Shape((1, 1), 3, 20, False), problem)
    weight = Weight.fixed(torch.full((1, 1), 1e9).double())
    fitted = descend(net, problem, Limits(20, 1e-9), weight, 1e-3).net
    powers = np.polynomial.legendre.legvander(np.linspace(-1, 1, 23), 4)  # (K, 5)
    columns = [net.with_theta(torch.from_numpy(c)[None])(x).flatten() for c in powers.T]
    design = torch.stack(columns, dim=1).numpy()
    best = design @ np.linalg.lstsq(design, y.flatten().numpy(), rcond=None)[0]
    np.testing.assert_allclose(fitted(x).flatten(), best, atol=1e-4)


@pytest.mark.parametrize("noise", [0.3, 1e-2])
def test_a_weight_maximises_the_restricted_likelihood_of_a_linear_model(noise):
    """Of one spline: the likelihood written out densely and maximised by SciPy."""
    x, n, grid_size = points(1, 200, 1), 200, 15
    y = torch.sin(4 * x) + noise * normal(1, n, 1, seed=2)
    problem = Problem(x, y, (-1, 1), (0,))
    net = start.blank(Shape((1, 1), 3, grid_size, False), problem)
    unit = torch.tensor([[penalty.weight(grid_size, 3)]]).double()
    outcome = descend(
        net, problem, Limits(100, 1e-9), Weight.estimated(net, n, unit, 1e-6 * unit), 1e-3
    )
    columns = [net.with_theta(row[None])(x)[0, :, 0].numpy() for row in torch.eye(18).double()]
    design, rough = np.stack(columns, axis=1), np.diff(np.eye(18), 5, axis=0)
    target = (y / y.std(correction=0))[0, :, 0].numpy()

    def loss(log_w: float) -> float:
        w = np.exp(log_w)
        matrix = design.T @ design / n + w * rough.T @ rough
        theta = np.linalg.solve(matrix, design.T @ target / n)
        fit = np.mean((design @ theta - target) ** 2) + w * np.sum((rough @ theta) ** 2)
        return (n - 5) * np.log(fit) + np.linalg.slogdet(matrix)[1] - 13 * log_w

    best = minimize_scalar(loss, bounds=(np.log(1e-12), np.log(1e2)), method="bounded")
    ours = np.log(outcome.memory.item())
    assert ours == pytest.approx(best.x, abs=0.5)
    assert loss(ours) - best.fun < 0.1


def test_a_weight_that_is_given_stays():
    problem = example(100, (0,))
    outcome = LM(LMConfig(penalty=3.0)).solve(
        LM(LMConfig(penalty=3.0)).start(EXAMPLE, problem), problem
    )
    expected = 3.0 * penalty.weight(5, 3)
    seen = []
    LM(LMConfig(penalty=3.0)).solve(outcome.net, problem, observe=seen.append)
    assert {now.penalty.item() for now in seen} == {expected}


def test_weights_are_carried_to_the_next_grid():
    problem = example(300, (0,))
    outcome = LM().solve(LM().start(EXAMPLE, problem), problem)
    seen = []
    LM().solve(outcome.net.refined(10), problem, outcome.memory * 50, seen.append)
    fresh = []
    LM().solve(outcome.net.refined(10), problem, None, fresh.append)
    assert seen[0].penalty.item() > 10 * fresh[0].penalty.item()
