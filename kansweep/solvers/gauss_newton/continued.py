"""Ends of the last splines, continued by what many points next to them tell.

Where its last intervals hold few points or none, a spline says what the nearest ones make of one or
two cubics. A polynomial of higher degree through a longer stretch of points says far more where
nothing is noise, as long as one hidden node leads to the outputs: they are then functions of one
variable. The regressions tell which degree and which stretch. What is to be expected of a squared
error is the polynomial's variance, and what the next degrees would change, which is its bias. Where
no polynomial is sure, and where points are not followed as well, splines stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.networks.layer import Layer, edges, splines
from kansweep.networks.uneven import gauss_points
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton import simplest, smoother
from kansweep.solvers.gauss_newton.weights import Memory

SHORTEST, LONGEST = 16, 4096  # points of a stretch; each has twice as many as the one before
LOWEST, HIGHEST = 3, 12  # degrees
# What may be wrong by more than so many training errors, or more of the outputs' spread, is not
# said, nor what follows the points less well by more than the last factor.
UNSURE, WRONG, FOLLOWS = 100.0, 0.1, 1.5


def continued(net: KAN, problem: Problem, memory: Tensor) -> KAN:
    """The network with the ends of its last splines as the points next to them have them, unless
    points are few and higher differences, as ``memory`` says, have made these (``smoother``)."""
    serves = len(net.layers) > 1 and net.width[-2] == 1 and not net.is_pruned
    if not serves or min(problem.x.shape[1], problem.n_points) < SHORTEST:
        return net
    clean = simplest.clean(net, problem)
    if problem.n_points <= smoother.FEW * net.n_params:
        clean &= Memory.of(memory).beyond == net.beyond
    if not bool(clean.any()):
        return net
    last, h = net.layers[-1], replace(net, layers=net.layers[:-1])(problem.x)  # (R, n, 1)
    if last.base is not None:
        silu = edges(last, h, net.k) - splines(last, h, net.k)
        problem = replace(problem, y=problem.y - silu[:, :, 0])
    for high in (False, True):
        last = _with_end(last, h, problem, net.k, clean, high=high)
    if last is net.layers[-1]:
        return net
    return replace(net, layers=(*net.layers[:-1], last))


def _with_end(
    last: Layer, h: Tensor, problem: Problem, k: int, clean: Tensor, *, high: bool
) -> Layer:
    """The layer with its low or high end continued, of the replicas that are ``clean`` (R,), for
    hidden values h (R, n, 1) and what its splines are to be there."""
    lower, width = last.lower[:, None], (last.upper - last.lower)[:, None]
    breaks, t = last.unit_breaks(k), ((h - lower) / width)[..., 0].double()
    t, b = (1 - t, 1 - breaks.mT[..., 0].flip(1)) if high else (t, breaks.mT[..., 0])
    limit = _limit(t, problem.counts, b.double(), k + 1)
    if not bool(((limit > 0) & clean[:, None]).any()):
        return last
    places = gauss_points(breaks, k)  # (R, q, 1)
    z = places[..., 0].double()
    z = 1 - z if high else z
    near, end = z < limit, _End.of(t, problem.y.double(), problem.counts)
    squares = _squares(last, h, problem, k)
    error, said = _told(end, z, near)
    sure = error < torch.minimum(UNSURE**2 * squares, (WRONG * problem.spread) ** 2)  # (R, O)
    sure &= near.any(1, keepdim=True) & clean[:, None]
    if not bool(sure.any()):
        return last
    values = splines(last, lower + width * places, k)[:, :, 0]
    values = torch.where(near[..., None] & sure[:, None], said.to(values), values)
    continued = last.fitted(values[:, :, None], k)
    sure &= _squares(continued, h, problem, k) < FOLLOWS**2 * squares
    return replace(last, coef=torch.where(sure[..., None, None], continued.coef, last.coef))


def _squares(last: Layer, h: Tensor, problem: Problem, k: int) -> Tensor:
    """Mean squares over points of what splines miss, (R, O)."""
    missed = (splines(last, h, k)[:, :, 0] - problem.y).square()
    return torch.stack([problem.mean(each)[0] for each in missed.unbind(2)], 1)


def _limit(t: Tensor, counts: Tensor | None, breaks: Tensor, sure: int) -> Tensor:
    """Up to where points t (R, n) do not determine a spline, from 0 on, (R, 1): the break behind
    the outermost so many, or before everything where these are in the first interval."""
    many = min(t.shape[1], sure if counts is None else LONGEST)
    t, index = t.topk(many, largest=False)
    weight = torch.ones_like(t) if counts is None else counts.gather(1, index).to(t)
    last = t.gather(1, (weight.cumsum(1) - weight < sure).sum(1, keepdim=True) - 1)
    interval = torch.searchsorted(breaks.contiguous(), last, right=True)
    limit = breaks.gather(1, interval.clamp(max=breaks.shape[1] - 2))
    return torch.where(interval > 1, limit, -torch.inf)


@dataclass(frozen=True)
class _End:
    """The outermost points at one end of a grid, that is at t = 0, from it on."""

    t: Tensor  # (R, m)
    y: Tensor  # (R, m, O)
    weight: Tensor  # (R, m), how often each counts

    @classmethod
    def of(cls, t: Tensor, y: Tensor, counts: Tensor | None) -> _End:
        """Of points t (R, n)."""
        t, index = t.topk(min(t.shape[1], LONGEST), largest=False)
        weight = torch.ones_like(t) if counts is None else counts.gather(1, index).to(t)
        return cls(t, y.gather(1, index[..., None].expand(-1, -1, y.shape[2])), weight)

    def stretches(self) -> Iterator[_End]:
        """Its outermost points, twice as many each time; of what counts more often, a part."""
        size, total = SHORTEST, self.weight.cumsum(1)
        while True:
            weight = (size - (total - self.weight)).clamp(min=0).minimum(self.weight)
            # Rows without weight stand for what is missing to an overdetermined system.
            rows = slice(0, max(SHORTEST, int((weight > 0).sum(1).max())))
            yield _End(self.t[:, rows], self.y[:, rows], weight[:, rows])
            if size >= float(total.amax()):
                return
            size *= 2


def _told(end: _End, z: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
    """By the best of all polynomials, what is to be expected of its squared error at places
    z (R, q) that are near, (R, O), and its values (R, q, O)."""
    least = torch.full_like(end.y[:, 0], torch.inf)
    told = torch.zeros_like(z)[..., None].expand(-1, -1, end.y.shape[2])
    for stretch in end.stretches():
        error, values = _fitted(stretch, z, near)
        better = error < least
        least = torch.where(better, error, least)
        told = torch.where(better[:, None], values, told)
    return least, told


def _fitted(end: _End, z: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
    """The same by those through one stretch."""
    start, root, n = end.t[:, :1], end.weight.sqrt()[..., None], end.weight.sum(1)
    length = (end.t * (end.weight > 0)).amax(1, keepdim=True) - start
    degree = torch.arange(min(HIGHEST, int(n.max()) // 2 - 1) + 1, device=z.device)
    at, to = (_chebyshev(2 * (t - start) / length - 1, len(degree)) for t in (end.t, z))
    # Orthogonal polynomials: those of a higher degree leave the others' coefficients as they are.
    q, r = torch.linalg.qr(root * at)
    u = torch.linalg.solve_triangular(r, to, upper=True, left=False)  # (R, q, D)
    a = (root * end.y).mT @ q  # (R, O, D)
    left, sums = root * end.y, []
    for rows, of in zip(q.unbind(2), a.unbind(2), strict=True):
        left = left - rows[..., None] * of[:, None]  # and not as a difference of sums of squares
        sums.append(left.square().sum(1))
    noise = torch.stack(sums, 2) / (n[:, None] - degree - 1).clamp(min=1)[:, None]  # (R, O, D)
    squares = torch.where(near[..., None], u, 0).square().sum(1) / near.sum(1, keepdim=True)
    variance = noise * squares.cumsum(1)[:, None]
    # Of two, for of even and odd functions every other coefficient is none.
    bias = (a.square() * squares[:, None]).unfold(2, 2, 1).amax(3)[..., 1:]
    error = (variance[..., :-2] + bias)[..., LOWEST:]
    least, best = error.nan_to_num(torch.inf, torch.inf).min(2)  # (R, O)
    chosen = torch.where(degree <= best[..., None] + LOWEST, a, 0.0)
    return least, u @ chosen.mT


def _chebyshev(t: Tensor, many: int) -> Tensor:
    """The first so many polynomials at t (R, m), (R, m, many)."""
    found = [torch.ones_like(t), t]
    while len(found) < many:
        found.append(2 * t * found[-1] - found[-2])
    return torch.stack(found[:many], 2)
