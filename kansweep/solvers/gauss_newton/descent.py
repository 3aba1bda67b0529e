"""Damped Gauss-Newton descent: penalised, gauge-fixed, the last layer projected out, batched.

A KAN on data is a small nonlinear least-squares problem with a sparse Jacobian, so second order
pays: three to ten iterations a cell where quasi-Newton takes a thousand. One iteration

1. linearises the objective (``linearised.py``), including how the ranges of the hidden values move
   with the parameters, without which most steps that change a range are refused;
2. re-estimates the penalty's weight where it is due (``reml.py``);
3. solves for a step, damped relative to the diagonal (Marquardt 1963);
4. settles the KAN there (``objective.py``), and accepts the step if the objective fell.

Replicas run in lockstep with their own weight, damping and acceptance; those that are done leave.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kansweep.networks.compiling import loop
from kansweep.networks.kan import KAN
from kansweep.networks.points import points_of
from kansweep.networks.points.contract import Points
from kansweep.solvers.contract import (
    Iteration,
    Observe,
    Outcome,
    Problem,
    relative_gradient,
)
from kansweep.solvers.gauss_newton import penalty, reml
from kansweep.solvers.gauss_newton.interleaved import apart
from kansweep.solvers.gauss_newton.objective import (
    Point,
    hidden_margins,
    on_margins,
    scaled_output,
    settle,
)
from kansweep.solvers.gauss_newton.reml import Weight
from kansweep.solvers.gauss_newton.strain.loops import Array
from kansweep.solvers.gauss_newton.systems import system
from kansweep.solvers.reasons import StopReason

# Damping falls by at most the first factor after a step that did what the model promised, rises by
# the second after a refusal, and stays above the floor: further down it is less than rounding.
DAMPING_DOWN, DAMPING_UP, DAMPING_FLOOR = 5.0, 6.0, 1e-12
LITTLE = 1e-3  # damped by no more, a step ends where the model has its minimum
# A search is over after so many refusals in a row if its steps have become short by then: what
# began with damping near the floor has that of 1e-6 after eight, and where nodes make up for each
# other its steps may be too long still.
MAX_REJECTIONS, SHORT = 8, 1e-3

# What a step means for a replica: to go on, or why not.
GOING, NON_FINITE, CONVERGED, STALLED, STEP_LIMIT = range(5)
_REASONS = {
    NON_FINITE: StopReason.NON_FINITE,
    CONVERGED: StopReason.CONVERGED,
    STALLED: StopReason.STALLED,
    STEP_LIMIT: StopReason.STEP_LIMIT,
}


@dataclass(frozen=True)
class Limits:
    """When to stop: after so many steps, or when the objective falls by less than this share."""

    max_steps: int
    tolerance: float


@dataclass(frozen=True)
class Search:
    """The replicas still searching and where each of them stands; outputs have unit variance."""

    replica: Tensor  # (R,), which of all replicas these are
    points: Points
    spread: Tensor  # (R, M), what unit variance is worth
    weight: Weight
    margin: tuple[Tensor, ...]  # (R, O, 2) of each hidden layer, where the descent began
    point: Point
    damping: Tensor  # (R,)
    rejections: Tensor  # (R,), in a row
    fall: Tensor  # (R, 2), see ``_judged``
    grad_norm: Tensor  # (R,), where the last step began

    def kan(self) -> KAN:
        return scaled_output(self.point.kan, self.spread)

    def keep(self, mask: Tensor) -> Search:
        """The search of those replicas that a mask selects."""
        if bool(mask.all()):
            return self
        return Search(
            self.replica[mask],
            self.points[mask],
            self.spread[mask],
            self.weight[mask],
            tuple(part[mask] for part in self.margin),
            self.point[mask],
            self.damping[mask],
            self.rejections[mask],
            self.fall[mask],
            self.grad_norm[mask],
        )


def descend(
    kan: KAN,
    problem: Problem,
    limits: Limits,
    weight: Weight,
    damping: float | Tensor,
    observe: Observe | None = None,
) -> Outcome[KAN]:
    """Minimise mean squared error / variance + w energy until every replica is done.

    ``Outcome.memory`` are the weights, (R, L * 3).
    """
    search, steps, ended = _begin(kan, problem, weight, damping), 0, []
    while True:
        (search, verdict), steps = _step(search, limits.tolerance), steps + 1
        if observe is not None:
            observe(_iteration(search, steps))
        if steps >= limits.max_steps:
            verdict[verdict == GOING] = STEP_LIMIT
        if (verdict != GOING).any():
            done = torch.from_numpy(verdict != GOING).to(search.replica.device)
            why = [_REASONS[each] for each in verdict.tolist() if each != GOING]
            ended.append((search.keep(done), steps, why))
            if (verdict != GOING).all():
                break
            search = search.keep(~done)
    return _in_order(ended)


def _begin(kan: KAN, problem: Problem, weight: Weight, damping: float | Tensor) -> Search:
    spread = problem.spread
    points = points_of(problem.x, problem.y / spread[:, None], problem.counts, k=kan.k)
    kan = scaled_output(kan, 1 / spread)
    between = apart(kan, problem.x)
    margin = hidden_margins(kan, points, weight.value, between)
    kan = on_margins(kan, points, margin, between)
    point = settle(points.hidden(kan, margin), weight.value)
    one = torch.ones_like(point.mse)
    many = one[:, None].expand(-1, 2)
    none = torch.zeros_like(one, dtype=torch.long)
    replica = torch.arange(kan.n_replicas, device=one.device)
    return Search(
        replica, points, spread, weight, margin, point, damping * one, none, many, 0 * one
    )


def _step(search: Search, tolerance: float) -> tuple[Search, NDArray[np.int64]]:
    """One damped Gauss-Newton step of every replica, taken where it lowers the objective, and what
    it means for each."""
    point = search.point
    lin = point.linearised()
    equations = system(lin)
    weight = reml.updated(search.weight, point, equations, search.fall)
    w = weight.value
    gradient = lin.gradient(w)
    factored = equations.factored(w, search.damping)
    step, failed = factored.solve(-gradient)
    trial = settle(search.points.moved(point.at, step, search.margin), w)

    fall = factored.fall(gradient, step)
    there = (point.mse, point.energy, trial.mse, trial.energy, w, fall, failed, weight.left)
    numbers = [part.cpu().numpy() for part in (*there, search.damping, search.rejections)]
    *judged, verdict = _judged(tolerance, 100 * torch.finfo(w.dtype).eps ** 2, *numbers)
    better, objective, damping, rejections, share = (
        torch.from_numpy(part).to(w.device) for part in judged
    )
    search = replace(
        search,
        weight=weight,
        point=_chosen(better, trial, point),
        damping=damping,
        rejections=rejections,
        fall=share,
        grad_norm=relative_gradient(gradient, factored.diagonal, objective),
    )
    return search, verdict


def _chosen(mask: Tensor, trial: Point, point: Point) -> Point:
    """Replica by replica, a trial point or the one before, which knows what was computed there."""
    if bool(mask.all()):
        return trial
    return trial.where(mask, point) if bool(mask.any()) else point


@loop
def _judged(
    tolerance: float, round_off: float, mse: Array, energy: Array, trial_mse: Array,
    trial_energy: Array, w: Array, promised: Array, failed: Array, updates_left: Array,
    damping: Array, rejections: Array,
) -> tuple[Array, ...]:  # fmt: skip
    """Of each replica: whether its step is taken, the objective before, the damping and the
    refusals in a row after it, two shares (R, 2) of the objective, and what that means for the
    search. ``promised`` is what the model fell by, where the solve did not fail.

    The shares are what the step took, or promised if refused, and what it missed of the model's
    minimum, infinite where it did not go there: the next step may take about the less of both."""
    many = len(mse)
    better, verdict = np.zeros(many, np.bool_), np.zeros(many, np.int64)
    objective, damping, rejections = np.empty_like(mse), damping.copy(), rejections.copy()
    share = np.full((many, 2), np.inf)
    for r in range(many):
        now = mse[r] + (w[r] * energy[r]).sum()
        reached = trial_mse[r] + (w[r] * trial_energy[r]).sum()
        decrease, small = now - reached, tolerance * now + round_off
        predicted = np.inf if failed[r] else promised[r]
        # After a refusal it is the damping that promises little, and makes steps short.
        little = predicted < small and rejections[r] == 0
        better[r] = decrease > 0.0 and not failed[r]  # false for a NaN
        if better[r]:
            # Nielsen's rule (1999): a gain of one divides by DAMPING_DOWN, one of a half leaves it.
            gain = decrease / predicted
            if damping[r] <= LITTLE:
                share[r, 1] = abs(predicted - decrease) / reached
            damping[r] *= min(max(1.0 - (2.0 * gain - 1.0) ** 3, 1.0 / DAMPING_DOWN), 1.0)
            damping[r] = max(damping[r], DAMPING_FLOOR)
            little |= decrease < small and rejections[r] == 0
            rejections[r], share[r, 0] = 0, decrease / now
        else:
            damping[r] *= DAMPING_UP
            rejections[r] += 1
            share[r, 0] = predicted / now
        objective[r] = now
        if not np.isfinite(reached if better[r] else now):
            verdict[r] = NON_FINITE
        elif (little and updates_left[r] == 0) or now < round_off:
            verdict[r] = CONVERGED
        elif rejections[r] >= MAX_REJECTIONS and damping[r] >= SHORT:
            verdict[r] = STALLED
    return better, objective, damping, rejections, share, verdict


def _iteration(search: Search, step: int) -> Iteration:
    return Iteration(
        step=step,
        replicas=search.replica,
        net=search.kan,
        rmse=(search.point.residual * search.spread[:, None]).square().mean((1, 2)).sqrt(),
        grad_norm=search.grad_norm,
        accepted=search.rejections == 0,
        damping=search.damping,
        penalty=search.weight.value[:, -1, penalty.ROUGH],
    )


def _in_order(ended: list[tuple[Search, int, list[StopReason]]]) -> Outcome[KAN]:
    order = torch.cat([search.replica for search, _, _ in ended]).argsort()
    net = KAN.concatenated([search.kan() for search, _, _ in ended])
    steps = [steps for _, steps, why in ended for _ in why]
    reasons = [reason for _, _, why in ended for reason in why]
    return Outcome(
        net if len(ended) == 1 else net[order],
        tuple(steps[r] for r in order.tolist()),
        tuple(reasons[r] for r in order.tolist()),
        torch.cat([search.grad_norm for search, _, _ in ended])[order],
        torch.cat([search.weight.value for search, _, _ in ended]).flatten(1)[order],
    )
