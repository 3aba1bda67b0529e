"""Networks of several hidden layers that hang on single points, and others in their place.

Where the nodes of a layer make up for each other, a spline can follow the last points before a
corner at no cost to the rest, and what it does in the corner is multiplied layer by layer: one test
point of ten thousand was wrong by half of the outputs' range beside a training error of 1e-5. Such
a training point is followed only because it is there, which shows in its leave-one-out error; where
the corner is empty, the posterior shows it (``unseen``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kansweep.config.solvers import DIRECT_LIMIT
from kansweep.networks.kan import KAN, Shape
from kansweep.solvers.contract import Observe, Outcome, Problem
from kansweep.solvers.gauss_newton import leave_one_out, race, unseen, weights
from kansweep.solvers.gauss_newton.basins import BY_FAR
from kansweep.solvers.gauss_newton.reml import Weight
from kansweep.solvers.gauss_newton.replicas import among, replaced
from kansweep.solvers.gauss_newton.weights import Memory

HANGS = 10.0  # times the training error; where test errors are small, up to 7 have been seen
FIRM = 30.0, 1e3  # times the unit: weights that hold corners
ENOUGH = 16  # points a parameter: where there are more nothing has been seen to hang
MOST = 10_000_000_000  # points times parameters squared: some seconds
Search = Callable[[KAN, Problem, Memory | None, Observe | None], Outcome[KAN]]
Train = Callable[[KAN, Problem, Weight, Observe | None], Outcome[KAN]]
Start = Callable[[Shape, Problem], KAN]


def steadied(
    search: Search,
    train: Train,
    start: Start,
    net: KAN,
    problem: Problem,
    last: Memory | None,
    observe: Observe | None,
) -> Outcome[KAN]:
    """The outcome of a ``search`` from ``net``, of which replicas that hang on single points give
    way to what is found from a new ``start``, and if they hang still to what firmer weights
    ``train`` them to, where that may be wrong by far less."""
    outcome = search(net, problem, last, observe)
    if not _may_hang(net, problem):
        return outcome
    found = _Judged(outcome, _elsewhere(outcome, problem), problem)
    at = found.hanging.nonzero()[:, 0]
    # On the way to a race's last grid only, so that a chain pays for one more race or two.
    early = at if last is None else at[~(last.grid_size[at] >= race.GRIDS[-1][0])]
    if early.numel():
        fresh = start(race.shape_of(net), problem[early])
        found = found.rivalled(early, search(fresh, problem[early], None, among(observe, early)))
        at = found.hanging.nonzero()[:, 0]
    for firm in FIRM if at.numel() else ():
        hanging = outcome.net[at]
        weight = Weight.fixed(firm * weights.unit(hanging, None))
        found = found.rivalled(at, train(hanging, problem[at], weight, among(observe, at)))
    return found.outcome


def _may_hang(net: KAN, problem: Problem) -> bool:
    """Whether several hidden layers may hang on single points, and telling it is not too dear."""
    few = problem.n_points < ENOUGH * net.n_params
    rows = problem.y[0].numel()
    small = rows * net.n_params * min(rows, net.n_params) <= MOST and net.n_params <= DIRECT_LIMIT
    return len(net.layers) > 2 and not net.is_pruned and few and small


@dataclass(frozen=True)
class _Judged:
    """An outcome with what it may be wrong by beside its points, (R,)."""

    outcome: Outcome[KAN]
    error: Tensor
    problem: Problem

    @property
    def hanging(self) -> Tensor:
        return self.error > HANGS * Memory.of(self.outcome.memory).error

    def rivalled(self, at: Tensor, rival: Outcome[KAN]) -> _Judged:
        """With a rival's of the replicas ``at`` (r,) that is better by far."""
        theirs = _Judged(rival, _elsewhere(rival, self.problem[at]), self.problem[at])
        better = theirs.error < BY_FAR * self.error[at]
        error = self.error.index_copy(0, at, torch.where(better, theirs.error, self.error[at]))
        return _Judged(replaced(self.outcome, at, rival, better), error, self.problem)


def _elsewhere(outcome: Outcome[KAN], problem: Problem) -> Tensor:
    """What networks may be wrong by beside their points: the larger of leave-one-out RMSEs and of
    deviations where there are none, as shares of the outputs' spread, (R,)."""
    net, memory = outcome.net, outcome.memory
    squares = leave_one_out.errors(net, problem, Memory.of(memory).weight)
    left_out = (problem.mean(squares)[0] / problem.y.shape[2]).sqrt()
    return torch.maximum(left_out, unseen.deviations(net, problem, memory))
