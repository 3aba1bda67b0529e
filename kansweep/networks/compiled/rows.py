"""Products of the Jacobian's rows, a block of points at a time.

A row consists of J short runs, each of k + 1 numbers (a spline at its interval) or up to W (base
weights), padded by zeros to W; runs stand in the order of their columns. Of a block of points,
values are (points, J * W) and columns (points, J), the place of each run's first number.
"""

from __future__ import annotations

import numpy as np

from kansweep.networks.compiled.basis import add4, dot4
from kansweep.networks.compiled.layout import Floats, Ints
from kansweep.networks.compiling import inner

# Points at most, and numbers that a block of rows may hold: half of a core's second cache. The
# matrix is gone through once a block, which of large ones takes longer than all sums.
BLOCK, CACHED = 256, 65_536


@inner
def block_size(runs: int, w: int) -> int:
    return max(8, min(BLOCK, CACHED // (runs * w)))


@inner
def add_gram(gram: Floats, size: int, values: Floats, columns: Ints, lengths: Ints, w: int) -> None:
    """Add rows^T rows to the lower triangle of gram (P * P + 8,); what lies beyond a run is zero.

    A run's rows of the matrix are few, so runs are the outer loop. Points come next, and the other
    runs last: what is added in succession never overlaps, so that no sum waits for another. The
    rows of a whole run of four are added side by side, in a third of the time.
    """
    flat, places = values.reshape(values.size), columns.reshape(columns.size)
    points, runs = columns.shape
    for j in range(runs):
        for first in range(0, points * runs, runs):
            row, own = places[first + j] * size, (first + j) * w
            if lengths[j] == 4 and w == 4:
                a0, a1, a2, a3 = flat[own], flat[own + 1], flat[own + 2], flat[own + 3]
                for other in range(first, first + j + 1):
                    at, four = row + places[other], 4 * other
                    add4(gram, at, a0, flat, four)
                    add4(gram, at + size, a1, flat, four)
                    add4(gram, at + 2 * size, a2, flat, four)
                    add4(gram, at + 3 * size, a3, flat, four)
                continue
            for s in range(lengths[j]):
                a = flat[own + s]
                if w == 4:
                    for other in range(first, first + j + 1):
                        add4(gram, row + places[other], a, flat, 4 * other)
                else:
                    for other in range(first, first + j + 1):
                        at = row + places[other]
                        add4(gram, at, a, flat, 8 * other)
                        add4(gram, at + 4, a, flat, 8 * other + 4)
                row += size


@inner
def add_pull(pull: Floats, values: Floats, columns: Ints, sides: Floats, w: int) -> None:
    """Add rows^T sides to pull (C, P + 8); sides are (C, points)."""
    out, size = pull.reshape(pull.size), pull.shape[1]
    flat, (points, runs) = values.reshape(values.size), columns.shape
    for p in range(points):
        for run in range(runs):
            at, first = columns[p, run], (p * runs + run) * w
            for c in range(sides.shape[0]):
                add4(out, at, sides[c, p], flat, first)
                if w == 8:
                    add4(out, at + 4, sides[c, p], flat, first + 4)
                at += size


@inner
def add_products(total: Floats, a: Floats, values: Floats, columns: Ints, w: int) -> None:
    """Add rows a to total (points,), with a (P + 8,)."""
    flat, (points, runs) = values.reshape(values.size), columns.shape
    for p in range(points):
        sum_of_runs = total[p]
        for run in range(runs):
            at, first = columns[p, run], (p * runs + run) * w
            sum_of_runs += dot4(a, at, flat, first)
            if w == 8:
                sum_of_runs += dot4(a, at + 4, flat, first + 4)
        total[p] = sum_of_runs


@inner
def add_bands(band: Floats, values: Floats, columns: Ints, lengths: Ints, w: int) -> None:
    """Add each run's own products to the bands (P, k + 1), as far as these reach: entry [j, d]
    stands at row j + d, column j."""
    for p in range(columns.shape[0]):
        for j in range(columns.shape[1]):
            for s in range(lengths[j]):
                for d in range(min(lengths[j] - s, band.shape[1])):
                    at = j * w + s
                    band[columns[p, j] + s, d] += values[p, at] * values[p, at + d]


@inner
def counted(counts: Floats, values: Floats, sides: Floats) -> None:
    """All of a point times the root of what it counts."""
    for p in range(counts.size):
        root = np.sqrt(counts[p])
        for s in range(values.shape[1]):
            values[p, s] *= root
        for c in range(sides.shape[0]):
            sides[c, p] *= root
