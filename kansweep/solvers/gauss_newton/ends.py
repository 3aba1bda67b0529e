"""Ends of hidden grids, mended when training has ended.

A hidden grid reaches beyond the training values (``gauge.MARGIN``). There a spline goes on as the
polynomial that it is among the outermost points. It is continued by what more points say where they
do (``continued``). That is told as one step more, since it changes what the network is at a few of
them. Elsewhere, where these are few, as behind a logarithm near 0, an end may be anything: 50 times
the range of the outputs has been seen. An edge that departs from a straight line there by
more than it varies among the points is made straight. Only the coefficients that act on no point
are changed, so that nothing changes at the points.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.networks.layer import Layer
from kansweep.networks.points import points_of
from kansweep.solvers.contract import Iteration, Observe, Outcome, Problem
from kansweep.solvers.gauss_newton.continued import continued


def mended(outcome: Outcome[KAN], problem: Problem, observe: Observe | None) -> Outcome[KAN]:
    """The outcome with the ends of its hidden splines straight where they run wild, and continued
    where that is known to be better, which is one step more."""
    outcome = replace(outcome, net=straightened(outcome.net, problem))
    net = continued(outcome.net, problem)
    if net is outcome.net:
        return outcome
    return _told(replace(outcome, net=net), outcome.net, problem, observe)


def _told(
    outcome: Outcome[KAN], before: KAN, problem: Problem, observe: Observe | None
) -> Outcome[KAN]:
    """The outcome after a step more of those replicas that are not as they were."""
    net, (now, then) = outcome.net, (each.theta() for each in (outcome.net, before))
    changed = ((now != then) & ~then.isnan()).any(1).cpu()
    steps = torch.tensor(outcome.steps) + changed
    for step in steps[changed].unique().tolist():
        if observe is None:
            break
        at = (changed & (steps == step)).nonzero()[:, 0].to(problem.x.device)
        missed = net[at](problem.x[at]) - problem.y[at]
        told = Iteration(
            step=step,
            replicas=at,
            net=partial(net.__getitem__, at),
            rmse=missed.square().mean((1, 2)).sqrt(),
            grad_norm=outcome.grad_norm[at],
            accepted=torch.ones_like(at).bool(),
        )
        observe(told)
    return replace(outcome, steps=tuple(steps.tolist()))


def straightened(net: KAN, problem: Problem) -> KAN:
    """The network with the ends straight on which it runs wild."""
    if len(net.layers) == 1:
        return net
    extremes = points_of(problem.x, problem.y, k=net.k).extremes(net)
    pairs = zip(net.layers[1:], extremes, strict=True)
    return replace(
        net, layers=(net.layers[0], *(_straightened(layer, ends, net.k) for layer, ends in pairs))
    )


def _straightened(layer: Layer, ends: Tensor, k: int) -> Layer:
    """Of values between ``ends`` (R, I, 2) of its inputs."""
    knots, centres = layer.knots(k), layer.greville(k)  # (R, I, G+2k+1), (R, I, K)
    last = layer.coef.shape[3] - 1
    # The first and the last coefficient that act on a value: those of its interval.
    at = torch.searchsorted(knots[..., k + 1 : -k - 1].contiguous(), ends.contiguous(), right=True)
    first, final = at[..., 0], (at[..., 1] + k).clamp(max=last)
    number = torch.arange(last + 1, device=ends.device)
    inside = (number >= first[..., None]) & (number <= final[..., None])  # (R, I, K)
    coef = layer.coef
    varies = _range(coef, inside[:, None])
    for index, step, free in (
        (first, 1, number < first[..., None]),
        (final, -1, number > final[..., None]),
    ):
        line = _line(coef, centres, index, step)
        wild = ((coef - line).abs() * free[:, None]).amax(3) > varies  # (R, O, I)
        coef = torch.where(wild[..., None] & free[:, None], line, coef)
    return replace(layer, coef=coef)


def _range(coef: Tensor, inside: Tensor) -> Tensor:
    """By how much coefficients (R, O, I, K) vary among those of a mask, (R, O, I)."""
    high = torch.where(inside, coef, -torch.inf).amax(3)
    return high - torch.where(inside, coef, torch.inf).amin(3)


def _line(coef: Tensor, centres: Tensor, index: Tensor, step: int) -> Tensor:
    """Coefficients of the straight line through the one of an index (R, I) and the next inwards."""
    at = index[:, None, :, None].expand(*coef.shape[:3], 1)
    c, beside = coef.gather(3, at), coef.gather(3, at + step)
    g = centres[:, None]
    place = index[:, None, :, None]
    x, before = g.gather(3, place), g.gather(3, place + step)
    return c + (beside - c) / (before - x) * (g - x)
