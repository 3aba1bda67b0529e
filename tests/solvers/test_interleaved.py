"""Copies of nodes, and grids whose knots lie between each other's."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from nets import normal, points, random_kan, uneven_kan

from kansweep.networks.points import points_of
from kansweep.solvers.gauss_newton import interleaved, spare
from kansweep.solvers.gauss_newton.objective import hidden_margins, on_margins

WIDTH = (2, 4, 2, 1)
# The third and the first node of the first hidden layer are needed, and one of the next.
NEEDED = (
    torch.tensor([[1, 0], [0, 0], [1, 1], [0, 0]]).bool(),
    torch.tensor([[1, 0, 1, 0], [0, 0, 0, 0]]).bool(),
    torch.tensor([[1, 0]]).bool(),
)


@pytest.mark.parametrize(
    ("make", "base"), [(random_kan, False), (random_kan, True), (uneven_kan, False)]
)
def test_copies_change_nothing_and_are_alike(make, base):
    net, x = make(WIDTH, replicas=1, base=base), points(1, 100, 2)
    whole = spare.within(spare.narrowed(net, NEEDED), net, NEEDED)
    double = interleaved.doubled(whole, NEEDED)
    torch.testing.assert_close(double(x), whole(x), rtol=0, atol=1e-13)
    assert spare.trained(double).width == WIDTH
    first, second = interleaved.apart(double, x)
    # The second node is a copy of the first, the fourth of the third.
    apart = torch.tensor([[0.0, 1.0], [0.5, 0.5]]).double()
    assert torch.equal(first[0], apart[[0, 1, 0, 1]])
    assert torch.equal(second[0], apart)
    assert interleaved.copies(double, x).tolist() == [True]
    assert interleaved.copies(net, x).tolist() == [False]


def test_only_nodes_that_are_alike_are_moved_apart_and_a_mirrored_one_the_other_way():
    net, x = random_kan((2, 4, 1), replicas=2), points(2, 100, 2)
    assert [part.any().item() for part in interleaved.apart(net, x)] == [False]
    first = net.layers[0]
    coef = first.coef.clone()
    coef[1, 2], coef[1, 3] = 0.5 - 2 * coef[1, 0], coef[1, 0] + 1e-3 * normal(2, 7)
    (found,) = interleaved.apart(replace(net, layers=(replace(first, coef=coef), net.layers[1])), x)
    assert not found[0].any()
    third = 1 / 3
    expected = torch.tensor([[0, 1], [0, 0], [2 * third, third], [2 * third, third]]).double()
    torch.testing.assert_close(found[1], expected)


def test_grids_of_copies_interleave_and_the_function_stays():
    """Knots in the units of the first node's value: those of its copy lie in the middle."""
    net, x = random_kan((2, 2, 1), 40, replicas=1), points(1, 400, 2)
    needed = (torch.tensor([[True, True], [False, False]]), torch.tensor([[True, False]]))
    whole = spare.within(spare.narrowed(net, needed), net, needed)
    at = points_of(x, whole(x), k=whole.k)
    weight = torch.zeros(1, 2, 3).double()
    nothing = [torch.zeros(1, 2, 2).double()]
    margin = hidden_margins(whole, at, weight, nothing)
    settled = at.hidden(whole, margin)
    double = interleaved.doubled(settled.settled(settled.last).kan, needed)
    between = interleaved.apart(double, x)
    margin = hidden_margins(double, at, weight, between)
    moved = on_margins(double, at, margin, between)
    hidden = at.hidden(moved, margin)
    new = hidden.settled(hidden.last).kan
    stretched = at.hidden(double, margin)
    error = (new(x) - double(x)).abs().max()
    assert error < 0.1 * (stretched.settled(stretched.last).kan(x) - double(x)).abs().max()
    value, copy = replace(new, layers=new.layers[:1])(x)[0].T
    slope = (copy.max() - copy.min()) / (value.max() - value.min())
    knots = new.layers[1].knots(3)[0]
    own, others = knots[0], (knots[1] - copy.min()) / slope + value.min()
    shift = (others - own) / (own[1] - own[0])
    torch.testing.assert_close(shift, torch.full_like(shift, -0.5))


def test_a_constant_node_is_alike_to_none():
    x = torch.linspace(-1, 1, 50).double()
    values = torch.stack([x, 0 * x + 1, x**3, 0 * x, x], 1)
    expected = torch.tensor([[0, 1], [0, 0], [0, 0], [0, 0], [0.5, 0.5]]).double()
    assert torch.equal(interleaved._apart(values), expected)


def test_pruned_networks_stay_as_they_are():
    net, x = random_kan((2, 2, 1), replicas=1), points(1, 50, 2)
    first = net.layers[0]
    coef = first.coef.clone()
    coef[:, 1] = coef[:, 0]
    alike = replace(net, layers=(replace(first, coef=coef), net.layers[1]))
    assert interleaved.apart(alike, x)[0].any()
    kept = replace(net.layers[1], kept=torch.tensor([[[True, False]]]))
    assert not interleaved.apart(replace(alike, layers=(alike.layers[0], kept)), x)[0].any()
