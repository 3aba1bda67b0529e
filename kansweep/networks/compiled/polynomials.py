"""Edges as the polynomials that they are on each interval: values with first and second derivatives
at a block of points."""

from __future__ import annotations

import numpy as np

from kansweep.networks.compiled.basis import locate
from kansweep.networks.compiled.layout import Floats, Ints, Net
from kansweep.networks.compiling import inner


@inner
def polynomials(net: Net, r: int) -> Floats:
    """Coefficients of 1, t, ..., t^k of every edge on every interval, (E, G, k + 1)."""
    k, w, n_coef = net.k, net.w, net.grid_size + net.k
    out = np.zeros((net.start[net.width.size - 1, 2], net.grid_size, k + 1))
    even = net.breaks.size == 1
    theta, table = net.theta[r], net.pieces[0 if even else r]
    for layer in range(net.width.size - 1):
        n_in = net.width[layer]
        first, node, edge = net.start[layer]
        for e in range(n_in * net.width[layer + 1]):
            for g in range(net.grid_size):
                at = 0 if even else ((node + e % n_in) * net.grid_size + g) * (k + 1) * w
                acting = first + e * n_coef + g  # the first coefficient that does
                for m in range(k + 1):
                    for s in range(k + 1):
                        out[edge + e, g, m] += table[at + m * w + s] * theta[acting + s]
    return out


@inner
def base_weight(net: Net, r: int, layer: int, e: int) -> float:
    """Of an edge's base, 0 where there is none."""
    if not net.base:
        return 0.0
    edges = net.width[layer] * net.width[layer + 1]
    return float(net.theta[r, net.start[layer, 0] + edges * (net.grid_size + net.k) + e])


@inner
def placed(net: Net, r: int, node: int, x: Floats, interval: Ints, place: Floats) -> None:
    """Some values of a node, (points,): their intervals, and (5, points) of their places t there,
    dt/dx, and silu with its two derivatives by x."""
    t, rise, base = place[0], place[1], place[2:]
    locate(net, r, node, x, interval, t, rise)
    if not net.base:
        return
    shift, scale = net.grid[r, node, 2], net.grid[r, node, 3]
    for p in range(x.size):
        v = shift + scale * x[p]
        gate = 1.0 / (1.0 + np.exp(-v))
        base[0, p] = v * gate
        base[1, p] = gate * (1.0 + v * (1.0 - gate)) * scale
        base[2, p] = gate * (1.0 - gate) * (2.0 + v * (1.0 - 2.0 * gate)) * scale * scale


@inner
def evaluate(terms: Floats, weight: float, interval: Ints, place: Floats, out: Floats) -> None:
    """An edge of polynomials (G, k + 1) and a weight of silu at values that are ``placed``: itself,
    its slope and its second derivative, into (3, points), by Horner's scheme."""
    for p in range(interval.size):
        g, t, rise = interval[p], place[0, p], place[1, p]
        held = 0.0 if t < 0.0 else (1.0 if t > 1.0 else t)
        value = slope = bend = 0.0
        for m in range(terms.shape[1] - 1, -1, -1):
            bend = bend * held + 2.0 * slope
            slope = slope * held + value
            value = value * held + terms[g, m]
        out[0, p] = value + slope * (t - held)
        out[1, p] = slope * rise
        # Beyond the grid there is a straight line.
        out[2, p] = bend * rise * rise if held == t else 0.0
    if weight != 0.0:
        for order in range(3):
            for p in range(interval.size):
                out[order, p] += weight * place[2 + order, p]
