"""A smoother prior for what few points leave open, where the data bear it out.

The differences that the penalty is on say how a spline goes through gaps and to its ends: as a
polynomial of one degree less. Of smooth functions higher orders know more, of layers and kinks they
know what is not so; the data tell (Craven and Wahba, *Numerische Mathematik* 31, 1979, choose the
order of smoothing splines by cross-validation). So a network whose points are few is trained on
with higher differences, and what that leads to is kept where it is better by leave-one-out errors
and by less in doubt where there are no points (``unseen``). Finer grids go on with them at once, as
long as leave-one-out errors fall.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.solvers.contract import Observe, Outcome, Problem
from kansweep.solvers.gauss_newton import leave_one_out, penalty, simplest, strain, unseen, weights
from kansweep.solvers.gauss_newton.reml import Weight
from kansweep.solvers.gauss_newton.replicas import among, joined, of, replaced
from kansweep.solvers.gauss_newton.weights import Memory

BEYOND = 5  # the degree: differences of this order more
FEW = 2  # points a parameter
FIRM = 1e4  # times the weight at which their energy is what it was: REML comes down more safely
SURER = 0.9  # of the deviation
PLACES = 400
UPDATES = 2
CARRY = 1
Train = Callable[[KAN, Problem, Weight, Observe | None], Outcome[KAN]]


def solved(
    search: simplest.Solve,
    train: Train,
    net: KAN,
    problem: Problem,
    last: Memory | None,
    observe: Observe | None,
) -> Outcome[KAN]:
    """The outcome of a ``search`` from ``net``, or where points are few of what ``train`` makes of
    it with higher differences."""
    if not _few(net, problem):
        return search(net, problem, last, observe)
    rest, parts = torch.arange(net.n_replicas, device=problem.x.device), []
    if last is not None:
        at = (last.beyond > net.beyond).nonzero()[:, 0]
        if CARRY and at.numel():
            value = last[at].kept_on(net.grid_size, net.k)
            found = _trained(train, net[at], value, problem[at], among(observe, at))
            left = Memory.of(found.memory)
            falls = left.left_out < last.left_out[at]
            left = replace(left, weight=last[at].carried(net.grid_size, net.k))
            found = replace(found, memory=left.numbers)
            parts.append((at[falls], of(found, falls.nonzero()[:, 0])))
            rest = rest[~torch.isin(rest, at[falls])]
    if rest.numel():
        own = None if last is None else last[rest]
        outcome = search(net[rest], problem[rest], own, among(observe, rest))
        parts.append((rest, _rivalled(outcome, train, problem[rest], among(observe, rest))))
    return joined(parts)


def _few(net: KAN, problem: Problem) -> bool:
    one_node = net.width[1:] in ((1,), (1, 1))
    return problem.n_points <= FEW * net.n_params and one_node and not net.is_pruned


def _rivalled(
    outcome: Outcome[KAN], train: Train, problem: Problem, observe: Observe | None
) -> Outcome[KAN]:
    """The outcome with those replicas trained on by higher differences that are better for it."""
    net, before = outcome.net, Memory.of(outcome.memory)
    at = (~before.simple).nonzero()[:, 0]
    if at.numel():
        error = _left_out(net[at], problem[at], before[at].weight)
        at, error = at[error < simplest.CLEAN], error[error < simplest.CLEAN]
    if at.numel() == 0:
        return outcome
    net, part, before = net[at], problem[at], before[at]
    found = _trained(train, net, _equal(net, before.weight), part, among(observe, at))
    after = Memory.of(found.memory)
    better = after.left_out < error
    r = better.nonzero()[:, 0]
    if r.numel():
        doubt, theirs = (
            unseen.deviations(one[r], part[r], left[r].numbers, PLACES)
            for one, left in ((net, before), (found.net, after))
        )
        better[r] = theirs < SURER * doubt
    found = replace(found, memory=replace(after, weight=before.weight).numbers)
    return replaced(outcome, at, found, better)


def _trained(
    train: Train, net: KAN, value: Tensor, problem: Problem, observe: Observe | None
) -> Outcome[KAN]:
    """With higher differences from weights (R, L, 3)."""
    rival = replace(net, beyond=BEYOND)
    least = weights.unit(rival, None) * min(1.0, rival.n_params / problem.n_points)
    weight = Weight.estimated(rival, problem.n_points, value, least)
    weight = replace(weight, left=weight.left.clamp(max=UPDATES))
    outcome = train(rival, problem, weight, observe)
    left = Memory.of(outcome.memory)
    left = replace(left, left_out=_left_out(outcome.net, problem, left.kept))
    return replace(
        outcome, net=replace(outcome.net, beyond=net.beyond), memory=left.numbers
    )


def _equal(net: KAN, w: Tensor) -> Tensor:
    """Rough weights at which higher differences begin."""
    rival = replace(net, beyond=BEYOND)
    old, new = (strain.energy(kan, kan.theta())[..., penalty.ROUGH] for kan in (net, rival))
    value = w.clone()
    value[..., penalty.ROUGH] *= FIRM * old / new.clamp(min=torch.finfo(new.dtype).tiny)
    return value


def _left_out(net: KAN, problem: Problem, w: Tensor) -> Tensor:
    """Mean squared leave-one-out errors, (R,)."""
    squares = leave_one_out.errors(net, problem, w)
    return problem.mean(squares)[0] / problem.y.shape[2]
