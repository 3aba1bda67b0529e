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
class Point:
    """A normalised KAN with its last layer at the optimum, and what was computed there."""

    kan: KAN
    activations: list[Activation]
    residual: Tensor  # (R, n, M)
    objective: Tensor  # (R,)


@dataclass(frozen=True)
class Limits:
    """When to stop: steps in all, and the relative decrease of the objective below which it is done."""

    max_steps: int
    tolerance: float


def descend(
    kan: KAN,
    problem: Problem,
    limits: Limits,
    w: Tensor,
    damping: float,
    observe: Observe | None = None,
) -> Outcome:
    """Minimise mean squared error / variance + w energy, w (R,), until every replica is done."""
    spread = output_spread(problem.y)
    problem = replace(problem, y=problem.y / spread[:, None])
    point = settle(scaled_output(kan, 1 / spread), problem, w)
    live = torch.arange(kan.n_replicas, device=w.device)
    damp = torch.full_like(w, damping)
    rejections = torch.zeros_like(live)
    ended: list[tuple[Tensor, KAN, Tensor, int, list[str]]] = []
    steps = 0
    while live.numel():
        steps += 1
        matrix, gradient = normal_equations(point, w)
        grad_norm = relative_gradient(gradient, matrix.diagonal(dim1=1, dim2=2), point.objective)
        step, _ = solve_damped(matrix, -gradient[..., None], damp)
        step = step[..., 0]
        predicted = -((2 * gradient + (matrix @ step[..., None])[..., 0]) * step).sum(1)
        trial = settle(point.kan.with_theta(point.kan.theta() + step), problem, w)
        decrease = point.objective - trial.objective
        better = decrease > 0  # a NaN is not better
        rejections = torch.where(better, 0, rejections + 1)
        damp = torch.where(better, damp / DAMPING_DOWN, damp * DAMPING_UP).clamp(min=DAMPING_FLOOR)

        small = limits.tolerance * point.objective
        converged = (better & (decrease < small)) | (predicted < small)
        converged |= point.objective < 100 * torch.finfo(w.dtype).eps ** 2
        point = trial if bool(better.all()) else evaluate(where(better, trial.kan, point.kan), problem, w)
        reasons = {
            NON_FINITE: ~torch.isfinite(point.objective),
            CONVERGED: converged,
            STALLED: rejections >= MAX_REJECTIONS,
            STEP_LIMIT: torch.full_like(converged, steps >= limits.max_steps),
        }
        done = torch.stack(list(reasons.values())).any(0)
        if observe is not None:
            observe(steps, scaled_output(point.kan, spread), live)
        if bool(done.any()):
            why = [next(n for n, hit in reasons.items() if hit[r]) for r in done.nonzero()[:, 0].tolist()]
            ended.append((live[done], scaled_output(point.kan[done], spread[done]), grad_norm[done], steps, why))
            go = ~done
            live, problem, spread, w = live[go], problem[go.nonzero()[:, 0]], spread[go], w[go]
            damp, rejections = damp[go], rejections[go]
            if live.numel():
                point = evaluate(point.kan[go], problem, w)
    return _in_order(ended)


def _in_order(ended: list[tuple[Tensor, KAN, Tensor, int, list[str]]]) -> Outcome:
    replica = torch.cat([part[0] for part in ended])
    order = replica.argsort()
    steps = [part[3] for part in ended for _ in part[4]]
    reasons = [reason for part in ended for reason in part[4]]
    return Outcome(
        concatenate([part[1] for part in ended])[order],
        tuple(steps[r] for r in order.tolist()),
        tuple(reasons[r] for r in order.tolist()),
        torch.cat([part[2] for part in ended])[order],
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


def _point(kan: KAN, activations: list[Activation], f: Tensor, problem: Problem, w: Tensor) -> Point:
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

    outer, inner, half = range_terms(kan, point.activations)  # (R, M, n, 2H), (R, P, 2H), (R, P, H)
    cross = torch.stack([rows.transposed_product(u) for u in outer.unbind(3)], dim=2) / n
    core = torch.einsum("rmnh,rmng->rhg", outer, outer) / n
    gradient = gradient + (inner @ torch.einsum("rmnh,rmn->rh", outer, residual)[..., None])[..., 0] / n
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
