"""What a KAN would be wrong by at each point if it had been trained without it.

A penalised linear model needs no second training for that: its residual over what the point leaves
of itself, r_i / (1 - h_i), h the diagonal of the hat matrix (Craven and Wahba, *Numerische
Mathematik* 31, 1979). Here it is that of the linearised KAN at its weights.

Parameters are the penalty's rows b = C c over their deviations: with U = J C^-1 (n W)^(-1/2) the
hat matrix is that of ridge regression, U (U^T U + 1)^-1 U^T, for which no weight is too large.
What no row restrains, constants and all that leads to silu, is free.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from kansweep.networks.kan import KAN, Layer
from kansweep.networks.points.tensor import TensorData, TensorPoints
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton import penalty
from kansweep.solvers.gauss_newton.objective import scaled_output
from kansweep.solvers.gauss_newton.spare import trained

LEAST = 1e-14  # a weight that is as good as none
MOST = 2.0  # times an error may grow where degrees of freedom count more than once
DEPENDENT = 1e-10  # share of the largest direction below which there is none


def errors(kan: KAN, problem: Problem, w: Tensor) -> Tensor:
    """Squared errors (R, n) of a KAN that was trained with weights w (R, L, 3), summed over
    outputs of unit variance."""
    return errors_and_more(kan, problem, w, 1.0)[0]


def errors_and_more(kan: KAN, problem: Problem, w: Tensor, excess: float) -> Tensor:
    """The same, and what they are where a point's h counts ``excess`` times, (2, R, n).

    Weights that were chosen by the same points have followed them, too. Where nothing is noise h is
    nearly 1, so errors become twice as large at most.
    """
    # One by one: their dense Jacobians are large.
    parts = torch.arange(kan.n_replicas, device=problem.x.device).split(1)
    return torch.cat([_errors(trained(kan[r]), problem[r], w[r], excess) for r in parts], 1)


def _errors(kan: KAN, problem: Problem, w: Tensor, excess: float) -> Tensor:
    spread = problem.spread
    points = TensorPoints(problem.x, problem.y / spread[:, None], problem.counts)
    lin = points.settled(scaled_output(kan, 1 / spread)).data()
    left = _left(*_effects(lin, w.double())).unflatten(1, lin.residual.shape[1:])
    residual = lin.residual
    if problem.counts is not None:
        # Both are of a point as often as it counts; one of these is left out, or the part there is.
        own = problem.counts[:, None]
        left, residual = 1 - (1 - left) / own.clamp(min=1.0), residual / own.sqrt()
    left = torch.stack([left, torch.maximum(left - (excess - 1) * (1 - left), left / MOST)])
    tiny = torch.finfo(left.dtype).eps ** 2
    squares: Tensor = (residual / left.clamp(min=tiny)).square().sum(2)
    return squares


def _left(random: Tensor, free: Tensor) -> Tensor:
    """1 - h of N values, (R, N), for effects (R, N, .) whose deviation is the noise's, and free
    ones (R, N, .)."""
    u, s, _ = torch.linalg.svd(free, full_matrices=False)
    span = u * (s > DEPENDENT * s[:, :1])[:, None]
    random = random - span @ (span.mT @ random)
    # A factor of the sum of squares and not the sum: where nothing is noise it would lose the 1.
    wide = random.shape[2] >= random.shape[1]
    columns = random.mT if wide else random
    one = torch.eye(columns.shape[2]).to(columns).expand(len(columns), -1, -1)
    factor = torch.linalg.qr(torch.cat([columns, one], 1), mode="r")[1]
    if wide:
        left = torch.linalg.solve_triangular(factor, one, upper=True).square().sum(2)
    else:
        hat = torch.linalg.solve_triangular(factor, random, upper=True, left=False)
        left = 1 - hat.square().sum(2)
    return torch.sub(left, span.square().sum(2))


def _effects(lin: TensorData, w: Tensor) -> tuple[Tensor, Tensor]:
    """How the penalty's rows in their deviations, and what is free, move the N = M n values of
    the outputs: (R, N, S) and (R, N, .)."""
    rows, (n_outputs, n_points) = _dense(lin), lin.residual.shape[1:]
    random, along = _random(lin, rows, w * lin.n_points)
    if lin.half.shape[2]:  # the strain is C c - e half^T c: it does not see a node's scale
        q = torch.linalg.qr(torch.nn.functional.normalize(along, dim=1))[0]
        random = random - (random @ q) @ q.mT
    constants = torch.eye(n_outputs).to(rows).repeat_interleave(n_points, 0)
    constants = constants.expand(len(rows), -1, -1)
    if lin.counts is not None:
        constants = constants * lin.counts.to(rows).sqrt().repeat(1, n_outputs)[..., None]
    free = [constants, rows @ _free(lin.kan).double()]
    return random, torch.cat(free, 2)


def _dense(lin: TensorData) -> Tensor:
    """J in float64, (R, M n, P), nothing in the columns of edges that were pruned."""
    values, columns = lin.rows.values.double(), lin.rows.columns
    rows = values.new_zeros(*values.shape[:2], lin.kan.n_theta, values.shape[3])
    rows.scatter_(2, columns[:, None].expand_as(values), values)
    moved = lin.outer.double() @ lin.inner.double().mT[:, None]  # (R, M, n, P)
    dense = (rows.mT + moved).flatten(1, 2)
    return dense if lin.kan.removed is None else dense.masked_fill(lin.kan.removed[:, None], 0.0)


def _random(lin: TensorData, rows: Tensor, precision: Tensor) -> tuple[Tensor, Tensor]:
    """By the penalty's rows in their deviations, at precisions (R, L, 3), constants left out: J,
    (R, N, S), and the derivatives of the hidden grids' half-widths, (R, S, H)."""
    kan, first, effects, along = lin.kan, 0, [], []
    ranks = torch.tensor(penalty.ranks(kan), device=rows.device).view(-1, penalty.KINDS)
    for layer, own, of_kind in zip(kan.layers, precision.unbind(1), ranks, strict=True):
        edges, n_coef = layer.n_outputs * layer.n_inputs, layer.coef.shape[3]
        scale = own.clamp(min=LEAST).rsqrt().repeat_interleave(of_kind // edges, 1)
        by_edge = _inverse(layer, kan) * scale[:, None, None]  # (R, I or 1, K, rows)
        by_edge = by_edge.repeat(1, edges // by_edge.shape[1], 1, 1)
        here = slice(first, first + edges * n_coef)
        j = rows[..., here].unflatten(2, (edges, n_coef)).transpose(1, 2)  # (R, E, N, K)
        half = lin.half[:, here].double().unflatten(1, (edges, n_coef))
        effects.append((j @ by_edge).transpose(1, 2).flatten(2))
        along.append((by_edge.mT @ half).flatten(1, 2))
        first += edges * n_coef + (0 if layer.base is None else edges)  # silu's weights are free
    return torch.cat(effects, 2), torch.cat(along, 1)


def _inverse(layer: Layer, kan: KAN) -> Tensor:
    """An edge's coefficients, of mean 0, by the penalty's rows: (R, I, K, rows), or (1, 1, .) where
    all edges have the same."""
    n_coef, breaks = layer.coef.shape[3], layer.breaks
    if breaks is None:
        return _even(n_coef, kan.k, kan.beyond, layer.coef.device)
    many = breaks.shape[:2].numel()
    breaks = breaks.double().flatten(0, 1).repeat_interleave(n_coef, 0)[:, None]
    inverse: Tensor = _solved(n_coef, many, breaks, kan).unflatten(0, layer.lower.shape)
    return inverse


@lru_cache
def _even(n_coef: int, k: int, beyond: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        like = KAN((), k, beyond=beyond)
        return _solved(n_coef, 1, None, like, device)[None]


def _solved(
    n_coef: int, many: int, breaks: Tensor | None, like: KAN, device: torch.device | None = None
) -> Tensor:
    """``_inverse`` for so many edges, (many, K, rows)."""
    device = device if breaks is None else breaks.device
    unit = torch.eye(n_coef, dtype=torch.float64, device=device).repeat(many, 1)
    end = torch.ones_like(unit[:, :1])
    edge = Layer(unit[:, None, None], -end, end, None, 0 * end, end, breaks)
    rows = penalty.strain(replace(like, layers=(edge,)), unit).unflatten(0, (many, n_coef)).mT
    square = torch.cat([rows, torch.ones_like(rows[:, :1])], 1)
    inverse: Tensor = torch.linalg.inv(square)[..., :-1]
    return inverse


def _free(kan: KAN) -> Tensor:
    """Directions that no row restrains though outputs feel them, beside the outputs' constants,
    (R, P, .): silu's weights, and what moves or scales the hidden nodes that it sees."""
    theta, first = kan.theta()[..., None], 0
    parts, each = [theta[..., :0]], torch.eye(kan.n_theta).to(theta)
    for depth, layer in enumerate(kan.layers):
        splines = layer.coef[0].numel()
        if layer.base is not None:
            own = each[:, first : first + splines].unflatten(1, (layer.n_outputs, -1)).sum(2)
            weights = each[:, first + splines : first + splines + layer.base[0].numel()]
            hidden = [own.expand_as(theta * own), theta * own]
            parts += hidden if depth < len(kan.layers) - 1 else []
            parts.append(weights.expand(len(theta), -1, -1))
            first += layer.base[0].numel()
        first += splines
    return torch.cat(parts, 2)
