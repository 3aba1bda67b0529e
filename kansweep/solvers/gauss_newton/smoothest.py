"""Cold starts for one hidden node behind an outer function that oscillates: smoothest sums.

Where f = Phi(s), s = sum_i phi_i(x_i), turns within the distance to the next points, neither its
gradients nor a straight line say anything. But along s outputs are a smooth curve, and along any
other sum they look like noise. So s is sought as the sum along which the variance of that noise is
least, which a point and its two neighbours tell without any Phi (Gasser, Sroka and
Jennen-Steinmetz, *Biometrika* 73, 1986). The valleys of that variance are narrow and far apart: low
polynomials are drawn in thousands, and the best of them moved, each in its own valley.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from kansweep.data.streams import Stream, generator
from kansweep.data.targets import Array
from kansweep.networks.kan import KAN, Shape
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton.objective import training_error
from kansweep.solvers.gauss_newton.pursuit import polynomials
from kansweep.solvers.gauss_newton.start import blank

POINTS = 500  # around the middle, along which sums they are smooth
DRAWN, KEPT = 2000, 64  # sums, and the best of them,
AROUND = 32  # around each of which so many are drawn each time, so far away, in its own lengths
STEPS = tuple(0.5 * 0.7**move for move in range(8))
STARTS = 8  # the best of all, to be trained
# Deviations of the linear, quadratic and cubic part of a sum; every other has the first alone.
PARTS = (1.0, 1.0, 0.6)
AT_ONCE = 64  # sums, whose numbers stay in a cache
NUMBER = 1_000_000  # of these among a seed's starts; those of races have lower ones


def trained(shape: Shape, problem: Problem, fit: Callable[[KAN, Problem], KAN]) -> KAN:
    """A network of a shape of one hidden node, with inner functions along which outputs are smooth:
    of several, which ``fit`` trains from the identity behind them, the one that fits best.

    Near the middle a sum varies less. So there it is found, and trained on more and more points
    around, after each half of what is left stays.
    """
    net = blank(shape, problem)
    problem, every = _from_the_middle(problem), torch.arange(len(problem.seeds))
    every = every.to(problem.x.device)
    inner = [_inner(net[r], problem[r]) for r in every.split(1)]
    many = every.repeat_interleave(STARTS)
    first, last = net[many].layers
    line = last.greville(net.k)[:, None].expand_as(last.coef)
    first = replace(first, coef=torch.cat(inner)[:, None].to(first.coef))
    net = replace(net, layers=(first, replace(last, coef=line)))
    for size in _sizes(problem.x.shape[1]):
        part = problem[many].at(slice(0, size))
        net = fit(net, part)
        error = training_error(net, part).nan_to_num(torch.inf).view(len(every), -1)
        kept = max(1, error.shape[1] // 2) if part.x.shape[1] < problem.x.shape[1] else 1
        best = error.argsort(dim=1, stable=True)[:, :kept] + error.shape[1] * every[:, None]
        net, many = net[best.flatten()], many[best.flatten()]
    return net


def _sizes(n: int) -> list[int]:
    """Of parts of n points, each twice as large as the one before, up to one that has them all."""
    sizes = [POINTS]
    while sizes[-1] < n:
        sizes.append(2 * sizes[-1])
    return sizes


def _from_the_middle(problem: Problem) -> Problem:
    """The problem with its points in the order of their distance from the middle, once each."""
    x = problem.x
    low, high = x.amin(1, keepdim=True), x.amax(1, keepdim=True)
    width = (high - low).clamp(min=torch.finfo(x.dtype).tiny)
    order = ((2 * x - low - high) / width).abs().amax(2).argsort(dim=1, stable=True)
    x, y = (each.gather(1, order[..., None].expand_as(each)) for each in (x, problem.y))
    return replace(problem, x=x, y=y, counts=None)


def _inner(net: KAN, problem: Problem) -> Tensor:
    """Coefficients (S, I, K) of inner functions of one replica; on the CPU."""
    layer, n = net.layers[0], problem.x.shape[1]
    lower, upper, line = (
        each[0].double().cpu() for each in (layer.lower, layer.upper, layer.greville(net.k))
    )
    x, y = (each[0, :POINTS].double().cpu() for each in (problem.x, problem.y))
    x, places = (2 * (t - lower) / (upper - lower) - 1 for t in (x, line.mT))
    y = y / problem.spread[0].double().cpu()
    shapes = _shapes(x.numpy().tobytes(), y.numpy().tobytes(), len(x), problem.seeds[0], n)
    coef: Tensor = torch.einsum("sip,kip->sik", shapes, polynomials(places))
    return coef


@lru_cache(maxsize=512)
def _shapes(x: bytes, y: bytes, points: int, seed: int, n: int) -> Tensor:
    """Polynomials (S, I, 3) of the smoothest sums; remembered, since every grid asks for them."""
    inputs, outputs = (
        torch.from_numpy(np.frombuffer(each).reshape(points, -1).copy()) for each in (x, y)
    )
    rng = generator(seed, Stream.START, n, NUMBER)
    sums = smoothest(polynomials(inputs).flatten(1), outputs, rng)
    return sums[:STARTS].view(STARTS, -1, len(PARTS))


def smoothest(features: Tensor, y: Tensor, rng: np.random.Generator) -> Tensor:
    """Weights (``KEPT``, F) of sums of features (n, F) along which y (n, M) are smooth, the
    smoothest first."""
    sums = _around(features.new_zeros(1, features.shape[1]), DRAWN, 1.0, rng)[0]
    rough, order = roughness(features @ sums.mT, y).sort(stable=True)
    sums, rough = sums[order[:KEPT]], rough[:KEPT]
    for step in STEPS:
        near = _around(sums, AROUND, step, rng)
        theirs, best = roughness(features @ near.flatten(0, 1).mT, y).view(KEPT, -1).min(1)
        less = theirs < rough
        sums = torch.where(less[:, None], near[torch.arange(KEPT), best], sums)
        rough = torch.where(less, theirs, rough)
    return sums[rough.argsort(stable=True)]


def _around(sums: Tensor, many: int, step: float, rng: np.random.Generator) -> Tensor:
    """So many of unit length around each of sums (S, F): (S, many, F)."""
    size, parts = sums.shape[1], len(PARTS)
    drawn = torch.from_numpy(rng.standard_normal((len(sums), many, size // parts, parts)))
    drawn *= torch.tensor(PARTS, dtype=drawn.dtype)
    drawn[:, ::2, :, 1:] = 0.0
    near = sums[:, None] + step * drawn.flatten(2)
    near /= near.norm(dim=2, keepdim=True)
    return near


def roughness(sums: Tensor, y: Tensor) -> Tensor:
    """The variance of what is no smooth function of each of sums (n, C), of all y (n, M), (C,)."""
    rows = (part.mT.contiguous().numpy() for part in sums.split(AT_ONCE, 1))
    return torch.cat([torch.from_numpy(_roughness(some, y.numpy())) for some in rows])


def _roughness(s: Array, y: Array) -> Array:
    """The same of sums (C, n). NumPy sorts several times as fast as torch."""
    order = s.argsort(1)
    s = np.take_along_axis(s, order, 1)
    # A neighbour's share of the line through both, at the point between; they may share a place.
    share = (s[:, 2:] - s[:, 1:-1]) / np.maximum(s[:, 2:] - s[:, :-2], np.finfo(float).tiny)
    # Of independent noise of variance 1 the residual from that line has twice this variance.
    variance = share * (share - 1) + 1
    total: Array = np.zeros(len(s))
    for each in y.T:
        v = each[order]
        residual = share * (v[:, :-2] - v[:, 2:]) + (v[:, 2:] - v[:, 1:-1])
        total += (residual**2 / variance).sum(1)
    total /= 2 * max(1, s.shape[1] - 2)
    return total
