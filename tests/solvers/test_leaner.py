"""Leaner networks: what is not needed is found, and finer grids go on with the rest."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from nets import normal, points, random_kan

from kansweep.networks.kan import KAN, Shape
from kansweep.solvers.contract import Iteration, Outcome, Problem
from kansweep.solvers.gauss_newton import leaner, spare
from kansweep.solvers.gauss_newton.lm import LM, WARM_DAMPING
from kansweep.solvers.gauss_newton.weights import Memory

GRID, FINER, WIDE = 20, 40, (2, 3, 1)
NEEDED = (
    torch.tensor([[False, False], [True, True], [False, False]]),
    torch.tensor([[False, True, False]]),
)


def problem(seeds=(0, 1)) -> Problem:
    """Of an outer function alone: a square and a line are splines."""
    x = points(2, 1000, 2)[list(seeds)]
    y = (2 * (x[..., :1].square() + x[..., 1:])).sin()
    return Problem(x, y, (-1.0, 1.0), seeds)


@pytest.fixture(scope="module")
def wide() -> Outcome[KAN]:
    """Of two replicas, three nodes in place of the one that is needed, all edges bent."""
    lm, of = LM(), problem()
    one = lm.solve(lm.start(Shape((2, 1, 1), 3, GRID, False), of), of)
    like = random_kan(WIDE, GRID)
    net = KAN.concatenated(
        [spare.within(one.net[r], like[r], NEEDED) for r in torch.arange(2).split(1)]
    )
    net = net.with_theta(net.theta() + 1e-4 * normal(*net.theta().shape))
    return lm._searched(net, of, None, None)


def rivals(net: KAN, of: Problem) -> list[Outcome[KAN]]:
    lm = LM()
    retrain = partial(lm._train, damping=WARM_DAMPING)
    weigh = partial(lm._solved, soften=False)
    return list(leaner.rivals(lm._searched, lm._descended, weigh, retrain, net, of, None))


def error(net: KAN, of: Problem) -> float:
    return ((net(of.x) - of.y) / of.spread[:, None]).square().mean().sqrt().item()


def test_nodes_that_are_not_needed_are_found(wide):
    at = torch.tensor([0])
    net, of = wide.net[at], problem((0,))
    assert spare.trained(net) is net
    lean, *copies = rivals(net, of)
    assert lean.net.width == WIDE
    assert not lean.net.is_pruned
    assert spare.trained(lean.net).width == (2, 1, 1)
    assert lean.net.grid_size == Memory.of(lean.memory).grid_size == GRID
    assert error(lean.net, of) < 1e-4
    # Three copies, whose grids interleave, are as good as a grid three times as fine.
    assert [spare.trained(copy.net).width for copy in copies] == [WIDE, WIDE]
    assert all(error(copy.net, of) < 0.05 * error(lean.net, of) for copy in copies)
    assert rivals(spare.trained(lean.net), of) == []  # the first is needed, and so are all


def test_finer_grids_go_on_with_what_is_needed(wide):
    of, lm = problem(), LM()
    parts = [rivals(wide.net[r], of[r])[0] for r in torch.arange(2).split(1)]
    net = KAN.concatenated([parts[0].net, wide.net[torch.tensor([1])]]).refined(FINER)
    last = Memory.of(torch.cat([parts[0].memory, wide.memory[1:]]))
    searched: list[tuple[int, ...]] = []
    told: list[int] = []

    def observe(now: Iteration) -> None:
        told.extend(now.replicas.tolist())

    def search(kan, part, before, observe):
        searched.append(part.seeds)
        return lm._searched(kan, part, before, observe)

    found = leaner.followed(search, lm._searched, net, of, last, observe)
    assert searched == [(1,)]
    assert [told.count(r) for r in (0, 1)] == list(found.steps)
    widths = [spare.trained(found.net[r]).width for r in torch.arange(2).split(1)]
    assert widths == [(2, 1, 1), WIDE]
    assert (Memory.of(found.memory).error < 5e-6).all()
    assert Memory.of(found.memory).grid_size.tolist() == [FINER, FINER]
    # Where errors do not fall, all edges are trained.
    small = replace(last, error=1e-3 * last.error)
    told.clear()
    found = leaner.followed(search, lm._searched, net, of, small, observe)
    assert searched[1:] == [(0, 1)]
    assert [told.count(r) for r in (0, 1)] == list(found.steps)  # of what is kept alone
    # Without what a grid has left there is nothing to go on with.
    leaner.followed(search, lm._searched, net, of, None, None)
    assert searched[2:] == [(0, 1)]
