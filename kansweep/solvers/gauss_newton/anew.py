"""Networks that lost their way, and others from new starts in their place."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from kansweep.networks.kan import KAN, Shape
from kansweep.solvers.contract import Observe, Outcome, Problem
from kansweep.solvers.gauss_newton import basins, race
from kansweep.solvers.gauss_newton.replicas import among, replaced
from kansweep.solvers.gauss_newton.weights import Memory

Start = Callable[[Shape, Problem], KAN]
Train = Callable[[KAN, Problem], KAN]
Search = Callable[[KAN, Problem, Memory | None, Observe | None], Outcome[KAN]]


def begun(
    outcome: Outcome[KAN],
    lost: Tensor,
    problem: Problem,
    start: Start,
    train: Train,
    search: Search,
    observe: Observe | None,
) -> Outcome[KAN]:
    """The outcome with what ``search`` makes of a new ``start`` of those of the replicas ``lost``
    (r,) whose errors are large and alike in neighbouring points, where that start, once ``train``
    has seen the same points, is better by far on others."""
    net = outcome.net
    poor = Memory.of(outcome.memory).error[lost] > basins.small(net)
    lost = lost[poor]
    if lost.numel():
        lost = lost[basins.structured(net[lost], problem[lost])]
    if lost.numel() == 0:
        return outcome
    whole = problem[lost]
    fresh = start(race.shape_of(net), whole)
    rival = train(fresh, basins.part(whole))
    better = basins.surpasses(rival, net[lost], basins.part(whole, rest=True)).nonzero()[:, 0]
    if better.numel() == 0:
        return outcome
    chosen = lost[better]
    again = search(fresh[better], problem[chosen], None, among(observe, chosen))
    return replaced(outcome, chosen, again)
