"""A smoother prior for what the points leave open, where they bear it out.

The differences that the penalty is on say how a spline goes through gaps and to its ends: as a
polynomial of one degree less. Of smooth functions higher orders know more; of layers and kinks what
they know is wrong. The data tell, as Craven and Wahba (*Numerische Mathematik* 31, 1979) had it for
the order of smoothing splines. So where points are few, or too few at an end of a hidden grid, a
network is trained on with higher differences. What that leads to is kept where it is better by
leave-one-out errors and by less in doubt where there are no points (``unseen``). Finer grids go on
with it at once, as long as leave-one-out errors fall.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.solvers.contract import Observe, Outcome, Problem
from kansweep.solvers.gauss_newton import leave_one_out, penalty, simplest, strain, unseen, weights
from kansweep.solvers.gauss_newton.objective import training_error
from kansweep.solvers.gauss_newton.reml import CLEAN, MOST, Weight
from kansweep.solvers.gauss_newton.replicas import Held, among, joined, of, replaced
from kansweep.solvers.gauss_newton.weights import Memory

BEYOND = 4  # the degree: the order of higher differences
FEW = 2  # points a parameter, at most
MOST_WORK = 4_000_000_000  # points times parameters, times the fewer of both: some seconds
SURER = 0.9  # of the deviation where there are no points: how much less in doubt
PLACES = 400  # without points that are looked at
# Where points are many, a rival is worth its training only if the network is in doubt, where there
# are no points, by more than so much of what it is wrong by anyway.
OPEN = 0.7
FOLLOWS = 1.05  # of the training RMSE, at most, where points are too many to leave them out

FIRM = 1e4  # times the weights at which their energy is what it was: REML comes down more safely
UPDATES = 3  # of weights, which then are about right and change little
DAMPING = 1e-5  # little: the prior determines what the points do not
Train = Callable[[KAN, Problem, Weight, Observe | None, float], Outcome[KAN]]


def smoothed(
    search: simplest.Solve,
    train: Train,
    net: KAN,
    problem: Problem,
    last: Memory | None,
    observe: Observe | None,
) -> Outcome[KAN]:
    """The outcome of a ``search`` from ``net``, or, replica by replica, of what ``train`` makes of
    it with higher differences."""
    rest, parts = torch.arange(net.n_replicas, device=problem.x.device), []
    if last is not None and _few(net, problem):
        at = (last.beyond > net.beyond).nonzero()[:, 0]
        if at.numel():
            known, seen = last[at], Held(among(observe, at))
            found = _gone_on(train, net[at], known, problem[at], seen.observe)
            better = Memory.of(found.memory).left_out < known.left_out
            seen.tell(better)
            holds = better.nonzero()[:, 0]
            parts.append((at[holds], of(found, holds)))
            rest = rest[~torch.isin(rest, at[holds])]
    if rest.numel():
        before = None if last is None else last[rest]
        outcome = search(net[rest], problem[rest], before, among(observe, rest))
        parts.append((rest, _rivalled(outcome, train, problem[rest], among(observe, rest))))
    return joined(parts)


def _gone_on(
    train: Train, net: KAN, last: Memory, problem: Problem, observe: Observe | None
) -> Outcome[KAN]:
    """Trained with higher differences as the coarser grid was."""
    found = _trained(train, net, last.kept_on(net.grid_size, net.k), problem, observe)
    left = replace(Memory.of(found.memory), weight=last.carried(net.grid_size, net.k))
    return replace(found, memory=left.numbers)


def _rivalled(
    outcome: Outcome[KAN], train: Train, problem: Problem, observe: Observe | None
) -> Outcome[KAN]:
    """The outcome with those replicas trained on by higher differences that are better for it."""
    net, before = outcome.net, Memory.of(outcome.memory)
    at = (~before.simple & _undetermined(net, problem)).nonzero()[:, 0]
    if at.numel():
        error = _error(net[at], problem[at], before[at].weight)
        at, error = at[error < CLEAN], error[error < CLEAN]
    few, doubt = _few(net, problem), None
    if at.numel() and not few:
        doubt, misfit = unseen.deviations(net[at], problem[at], before[at].numbers, PLACES)
        doubtful = doubt > OPEN * misfit
        at, error, doubt = at[doubtful], error[doubtful], doubt[doubtful]
    if at.numel() == 0:
        return outcome
    net, part, before = net[at], problem[at], before[at]
    seen = Held(among(observe, at))
    found = _trained(train, net, _firm(net, before.weight), part, seen.observe)
    after = Memory.of(found.memory)
    better = after.left_out < (1.0 if few else FOLLOWS**2) * error
    which = better.nonzero()[:, 0]
    if which.numel():
        own, less = (
            unseen.deviations(one[which], part[which], left[which].numbers, PLACES)[0]
            if known is None
            else known[which]
            for one, left, known in ((net, before, doubt), (found.net, after, None))
        )
        better[which] = less < SURER * own
    seen.tell(better)
    found = replace(found, memory=replace(after, weight=before.weight).numbers)
    kept = better.nonzero()[:, 0]
    return replaced(outcome, at[kept], of(found, kept)) if kept.numel() else outcome


# ---------------------------------------------------------------------------- where, and how


def _serves(net: KAN, problem: Problem) -> bool:
    """Whether there is but one node behind the inputs, for several make up for each other, and
    what is left out, or not known, is not too dear to tell."""
    n, parameters = problem.x.shape[1], net.n_params
    cheap = n * parameters * min(n, parameters) <= MOST_WORK
    return net.width[1:] in ((1,), (1, 1)) and not net.is_pruned and cheap


def _few(net: KAN, problem: Problem) -> bool:
    return _serves(net, problem) and problem.n_points <= FEW * net.n_params


def _undetermined(net: KAN, problem: Problem) -> Tensor:
    """Whether points are few or an outermost interval of hidden values has less than k + 1 of them,
    which do not tell the polynomial there, (R,) of bool."""
    found = torch.full_like(problem.x[:, 0, 0], _few(net, problem)).bool()
    if _serves(net, problem) and len(net.layers) == 2 and problem.x.shape[1] > net.k:
        values = replace(net, layers=net.layers[:1])(problem.x)[..., 0]
        high, low = (sign * (sign * values).topk(net.k + 1)[0] for sign in (1, -1))
        reach = torch.maximum(high[:, 0] - high[:, -1], low[:, -1] - low[:, 0])
        found |= reach > (high[:, 0] - low[:, 0]) / net.grid_size
    return found


def _trained(
    train: Train, net: KAN, value: Tensor, problem: Problem, observe: Observe | None
) -> Outcome[KAN]:
    """With higher differences from weights (R, L, 3)."""
    rival = replace(net, beyond=BEYOND)
    least = weights.unit(rival, None) * min(1.0, rival.n_params / problem.n_points)
    weight = Weight.estimated(rival, problem.n_points, value, least)
    weight = replace(weight, left=weight.left.clamp(max=UPDATES))
    found = train(rival, problem, weight, observe, DAMPING)
    left = Memory.of(found.memory)
    left = replace(left, left_out=_error(found.net, problem, left.kept))
    return replace(found, net=replace(found.net, beyond=net.beyond), memory=left.numbers)


def _firm(net: KAN, w: Tensor) -> Tensor:
    """The weights with which higher differences begin, (R, L, 3)."""
    old, new = (
        strain.energy(kan, kan.theta())[..., penalty.ROUGH]
        for kan in (net, replace(net, beyond=BEYOND))
    )
    value = w.clone()
    value[..., penalty.ROUGH] *= FIRM * old / new.clamp(min=torch.finfo(new.dtype).tiny)
    return value.clamp(max=MOST)


def _error(net: KAN, problem: Problem, w: Tensor) -> Tensor:
    """Mean squared leave-one-out errors, of many points their training errors, (R,)."""
    if not _few(net, problem):
        return training_error(net, problem)
    return problem.mean(leave_one_out.errors(net, problem, w))[0] / problem.y.shape[2]
