"""Normalising hidden values: what it promises and what it must not change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from kans import points, random_kan

from kansweep import kan as kans
from kansweep.gauge import balanced, normalised


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("width", [(2, 1, 1), (3, 4, 2, 1)])
def test_hidden_values_span_the_grid_exactly(width, base):
    net, x = random_kan(width, base=base), points(2, 60, width[0])
    net = normalised(net, x)
    for layer in net.layers[:-1]:
        x = kans.edges(layer, x, net.k).sum(2)
        np.testing.assert_allclose(x.amin(1), -1.0, atol=1e-13)
        np.testing.assert_allclose(x.amax(1), 1.0, atol=1e-13)


def test_where_outer_splines_are_cubic_polynomials_the_function_is_unchanged():
    """A polynomial survives any change of range, so what is left is the affine part: exact."""
    net, x = random_kan((3, 2, 1), grid_size=1, base=True), points(2, 60, 3)
    last = net.layers[1]
    moved = replace(last, shift=last.shift + 0.3, scale=2 * last.scale)  # as after normalising
    net = replace(net, layers=(net.layers[0], moved))
    np.testing.assert_allclose(normalised(net, x)(x), net(x), atol=1e-11)


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
