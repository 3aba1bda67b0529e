"""Ends of hidden grids without points."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from nets import points, random_kan, uneven_kan
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.solvers.contract import Outcome, Problem
from kansweep.solvers.gauss_newton import ends
from kansweep.solvers.reasons import StopReason

K, G = 3, 40


def problem(net: KAN) -> Problem:
    x = points(net.n_replicas, 200, net.width[0])
    return Problem(x, net(x), (-1.0, 1.0), tuple(range(net.n_replicas)))


def reaching(net: KAN, margin: float, problem: Problem) -> KAN:
    """The same network with its hidden grids a margin wider than the values at the points."""
    layers, x = list(net.layers), problem.x
    for index in range(1, len(layers)):
        before = replace(net, layers=tuple(layers[:index]))
        s = before(x)
        low, high = s.amin(1), s.amax(1)
        wider = margin * (high - low)
        layers[index] = layers[index].on_range(low - wider, high + wider, net.k)
    return replace(net, layers=tuple(layers))


def wild(net: KAN, by: float) -> KAN:
    """The network with the last coefficients behind its hidden grids changed at both ends."""
    last = net.layers[-1]
    coef = last.coef.clone()
    coef[..., -2:] += by
    coef[..., :2] -= by
    return replace(net, layers=(*net.layers[:-1], replace(last, coef=coef)))


def same(one: KAN, other: KAN) -> bool:
    pairs = zip(one.layers, other.layers, strict=True)
    return all(torch.equal(a.coef, b.coef) for a, b in pairs)


@pytest.mark.parametrize("make", [random_kan, uneven_kan])
def test_nothing_changes_where_the_points_are_and_wild_ends_become_straight(make) -> None:
    net = make((2, 2, 1), grid_size=G, k=K)
    given = problem(net)
    net = wild(reaching(net, 0.2, given), 100.0)
    tamed = ends.straightened(net, given)
    torch.testing.assert_close(tamed(given.x), net(given.x), rtol=0, atol=1e-12)
    far = slice(0, 1), slice(0, 1), slice(0, 1), slice(-7, None)
    centres = tamed.layers[-1].greville(K)[0, 0, -7:]
    steps = tamed.layers[-1].coef[far].flatten().diff() / centres.diff()
    torch.testing.assert_close(steps[1:], steps[:-1], rtol=1e-6, atol=1e-9)
    assert float(tamed.layers[-1].coef.abs().max()) < 50.0


def test_training_ends_with_straight_ends_where_they_ran_wild() -> None:
    """Of outputs with noise, of which no more is said."""
    net = random_kan((2, 2, 1), grid_size=G, k=K)
    given = problem(net)
    noise = torch.randn(given.y.shape, generator=torch.Generator().manual_seed(0)).to(given.y)
    noisy = replace(given, y=given.y + given.spread[:, None] * noise)
    net, none = wild(reaching(net, 0.2, given), 100.0), torch.zeros(net.n_replicas)
    reasons = (StopReason.CONVERGED,) * net.n_replicas
    outcome = Outcome(net, (3,) * net.n_replicas, reasons, none, none[:, None])
    ended = ends.mended(outcome, noisy, None)
    assert same(ended.net, ends.straightened(net, noisy))
    assert not same(ended.net, net)
    assert ended.steps == outcome.steps


def test_ends_that_are_as_tame_as_the_rest_stay() -> None:
    net = random_kan((2, 3, 1), grid_size=G, k=K)
    given = problem(net)
    layers = [replace(layer, coef=_smooth(layer.coef)) for layer in net.layers]
    net = reaching(replace(net, layers=tuple(layers)), 0.1, given)
    assert same(ends.straightened(net, given), net)


def _smooth(coef: Tensor) -> Tensor:
    """Coefficients of half a wave."""
    return torch.sin(torch.linspace(0.0, 3.0, coef.shape[-1], dtype=coef.dtype)).expand_as(coef)


def test_a_network_without_hidden_layers_stays() -> None:
    net = random_kan((2, 1), grid_size=5, k=K)
    assert ends.straightened(net, problem(net)) is net


def test_a_network_of_nans_has_taken_no_step_more() -> None:
    before = random_kan((2, 2, 1), replicas=3)
    lost = torch.tensor([[0.0], [torch.nan], [0.0]])
    after = before.with_theta(before.theta() + torch.tensor([[1.0], [torch.nan], [0.0]]))
    before, seen = before.with_theta(before.theta() + lost), []
    reasons = (StopReason.CONVERGED,) * 3
    outcome = Outcome(after, (5, 5, 5), reasons, torch.zeros(3), torch.zeros(3, 0))
    told = ends._told(outcome, before, problem(random_kan((2, 2, 1), replicas=3)), seen.append)
    assert told.steps == (6, 5, 5)
    assert [one.replicas.tolist() for one in seen] == [[0]]
