"""Normalising hidden values: what it promises and what it must not change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from nets import ABOVE, BELOW, mid_and_half, normalised, points, random_kan, uneven_kan

from kansweep.networks import gauge
from kansweep.networks import kan as kans
from kansweep.networks.gauge import MARGIN, balanced, margins


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("width", [(2, 1, 1), (3, 4, 2, 1)])
def test_hidden_values_span_the_grid_exactly(width, base):
    net, x = random_kan(width, base=base), points(2, 60, width[0])
    net = normalised(net, x)
    for layer in net.layers[:-1]:
        x = kans.edges(layer, x, net.k).sum(2)
        total = 1 + BELOW + ABOVE
        np.testing.assert_allclose(x.amin(1), -1 + 2 * BELOW / total, atol=1e-13)
        np.testing.assert_allclose(x.amax(1), 1 - 2 * ABOVE / total, atol=1e-13)


def test_only_the_outer_splines_stretch_and_silu_sees_what_it_saw():
    """u = (s - mid) / half enters the splines as they are; written out for one hidden layer."""
    net, x = random_kan((3, 2, 1), base=True), points(2, 60, 3)
    s = kans.edges(net.layers[0], x, net.k).sum(2)
    mid, half = mid_and_half(s)
    u = (s - mid[:, None]) / half[:, None]
    splines = kans.edges(replace(net.layers[1], base=None), u, net.k).sum(2)
    expected = splines + torch.nn.functional.silu(s) @ net.layers[1].base.mT
    np.testing.assert_allclose(normalised(net, x)(x), expected, atol=1e-12)


def test_balancing_shares_a_nodes_constant_among_its_edges_and_changes_no_value():
    net, x = random_kan((3, 2)), points(2, 60, 3)
    layer = balanced(net.layers[0])
    np.testing.assert_allclose(replace(net, layers=(layer,))(x), net(x), atol=1e-13)
    constants = layer.coef.mean(3)
    np.testing.assert_allclose(constants, constants.mean(2, keepdim=True).expand(-1, -1, 3))


def test_normalising_twice_changes_nothing_more():
    x = points(2, 60, 2)
    once = normalised(random_kan((2, 2, 1), base=True), x)
    np.testing.assert_allclose(normalised(once, x)(x), once(x), atol=1e-11)


def test_a_hidden_value_that_is_constant_gives_numbers_not_exceptions():
    net = random_kan((2, 1, 1))
    flat = net.with_theta(torch.zeros_like(net.theta()))
    assert not normalised(flat, points(2, 10, 2))(points(2, 10, 2)).isinf().any()


@pytest.mark.parametrize("made", [random_kan, uneven_kan])
@pytest.mark.parametrize("n", [5, 30, 1000])
def test_margins_reach_as_far_as_values_can_go_on_the_domain_and_no_further(made, n):
    """Against the extremes of every edge by brute force; capped where few points see little."""
    net, x = made((3, 2, 1), grid_size=6, seed=4), points(2, n, 3)
    layer = net.layers[0]
    s = kans.edges(layer, x, net.k).sum(2)
    everywhere = torch.linspace(-1, 1, 6001, dtype=torch.float64)[None, :, None].expand(2, -1, 3)
    values = kans.edges(layer, everywhere, net.k)  # (R, q, I, O)
    span = s.amax(1) - s.amin(1)
    below = (s.amin(1) - values.amin(1).sum(1)) / span
    above = (values.amax(1).sum(1) - s.amax(1)) / span
    possible = torch.stack([below, above], dim=2)
    found = margins(layer, s, net.k)
    assert ((found >= 0) & (found <= MARGIN)).all()
    assert (found <= possible + 1e-12).all()
    np.testing.assert_allclose(found, possible.clamp(max=MARGIN), atol=0.02)
    assert (found < MARGIN).any() or n < 1000


def test_fresh_values_stay_within_a_grid_that_was_not_capped():
    net, x, fresh = random_kan((2, 1, 1), seed=4), points(2, 300, 2), points(2, 20_000, 2, seed=2)
    s, new = (kans.edges(net.layers[0], at, net.k).sum(2) for at in (x, fresh))
    margin = margins(net.layers[0], s, net.k)
    assert (margin < MARGIN).all()
    mid, half = gauge.mid_and_half(s, margin)
    u = (new - mid[:, None]) / half[:, None]
    assert u.abs().max() < 1.02  # extremes are looked for at four places of each interval
    assert u.abs().amax(1).min() > 0.9


def test_the_margins_of_a_constant_node_are_numbers():
    net = random_kan((2, 1, 1))
    layer = replace(net.layers[0], coef=torch.zeros_like(net.layers[0].coef))
    found = margins(layer, torch.zeros(2, 10, 1, dtype=torch.float64), 3)
    assert ((found >= 0) & (found <= MARGIN)).all()
