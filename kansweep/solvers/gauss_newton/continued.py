"""Ends of the last spline, continued by the polynomials that the outermost points tell.

Among fewer points than its intervals have coefficients, and beyond the outermost, a spline says what
its last interval says, of which it knows as much as a cubic can. Where one hidden node leads to the
outputs, and nothing is noise, many points nearby know more: of a polynomial of high degree through
a long stretch of them little is left open. Which degree and which stretch, the regression tells: its
variance there, and what the next degree would change, are together the least error that is to be
expected (as of a lag window, bias and variance by the same data).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.networks.layer import edges, splines
from kansweep.networks.uneven import gauss_points
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton import simplest

SHORTEST = 16  # points of the shortest stretch; others have twice as many, and so on
LONGEST = 4096
DEGREES = 3, 12  # the least and the highest
SURE = 4  # times k + 1 points determine what a spline is, down from its end


def continued(net: KAN, problem: Problem) -> KAN:
    """The network with its last splines' ends as the points next to them have it."""
    last, n = net.layers[-1], problem.x.shape[1]
    serves = len(net.layers) > 1 and last.n_inputs == 1 and not net.is_pruned
    if not serves or n < SHORTEST:
        return net
    clean = simplest.clean(net, problem)
    if not bool(clean.any()):
        return net
    h = replace(net, layers=net.layers[:-1])(problem.x)  # (R, n, 1)
    y = problem.y.double()
    if last.base is not None:
        y = y - (edges(last, h, net.k) - splines(last, h, net.k))[:, :, 0].double()
    width = last.upper - last.lower
    t = ((h - last.lower[:, None]) / width[:, None])[..., 0].double()
    breaks = last.unit_breaks(net.k)
    places = gauss_points(breaks, net.k)  # (R, q, 1)
    values = splines(last, last.lower[:, None] + width[:, None] * places, net.k)[:, :, 0].double()
    z, ends = places[..., 0].double(), breaks[:, 0].double()
    sure = SURE * (net.k + 1)
    for flipped in (False, True):
        if flipped:
            t, z, ends = 1 - t, 1 - z, 1 - ends.flip(1)
        said, there = _said(t, y, problem.counts, z, ends, sure)
        values = torch.where(there & clean[:, None, None], said, values)
    return replace(net, layers=(*net.layers[:-1], last.fitted(values.to(last.coef)[:, :, None], net.k)))


def _said(
    t: Tensor, y: Tensor, counts: Tensor | None, z: Tensor, breaks: Tensor, sure: int
) -> tuple[Tensor, Tensor]:
    """By values y (R, n, O) at t (R, n), at places z (R, q) of the first intervals: (R, q, O), and
    which these are, (R, q, O) of bool."""
    t, index = t.topk(min(t.shape[1], LONGEST), largest=False)
    y = y.gather(1, index[..., None].expand(-1, -1, y.shape[2]))
    w = torch.ones_like(t) if counts is None else counts.gather(1, index).double()
    before = w.cumsum(1) - w
    least, given = t[:, :1], before[:, -1:] + w[:, -1:]
    end = torch.searchsorted(breaks, t.gather(1, (before < sure).sum(1, keepdim=True) - 1), right=True)
    limit = breaks.gather(1, end.clamp(1, breaks.shape[1] - 2))
    there = (z < limit) & (end > 1)
    many = int(there.sum(1).max())
    if not many:
        return z[..., None], there[..., None]
    order = z.argsort(1)[:, :many]
    near = z.gather(1, order) - least
    inside = there.gather(1, order)
    best = torch.full_like(y[:, 0], torch.inf)
    said = torch.zeros_like(near)[..., None].repeat(1, 1, y.shape[2])
    size = SHORTEST
    while True:
        own = (size - before).clamp(min=0).minimum(w)
        rows = int((own > 0).sum(1).max())
        error, value = _fitted(t[:, :rows] - least, y[:, :rows], own[:, :rows], near, inside)
        better = error < best
        best = torch.where(better, error, best)
        said = torch.where(better[:, None], value, said)
        if size >= float(given.max()):
            break
        size *= 2
    out = torch.zeros_like(z)[..., None].repeat(1, 1, y.shape[2])
    out.scatter_(1, order[..., None].expand_as(said), said)
    return out, there[..., None] & best.isfinite()[:, None]


def _fitted(d: Tensor, y: Tensor, w: Tensor, z: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """Least expected square of a polynomial's error (R, O), and its values at z, (R, q, O)."""
    length = (d * (w > 0)).amax(1, keepdim=True)
    many = w.sum(1)
    highest = min(DEGREES[1], int(many.max()) // 2 - 1)
    root = w.sqrt()[..., None]
    q, r = torch.linalg.qr(root * _chebyshev(2 * d / length - 1, highest))
    u = torch.linalg.solve_triangular(r.mT, _chebyshev(2 * z / length - 1, highest).mT, upper=False)
    a = q.mT @ (root * y)  # (R, D, O)
    left = (root * y)[..., None] - (q[:, :, None] * a.mT[:, None]).cumsum(3)  # (R, m, O, D)
    degree = torch.arange(highest + 1, device=d.device)
    free = (many[:, None] - degree - 1).clamp(min=1)
    noise = left.square().sum(1) / free[:, None]  # (R, O, D)
    share = inside.double() / inside.sum(1, keepdim=True)
    squares = torch.einsum("rdq,rq->rd", torch.where(inside[:, None], u, 0).square(), share)
    error = noise * squares.cumsum(1)[:, None]
    error = error[..., :-1] + a.mT[..., 1:].square() * squares[:, None, 1:]
    error = error.nan_to_num(torch.inf, torch.inf)[..., DEGREES[0] :]
    best, at = error.min(2)  # (R, O)
    each = (u.mT[:, :, None] * a.mT[:, None]).cumsum(3)  # (R, q, O, D)
    index = (at + DEGREES[0])[:, None, :, None].expand(-1, z.shape[1], -1, 1)
    return best, each.gather(3, index)[..., 0]


def _chebyshev(t: Tensor, degree: int) -> Tensor:
    """Polynomials of degrees 0 ... degree, (R, m) -> (R, m, degree + 1)."""
    found = [torch.ones_like(t), t]
    for _ in range(degree - 1):
        found.append(2 * t * found[-1] - found[-2])
    return torch.stack(found[: degree + 1], 2)
