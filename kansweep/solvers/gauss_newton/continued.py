"""Ends of the last splines, continued by what many points next to them tell.

Where its last intervals hold few points or none, a spline says what the nearest ones make of one or
two cubics. A polynomial of higher degree through a longer stretch of points says far more where
nothing is noise, as long as one hidden node leads to the outputs: they are then functions of one
variable. The regressions tell which degree and which stretch. What is to be expected of a squared
error is the polynomial's variance, and what the next degree would change, which is its bias. Where
no polynomial is sure, splines stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.networks.layer import edges, splines
from kansweep.networks.uneven import gauss_points
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton import simplest, smoother
from kansweep.solvers.gauss_newton.weights import Memory

SHORTEST, LONGEST = 16, 4096  # points of a stretch; each has twice as many as the one before
LOWEST, HIGHEST = 3, 12  # degrees
UNSURE = 100.0  # times the training error: what may be wrong by more is not said


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
    own = splines(last, h, net.k)
    y = (problem.y - (edges(last, h, net.k) - own)[:, :, 0]).double()  # (R, n, O), without silu
    squares = (y - own[:, :, 0]).square()
    most = torch.stack([problem.mean(each)[0] for each in squares.unbind(2)], 1)
    most = UNSURE**2 * most * clean[:, None]
    lower, width = last.lower[:, None], (last.upper - last.lower)[:, None]
    breaks = last.unit_breaks(net.k)
    places = gauss_points(breaks, net.k)  # (R, q, 1)
    values = splines(last, lower + width * places, net.k)[:, :, 0]
    parts = [part[..., 0].double() for part in ((h - lower) / width, places, breaks.mT)]
    changed = torch.zeros_like(most).bool()
    for flipped in (False, True):
        t, z, b = (1 - part if flipped else part for part in parts)
        end = _End.of(t, y, problem.counts, b.flip(1) if flipped else b, net.k + 1)
        near = z < end.limit
        if bool(near.any()):
            error, said = _told(end, z, near)
            sure = error < most  # (R, O)
            values = torch.where(near[..., None] & sure[:, None], said.to(values), values)
            changed |= sure & near.any(1, keepdim=True)
    if not bool(changed.any()):
        return net
    coef = last.fitted(values[:, :, None], net.k).coef
    coef = torch.where(changed[..., None, None], coef, last.coef)
    return replace(net, layers=(*net.layers[:-1], replace(last, coef=coef)))


@dataclass(frozen=True)
class _End:
    """The outermost points at one end of a grid, that is at t = 0, from it on."""

    t: Tensor  # (R, m)
    y: Tensor  # (R, m, O)
    weight: Tensor  # (R, m), how often each counts
    before: Tensor  # (R, m), how many there are before it
    limit: Tensor  # (R, 1), up to where they do not determine a spline

    @classmethod
    def of(cls, t: Tensor, y: Tensor, counts: Tensor | None, breaks: Tensor, sure: int) -> _End:
        """Of points t (R, n); the limit is the break behind the outermost so many, before
        everything where these are in the first interval."""
        t, index = t.topk(min(t.shape[1], LONGEST), largest=False)
        weight = torch.ones_like(t) if counts is None else counts.gather(1, index).to(t)
        before = weight.cumsum(1) - weight
        last = t.gather(1, (before < sure).sum(1, keepdim=True) - 1)
        interval = torch.searchsorted(breaks.contiguous(), last, right=True)
        limit = breaks.gather(1, interval.clamp(max=breaks.shape[1] - 2))
        limit = torch.where(interval > 1, limit, -torch.inf)
        y = y.gather(1, index[..., None].expand(-1, -1, y.shape[2]))
        return cls(t, y, weight, before, limit)

    def stretches(self) -> Iterator[_End]:
        """Its outermost points, twice as many each time; of what counts more often, a part."""
        size, every = SHORTEST, float((self.before + self.weight).amax())
        while True:
            weight = (size - self.before).clamp(min=0).minimum(self.weight)
            # Rows without weight stand for what is missing to an overdetermined system.
            rows = slice(0, max(SHORTEST, int((weight > 0).sum(1).max())))
            yield _End(
                self.t[:, rows],
                self.y[:, rows],
                weight[:, rows],
                self.before[:, rows],
                self.limit,
            )
            if size >= every:
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
    left = (root * end.y)[..., None] - (q[:, :, None] * a[:, None]).cumsum(3)  # (R, m, O, D)
    noise = left.square().sum(1) / (n[:, None] - degree - 1).clamp(min=1)[:, None]
    squares = torch.where(near[..., None], u, 0).square().sum(1) / near.sum(1, keepdim=True)
    variance = noise * squares.cumsum(1)[:, None]
    error = variance[..., :-1] + (a.square() * squares[:, None])[..., 1:]
    least, best = error[..., LOWEST:].nan_to_num(torch.inf, torch.inf).min(2)  # (R, O)
    values = (u[:, :, None] * a[:, None]).cumsum(3)  # (R, q, O, D)
    index = (best + LOWEST)[:, None, :, None].expand(-1, z.shape[1], -1, 1)
    return least, values.gather(3, index)[..., 0]


def _chebyshev(t: Tensor, many: int) -> Tensor:
    """The first so many polynomials at t (R, m), (R, m, many)."""
    found = [torch.ones_like(t), t]
    while len(found) < many:
        found.append(2 * t * found[-1] - found[-2])
    return torch.stack(found[:many], 2)
