"""Ends of hidden splines, continued by what many points next to them tell.

Where its last intervals hold few points or none, a spline says what the nearest ones make of one or
two cubics. A polynomial of higher degree through a longer stretch of points says far more where
nothing is noise. It is fitted to the spline's own values at the points, in the last layer with what
the outputs miss. The regressions tell which degree and which stretch: what is to be expected of a
squared error is the polynomial's variance, and what the next degrees would change, which is its
bias. A rehearsal tells whether that is to be believed: the outermost points, as polynomials through
the others have them. Where it is not, where a spline says much the same, and where points are not
followed as well, it stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.networks.layer import Layer, splines
from kansweep.networks.uneven import gauss_points
from kansweep.solvers.contract import Problem, output_spread
from kansweep.solvers.gauss_newton import simplest, smoother
from kansweep.solvers.gauss_newton.weights import Memory

SHORTEST, LONGEST = 16, 4096  # points of a stretch; each has twice as many as the one before
LOWEST, HIGHEST = 3, 12  # degrees
# The error that is to be expected may be so much of a spline's spread, and that of a rehearsal turn
# out so many times larger; the training error may grow by the last factor.
WRONG, LARGER, FOLLOWS = 0.1, 10.0, 1.5
# A spline is changed by more than that error; one that the outputs do not tell alone, and of whose
# values less is known, by so many times.
APART = 2.0


def continued(net: KAN, problem: Problem, memory: Tensor) -> KAN:
    """The network with the ends of its hidden splines as the points next to them have them, unless
    points are few and higher differences, as ``memory`` says, have made these (``smoother``)."""
    if net.is_pruned or min(problem.x.shape[1], problem.n_points) < SHORTEST:
        return net
    clean = simplest.clean(net, problem)
    if problem.n_points <= smoother.FEW * net.n_params:
        clean &= Memory.of(memory).beyond == net.beyond
    if not bool(clean.any()):
        return net
    most = FOLLOWS**2 * _squares(net, problem)
    for index in range(1, len(net.layers)):
        hidden = replace(net, layers=net.layers[:index])(problem.x)
        for node, high in product(range(net.width[index]), (False, True)):
            is_last, one = index == len(net.layers) - 1, net.layers[index].input(node)
            h = hidden[..., node : node + 1]
            y = splines(one, h, net.k)[:, :, 0]
            if is_last:
                y = y + problem.y - net(problem.x)
            apart = 1.0 if is_last and net.width[index] == 1 else APART
            coef, sure = _with_end(one, h, y, problem.counts, net.k, apart, high=high)
            sure &= clean[:, None]
            if not bool(sure.any()):
                continue
            follows = _squares(_with(net, index, node, coef, sure), problem) < most
            sure &= follows if is_last else follows.all(1, keepdim=True)
            net = _with(net, index, node, coef, sure)
    return net


def _squares(net: KAN, problem: Problem) -> Tensor:
    """Mean squares over points of what the outputs miss, (R, M)."""
    missed = (net(problem.x) - problem.y).square()
    return torch.stack([problem.mean(each)[0] for each in missed.unbind(2)], 1)


def _with(net: KAN, index: int, node: int, coef: Tensor, which: Tensor) -> KAN:
    """The network with other coefficients (R, O, K) of some of the splines (R, O) behind a node."""
    layer = net.layers[index]
    changed = layer.coef.clone()
    changed[:, :, node] = torch.where(which[..., None], coef, changed[:, :, node])
    layers = list(net.layers)
    layers[index] = replace(layer, coef=changed)
    return replace(net, layers=tuple(layers))


def _with_end(
    one: Layer,
    h: Tensor,
    y: Tensor,
    counts: Tensor | None,
    k: int,
    apart: float,
    *,
    high: bool,
) -> tuple[Tensor, Tensor]:
    """The coefficients (R, O, K) of the splines behind one node with their low or high end
    continued, and of which these are to be believed, (R, O), for hidden values h (R, n, 1) and
    values y (R, n, O) of the splines there, which change by ``apart`` times what is expected of
    the error."""
    lower, width = one.lower[:, None], (one.upper - one.lower)[:, None]
    breaks, places = one.unit_breaks(k), gauss_points(one.unit_breaks(k), k)  # (R, q, 1)
    t, b, z = (each[..., 0].double() for each in ((h - lower) / width, breaks.mT, places))
    if high:
        t, b, z = 1 - t, 1 - b.flip(1), 1 - z
    y, limit = y.double(), _limit(t, counts, b, k + 1)
    if not bool((limit > 0).any()):
        return one.coef[:, :, 0], torch.zeros_like(y[:, 0]).bool()
    near, before = (z < limit).to(y), splines(one, lower + width * places, k)[:, :, 0]
    error, said = _told(_End.of(t, y, counts), z, near)
    change = _mean((said - before).square(), near)
    sure = (apart**2 * error < change) & (error < (WRONG * output_spread(y, counts)) ** 2)
    if bool(sure.any()):
        sure &= _comes_true(t, y, counts, limit)
    values = torch.where((near > 0)[..., None] & sure[:, None], said.to(before), before)
    return one.fitted(values[:, :, None], k).coef[:, :, 0], sure


def _comes_true(t: Tensor, y: Tensor, counts: Tensor | None, limit: Tensor) -> Tensor:
    """Whether polynomials that know nothing of the points before a limit say what these have, to
    some times the error that they expect, (R, O)."""
    outer, weight = t < limit, torch.ones_like(t) if counts is None else counts.to(t)
    rest = _End.of(torch.where(outer, 1.0, t), y, weight * ~outer)
    left, many = _End.of(t, y, weight * outer), int(outer.sum(1).max())  # these come first
    counted = left.weight[:, :many]
    error, said = _told(rest, left.t[:, :many], counted)
    missed = _mean((said - left.y[:, :many]).square(), counted)
    return error.isfinite() & (missed < LARGER**2 * error)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Of values (R, q, O), each counted as often as a weight (R, q) says, (R, O); NaN of none."""
    weight = weight[..., None]
    return torch.where(weight > 0, weight * values, 0).sum(1) / weight.sum(1)


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
            rows = slice(0, max(SHORTEST, 1 + int((weight > 0).nonzero()[:, 1].max())))
            yield _End(self.t[:, rows], self.y[:, rows], weight[:, rows])
            if size >= float(total.amax()):
                return
            size *= 2


def _told(end: _End, z: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
    """By the best of all polynomials, what is to be expected of its squared error at places
    z (R, q), which count as ``near`` (R, q) says, (R, O), and its values (R, q, O)."""
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
    degree = torch.arange(HIGHEST + 1, device=z.device)
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
    squares = _mean(u.square(), near)
    variance = noise * squares.cumsum(1)[:, None]
    # Of two, for of even and odd functions every other coefficient is none.
    bias = (a.square() * squares[:, None]).unfold(2, 2, 1).amax(3)[..., 1:]
    known = 2 * degree[2:] < n[:, None] - 1  # points are twice as many as unknowns
    error = torch.where(known[:, None], variance[..., :-2] + bias, torch.inf)[..., LOWEST:]
    least, best = error.nan_to_num(torch.inf, torch.inf).min(2)  # (R, O)
    chosen = torch.where(degree <= best[..., None] + LOWEST, a, 0.0)
    return least, u @ chosen.mT


def _chebyshev(t: Tensor, many: int) -> Tensor:
    """The first so many polynomials at t (R, m), (R, m, many)."""
    found = [torch.ones_like(t), t]
    while len(found) < many:
        found.append(2 * t * found[-1] - found[-2])
    return torch.stack(found[:many], 2)
