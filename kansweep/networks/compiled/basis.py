"""The innermost loops: vectors of W numbers, and the basis functions of one node at some points."""

from __future__ import annotations

import numpy as np

from kansweep.networks.compiled.layout import Floats, Ints, Net
from kansweep.networks.compiling import inlined, inner

_1, _2, _3 = np.uint64(1), np.uint64(2), np.uint64(3)


@inlined
def add4(out: Floats, at: int, a: float, values: Floats, first: int) -> None:
    """out[at:at + 4] += a * values[first:first + 4]; all is read before any of it is written, and
    indices are unsigned, so that it becomes one vector operation."""
    i, j = np.uint64(at), np.uint64(first)
    v0, v1, v2, v3 = values[j], values[j + _1], values[j + _2], values[j + _3]
    o0, o1, o2, o3 = out[i], out[i + _1], out[i + _2], out[i + _3]
    out[i] = o0 + a * v0
    out[i + _1] = o1 + a * v1
    out[i + _2] = o2 + a * v2
    out[i + _3] = o3 + a * v3


@inlined
def set4(out: Floats, at: int, a: float, values: Floats, first: int) -> None:
    """out[at:at + 4] = a * values[first:first + 4], likewise."""
    i, j = np.uint64(at), np.uint64(first)
    v0, v1, v2, v3 = values[j], values[j + _1], values[j + _2], values[j + _3]
    out[i], out[i + _1], out[i + _2], out[i + _3] = a * v0, a * v1, a * v2, a * v3


@inlined
def dot4(a: Floats, at: int, b: Floats, first: int) -> float:
    i, j = np.uint64(at), np.uint64(first)
    low = a[i] * b[j] + a[i + _1] * b[j + _1]
    return float(low + (a[i + _2] * b[j + _2] + a[i + _3] * b[j + _3]))


@inlined
def dots(a: Floats, b: Floats) -> float:
    """The product of two long vectors, in four sums that do not wait for each other."""
    s0 = s1 = s2 = s3 = 0.0
    fours = a.size - a.size % 4
    for p in range(0, fours, 4):
        s0 += a[p] * b[p]
        s1 += a[p + 1] * b[p + 1]
        s2 += a[p + 2] * b[p + 2]
        s3 += a[p + 3] * b[p + 3]
    for p in range(fours, a.size):
        s0 += a[p] * b[p]
    return (s0 + s1) + (s2 + s3)


@inlined
def add_dots(total: Floats, a: Floats, at: int, interval: Ints, b: Floats, w: int) -> None:
    """total[p] += the product of a from at + interval[p] on with b[p], (points, W) flattened. W is
    a constant of each loop: with a variable stride the compiler takes to gathering."""
    if w == 4:
        for p in range(total.size):
            total[p] += dot4(a, at + interval[p], b, 4 * p)
    else:
        for p in range(total.size):
            i = at + interval[p]
            total[p] += dot4(a, i, b, 8 * p) + dot4(a, i + 4, b, 8 * p + 4)


@inlined
def search(breaks: Floats, first: int, grid_size: int, u: float) -> int:
    """The last of the intervals, whose breaks stand from ``first`` on, that begins at u or before;
    the first or the last one beyond the ends, the last one of a NaN."""
    low, high = 0, grid_size - 1
    while low < high:
        middle = (low + high + 1) // 2
        if u < breaks[first + middle]:
            high = middle - 1
        else:
            low = middle
    return low


@inner
def locate(net: Net, r: int, node: int, x: Floats, interval: Ints, t: Floats, rise: Floats) -> None:
    """Of some values of a node, (points,) each: their intervals, places in them, and dt/dx."""
    lower, span = net.grid[r, node, 0], net.grid[r, node, 1] - net.grid[r, node, 0]
    size = net.grid_size
    if net.breaks.size == 1:
        per_x, last = size / span, size - 1.0
        for p in range(x.size):
            u = (x[p] - lower) * per_x
            # A NaN has no interval: the first one is as good, and it stays visible through t.
            interval[p] = np.int32(min(max(0.0, u), last))
            t[p] = u - interval[p]
            rise[p] = per_x
        return
    breaks = net.breaks[r, node]
    for p in range(x.size):
        u = (x[p] - lower) / span
        at = search(breaks, 0, size, u)
        width = breaks[at + 1] - breaks[at]
        interval[p], t[p], rise[p] = at, (u - breaks[at]) / width, 1.0 / (span * width)


@inlined
def values4(
    table: Floats, at: int, w: int, k: int, held: float, excess: float
) -> tuple[float, float, float, float]:
    """Four polynomials of a table (k + 1, w), at a place held in [0, 1]; beyond by tangents."""
    j = np.uint64(at)
    b0, b1, b2, b3 = table[j], table[j + _1], table[j + _2], table[j + _3]
    inside = 1.0
    for m in range(1, k + 1):
        power = inside * (held + m * excess)
        inside *= held
        j = np.uint64(at + m * w)
        b0 += power * table[j]
        b1 += power * table[j + _1]
        b2 += power * table[j + _2]
        b3 += power * table[j + _3]
    return b0, b1, b2, b3


@inlined
def slopes4(
    table: Floats, at: int, w: int, k: int, held: float, rise: float
) -> tuple[float, float, float, float]:
    """Slopes in x of four polynomials of a table (k + 1, w)."""
    b0 = b1 = b2 = b3 = 0.0
    power = rise
    for m in range(1, k + 1):
        j = np.uint64(at + m * w)
        b0 += m * power * table[j]
        b1 += m * power * table[j + _1]
        b2 += m * power * table[j + _2]
        b3 += m * power * table[j + _3]
        power *= held
    return b0, b1, b2, b3


@inner
def act(net: Net, r: int, node: int, x: Floats, interval: Ints, b: Floats, slope: Floats) -> None:
    """The basis functions that act at some values of a node (points,): their interval, their
    values b (points W,) and, unless that is empty, their slopes in x."""
    t, rise, at = np.empty(x.size), np.empty(x.size), np.zeros(x.size, np.int32)
    locate(net, r, node, x, interval, t, rise)
    even = net.breaks.size == 1
    if not even:
        length = (net.k + 1) * net.w
        for p in range(x.size):
            at[p] = (node * net.grid_size + interval[p]) * length
    table = net.pieces[0 if even else r]
    if net.k == 3:  # loops of known length are unrolled and take a third of the time
        _evaluate(table, at, 4, 3, t, rise, b, slope)
    else:
        _evaluate(table, at, net.w, net.k, t, rise, b, slope)


@inlined
def _evaluate(
    table: Floats, at: Ints, w: int, k: int, t: Floats, rise: Floats, b: Floats, slope: Floats
) -> None:
    """Polynomials of tables that begin ``at`` some places, each at its own t."""
    for p in range(t.size):
        held = 0.0 if t[p] < 0.0 else (1.0 if t[p] > 1.0 else t[p])
        for four in range(0, w, 4):
            f, j = values4(table, at[p] + four, w, k, held, t[p] - held), p * w + four
            b[j], b[j + 1], b[j + 2], b[j + 3] = f
            if slope.size:
                f = slopes4(table, at[p] + four, w, k, held, rise[p])
                slope[j], slope[j + 1], slope[j + 2], slope[j + 3] = f


@inner
def silu(net: Net, r: int, node: int, x: Floats, value: Floats, slope: Floats) -> None:
    """The base function at some values of a node and its slope in x, (points,) each."""
    shift, scale = net.grid[r, node, 2], net.grid[r, node, 3]
    for p in range(x.size):
        v = shift + scale * x[p]
        gate = 1.0 / (1.0 + np.exp(-v))
        value[p] = v * gate
        slope[p] = gate * (1.0 + v * (1.0 - gate)) * scale
