"""Where several nodes may begin: what each of them could tell of the outputs.

Projection pursuit (Friedman and Stuetzle, *J. Am. Statist. Assoc.* 76, 1981) with sums of low
polynomials of the inputs in place of projections. One after the other, a node gets the sum, of some
hundreds that are drawn and then moved, of which a function tells most of what the nodes before it
leave. Coarse grids lead sums of steep or oscillating functions into one basin, and a wrong one;
from here a fine grid begins in the right one.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from kansweep.data.targets import Array
from kansweep.networks.kan import KAN

POINTS = 1000  # that judge, at most
DRAWN, NEARBY, MOVES = 256, 48, 5  # sums, then around the best of them, so many times
STEP, SHORTER = 0.5, 0.7  # how far around, of a sum's own length; each time so much less far
# Deviations of the linear, quadratic and cubic part of a sum; every other has the first alone.
PARTS = (1.0, 1.0, 0.3)
RANK = 1e-6  # of a regression on functions of sums that may be alike


def polynomials(t: Array) -> Array:
    """Linear, quadratic and cubic polynomials on [-1, 1], nearly orthogonal: (...) -> (..., 3)."""
    return np.stack([t, t**2 - 1 / 3, t**3 - 3 * t / 5], -1)


def pursued(net: KAN, x: Tensor, y: Tensor, rng: np.random.Generator) -> Array:
    """Coefficients (O, I, K) of the first layer of one replica of a network, for points x (n, I)
    and outputs y (n, M)."""
    layer, step = net.layers[0], -(-x.shape[0] // POINTS)
    t = 2 * (x[::step] - layer.lower[0]) / (layer.upper - layer.lower)[0] - 1
    u, v = (each.double().cpu().numpy() for each in (t, y[::step]))
    sums = _sums(polynomials(u).reshape(len(u), -1), v, layer.n_outputs, net.grid_size, rng)
    places = polynomials(np.linspace(-1.0, 1.0, layer.coef.shape[3]))
    return sums.reshape(layer.n_outputs, layer.n_inputs, -1) @ places.T


def _sums(f: Array, y: Array, nodes: int, bins: int, rng: np.random.Generator) -> Array:
    """Weights (nodes, F) of features f (n, F), of whose sums functions tell y (n, M) together."""
    y = y - y.mean(0)
    left, sums, known = y, [], []
    for _ in range(nodes):
        sums.append(_best(f, left, bins, rng))
        known.append(_hats(f @ sums[-1], bins))
        hats = np.hstack(known)
        left = y - hats @ np.linalg.lstsq(hats, y, rcond=RANK)[0]
    return np.stack(sums)


def _best(f: Array, y: Array, bins: int, rng: np.random.Generator) -> Array:
    """Weights (F,) of a sum that tells much."""
    parts = np.tile(PARTS, f.shape[1] // len(PARTS))
    straight = np.arange(len(parts)) % len(PARTS) == 0
    best, most = np.zeros_like(parts), -np.inf
    for number, step in ((DRAWN, 1.0), *((NEARBY, STEP * SHORTER**move) for move in range(MOVES))):
        some = best + step * parts * rng.standard_normal((number, len(parts)))
        some[::2] *= straight
        some /= np.linalg.norm(some, axis=1, keepdims=True)
        told = _told(f @ some.T, y, bins)
        at = int(told.argmax())
        if told[at] > most:
            best, most = some[at], told[at]
    return best


def _told(s: Array, y: Array, bins: int) -> Array:
    """How much of the squares of y (n, M) the means in bins of each of s (n, C) tell, (C,)."""
    place = _places(s, bins).astype(np.intp).clip(max=bins - 1)
    flat, size = (place + bins * np.arange(s.shape[1])).ravel(), bins * s.shape[1]
    count = np.bincount(flat, minlength=size).clip(min=1)
    totals = [np.bincount(flat, np.repeat(each, s.shape[1]), size) for each in y.T]
    squares: Array = (np.square(totals).sum(0) / count).reshape(-1, bins).sum(1)
    return squares


def _hats(s: Array, bins: int) -> Array:
    """Piecewise linear functions of s (n,), (n, bins + 1)."""
    hats: Array = (1 - abs(_places(s, bins)[:, None] - np.arange(bins + 1))).clip(min=0)
    return hats


def _places(s: Array, bins: int) -> Array:
    """Where s (n, ...) lies in its range, from 0 to ``bins``."""
    low, high = s.min(0), s.max(0)
    places: Array = bins * (s - low) / np.maximum(high - low, np.finfo(float).tiny)
    return places
