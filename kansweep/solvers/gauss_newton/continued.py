"""Ends of hidden splines, continued by what many points next to them tell.

Where its last intervals hold few points or none, a spline says what the nearest ones make of one or
two cubics. What a longer stretch of points tells (``extrapolated``) is far more where nothing is
noise. It is told by the spline's own values at the points, in the last layer with what the outputs
miss. A rehearsal says how far what is expected of its error is to be believed: the outermost points
as the others tell them. Where a spline says much the same, and where points are not followed as
well, it stays as it is.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import product

import torch
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.networks.layer import Layer, splines
from kansweep.networks.uneven import gauss_points
from kansweep.solvers.contract import Problem, output_spread
from kansweep.solvers.gauss_newton import simplest
from kansweep.solvers.gauss_newton.extrapolated import LONGEST, SHORTEST, End

# The error that is to be expected may be so much of a spline's spread; the training error may grow
# by the other factor.
WRONG, FOLLOWS = 0.1, 1.5
# A spline is changed by more than that error; one that the outputs do not tell alone, and of whose
# values less is known, by so many times.
APART = 2.0
# A single last spline whose intervals are too wide to follow points and what is beyond them may
# miss the points, in sum by so much of what changes: the mean square up to the limit, of as many as
# there are points.
GAINED = 0.01
# Polynomials do where what they are wrong by at k + 1 points is so much of what all points miss.
ENOUGH = 0.1
# Of one polynomial over another a rehearsal shows what it expects itself, up to so many times the
# squared error that is claimed: with noise it may expect any error, and then shows nothing.
SHOWS = 3.0


def continued(net: KAN, problem: Problem) -> KAN:
    """The network with the ends of its hidden splines as the points next to them have them."""
    if net.is_pruned or min(problem.x.shape[1], problem.n_points) < SHORTEST:
        return net
    clean = simplest.clean(net, problem)
    if not bool(clean.any()):
        return net
    squares = _squares(net, problem)
    most, share = FOLLOWS**2 * squares, ENOUGH * problem.n_points / (net.k + 1)
    for index in range(1, len(net.layers)):
        hidden = replace(net, layers=net.layers[:index])(problem.x)
        for node, high in product(range(net.width[index]), (False, True)):
            is_last, one = index == len(net.layers) - 1, net.layers[index].input(node)
            h = hidden[..., node : node + 1]
            y = splines(one, h, net.k)[:, :, 0]
            if is_last:
                y = y + problem.y - net(problem.x)
            enough = share * squares if is_last else torch.zeros_like(y[:, 0])
            alone = is_last and net.width[index] == 1
            given = problem.counts, net.k, 1.0 if alone else APART, enough
            coef, sure, gain = _with_end(one, h, y, *given, high=high)
            sure &= clean[:, None]
            if not bool(sure.any()):
                continue
            missed = _squares(_with(net, index, node, coef, sure), problem)
            allowed = most + GAINED * gain / problem.n_points if alone else most
            sure &= missed < allowed if is_last else (missed < allowed).all(1, keepdim=True)
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
    enough: Tensor,
    *,
    high: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The coefficients (R, O, K) of the splines behind one node with their low or high end
    continued, and of which these are to be believed, (R, O), for hidden values h (R, n, 1) and
    values y (R, n, O) of the splines there, which change by ``apart`` times what is expected of
    the error; and by how much they change, (R, O), the mean square of as many as there are points.
    Polynomials do whose squared error is ``enough`` (R, O)."""
    lower, width = one.lower[:, None], (one.upper - one.lower)[:, None]
    breaks, places = one.unit_breaks(k), gauss_points(one.unit_breaks(k), k)  # (R, q, 1)
    t, b, z = (each[..., 0].double() for each in ((h - lower) / width, breaks.mT, places))
    if high:
        t, b, z = 1 - t, 1 - b.flip(1), 1 - z
    y, limit = y.double(), _limit(t, counts, b, k + 1)
    near = (z < limit).to(y)
    each = partial(torch.repeat_interleave, repeats=y.shape[2], dim=0)  # of a node's functions
    end = End.of(each(t), y.mT.flatten(0, 1), None if counts is None else each(counts))
    error, said = _told(end, each(z), each(near), each(limit), enough.flatten())
    error, said = error.view_as(y[:, 0]), said.view(*y[:, 0].shape, -1).mT
    if not bool(error.isfinite().any()):
        return one.coef[:, :, 0], error.isfinite(), error
    before = splines(one, lower + width * places, k)[:, :, 0]
    change = _mean((said - before).square(), near)
    sure = (apart**2 * error < change) & (error < (WRONG * output_spread(y, counts)) ** 2)
    values = torch.where((near > 0)[..., None] & sure[:, None], said.to(before), before)
    gain = (end.weight * (end.t < each(limit))).sum(1).view_as(change) * change
    return one.fitted(values[:, :, None], k).coef[:, :, 0], sure, gain


def _told(
    end: End, z: Tensor, near: Tensor, limit: Tensor, enough: Tensor
) -> tuple[Tensor, Tensor]:
    """The squared error that is to be expected (B,) at places z (B, q), which count as ``near``
    (B, q) says, after a rehearsal with the points before a limit (B, 1), and what is told there,
    (B, q): by polynomials, and where their error is more than ``enough`` (B,) by those over others
    if that error is less."""
    outer = end.t < limit
    many, none = int(outer.sum(1).max()), torch.zeros_like(outer[:, 0]).long()
    t, y, known = end.t[:, :many], end.y[:, :many], (end.weight * outer)[:, :many]  # the first ones
    least, values = torch.full_like(enough, torch.inf), torch.zeros_like(z)
    which = outer[:, 0]
    for over in (False, True):
        error, said = end.told(z, near, which, none, over=over)
        expected, rehearsed = end.told(t, known, which, outer.sum(1), over=over)
        missed = _mean((rehearsed - y).square()[..., None], known)[:, 0]
        most = torch.minimum(expected, SHOWS * error) if over else expected
        worse = torch.where(expected.isfinite(), (missed / most).clamp(min=1.0), torch.inf)
        error = error * worse
        better = error < least
        least = torch.where(better, error, least)
        values = torch.where(better[:, None], said, values)
        which = which & (least > enough)
        if not bool(which.any()):
            break
    return least, values


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
