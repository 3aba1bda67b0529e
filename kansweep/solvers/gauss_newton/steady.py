"""Networks of several hidden layers that hang on single points, and others in their place.

Where the nodes of a layer make up for each other, a spline can follow the last points before a
corner at no cost to the rest, and what it does in the corner is multiplied layer by layer: one test
point of ten thousand was wrong by half of the outputs' range beside a training error of 1e-5. Such
a training point is followed only because it is there, which shows in its leave-one-out error; where
the corner is empty, the posterior shows it (``unseen``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kansweep.config.solvers import DIRECT_LIMIT
from kansweep.networks.kan import KAN, Shape
from kansweep.solvers.contract import Observe, Outcome, Problem
from kansweep.solvers.gauss_newton import basins, interleaved, leave_one_out, race, unseen, weights
from kansweep.solvers.gauss_newton.basins import BY_FAR
from kansweep.solvers.gauss_newton.reml import Weight
from kansweep.solvers.gauss_newton.replicas import among, replaced
from kansweep.solvers.gauss_newton.weights import Memory

HANGS = 10.0  # times the training error; where test errors are small, up to 7 have been seen
# New starts for what hangs, more than one only where it may be wrong by more than the outputs vary.
STARTS, WILD = 4, 1.0
FINE = race.GRIDS[-2][0]  # a grid on which what is not needed is told
FIRM = 30.0, 1e3  # times the unit: weights that hold corners
APART = 1.5  # times the training error: what is wrong by less beside its points has enough of them
ENOUGH = 16  # points a parameter: where there are more nothing has been seen to hang
MOST = 10_000_000_000  # points times parameters squared: some seconds
Search = Callable[[KAN, Problem, Memory | None, Observe | None], Outcome[KAN]]
Train = Callable[[KAN, Problem, Weight, Observe | None], Outcome[KAN]]
Start = Callable[[Shape, Problem, int], KAN]  # by races from that of a number on
Thin = Callable[[KAN, Problem, Observe | None], Iterable[Outcome[KAN]]]


def steadied(
    search: Search,
    train: Train,
    start: Start,
    thin: Thin,
    net: KAN,
    problem: Problem,
    last: Memory | None,
    observe: Observe | None,
) -> Outcome[KAN]:
    """The outcome of a ``search`` from ``net``, of which replicas that hang on single points give
    way to what is found from a new ``start``, or several, and if they hang still to what firmer
    weights ``train`` them to, where that may be wrong by far less; and any to a network of fewer
    edges, ``thin``, where that may be wrong by less."""
    outcome = search(net, problem, last, observe)
    if not _can_tell(net, problem):
        return outcome
    found = _thinned(_Judged.of(outcome, problem), thin, last, observe).at_points()
    before = found.error
    # What a race was right about is found by its own draws again on a finer grid, first.
    first = race.RACES if last is None else 0
    for index in range(STARTS):
        at = found.early(last, index)
        if at.numel() == 0:
            break
        fresh = start(race.shape_of(net), problem[at], first + index * race.RACES)
        rival = search(fresh, problem[at], None, among(observe, at))
        found = found.with_better(at, _Judged.of(rival, problem[at]).at_points())
    at = found.hanging.nonzero()[:, 0]
    for firm in FIRM:
        if at.numel() == 0:
            break
        hanging = outcome.net[at]
        weight = Weight.fixed(firm * weights.unit(hanging, None))
        rival = train(hanging, problem[at], weight, among(observe, at))
        theirs = _Judged.of(rival, problem[at]).at_points()
        found = found.with_better(at, theirs)
        at = at[~(theirs.error > before[at])]  # what loses by it loses more by what is firmer
    return found.outcome


def _thinned(found: _Judged, thin: Thin, last: Memory | None, observe: Observe | None) -> _Judged:
    """With networks of fewer edges, or of these with copies, where they are expected to be wrong by
    less: of those in which a fine grid is at work, on the first of these and wherever networks are
    wrong beside their points."""
    outcome, error = found.outcome, Memory.of(found.outcome.memory).error
    if outcome.net.grid_size < FINE:
        return found
    first = torch.ones_like(error).bool() if last is None else ~(last.grid_size >= FINE)
    apart = found.expected > APART * error
    asked = (error < basins.small(outcome.net)) & (first | apart)
    for r in asked.nonzero():
        # What has points enough is left for what is better by far: it may gain on finer grids.
        most = found.expected[r] * (1.0 if bool(apart[r]) else BY_FAR)
        for rival in thin(outcome.net[r], found.problem[r], among(observe, r)):
            found = found.thinner(r, rival, most)
    return found


def _can_tell(net: KAN, problem: Problem) -> bool:
    """Whether networks of several nodes may be wrong beside their points, and telling it is not
    too dear."""
    few = problem.n_points < ENOUGH * net.n_params
    rows = problem.y[0].numel()
    small = rows * net.n_params * min(rows, net.n_params) <= MOST and net.n_params <= DIRECT_LIMIT
    several = len(net.layers) == 2 and net.width[1] > 1 and net.grid_size >= FINE
    return (len(net.layers) > 2 or several) and not net.is_pruned and few and small


@dataclass(frozen=True)
class _Judged:
    """An outcome, and what it may be wrong by beside its points in shares of the spread."""

    outcome: Outcome[KAN]
    problem: Problem
    error: Tensor  # (R,), deviation where there are no points; if more, leave-one-out RMSE
    expected: Tensor  # (R,), RMSE on fresh points by that deviation and the misfit's

    @classmethod
    def of(cls, outcome: Outcome[KAN], problem: Problem) -> _Judged:
        """By the posterior alone."""
        error, misfit = unseen.deviations(outcome.net, problem, outcome.memory)
        return cls(outcome, problem, error, (error.square() + misfit.square()).sqrt())

    def at_points(self) -> _Judged:
        """With leave-one-out errors, which where one layer is hidden are not asked: there nothing
        hangs."""
        net, problem = self.outcome.net, self.problem
        if len(net.layers) == 2:
            return self
        squares = leave_one_out.errors(net, problem, Memory.of(self.outcome.memory).weight)
        left_out = (problem.mean(squares)[0] / problem.y.shape[2]).sqrt()
        return replace(self, error=torch.maximum(left_out, self.error))

    @property
    def hanging(self) -> Tensor:
        deep = len(self.outcome.net.layers) > 2
        return deep & (self.error > HANGS * Memory.of(self.outcome.memory).error)

    def early(self, last: Memory | None, index: int) -> Tensor:
        """The replicas that hang and get the new start of an index; beyond the first wild ones."""
        at = self.hanging.nonzero()[:, 0]
        if last is not None:
            # On the way to a race's last grid only, so that a chain pays for a few races more.
            at = at[~(last.grid_size[at] >= race.GRIDS[-1][0])]
        if at.numel() == 0:
            return at
        wild = self.error[at] > WILD
        others = at[~wild]
        if index or others.numel() == 0:
            return at[wild]
        # With copies a training error is less than the grid's, and a race would not come to it.
        # Networks that are of no use have nothing to lose.
        copied = interleaved.copies(self.outcome.net[others], self.problem.x[others])
        return torch.cat([at[wild], others[~copied]]).sort()[0]

    def with_better(self, at: Tensor, other: _Judged) -> _Judged:
        """With another's of the replicas ``at`` (r,) that are better by far."""
        return self._with(at, other, other.error < BY_FAR * self.error[at])

    def thinner(self, at: Tensor, rival: Outcome[KAN], most: Tensor) -> _Judged:
        """With a rival's of the replicas ``at`` (r,) that is expected to be better, and wrong by
        less than ``most`` (r,)."""
        theirs = _Judged.of(rival, self.problem[at])
        return self._with(at, theirs, theirs.expected < torch.minimum(most, self.expected[at]))

    def _with(self, at: Tensor, other: _Judged, better: Tensor) -> _Judged:
        chosen = at[better]
        return replace(
            self,
            outcome=replaced(self.outcome, at, other.outcome, better),
            error=self.error.index_copy(0, chosen, other.error[better]),
            expected=self.expected.index_copy(0, chosen, other.expected[better]),
        )
