"""Starts from the sums along which outputs are smooth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from nets import normal, points
from torch import Tensor
from trainings import trained

from kansweep.networks.kan import Shape
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton import basins, smoothest
from kansweep.solvers.gauss_newton.start import blank


def test_a_line_is_smooth_and_noise_is_as_rough_as_its_variance() -> None:
    """However far apart the points are, and of which sum; of several outputs they add up."""
    s, noise = points(1, 20_000, 3)[0], normal(1, 20_000, 2, seed=1)[0]
    lines = torch.stack([2 * s[:, 1] - 1, noise[:, 0]], 1)
    along = smoothest.roughness(s, lines)
    assert along[0].item() == pytest.approx(along[2].item(), rel=0.1)
    assert smoothest.roughness(s[:, 1:2], lines[:, :1]).item() < 1e-25
    assert along[1].item() == pytest.approx(1.0, rel=0.05)
    both = smoothest.roughness(s[:, :1], 3 * noise).item()
    assert both == pytest.approx(9 * noise.var(0).sum().item(), rel=0.05)


def test_roughness_is_that_of_each_point_beside_its_neighbours() -> None:
    """By a linear fit to the neighbours' places; points at one place do no harm."""
    s, y = points(1, 40, 1)[0].round(decimals=1), points(1, 40, 1, seed=1)[0]
    order = np.argsort(s[:, 0].numpy())
    at, values = s[order, 0].numpy(), y[order, 0].numpy()
    squares = []
    for i in range(1, 39):
        share = 0.0 if at[i + 1] == at[i - 1] else np.interp(at[i], at[[i - 1, i + 1]], [1, 0])
        left = share * values[i - 1] + (1 - share) * values[i + 1] - values[i]
        squares.append(left**2 / (share**2 + (1 - share) ** 2 + 1))
    assert smoothest.roughness(s, y).item() == pytest.approx(np.mean(squares), rel=1e-12)


@pytest.mark.parametrize(
    ("n_inputs", "inner", "speed"),
    [(2, lambda x: x[..., 0] + x[..., 1] ** 3, 9), (4, lambda x: x.sum(-1), 4)],
)
def test_the_smoothest_sum_is_that_of_which_the_outputs_are_a_wave(n_inputs, inner, speed) -> None:
    """Which turns within the distance to the next points, and has no slope anywhere."""
    for seed in range(3):
        x = points(1, 300, n_inputs, seed=seed)[0]
        sums = inner(x)
        features = smoothest.polynomials(x).flatten(1)
        found = smoothest.smoothest(
            features, torch.cos(speed * sums)[:, None], np.random.default_rng(seed)
        )
        alike = np.corrcoef((features @ found[0]).numpy(), sums.numpy())[0, 1]
        assert abs(alike) > 0.99


def wave(x: Tensor) -> Tensor:
    return torch.cos(4 * x.sum(2, keepdim=True))


def test_every_other_sum_is_straight_and_all_are_of_unit_length() -> None:
    """Around straight ones; and each seed draws its own."""
    begun = torch.tensor([[1.0, 0, 0, -2, 0, 0], [0, 0, 0, 1, 0, 0]]).double()
    near = smoothest._around(begun, 10, 0.3, np.random.default_rng(0)).view(2, 10, 2, 3)
    bent = (near[..., 1:] != 0).any(3).any(2)
    assert bent[:, 1::2].all()
    assert not bent[:, ::2].any()
    assert torch.allclose(near.flatten(2).norm(dim=2), torch.ones(2, 10).double())


def test_they_are_found_and_trained_from_the_middle_of_the_points_on() -> None:
    """Where half of them stay each time, and at last the best; each seed draws its own. An input
    that is constant is as far from the middle everywhere."""
    x = points(1, 1800, 3).repeat(2, 1, 1) * torch.tensor([1.0, 5.0, 0.0]).double()
    counts = torch.arange(1.0, 1801).double().expand(2, -1)
    problem, seen = Problem(x, wave(x), (-1.0, 1.0), (0, 1), counts), []

    def fit(net, part):
        seen.append((net, part))
        return net

    assert smoothest.trained(Shape((3, 1, 1), 3, 6, False), problem, fit).n_replicas == 2
    assert [net.n_replicas for net, _ in seen] == [16, 8, 4]
    assert not torch.equal(seen[0][0][:8].theta(), seen[0][0][8:].theta())
    assert [len(part.x[0]) for _, part in seen] == [500, 1000, 1800]
    middle, width = (x[0].amax(0) + x[0].amin(0)) / 2, (x[0].amax(0) - x[0].amin(0))[:2]
    far = ((x[0] - middle)[:, :2] / width).abs().amax(1)
    for _, part in seen:
        own, true = (part.x[-1] - middle)[:, :2] / width, far.sort()[0]
        assert torch.equal(own.abs().amax(1), true[: len(own)])
        assert torch.equal(part.y, wave(part.x))
        assert part.counts is None


@pytest.mark.parametrize("spacing", ["uniform", "adaptive"])
def test_inner_functions_are_the_sums_wherever_their_grids_lie(spacing) -> None:
    """Exactly, where they are straight."""
    x = 3 + 2 * points(1, 300, 2)
    problem = Problem(x, torch.sin(4 * (x[..., :1] - x[..., 1:])), (0.0, 6.0), (0,))
    shape = Shape((2, 1, 1), 3, 6, False, spacing)
    found = smoothest.trained(shape, problem, lambda net, _: net)
    sums = replace(found, layers=found.layers[:1])(x)[0, :, 0]
    alike = np.corrcoef(sums.numpy(), (x[0, :, 0] - x[0, :, 1]).numpy())[0, 1]
    assert abs(alike) > 0.9999


def test_a_replica_begins_as_it_would_alone() -> None:
    x = points(3, 300, 2)
    problem = Problem(x, wave(x), (-1.0, 1.0), (0, 1, 2))
    shape = Shape((2, 1, 1), 3, 12, False)
    together = smoothest.trained(shape, problem, lambda net, _: net)
    smoothest._shapes.cache_clear()
    for r in torch.arange(3).split(1):
        alone = smoothest.trained(shape, problem[r], lambda net, _: net)
        assert torch.equal(alone.theta(), together[r].theta())


@pytest.mark.parametrize(
    ("n_inputs", "target"),
    [(2, lambda x: torch.sin(12 * x.square().sum(2, keepdim=True))), (4, wave)],
)
def test_waves_are_found_where_points_are_few(monkeypatch, n_inputs, target) -> None:
    """By the network that a sweep trains, in all seeds; in one at least by nothing else."""
    x, fresh = points(3, 300, n_inputs), points(1, 2000, n_inputs, seed=9).expand(3, -1, -1)
    problem = Problem(x, target(x), (-1.0, 1.0), (0, 1, 2))

    def error() -> Tensor:
        net = trained(problem, (12, 20))[-1]
        return (net(fresh) - target(fresh)).square().mean((1, 2)).sqrt()

    assert error().max() < 0.15
    monkeypatch.setattr(smoothest, "trained", lambda shape, problem, _: blank(shape, problem))
    assert error().max() > 0.3


@pytest.mark.parametrize("poor", [True, False])
def test_they_are_asked_for_where_errors_are_poor(monkeypatch, poor) -> None:
    """And once for the same points."""
    x, asked = points(2, 300, 2), []
    lines, waves = x.sum(2, keepdim=True).exp(), torch.sin(20 * x.sum(2, keepdim=True))
    problem = Problem(x, torch.stack([lines[0], waves[1]]), (-1.0, 1.0), (0, 1))
    searched = smoothest.smoothest
    monkeypatch.setattr(
        smoothest, "smoothest", lambda *given: asked.append(len(given[0])) or searched(*given)
    )
    if not poor:
        monkeypatch.setattr(basins, "poor", lambda net, problem, at: at[:0])
    smoothest._shapes.cache_clear()
    trained(problem, (6, 12))
    assert asked == [270] * poor
