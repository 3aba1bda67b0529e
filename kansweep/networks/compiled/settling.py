"""Hidden values onto their grids, and the residual behind them."""

from __future__ import annotations

import numpy as np

from kansweep.networks.compiled.forward import BLOCK, extended, layer_sums
from kansweep.networks.compiled.layout import Floats, Ints, Net
from kansweep.networks.compiling import inner, loop

EPS, TINY = float(np.finfo(np.float64).eps), float(np.finfo(np.float64).tiny)


@loop
def normalise(net: Net, x: Floats, margin: Floats, hidden: Floats, ends: Ints) -> None:
    """Every hidden layer in turn: its values at all points, the grids for their ranges, the same
    functions on them. theta and grid of the network change in place.

    x (R, I, n), margin (R, H, 2) below and above; into hidden (R, H, n) go the values on their
    grids and into ends (R, H, 2) the points of the largest and the least.
    """
    for r in range(x.shape[0]):
        for layer in range(net.width.size - 2):
            begin = net.start[layer + 1, 1] - net.width[0]
            end = begin + net.width[layer + 1]
            given = x[r] if layer == 0 else hidden[r, begin - net.width[layer] : begin]
            layer_sums(net, r, layer, extended(net, r), given, hidden[r, begin:end])
            for o in range(begin, end):
                high, low = extremes(hidden[r, o])
                ends[r, o, 0], ends[r, o, 1] = high, low
                mid, half = _mid_and_half(hidden[r, o, high], hidden[r, o, low], margin[r, o])
                _onto(net, r, layer, o - begin, mid, half)
                place = net.grid[r, net.width[0] + o]
                place[2] += place[3] * mid
                place[3] *= half
                for p in range(x.shape[2]):
                    hidden[r, o, p] = (hidden[r, o, p] - mid) / half


@inner
def extremes(s: Floats) -> tuple[int, int]:
    """Where values (n,) are largest and least."""
    high = low = 0
    for p in range(s.size):
        if s[p] > s[high]:
            high = p
        if s[p] < s[low]:
            low = p
    return high, low


@inner
def _mid_and_half(high: float, low: float, margin: Floats) -> tuple[float, float]:
    """``gauge.mid_and_half``."""
    below, above, span = margin[0], margin[1], high - low
    least = max(EPS * max(abs(high), abs(low)), TINY)
    mid = (high + low + (above - below) * span) / 2
    return mid, (1 + below + above) * max(span / 2, least)


@inner
def _onto(net: Net, r: int, layer: int, o: int, mid: float, half: float) -> None:
    """The edges of output ``o`` for (s - mid) / half, their constant shared equally
    (``gauge.rescale_outputs``)."""
    n_in, n_coef = net.width[layer], net.grid_size + net.k
    first, theta = net.start[layer, 0] + o * n_in * n_coef, net.theta[r]
    weights = net.start[layer, 0] + n_in * net.width[layer + 1] * n_coef + o * n_in
    total = 0.0
    for j in range(first, first + n_in * n_coef):
        total += theta[j]
    shared = (total / n_coef - mid) / n_in
    for i in range(n_in):
        begin, constant = first + i * n_coef, 0.0
        for j in range(begin, begin + n_coef):
            constant += theta[j] / n_coef
        for j in range(begin, begin + n_coef):
            theta[j] = (theta[j] - constant + shared) / half
        if net.base:
            theta[weights + i] /= half


def values(net: Net, layer: int, x: Floats, out: Floats) -> None:
    """Outputs of a layer, (R, I, n) -> (R, O, n)."""
    residuals(net, layer, x, np.empty((len(x), 0, 1)), np.empty((0, 0)), out, np.empty(len(x)))


@loop
def residuals(
    net: Net, layer: int, x: Floats, y: Floats, counts: Floats, out: Floats, mse: Floats
) -> None:
    """f - y behind what reaches the last layer, (R, I, n) and (R, M, n) -> (R, M, n), and the mean
    over points of their squares' sum, (R,); f alone where y has no outputs. Points count as often
    as ``counts`` (R, n) says, or once where it is empty."""
    for r in range(x.shape[0]):
        layer_sums(net, r, layer, extended(net, r), x[r], out[r])
        total = 0.0
        for m in range(y.shape[1]):
            for begin in range(0, y.shape[2], BLOCK):
                part = 0.0  # sums of sums lose less
                for p in range(begin, min(begin + BLOCK, y.shape[2])):
                    out[r, m, p] -= y[r, m, p]
                    part += out[r, m, p] ** 2 * (counts[r, p] if counts.size else 1.0)
                total += part
        mse[r] = total / (counts[r].sum() if counts.size else y.shape[2])


@loop
def with_last(net: Net, last: Floats, theta: Floats) -> None:
    """Into theta (R, P) the network's numbers with such ones in the last layer, (R, M, Q), every
    output's constant shared equally by its edges (``gauge.balanced``)."""
    layer, n_coef = net.width.size - 2, net.grid_size + net.k
    n_in, n_out, first = net.width[layer], net.width[layer + 1], net.start[layer, 0]
    constant = np.empty(n_in)
    for r in range(theta.shape[0]):
        for j in range(first):
            theta[r, j] = net.theta[r, j]
        weights = first + n_out * n_in * n_coef
        for m in range(n_out):
            own, shared = last[r, m], 0.0
            for i in range(n_in):
                constant[i] = 0.0
                for j in range(n_coef):
                    constant[i] += own[i * n_coef + j] / n_coef
                shared += constant[i] / n_in
            for i in range(n_in):
                begin = first + (m * n_in + i) * n_coef
                for j in range(n_coef):
                    theta[r, begin + j] = own[i * n_coef + j] - constant[i] + shared
                if net.base:
                    theta[r, weights + m * n_in + i] = own[n_in * n_coef + i]
