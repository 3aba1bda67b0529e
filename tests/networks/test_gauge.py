"""Normalising hidden values: what it promises and what it must not change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from nets import ABOVE, BELOW, mid_and_half, normalised, points, random_kan

from kansweep.networks import kan as kans
from kansweep.networks.gauge import balanced


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
