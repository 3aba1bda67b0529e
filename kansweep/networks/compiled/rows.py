"""Products of the Jacobian's rows, a block of points at a time.

A row consists of J short runs, each of k + 1 numbers (a spline at its interval) or one (a base
weight), padded by zeros to W; runs stand in the order of their columns. Of a block of points,
values are (J, points * W) and columns (J, points), the place of each run's first number.
"""

from __future__ import annotations

from kansweep.networks.compiled.basis import add4, add_runs, compiled, inlined
from kansweep.networks.compiled.layout import Floats, Ints

BLOCK, CACHED = 128, 16_384  # points at most; numbers that a block of rows may hold


@compiled
def block_size(runs: int, w: int) -> int:
    return max(8, min(BLOCK, CACHED // (runs * w)))


@compiled
def add_gram(gram: Floats, size: int, values: Floats, columns: Ints, lengths: Ints, w: int) -> None:
    """Add rows^T rows to the lower triangle of gram (P * P + 8,), pair of runs by pair: the part
    of the matrix that a pair reaches stays in a cache, and what lies beyond a run is zero."""
    for j in range(columns.shape[0]):
        for other in range(j + 1):
            pair = values[j], columns[j], values[other], columns[other]
            if w == 4:
                _add_pair4(gram, size, pair, lengths[j])
            else:
                _add_pair8(gram, size, pair, lengths[j])


@inlined
def _add_pair4(
    gram: Floats, size: int, pair: tuple[Floats, Ints, Floats, Ints], length: int
) -> None:
    own, row, other, column = pair
    for p in range(row.size):
        at = row[p] * size + column[p]
        for s in range(length):
            add4(gram, at + s * size, own[4 * p + s], other, 4 * p)


@inlined
def _add_pair8(
    gram: Floats, size: int, pair: tuple[Floats, Ints, Floats, Ints], length: int
) -> None:
    own, row, other, column = pair
    for p in range(row.size):
        at = row[p] * size + column[p]
        for s in range(length):
            add4(gram, at + s * size, own[8 * p + s], other, 8 * p)
            add4(gram, at + s * size + 4, own[8 * p + s], other, 8 * p + 4)


@compiled
def add_pull(pull: Floats, values: Floats, columns: Ints, sides: Floats, w: int) -> None:
    """Add rows^T sides to pull (C, P + 8); sides are (C, points)."""
    for c in range(sides.shape[0]):
        for j in range(columns.shape[0]):
            add_runs(pull[c], 0, columns[j], sides[c], values[j], w)


@compiled
def add_bands(band: Floats, values: Floats, columns: Ints, lengths: Ints, w: int) -> None:
    """Add each run's own products to the bands (P, k + 1): entry [j, d] stands at row j + d,
    column j."""
    for j in range(columns.shape[0]):
        for p in range(columns.shape[1]):
            for s in range(lengths[j]):
                for d in range(lengths[j] - s):
                    at = p * w + s
                    band[columns[j, p] + s, d] += values[j, at] * values[j, at + d]
