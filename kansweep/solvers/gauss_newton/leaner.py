"""Networks of more nodes and edges than their target needs, and leaner ones in their place.

Where points are plenty, nodes that the target does not need make up for what splines cannot follow.
Where they are few, the same freedom is spent beside the points: at 0.7 parameters a point a network
of 26 edges of which 7 were needed was wrong by two to eighteen times as much as those alone. So
what is trained is pruned on a coarse grid, which costs little and tells as much, and what is left
trained on the network's own. Where that may be wrong by less (``steady``) it is kept, written in
the shape of the network with constants for its other edges (``spare``), and finer grids go on with
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from kansweep.networks.kan import KAN
from kansweep.solvers.contract import Observe, Outcome, Problem
from kansweep.solvers.gauss_newton import basins, interleaved, pruning, race, spare, weights
from kansweep.solvers.gauss_newton.reml import Weight
from kansweep.solvers.gauss_newton.replicas import Held, among, joined
from kansweep.solvers.gauss_newton.weights import Memory

COARSE = race.GRIDS[-2][0]  # fine enough to tell what is needed
PATIENCE = 3  # refusals in a row after which what is left is needed, too
# Of the theory's order, by which the errors of what is kept are to fall, and how far they may stay
# behind, as on other points of the same grid.
ORDER, SLACK = 0.75, 1.5
Solve = Callable[[KAN, Problem, Memory | None, Observe | None], Outcome[KAN]]
Train = Callable[[KAN, Problem, Weight, Observe | None], Outcome[KAN]]


def rivals(
    solve: Solve,
    train: Train,
    weigh: Solve,
    retrain: pruning.Retrain,
    net: KAN,
    problem: Problem,
    observe: Observe | None,
) -> Iterator[Outcome[KAN]]:
    """Of a trained network of one replica what ``solve`` makes of the leaner one in it; and that
    with copies in place of the nodes that it does not need, ``train`` at the weights of data
    without noise, and from there at those of REML, ``weigh``; nothing if all edges are needed."""
    coarse = retrain(net.refined(COARSE), problem)
    pruned = pruning.lesser(coarse, problem, basins.small(coarse), retrain, PATIENCE)
    edges = tuple(layer.edges_kept[0] for layer in pruned.layers)
    if all(bool(part.all()) for part in edges):
        return
    begun = solve(spare.narrowed(pruned, edges), problem, None, observe)
    finer = begun.net.refined(net.grid_size)
    lean = solve(finer, problem, Memory.of(begun.memory), observe)
    whole = spare.within(lean.net, net, edges)
    yield replace(lean, net=whole, steps=(begun.steps[0] + lean.steps[0],))
    if lean.net.width == net.width:
        return
    double = interleaved.doubled(whole, edges)
    light = train(double, problem, Weight.fixed(weights.unit(double, None)), observe)
    yield light
    yield weigh(light.net, problem, Memory.of(lean.memory), observe)


def followed(
    search: Solve,
    solve: Solve,
    net: KAN,
    problem: Problem,
    last: Memory | None,
    observe: Observe | None,
) -> Outcome[KAN]:
    """What ``search`` makes of networks; of those that a leaner one was kept in on a coarser grid,
    what ``solve`` makes of that, as long as its errors fall."""
    if last is None or net.is_pruned:
        return search(net, problem, last, observe)
    every = torch.arange(net.n_replicas, device=problem.x.device)
    parts, rest = [], []
    for r in every.split(1):
        one = _lean(solve, net[r], problem[r], last[r], among(observe, r))
        if one is None:
            rest.append(r)
        else:
            parts.append((r, one))
    if rest:
        at = torch.cat(rest)
        parts.append((at, search(net[at], problem[at], last[at], among(observe, at))))
    return joined(parts)


def _lean(
    solve: Solve, net: KAN, problem: Problem, last: Memory, observe: Observe | None
) -> Outcome[KAN] | None:
    """What ``solve`` makes of the leaner network in one replica; None where there is none, or its
    error does not fall."""
    lean = spare.trained(net)
    if lean is net:
        return None
    seen = Held(observe)
    found = solve(lean, problem, last, seen.observe)
    finer = last.grid_size / net.grid_size
    most = SLACK * last.error * finer ** (ORDER * (net.k + 1))
    error = Memory.of(found.memory).error
    if not bool((error < most) | (error < basins.round_off(error))):
        return None
    seen.tell(torch.ones_like(error).bool())
    return replace(found, net=spare.within(found.net, net, spare.varying(net)))
