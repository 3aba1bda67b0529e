"""Networks in which some edges are constant, and those of the others."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from nets import points, random_kan, uneven_kan

from kansweep.networks.kan import KAN
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton import leave_one_out, pruning, spare, unseen, weights
from kansweep.solvers.gauss_newton.leave_one_out import errors
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.solvers.gauss_newton.reml import Weight
from kansweep.solvers.gauss_newton.weights import Memory

WIDTH = (3, 3, 2, 1)
# Of the nodes the second of the first hidden layer and the first of the next are not needed, and of
# the others' edges one.
NEEDED = (
    torch.tensor([[1, 1, 0], [0, 0, 0], [0, 1, 1]]).bool(),
    torch.tensor([[0, 0, 0], [1, 0, 1]]).bool(),
    torch.tensor([[0, 1]]).bool(),
)


def whole(net: KAN) -> KAN:
    return replace(net, layers=tuple(replace(layer, kept=None) for layer in net.layers))


def pruned(make=random_kan, **options) -> KAN:
    return pruning._with_kept(make(WIDTH, replicas=1, **options), NEEDED)


@pytest.mark.parametrize(
    ("make", "base"), [(random_kan, False), (random_kan, True), (uneven_kan, False)]
)
def test_the_network_of_some_edges_is_the_same_function_and_comes_back(make, base):
    net, x = pruned(make, base=base), points(1, 50, 3)
    lean = spare.narrowed(net, NEEDED)
    assert lean.width == (3, 2, 1, 1)
    assert [layer.edges_kept.int().sum().item() for layer in lean.layers] == [4, 2, 1]
    torch.testing.assert_close(lean(x), net(x), rtol=0, atol=1e-13)
    back = spare.within(lean, whole(net), NEEDED)
    assert back.width == WIDTH
    assert not back.is_pruned
    torch.testing.assert_close(back(x), net(x), rtol=0, atol=1e-13)
    for edges, needed in zip(spare.varying(back), NEEDED, strict=True):
        assert torch.equal(edges, needed)
    again = spare.trained(back.refined(7))
    assert again.width == lean.width
    torch.testing.assert_close(again(x), lean.refined(7)(x), rtol=0, atol=1e-13)
    many = back
    for size in (7, 20, 33, 100):
        many = many.refined(size)
    assert spare.trained(many).width == lean.width


def test_nothing_is_marked_where_all_edges_of_the_nodes_left_are_there():
    every = (NEEDED[0].clone(), *NEEDED[1:])
    every[0][[0, 2]] = True
    lean = spare.narrowed(pruning._with_kept(random_kan(WIDTH, replicas=1), every), every)
    assert not lean.is_pruned


def test_what_has_no_constant_edge_was_pruned_or_is_all_constant_stays():
    net = random_kan(WIDTH, replicas=1)
    for same in (net, pruned(), net.with_theta(0 * net.theta()), random_kan((2, 1), replicas=1)):
        assert spare.trained(same) is same


def test_a_network_with_constant_edges_is_known_as_the_one_of_the_others():
    """Leave-one-out errors and the posterior's deviations; with the edges that serve nothing both
    would be others."""
    net, x = pruned(), points(1, 200, 3)
    noise = 1e-2 * torch.randn(200, 1, generator=torch.Generator().manual_seed(3)).double()
    problem = Problem(x, net(x) + noise, (-1.0, 1.0), (0,))
    firm = Weight.fixed(1e3 * weights.unit(net, None))
    outcome = LM()._descended(net, problem, firm, None)
    lean = spare.narrowed(outcome.net, NEEDED)
    back = spare.within(lean, whole(outcome.net), NEEDED)
    w = Memory.of(outcome.memory).weight
    expected = leave_one_out._errors(lean, problem, w, 1.0)[0]
    torch.testing.assert_close(errors(back, problem, w), expected)
    torch.testing.assert_close(errors(outcome.net, problem, w), expected, rtol=1e-6, atol=0)
    told = [unseen.deviations(one, problem, outcome.memory)[0] for one in (back, lean)]
    torch.testing.assert_close(*told)
