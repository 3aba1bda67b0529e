"""The posterior of a trained KAN against dense matrices of NumPy, finite differences and theory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline

from kansweep.networks.kan import KAN, Shape
from kansweep.networks.points import points_of
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton import penalty
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.solvers.gauss_newton.posterior import posterior
from kansweep.solvers.gauss_newton.weights import Memory
from tests.nets import normal, points, random_kan

SIZE, K = 6, 3


def problem_of(function: str, noise: float, n: int = 120, counts: bool = False) -> Problem:
    x = points(1, n, 2)
    signal = {
        "curved": torch.sin(3 * x[..., :1]) + x[..., 1:] ** 2,
        "straight": x[..., :1] - 2 * x[..., 1:],
        "composed": torch.exp(torch.sin(3 * x[..., :1]) + x[..., 1:] ** 2),
    }[function]
    often = 1.0 + torch.arange(n)[None].double() % 3 if counts else None
    return Problem(x, signal + noise * normal(1, n, 1, seed=3), (-1.0, 1.0), (0,), often)


def trained(problem: Problem, width: tuple[int, ...]) -> tuple[KAN, torch.Tensor]:
    lm = LM()
    outcome = lm.solve(lm.start(Shape(width, K, SIZE, False), problem), problem)
    return outcome.net, outcome.memory


def design(net: KAN, x: np.ndarray) -> np.ndarray:
    """Splines of an additive model at points inside the grids, (n, I K)."""
    layer, parts = net.layers[0], []
    for i in range(x.shape[1]):
        lower, upper = float(layer.lower[0, i]), float(layer.upper[0, i])
        knots = lower + (upper - lower) * np.arange(-K, SIZE + K + 1) / SIZE
        parts.append(BSpline.design_matrix(x[:, i], knots, K).toarray())
    return np.concatenate(parts, 1)


@pytest.mark.parametrize("counts", [False, True])
def test_an_additive_models_posterior_is_that_of_dense_matrices(counts: bool) -> None:
    problem = problem_of("curved", 0.3, counts=counts)
    net, memory = trained(problem, (2, 1))
    known = posterior(net, problem, memory)
    w = Memory.of(memory).weight
    each = torch.eye(net.n_params).double()
    rows = penalty.strain(net[torch.zeros(net.n_params).long()], each).T.numpy()  # C
    n = problem.n_points
    often = np.ones(120) if problem.counts is None else problem.counts[0].numpy()
    b, y = design(net, problem.x[0].numpy()), problem.y[0, :, 0].numpy()
    data = b.T @ (often[:, None] * b)
    precision = data + n * rows.T @ (penalty.per_row(net, w)[0].numpy()[:, None] * rows)
    covariance = np.linalg.pinv(precision, rcond=1e-12)
    fresh = 0.9 * points(1, 50, 2, seed=9)[0]
    at = design(net, fresh.numpy())
    fitted = at @ covariance @ b.T @ (often * y)
    np.testing.assert_allclose(net(fresh[None])[0, :, 0], fitted, atol=1e-6)
    left = often * (y - b @ covariance @ b.T @ (often * y)) ** 2
    edf = np.trace(covariance @ data)
    noise = left.sum() / (n - edf)
    first, moved = 0, []
    for ranks, weight in zip(penalty.ranks(net), w.flatten().tolist(), strict=True):
        own = rows[first : first + ranks]  # of one weight
        first += ranks
        square = n * weight * own.T @ own
        freedom = max(ranks - np.trace(covariance @ square), 1.0)
        along = covariance @ square @ covariance @ b.T @ (often * y)
        moved.append(2 / freedom / noise * np.outer(along, along))
    expected = np.sqrt(np.einsum("ni,ij,nj->n", at, covariance + sum(moved), at))
    np.testing.assert_allclose(known.deviations(fresh)[:, 0], expected, rtol=1e-6)
    assert known.edf == pytest.approx(edf, rel=1e-6)


def test_a_line_and_a_mean_have_the_deviations_of_least_squares() -> None:
    fresh = 3 * points(1, 20, 2, seed=9)[0]  # beyond the data, too
    for function, columns in (("straight", 3), ("noise", 1)):
        problem = problem_of("straight", 1.0, n=60)
        if function == "noise":
            problem = Problem(problem.x, normal(1, 60, 1, seed=5), (-1.0, 1.0), (0,))
        net, memory = trained(problem, (2, 1, 1))
        assert bool(Memory.of(memory).simple.all())
        known = posterior(net, problem, memory)
        a, z = (np.column_stack([np.ones(len(x)), x])[:, :columns] for x in (problem.x[0], fresh))
        expected = np.sqrt(np.einsum("ni,ij,nj->n", z, np.linalg.inv(a.T @ a), z))
        np.testing.assert_allclose(known.deviations(fresh)[:, 0], expected, rtol=1e-8)
        assert known.edf == columns


@pytest.mark.parametrize("width", [(2, 1, 1), (2, 3, 2), (2, 2, 2, 1)])
def test_gradients_follow_the_hidden_grids(width: tuple[int, ...]) -> None:
    """Against central differences of the KAN whose hidden values are on their grids again."""
    problem = problem_of("composed", 0.1)
    y = problem.y.repeat(1, 1, width[-1])
    found = points_of(problem.x, y, k=3)
    margin = tuple(torch.full((1, nodes, 2), 0.1).double() for nodes in width[1:-1])
    hidden = found.hidden(random_kan(width, replicas=1), margin)
    settled = hidden.settled(hidden.last)
    net, step = settled.kan, normal(1, settled.theta.shape[1], seed=6)
    known = posterior(net, Problem(problem.x, y, (-1.0, 1.0), (0,)), _memory(net))
    moved = []
    for size in (1e-5, -1e-5):
        after = found.moved(settled, size * step, margin)
        moved.append(after.settled(after.last).kan)
    fresh = 1.2 * points(1, 30, 2, seed=9)
    change = (moved[0](fresh) - moved[1](fresh))[0] / 2e-5
    own = torch.ones(1, width[-1]) / Problem(problem.x, y, (0, 1), (0,)).spread
    expected = (known.gradients(fresh[0]) @ _scaled(net, step, own)[0]).mT / own
    torch.testing.assert_close(expected, change, rtol=2e-4, atol=2e-4)


def _memory(net: KAN) -> torch.Tensor:
    numbers = torch.full((1, 3 * len(net.layers) + 2), 1e-3).double()
    numbers[:, -2:] = torch.tensor([0.1, net.grid_size])
    return numbers


def _scaled(net: KAN, step: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """A step of a KAN's parameters for one whose outputs are multiplied."""
    layers = net.with_theta(step).layers
    last = layers[-1].coef * factor[:, :, None, None]
    return torch.cat([*(layer.coef.flatten(1) for layer in layers[:-1]), last.flatten(1)], 1)


def test_what_changes_nothing_is_held_and_does_not_count() -> None:
    problem = problem_of("composed", 0.3)
    net, memory = trained(problem, (2, 1, 1))
    known = posterior(net, problem, memory)
    assert 3 < known.edf < net.n_params - 4
    assert bool(torch.isfinite(known.root).all())
