"""The normal equations at a normalised KAN, in one pass over the points.

J = rows + U V^T: U are derivatives with respect to the ends of hidden grids, V those of the ends.
Of U no more is kept than rows^T U and U^T U, with the residual as its last column.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kansweep.networks.compiled.basis import dots
from kansweep.networks.compiled.forward import extended
from kansweep.networks.compiled.layout import Floats, Net
from kansweep.networks.compiled.rows import (
    add_bands,
    add_gram,
    add_products,
    add_pull,
    block_size,
    counted,
)
from kansweep.networks.compiled.slopes import (
    activated,
    backward,
    fill,
    gathered,
    range_sides,
    runs,
)
from kansweep.networks.compiling import inner, loop, shares

WORTHWHILE = 4096  # points a thread


def normal_equations(
    net: Net,
    x: Floats,
    hidden: Floats,
    residual: Floats,
    counts: Floats,
    inner: Floats,
    gram: Floats,
    band: Floats,
    pull: Floats,
    diagonal: Floats,
) -> None:
    """x (R, I, n), hidden (R, H, n), residual (R, M, n), V^T inner (R, 2H, P); into pull goes
    J^T r and into diagonal that of J^T J, (R, P) each. One of gram (R, P P + 8), J^T J, and band
    (R, P, k + 1), rows^T rows run by run, is asked for and begins as zeros, the other is empty.
    Points count as often as ``counts`` (R, n) says, or once where it is empty."""
    replicas, sides, size = len(x), inner.shape[1] + 1, inner.shape[2]
    products = np.zeros((replicas, sides, size + 8))
    core = np.zeros((replicas, sides, sides))
    sums, given = (gram, band, products, core), (net, x, hidden, residual, counts)
    parts = shares(x.shape[2], WORTHWHILE)
    if len(parts) == 1:
        _accumulate(*given, *parts[0], *sums)
    else:
        _share_out(given, parts, sums)
    _finish(inner, gram, band, pull, diagonal, products, core)


def _share_out(
    given: tuple[Net, Floats, Floats, Floats, Floats],
    parts: list[tuple[int, int]],
    sums: tuple[Floats, Floats, Floats, Floats],
) -> None:
    """Add the sums of parts of the points, a thread each."""
    more = [tuple(map(np.zeros_like, sums)) for _ in parts]
    with ThreadPoolExecutor(len(parts)) as pool:
        pairs = zip(parts, more, strict=True)
        waiting = [pool.submit(_accumulate, *given, *part, *into) for part, into in pairs]
    for done, into in zip(waiting, more, strict=True):
        done.result()
        for total, part in zip(sums, into, strict=True):
            total += part


@loop
def _accumulate(
    net: Net,
    x: Floats,
    hidden: Floats,
    residual: Floats,
    counts: Floats,
    first: int,
    last: int,
    gram: Floats,
    band: Floats,
    products: Floats,
    core: Floats,
) -> None:
    """Add rows^T rows, rows^T (U, r) and (U, r)^T (U, r) of points from the first to the last and
    all outputs."""
    depth = net.width.size - 1
    w, count, nodes = net.w, runs(net, depth), net.start[depth, 1] + net.width[depth]
    lengths, size = np.empty(count, np.int64), block_size(count, w)
    for r in range(x.shape[0]):
        theta = extended(net, r)
        for begin in range(first, last, size):
            points = min(size, last - begin)
            block = activated(net, r, theta, gathered(x[r], hidden[r], begin, begin + points))
            back, moved = np.empty((nodes, points)), np.empty((nodes, points))
            values, columns = np.zeros((points, count * w)), np.empty((points, count), np.int32)
            sides = np.empty((core.shape[1], points))
            for m in range(residual.shape[1]):
                backward(net, depth, m, block, back, moved)
                fill(net, depth, m, block, back, values, columns, lengths)
                range_sides(net, block.x, moved, sides)
                for p in range(points):
                    sides[core.shape[1] - 1, p] = residual[r, m, begin + p]
                if counts.size:
                    counted(counts[r, begin : begin + points], values, sides)
                if gram.size:
                    add_gram(gram[r], products.shape[2] - 8, values, columns, lengths, w)
                if band.size:
                    add_bands(band[r], values, columns, lengths, w)
                add_pull(products[r], values, columns, sides, w)
                _add_core(core[r], sides)


@loop
def _finish(
    inner: Floats,
    gram: Floats,
    band: Floats,
    pull: Floats,
    diagonal: Floats,
    products: Floats,
    core: Floats,
) -> None:
    """The terms of U V^T, and diagonals."""
    replicas, ends, size = inner.shape
    for r in range(replicas):
        for c in range(ends):
            for d in range(ends):
                add_scaled(products[r, c], core[r, d, c] / 2, inner[r, d])
            add_scaled(pull[r], core[r, ends, c], inner[r, c])
            if gram.size:
                _add_symmetric(gram[r], inner[r, c], products[r, c])
            else:
                for j in range(size):
                    diagonal[r, j] += 2 * inner[r, c, j] * products[r, c, j]
        for j in range(size):
            pull[r, j] += products[r, ends, j]
            diagonal[r, j] += gram[r, j * (size + 1)] if gram.size else band[r, j, 0]


@inner
def add_scaled(out: Floats, a: float, values: Floats) -> None:
    """out += a * values, as many as there are of these."""
    for j in range(values.size):
        out[j] += a * values[j]


@inner
def _add_core(core: Floats, sides: Floats) -> None:
    for c in range(sides.shape[0]):
        for d in range(c + 1):
            core[c, d] += dots(sides[c], sides[d])
            core[d, c] = core[c, d]


@inner
def _add_symmetric(matrix: Floats, a: Floats, b: Floats) -> None:
    """Add a b^T + b a^T to a lower triangle (P * P + 8,)."""
    size = a.size
    for i in range(size):
        row = matrix[i * size : (i + 1) * size]
        for j in range(i + 1):
            row[j] += a[i] * b[j] + b[i] * a[j]


@loop
def product(
    net: Net, x: Floats, hidden: Floats, counts: Floats, inner: Floats, d: Floats, out: Floats
) -> None:
    """J^T J d of every replica, (R, P) -> (R, P), with ``counts`` as above."""
    w, depth = net.w, net.width.size - 1
    nodes = net.start[depth, 1] + net.width[depth]
    count, ends, size = runs(net, depth), inner.shape[1], net.theta.shape[1]
    lengths, at_once = np.empty(count, np.int64), block_size(count, w)
    for r in range(x.shape[0]):
        theta, total = extended(net, r), np.zeros((1, size + 8))
        step, moves = np.zeros(size + 8), np.zeros(ends)
        add_scaled(step, 1.0, d[r])
        for c in range(ends):
            moves[c] = dots(inner[r, c], d[r])
        for begin in range(0, x.shape[2], at_once):
            points = min(at_once, x.shape[2] - begin)
            block = activated(net, r, theta, gathered(x[r], hidden[r], begin, begin + points))
            back, moved = np.empty((nodes, points)), np.empty((nodes, points))
            values, columns = np.zeros((points, count * w)), np.empty((points, count), np.int32)
            sides, change = np.empty((ends, points)), np.empty((1, points))
            for m in range(net.width[depth]):
                backward(net, depth, m, block, back, moved)
                fill(net, depth, m, block, back, values, columns, lengths)
                range_sides(net, block.x, moved, sides)
                for p in range(points):
                    change[0, p] = 0.0
                add_products(change[0], step, values, columns, w)
                for c in range(ends):
                    add_scaled(change[0], moves[c], sides[c])
                if counts.size:
                    for p in range(points):
                        change[0, p] *= counts[r, begin + p]
                add_pull(total, values, columns, change, w)
                for c in range(ends):
                    add_scaled(total[0], dots(sides[c], change[0]), inner[r, c])
        for j in range(size):
            out[r, j] = total[0, j]
