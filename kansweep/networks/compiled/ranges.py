"""How the ends of hidden grids move with theta (``gauge.range_terms``)."""

from __future__ import annotations

import numpy as np

from kansweep.networks.compiled.forward import extended
from kansweep.networks.compiled.layout import Floats, Ints, Net
from kansweep.networks.compiled.slopes import (
    activated,
    backward,
    fill,
    gathered,
    range_sides,
    runs,
)
from kansweep.networks.compiling import inner, loop


@loop
def range_terms(net: Net, x: Floats, hidden: Floats, ends: Ints, inner: Floats) -> None:
    """Derivatives of the ends (high, low) of each hidden grid by theta, into inner (R, 2H, P).

    They follow the values at two points each, in ends (R, H, 2), by way of earlier ends too.
    """
    for r in range(x.shape[0]):
        _moving(net, r, extended(net, r), x[r], hidden[r], ends[r], inner[r])


@inner
def _moving(
    net: Net, r: int, theta: Floats, x: Floats, hidden: Floats, ends: Ints, inner: Floats
) -> None:
    """``range_terms`` of one replica."""
    rows, h, at = np.empty((2, inner.shape[1])), 0, 0
    for depth in range(1, net.width.size - 1):
        for o in range(net.width[depth]):
            for which in range(2):
                _row(net, r, depth, o, theta, x, hidden, ends[h, which], inner[:at], rows[which])
            first, last = hidden[h, ends[h, 1]], hidden[h, ends[h, 0]]
            # The ends of the values lie at -1 + 2 below / total and 1 - 2 above / total.
            below, above = (1 + first) / (last - first), (1 - last) / (last - first)
            high, low = inner[at + o], inner[at + net.width[depth] + o]
            for j in range(inner.shape[1]):
                span, total = rows[0, j] - rows[1, j], rows[0, j] + rows[1, j]
                mid = (total + (above - below) * span) / 2
                half = (1 + below + above) * span / 2
                high[j], low[j] = mid + half, mid - half
            h += 1
        at += 2 * net.width[depth]


@inner
def _row(
    net: Net,
    r: int,
    depth: int,
    output: int,
    theta: Floats,
    x: Floats,
    hidden: Floats,
    point: int,
    inner: Floats,
    row: Floats,
) -> None:
    """d s / d theta (P,) of a node at one point, the ends of earlier grids (., P) included."""
    w, count = net.pieces.shape[4], runs(net, depth)
    values, columns = np.zeros((count, w)), np.empty((count, 1), np.int32)
    lengths = np.empty(count, np.int64)
    block = activated(net, r, theta, gathered(x, hidden, point, point + 1))
    back, moved = np.zeros((net.width.sum(), 1)), np.zeros((net.width.sum(), 1))
    backward(net, depth, output, block, back, moved)
    fill(net, depth, output, block, back, values, columns, lengths)
    for j in range(row.size):
        row[j] = 0.0
    for j in range(count):
        for s in range(lengths[j]):
            row[columns[j, 0] + s] += values[j, s]
    sides = np.empty((2 * hidden.shape[0], 1))
    range_sides(net, block.x, moved, sides)
    for end in range(inner.shape[0]):
        for j in range(row.size):
            row[j] += sides[end, 0] * inner[end, j]
