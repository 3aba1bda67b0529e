"""The simplest KANs that a KAN contains, kept where the data give no reason for more.

Its first edges can carry an additive model, and that a linear one, with straight lines behind. A
network with hidden nodes follows noise more freely than either, and its weights cannot always tell
(``weights``). So where points are few it must be the better one by leave-one-out errors, by more
than two standard errors of their difference (Breiman, Friedman, Olshen and Stone, *Classification
and Regression Trees*, 1984, section 3.4.3, take one), or by one and at most of the points, also
where degrees of freedom count more (``EXCESS``); and so must the additive model beside the linear
one. The first grid on which points are few decides: finer ones of the same data tell no more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from kansweep.config.solvers import DIRECT_LIMIT
from kansweep.networks.kan import KAN, where
from kansweep.solvers.contract import Observe, Outcome, Problem
from kansweep.solvers.gauss_newton import contained, leave_one_out, penalty
from kansweep.solvers.gauss_newton.objective import training_error
from kansweep.solvers.gauss_newton.reml import CLEAN
from kansweep.solvers.gauss_newton.replicas import among, joined, of
from kansweep.solvers.gauss_newton.weights import Memory
from kansweep.solvers.reasons import StopReason

FEW = 4  # points a parameter; more of them tell signal from noise without this
CERTAIN = 2.0  # standard errors
# Or one, where a few points make up the mean and so many standard errors of their share have less.
LIKELY, MOST = 1.0, 4.0

# Leave-one-out errors know nothing of weights that were chosen by the same points. So these must be
# less, by so many standard errors, where degrees of freedom count more than once, too (Kim and Gu,
# *Journal of the Royal Statistical Society* B 66, 2004, take 1.2 to 1.4).
EXCESS, CERTAIN_THEN = 1.2, 1.5

# How a network is trained, with what the last grid remembers, if anything, and who looks on.
Solve = Callable[[KAN, Problem, Memory | None, Observe | None], Outcome[KAN]]


def solved(
    search: Solve,
    fit: Solve,
    net: KAN,
    problem: Problem,
    memory: Memory | None,
    observe: Observe | None,
) -> Outcome[KAN]:
    """What ``search`` makes of a network; in replicas in which that is no better than the simplest
    KAN, or was none on a coarser grid, that one. ``fit`` trains additive models."""
    every = torch.arange(net.n_replicas, device=problem.x.device)
    simple = every < 0 if memory is None else memory.simple
    few, rest, settled = _few(net, problem, memory), every[~simple], every[simple]
    parts = []
    if rest.numel():
        known = None if memory is None else memory[rest]
        found = search(net[rest], problem[rest], known, among(observe, rest))
        lost, instead = _lost(found, few[rest].nonzero()[:, 0], fit, problem[rest])
        kept = torch.ones_like(rest, dtype=torch.bool).index_fill(0, lost, False).nonzero()[:, 0]
        parts += [(rest[kept], of(found, kept)), (rest[lost], instead)]
    if settled.numel():
        known = None if memory is None else memory[settled]
        found, _ = _fitted(fit, net[settled], problem[settled], known, among(observe, settled))
        parts.append((settled, found))
    return joined(parts)


def _few(net: KAN, problem: Problem, memory: Memory | None) -> Tensor:
    """Whether this is the first grid on which points are few, of what was not pruned, (R,) of
    bool."""
    n, per_interval = problem.n_points, net.n_params / (net.grid_size + net.k)
    few = n <= FEW * net.n_params and net.n_params <= DIRECT_LIMIT
    holds_them = min(net.width[1:]) >= net.width[-1]
    before = problem.x.new_full((net.n_replicas,), torch.nan)
    before = before if memory is None else memory.grid_size
    decided = n <= FEW * per_interval * (before + net.k)
    whole = ~decided if net.removed is None else ~decided & ~net.removed.any(1)
    return whole & (few and holds_them)


def _lost(
    outcome: Outcome[KAN], at: Tensor, fit: Solve, problem: Problem
) -> tuple[Tensor, Outcome[KAN]]:
    """Which of the replicas ``at`` are no better than the simplest KANs, and the outcome of these
    after as many steps as the search took."""
    if at.numel():
        at = at[~clean(outcome.net[at], problem[at])]
    if at.numel() == 0:
        return at, of(outcome, at)
    own, part = of(outcome, at), problem[at]
    found, error = _fitted(fit, own.net, part, None, None)
    theirs = _errors(own, part)
    lost = (~_surely_better(theirs, error, part)).nonzero()[:, 0]
    return at[lost], of(replace(found, steps=own.steps), lost)


def clean(net: KAN, problem: Problem) -> Tensor:
    """Whether so little is left that there is no noise to be followed, (R,) of bool: by generalised
    cross-validation with as many degrees of freedom as parameters."""
    error = training_error(net, problem)
    left = 1 - net.n_params / problem.n_points
    clean: Tensor = error < CLEAN * left**2 if left > 0 else torch.zeros_like(error).bool()
    return clean


def _errors(outcome: Outcome[KAN], problem: Problem) -> Tensor:
    """Leave-one-out errors as they are and as ``EXCESS`` makes them, (2, R, n)."""
    weight = Memory.of(outcome.memory).weight
    return leave_one_out.errors_and_more(outcome.net, problem, weight, EXCESS)


def _surely_better(errors: Tensor, others: Tensor, problem: Problem) -> Tensor:
    """Whether errors (2, R, n) are ``_better`` than others, the ones as the others, (R,) of bool.
    Not the second alone: what is due to one point is no chance where it shrinks."""
    first = _better(errors[0], others[0], problem)
    return first & _better(errors[1], others[1], problem, CERTAIN_THEN)


def _better(error: Tensor, other: Tensor, problem: Problem, certain: float = CERTAIN) -> Tensor:
    """Whether squared errors (R, n) are less than others, and not by chance, (R,) of bool."""
    gain, deviation = problem.mean(other - error)
    share = problem.mean((error < other).to(error))[0]
    most = (2 * share - 1) * problem.n_points**0.5 > MOST
    better: Tensor = (gain > certain * deviation) | (most & (gain > LIKELY * deviation))
    return better


def _fitted(
    fit: Solve, net: KAN, problem: Problem, memory: Memory | None, observe: Observe | None
) -> tuple[Outcome[KAN], Tensor]:
    """The simplest KANs in the shape of a network and their leave-one-out errors, (2, R, n)."""
    flat = contained.blank(net)
    line, error = contained.linear(flat, problem)
    one, error = torch.zeros_like(error[:, 0]), error.expand(2, -1, -1)
    weight = (one + torch.inf)[:, None, None].repeat(1, len(net.layers), penalty.KINDS)
    found = Outcome(line, (0,) * len(one), (StopReason.CONVERGED,) * len(one), one, one[:, None])
    if len(net.layers) > 1:  # else it is an additive model itself
        found = fit(flat, problem, None if memory is None else memory.of_first_layer, observe)
        own, theirs = Memory.of(found.memory).weight, _errors(found, problem)
        bent = _surely_better(theirs, error, problem)
        line, error = where(bent, found.net, line), torch.where(bent[:, None], theirs, error)
        weight[:, :1] = torch.where(bent[:, None, None], own.to(weight), weight[:, :1])
    whole = contained.within(line, net, problem)
    left = Memory.left(weight, training_error(whole, problem).sqrt(), net.grid_size)
    return replace(found, net=whole, memory=left.numbers), error
