"""Deep networks that hang on single points, and stiffer ones in their place.

Behind many layers what splines do in a corner without points is multiplied layer by layer: one test
point of ten thousand was wrong by half of the outputs' range beside a training error of 1e-4. Where
that can happen a training point near by is followed only because it is there, which shows in its
leave-one-out error.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.solvers.contract import Observe, Outcome, Problem
from kansweep.solvers.gauss_newton import leave_one_out, weights
from kansweep.solvers.gauss_newton.basins import BY_FAR
from kansweep.solvers.gauss_newton.deepening import is_deep
from kansweep.solvers.gauss_newton.reml import Weight
from kansweep.solvers.gauss_newton.replicas import among, replaced
from kansweep.solvers.gauss_newton.weights import Memory

HANGS = 3.0  # times the training error; of networks that points determine it is little over once
FIRM = 30.0, 1e3  # times the unit: weights that hold corners
MOST = 10_000_000  # numbers of the dense Jacobian that leave-one-out errors need
Search = Callable[[KAN, Problem, Memory | None, Observe | None], Outcome[KAN]]
Train = Callable[[KAN, Problem, Weight, Observe | None], Outcome[KAN]]


def steadied(
    search: Search,
    train: Train,
    net: KAN,
    problem: Problem,
    last: Memory | None,
    observe: Observe | None,
) -> Outcome[KAN]:
    """The outcome of a ``search`` from ``net``, of which deep replicas that hang on single points
    give way to what firmer weights ``train`` them to, if its leave-one-out error is less by far."""
    outcome = search(net, problem, last, observe)
    if not is_deep(net.width) or net.is_pruned or net.n_params * problem.y[0].numel() > MOST:
        return outcome
    error = _left_out(outcome, problem)
    at = (error > HANGS * Memory.of(outcome.memory).error).nonzero()[:, 0]
    if at.numel() == 0:
        return outcome
    hanging, part, error = outcome.net[at], problem[at], error[at]
    for firm in FIRM:
        weight = Weight.fixed(firm * weights.unit(hanging, None))
        rival = train(hanging, part, weight, among(observe, at))
        theirs = _left_out(rival, part)
        better = theirs < BY_FAR * error
        outcome = replaced(outcome, at, rival, better)
        error = torch.where(better, theirs, error)
    return outcome


def _left_out(outcome: Outcome[KAN], problem: Problem) -> Tensor:
    """Leave-one-out RMSEs as shares of the outputs' spread, (R,)."""
    squares = leave_one_out.errors(outcome.net, problem, Memory.of(outcome.memory).weight)
    return (problem.mean(squares)[0] / problem.y.shape[2]).sqrt()
