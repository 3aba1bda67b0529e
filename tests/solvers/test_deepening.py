"""Deep networks: layers inserted as identities, and grids that change without their functions."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from nets import example, points, random_kan

from kansweep.data.streams import Stream, generator
from kansweep.networks.kan import KAN, Shape
from kansweep.networks.points import points_of
from kansweep.networks.points.contract import Points
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton import deepening, race
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.solvers.gauss_newton.objective import on_margins, training_error


@pytest.mark.parametrize(
    ("width", "least"),
    [
        ((3, 2, 2, 3, 2, 1, 1), (3, 2, 3, 1, 1)),
        ((2, 3, 2, 2, 1, 1), (2, 3, 2, 2, 1, 1)),
        ((2, 1, 1, 1, 1, 1, 1), (2, 1, 1, 1, 1)),
        ((4, 5, 5, 4, 5, 2, 3), (4, 4, 5, 2, 3)),
        ((4, 2, 1, 1), (4, 2, 1, 1)),
    ],
)
def test_what_a_deep_network_begins_without(width, least):
    found = deepening.widths(width)
    assert found[0] == width
    assert found[-1] == least
    assert all(len(one) == len(other) + 1 for one, other in pairwise(found))


@pytest.mark.parametrize(
    "width",
    [(3, 2, 2, 3, 2, 1, 1), (2, 5, 2, 2, 2, 1, 1), (3, 4, 4, 4, 4, 4, 2), (2, 3, 3, 4, 4, 1, 2)],
)
def test_an_inserted_layer_changes_no_value(width):
    """On other domains and beyond the grids, too."""
    widths = deepening.widths(width)
    net, x = on_domain(random_kan(widths[-1], base=False)), 3 * points(2, 50, width[0])
    deep = net
    for each in widths[-2::-1]:
        deep = deepening.inserted(deep, on_domain(random_kan(each, base=False, seed=3)))
    assert deep.width == width
    torch.testing.assert_close(deep(x), net(x), rtol=1e-12, atol=1e-12)


def on_domain(net: KAN) -> KAN:
    """On inputs from 1 to 2.5."""
    first = net.layers[0]
    ends = torch.ones_like(first.lower), 2.5 * torch.ones_like(first.lower)
    return KAN((replace(first, lower=ends[0], upper=ends[1]), *net.layers[1:]), net.k)


@pytest.mark.parametrize(("margin", "most"), [(0.05, 1e-9), (0.15, 1e-9), (0.2, 5e-2)])
def test_grids_change_and_what_a_deep_network_says_does_not(margin, most):
    """Cubic edges on narrower grids exactly; beyond the old ends they went on as straight lines."""
    net = smooth((2, 2, 2, 2, 2, 2, 1))
    x = points(2, 200, 2)
    at = points_of(x, net(x), k=net.k)
    net = on_grids(at, net, 0.15)
    y = net(x)
    assert (on_grids(at, net, margin)(x) - y).abs().max() > 1e-2 or margin == 0.15
    kept = on_grids(at, on_margins(net, at, margins(net, margin), margins(net, 0.0)), margin)
    torch.testing.assert_close(kept(x), y, rtol=0, atol=most)


def test_splines_stretch_with_values_that_are_off_their_grids():
    net, x = smooth((2, 2, 2, 2, 2, 2, 1)), points(2, 200, 2)
    net = net.with_theta(9 * net.theta())
    at = points_of(x, net(x), k=net.k)
    torch.testing.assert_close(
        on_margins(net, at, margins(net, 0.1), margins(net, 0.0)).theta(), net.theta()
    )


def smooth(width: tuple[int, ...]) -> KAN:
    net = random_kan(width)
    draws = [race._smooth(net, generator(seed, Stream.START)) for seed in range(net.n_replicas)]
    return net.with_theta(torch.from_numpy(np.stack(draws)))


def margins(net: KAN, share: float) -> list[torch.Tensor]:
    many = net.n_replicas
    return [torch.full((many, nodes, 2), share).double() for nodes in net.width[1:-1]]


def on_grids(at: Points, net: KAN, share: float) -> KAN:
    """Hidden values put onto their grids with these margins, splines stretched."""
    hidden = at.hidden(net, margins(net, share))
    return hidden.settled(hidden.last).kan


def test_a_chain_of_six_layers_is_found():
    """exp(sin(3 (x^2 + y))): six layers from random starts of their own were lost, at 0.8."""
    x = example(300, (0,)).x
    problem = Problem(x, (3 * (x[..., :1] ** 2 + x[..., 1:])).sin().exp(), (-1, 1), (0,))
    coarse = LM().solve(LM().start(Shape((2, 1, 1, 1, 1, 1, 1), 3, 5, False), problem), problem)
    fine = LM().solve(coarse.net.refined(10), problem, coarse.memory)
    assert training_error(fine.net, problem).sqrt() < 1e-4


def test_what_is_found_depends_on_no_other_seed():
    x = example(150, (0, 1)).x
    both = Problem(x, (x[..., :1] * x[..., 1:]).exp(), (-1, 1), (0, 1))
    shape = Shape((2, 2, 2, 1, 1, 1, 1), 3, 3, False)
    found = race._race(shape, both, 2, 1.0, 0)
    alone = race._race(shape, both[torch.tensor([1])], 2, 1.0, 0)
    assert found.net.width == shape.width
    torch.testing.assert_close(found.net[1:](x[1:]), alone.net(x[1:]), rtol=0, atol=1e-5)
