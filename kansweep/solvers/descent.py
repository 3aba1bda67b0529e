"""Damped Gauss-Newton descent: penalised, gauge-fixed, the last layer projected out, batched.

A KAN on data is a small nonlinear least-squares problem with a sparse Jacobian, so second order
pays: three to ten iterations a cell where quasi-Newton takes a thousand. One iteration

1. forms the normal equations of mean squared error + w energy, including how the ranges of the
   hidden values move with the parameters (``gauge.range_terms``), without which most steps that
   change a range are refused;
2. solves them, damped relative to their diagonal (Marquardt 1963);
3. puts hidden values back on [-1, 1] and the last layer at its optimum, and accepts the step if
   the objective fell.

Replicas run in lockstep with their own damping and acceptance; those that are done leave.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kansweep.gauge import normalised, range_terms
from kansweep.jacobian import jacobian
from kansweep.kan import KAN, Activation, activate, concatenate, where
from kansweep.linalg import solve_damped
from kansweep.solvers import (
    CONVERGED,
    NON_FINITE,
    STALLED,
    STEP_LIMIT,
    Observe,
    Outcome,
    Problem,
    penalty,
    relative_gradient,
)
from kansweep.solvers.projection import with_best_last_layer

DAMPING_DOWN, DAMPING_UP, DAMPING_FLOOR = 5.0, 6.0, 1e-12
MAX_REJECTIONS = 8


@dataclass(frozen=True)
class Limits:
    """When to stop: after so many steps, or when the objective falls by less than this share."""

    max_steps: int
    tolerance: float


@dataclass(frozen=True)
class Point:
    """A normalised KAN with its last layer at the optimum, and what was computed there."""

    kan: KAN
    activations: list[Activation]
    residual: Tensor  # (R, n, M)
    objective: Tensor  # (R,)


@dataclass(frozen=True)
class Search:
    """The replicas still searching and where each of them stands; outputs have unit variance."""

    replica: Tensor  # (R,), which of all replicas these are
    problem: Problem
    spread: Tensor  # (R, M), what unit variance is worth
    w: Tensor  # (R,)
    point: Point
    damping: Tensor  # (R,)
    rejections: Tensor  # (R,), in a row
    grad_norm: Tensor  # (R,), where the last step began
    converged: Tensor  # (R,)

    def kan(self) -> KAN:
        return scaled_output(self.point.kan, self.spread)

    def keep(self, mask: Tensor) -> Search:
        """The search of those replicas that a mask selects."""
        if bool(mask.all()):
            return self
        problem, w = self.problem[mask.nonzero()[:, 0]], self.w[mask]
        return Search(
            self.replica[mask],
            problem,
            self.spread[mask],
            w,
            evaluate(self.point.kan[mask], problem, w),
            self.damping[mask],
            self.rejections[mask],
            self.grad_norm[mask],
            self.converged[mask],
        )


def descend(
    kan: KAN,
    problem: Problem,
    limits: Limits,
    w: Tensor,
    damping: float,
    observe: Observe | None = None,
) -> Outcome:
    """Minimise mean squared error / variance + w energy, w (R,), until every replica is done."""
    search, steps, ended = _begin(kan, problem, w, damping), 0, []
    while search.replica.numel():
        search, steps = _step(search, limits.tolerance), steps + 1
        if observe is not None:
            observe(steps, search.kan(), search.replica)
        reasons = {
            NON_FINITE: ~torch.isfinite(search.point.objective),
            CONVERGED: search.converged,
            STALLED: search.rejections >= MAX_REJECTIONS,
            STEP_LIMIT: torch.full_like(search.converged, steps >= limits.max_steps),
        }
        done = torch.stack(list(reasons.values())).any(0)
        if bool(done.any()):
            which = done.nonzero()[:, 0].tolist()
            why = [next(name for name, hit in reasons.items() if hit[r]) for r in which]
            ended.append((search.keep(done), steps, why))
            search = search.keep(~done)
    return _in_order(ended)


def _begin(kan: KAN, problem: Problem, w: Tensor, damping: float) -> Search:
    spread = output_spread(problem.y)
    problem = replace(problem, y=problem.y / spread[:, None])
    point = settle(scaled_output(kan, 1 / spread), problem, w)
    replica = torch.arange(kan.n_replicas, device=w.device)
    start, none = torch.full_like(w, damping), torch.zeros_like(replica)
    return Search(replica, problem, spread, w, point, start, none, torch.zeros_like(w), none > 0)


def _step(search: Search, tolerance: float) -> Search:
    """One damped Gauss-Newton step of every replica, taken where it lowers the objective."""
    point, problem, w = search.point, search.problem, search.w
    matrix, gradient = normal_equations(point, w)
    step, failed = solve_damped(matrix, -gradient[..., None], search.damping)
    curved = (matrix @ step)[..., 0]
    step = step[..., 0]
    trial = settle(point.kan.with_theta(point.kan.theta() + step), problem, w)

    decrease = point.objective - trial.objective
    predicted = torch.where(failed, torch.inf, -((2 * gradient + curved) * step).sum(1))
    better = (decrease > 0) & ~failed  # false for a NaN
    small = tolerance * point.objective
    round_off = 100 * torch.finfo(w.dtype).eps ** 2
    damping = torch.where(better, search.damping / DAMPING_DOWN, search.damping * DAMPING_UP)
    if bool(better.all()):
        reached = trial
    else:
        reached = evaluate(where(better, trial.kan, point.kan), problem, w)
    return replace(
        search,
        point=reached,
        damping=damping.clamp(min=DAMPING_FLOOR),
        rejections=torch.where(better, 0, search.rejections + 1),
        grad_norm=relative_gradient(gradient, matrix.diagonal(dim1=1, dim2=2), point.objective),
        converged=(better & (decrease < small))
        | (predicted < small)
        | (point.objective < round_off),
    )


def _in_order(ended: list[tuple[Search, int, list[str]]]) -> Outcome:
    order = torch.cat([search.replica for search, _, _ in ended]).argsort()
    steps = [steps for _, steps, why in ended for _ in why]
    reasons = [reason for _, _, why in ended for reason in why]
    return Outcome(
        concatenate([search.kan() for search, _, _ in ended])[order],
        tuple(steps[r] for r in order.tolist()),
        tuple(reasons[r] for r in order.tolist()),
        torch.cat([search.grad_norm for search, _, _ in ended])[order],
    )


def settle(kan: KAN, problem: Problem, w: Tensor) -> Point:
    """Use what is free: hidden values onto [-1, 1], the last layer to its optimum."""
    kan = normalised(kan, problem.x)
    activations, _ = kan.activations(problem.x)
    kan = with_best_last_layer(kan, activations[-1], problem.y, w)
    last, f = activate(kan.layers[-1], activations[-1].x, kan.k)
    return _point(kan, [*activations[:-1], last], f, problem, w)


def evaluate(kan: KAN, problem: Problem, w: Tensor) -> Point:
    """The point of a KAN that is already settled."""
    activations, f = kan.activations(problem.x)
    return _point(kan, activations, f, problem, w)


def _point(
    kan: KAN, activations: list[Activation], f: Tensor, problem: Problem, w: Tensor
) -> Point:
    residual = f - problem.y
    energy = torch.cat(penalty.energy(kan), dim=1).sum(1)
    return Point(kan, activations, residual, residual.square().mean(1).sum(1) + w * energy)


def normal_equations(point: Point, w: Tensor) -> tuple[Tensor, Tensor]:
    """Gauss-Newton matrix (R, P, P) and half gradient (R, P) of the objective at a settled point.

    The objective normalises hidden values itself, so with half-ranges h_o it is
    mean |f - y|^2 + w sum_o energy_o / h_o^2, and both parts know that ranges move.
    """
    kan, n = point.kan, point.residual.shape[1]
    rows = jacobian(kan, point.activations)
    residual = point.residual.mT.contiguous()  # (R, M, n)
    force = penalty.gradient(kan)  # (R, P)
    matrix = rows.gram() / n
    penalty.add_gram(matrix, kan, w)
    gradient = rows.transposed_product(residual) / n + w[:, None] * force
    if len(kan.layers) == 1:
        return matrix, gradient

    # (R, M, n, 2H), (R, P, 2H), (R, P, H)
    outer, inner, half = range_terms(kan, point.activations)
    cross = torch.stack([rows.transposed_product(u) for u in outer.unbind(3)], dim=2) / n
    core = torch.einsum("rmnh,rmng->rhg", outer, outer) / n
    pushed = torch.einsum("rmnh,rmn->rh", outer, residual) / n
    gradient = gradient + (inner @ pushed[..., None])[..., 0]
    lowrank = inner @ (cross + inner @ core / 2).mT

    pull = w[:, None] * torch.cat(penalty.energy(kan)[:-1], dim=1)  # (R, H)
    owned = w[:, None, None] * force[..., None] * _incoming(kan).to(force)  # (R, P, H)
    gradient = gradient - (half @ pull[..., None])[..., 0]
    lowrank = lowrank + half @ (half * pull[:, None] / 2 - owned).mT
    return matrix + lowrank + lowrank.mT, gradient


def _incoming(kan: KAN) -> Tensor:
    """Which hidden node a parameter leads to, (P, H) of zeros and ones; the last layer to none."""
    nodes = sum(layer.n_outputs for layer in kan.layers[:-1])
    parts, first = [], 0
    for layer in kan.layers:
        here = torch.zeros(layer.n_outputs, nodes, device=layer.coef.device)
        if layer is not kan.layers[-1]:
            here[:, first : first + layer.n_outputs] = torch.eye(layer.n_outputs)
            first += layer.n_outputs
        for part in (layer.coef, layer.base):
            if part is not None:
                parts.append(here.repeat_interleave(part[0, 0].numel(), dim=0))
    return torch.cat(parts)


def output_spread(y: Tensor) -> Tensor:
    """Standard deviation of each output, 1 where it is constant: (R, n, M) -> (R, M)."""
    spread = y.std(dim=1, correction=0)
    return torch.where(spread > 0, spread, 1.0)


def scaled_output(kan: KAN, factor: Tensor) -> KAN:
    """The KAN with every output multiplied by a factor (R, M)."""
    layer = kan.layers[-1]
    base = None if layer.base is None else layer.base * factor[:, :, None]
    last = replace(layer, coef=layer.coef * factor[:, :, None, None], base=base)
    return replace(kan, layers=(*kan.layers[:-1], last))
