"""Where several nodes may begin: what each of them could tell of the outputs.

Projection pursuit (Friedman and Stuetzle, *J. Am. Statist. Assoc.* 76, 1981) with sums of low
polynomials of the inputs in place of projections. One after the other, a node gets the sum, of some
hundreds that are drawn and then moved, of which a function tells most of what the nodes before it
leave. On coarse grids sums of steep or oscillating functions are led into one basin, and a wrong
one; begun here, a fine grid is in the right one.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kansweep.networks.kan import KAN

POINTS = 1000  # that judge, at most
DRAWN, NEARBY, MOVES = 256, 48, 5  # sums, then around the best of them, so many times
STEP, SHORTER = 0.5, 0.7  # how far around, of a sum's own length; each time so much less far
# Deviations of the linear, quadratic and cubic part of a sum; every other has the first alone.
PARTS = (1.0, 1.0, 0.3)
RANK = 1e-6  # what is less of a function of a sum, in the root mean square, is one of those before


def polynomials(t: Tensor) -> Tensor:
    """Linear, quadratic and cubic polynomials on [-1, 1], nearly orthogonal: (...) -> (..., 3)."""
    return torch.stack([t, t**2 - 1 / 3, t**3 - 3 * t / 5], -1)


def places(many: int) -> Tensor:
    """What so many coefficients of an edge are of each polynomial: (K, 3)."""
    return polynomials(torch.linspace(-1.0, 1.0, many, dtype=torch.float64))


def pursued(net: KAN, x: Tensor, y: Tensor, rng: np.random.Generator) -> Tensor:
    """Coefficients (O, I, K) of the first layer of one replica of a network, about the sums that
    are found for points x (n, I) and outputs y (n, M) of unit spread; on the CPU, in float64."""
    layer = net.layers[0]
    x, y = (each.double().cpu() for each in (x, y))
    if x.shape[0] > POINTS:
        some = torch.from_numpy(rng.permutation(x.shape[0])[:POINTS])
        x, y = x[some], y[some]
    lower, upper = (end[0].double().cpu() for end in (layer.lower, layer.upper))
    features = polynomials(2 * (x - lower) / (upper - lower) - 1).flatten(1)
    sums = _sums(features, y, layer.n_outputs, net.grid_size, rng)
    shapes = sums.view(layer.n_outputs, layer.n_inputs, len(PARTS))
    coef: Tensor = shapes @ places(layer.coef.shape[3]).mT
    return coef


def _sums(features: Tensor, y: Tensor, nodes: int, bins: int, rng: np.random.Generator) -> Tensor:
    """Weights (nodes, F) of features (n, F), of whose sums functions tell y (n, M) together."""
    left, sums, known = y - y.mean(0), [], y[:, :0]
    for _ in range(nodes):
        sums.append(_best(features, left, bins, rng))
        hats = _hats(features @ sums[-1], bins)
        hats = hats - known @ (known.mT @ hats)
        base, size, _ = torch.linalg.svd(hats, full_matrices=False)
        base = base[:, size > RANK * len(hats) ** 0.5]
        left = left - base @ (base.mT @ left)
        known = torch.cat([known, base], 1)
    return torch.stack(sums)


def _best(features: Tensor, y: Tensor, bins: int, rng: np.random.Generator) -> Tensor:
    """Weights (F,) of a sum that tells much."""
    parts = torch.tensor(PARTS, dtype=torch.float64).repeat(features.shape[1] // len(PARTS))
    straight = torch.arange(len(parts)) % len(PARTS) == 0
    best, most = torch.zeros_like(parts), parts.new_tensor(-torch.inf)
    for number, step in ((DRAWN, 1.0), *((NEARBY, STEP * SHORTER**move) for move in range(MOVES))):
        drawn = torch.from_numpy(rng.standard_normal((number, len(parts))))
        some = best + step * parts * drawn
        some[::2] *= straight
        some = some / some.norm(dim=1, keepdim=True)
        told = _told(features @ some.mT, y, bins)
        if told.max() > most:
            best, most = some[told.argmax()], told.max()
    return best


def _told(sums: Tensor, y: Tensor, bins: int) -> Tensor:
    """How much of the squares of y (n, M) the means in bins of each of sums (n, C) tell, (C,)."""
    at = _placed(sums, bins).long().clamp(max=bins - 1).mT  # (C, n)
    count = torch.zeros(at.shape[0], bins, dtype=y.dtype).scatter_add(1, at, y.new_ones(at.shape))
    squares = 0 * count
    for each in y.mT:
        total = torch.zeros_like(count).scatter_add(1, at, each.expand_as(at))
        squares += total.square()
    return (squares / count.clamp(min=1)).sum(1)


def _hats(s: Tensor, bins: int) -> Tensor:
    """Piecewise linear functions of s (n,), (n, bins + 1)."""
    return (1 - (_placed(s, bins)[:, None] - torch.arange(bins + 1)).abs()).clamp(min=0)


def _placed(s: Tensor, bins: int) -> Tensor:
    """Where s (n, ...) lies in its range, from 0 to ``bins``."""
    low, high = s.amin(0), s.amax(0)
    return bins * (s - low) / (high - low).clamp(min=torch.finfo(s.dtype).tiny)
