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
        theta, earlier = extended(net, r), 0
        for depth in range(1, net.width.size - 1):
            for o in range(net.width[depth]):
                h = earlier + o
                high, low = inner[r, earlier + h], inner[r, earlier + h + net.width[depth]]
                for row, point in ((high, ends[r, h, 0]), (low, ends[r, h, 1])):
                    _row(net, r, depth, o, theta, x[r], hidden[r], point, inner[r], row)
                _beyond(high, low, hidden[r, h, ends[r, h, 0]], hidden[r, h, ends[r, h, 1]])
            earlier += net.width[depth]


@loop
def half_widths(width: Ints, inner: Floats) -> Floats:
    """Derivatives of hidden grids' half-widths (R, P, H), from those of their ends (R, 2H, P)."""
    replicas, ends, size = inner.shape
    out = np.empty((replicas, size, ends // 2))
    for r in range(replicas):
        first = 0
        for nodes in width[1:-1]:
            for h in range(first, first + nodes):
                high, low = inner[r, first + h], inner[r, first + h + nodes]
                for p in range(size):
                    out[r, p, h] = (high[p] - low[p]) / 2
            first += nodes
    return out


@inner
def _beyond(high: Floats, low: Floats, last: float, first: float) -> None:
    """From derivatives of a node's largest and least value, (P,) each, to those of its grid's ends,
    in place: the values lie at -1 + 2 below / total and 1 - 2 above / total."""
    below, above = (1 + first) / (last - first), (1 - last) / (last - first)
    for j in range(high.size):
        span, total = high[j] - low[j], high[j] + low[j]
        mid = (total + (above - below) * span) / 2
        half = (1 + below + above) * span / 2
        high[j], low[j] = mid + half, mid - half


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
    """d s / d theta (P,) of a node at one point, the ends of earlier grids, (2H, P), included."""
    w, count = net.w, runs(net, depth)
    values, columns = np.zeros((1, count * w)), np.empty((1, count), np.int32)
    lengths = np.empty(count, np.int64)
    block = activated(net, r, theta, gathered(x, hidden, point, point + 1))
    nodes = x.shape[0] + hidden.shape[0]
    back, moved = np.zeros((nodes, 1)), np.zeros((nodes, 1))
    backward(net, depth, output, block, back, moved)
    fill(net, depth, output, block, back, values, columns, lengths)
    for j in range(row.size):
        row[j] = 0.0
    for j in range(count):
        for s in range(lengths[j]):
            row[columns[0, j] + s] += values[0, j * w + s]
    sides = np.empty((2 * hidden.shape[0], 1))
    range_sides(net, block.x, moved, sides)
    for end in range(2 * (net.start[depth, 1] - net.width[0])):
        for j in range(row.size):
            row[j] += sides[end, 0] * inner[end, j]
