"""Loops over squares of the penalty's rows: what they add to matrices, and traces with them.

Arguments are those of ``loops``.
"""

from __future__ import annotations

import numpy as np

from kansweep.networks.compiling import inner, loop
from kansweep.solvers.gauss_newton.strain.loops import (
    Array,
    Index,
    Layout,
    add_by_kind,
    edge_pull,
    edge_rows,
    gathered,
    spaces,
    weigh,
)


@loop
def add_square(
    matrix: Array, w: Array, chosen: Index, strain: Array, half: Array, layout: Layout,
    table: Array, band: Array,
) -> None:  # fmt: skip
    """B^T W B = C^T W C - half g^T - g half^T + half s half^T, node by node with g = C^T W e and
    s = e^T W e, of the chosen replicas (r,) to the lower triangles of matrices (r, P, P); ``band``
    (R or 1, E or 1, K, order + 1) are the rough rows' bands."""
    for i in range(chosen.shape[0]):
        r = chosen[i]
        for edge in range(layout.edge.shape[0]):
            own = band[r if band.shape[0] > 1 else 0, edge if band.shape[1] > 1 else 0]
            _add_edge(matrix[i], layout.edge[edge], w[i, layout.layer[edge]], own, layout)
        _add_nodes(matrix[i], w[i], strain[r], half[r], layout, table[r])


@inner
def _add_edge(matrix: Array, first: int, w: Array, band: Array, layout: Layout) -> None:
    """An edge's C^T W C, with weights (3,) and the band (K, order + 1) of its rough rows."""
    n_coef = band.shape[0]
    for j in range(n_coef):
        for below in range(min(band.shape[1], n_coef - j)):
            matrix[first + j + below, first + j] += w[0] * band[j, below]
    for kind in range(1, 3):
        if w[kind] != 0.0:
            for j in range(n_coef):
                for i in range(j + 1):
                    matrix[first + j, first + i] += w[kind] * layout.gram[kind - 1, j, i]


@loop
def restrained(
    matrix: Array, pull: Array, w: Array, last: Array, layout: Layout, table: Array, band: Array
) -> None:
    """C^T W C to the lower triangles of matrices (R, Q, Q) and C^T W C c to pull (R, M, Q), of the
    edges that lead to one output with the numbers c of each, (R, M, Q), and weights (R, 1, 3)."""
    n_coef = layout.free.shape[1]
    work, own, _ = spaces(layout)
    for r in range(matrix.shape[0]):
        for edge in range(layout.edge.shape[0]):
            first, weight = layout.edge[edge], w[r, 0]
            stiff = band[r if band.shape[0] > 1 else 0, edge if band.shape[1] > 1 else 0]
            _add_edge(matrix[r], first, weight, stiff, layout)
            for m in range(last.shape[1]):
                c, to = last[r, m, first : first + n_coef], pull[r, m, first : first + n_coef]
                edge_rows(c, layout, table[r], edge, work, own)
                weigh(own, weight, layout.rows)
                edge_pull(own, layout, table[r], edge, work, to)


@inner
def _add_nodes(
    matrix: Array, w: Array, strain: Array, half: Array, layout: Layout, table: Array
) -> None:
    """half q^T + q half^T with q = half s / 2 - g; most of both are zeros."""
    n_params, nodes = half.shape
    n_coef = layout.free.shape[1]
    work, own, e = spaces(layout)
    for h in range(nodes):
        s, q, moved = 0.0, np.zeros(n_params), np.empty(n_params)
        for edge in range(layout.own[h, 0], layout.own[h, 0] + layout.own[h, 1]):
            first = layout.edge[edge]
            gathered(strain, layout, edge, e)
            gathered(strain, layout, edge, own)
            weigh(own, w[layout.layer[edge]], layout.rows)
            for j in range(own.size):
                s += own[j] * e[j]
            edge_pull(own, layout, table, edge, work, q[first : first + n_coef])
        for p in range(n_params):
            moved[p] = half[p, h]
            q[p] = moved[p] * (s / 2) - q[p]
        for p in range(n_params):
            if moved[p] != 0.0 or q[p] != 0.0:
                row = matrix[p]
                for j in range(p + 1):
                    row[j] += moved[p] * q[j] + q[p] * moved[j]


@loop
def hold_idle(matrix: Array, scale: Array, theta: Array, layout: Layout) -> None:
    """Scale (R,) times the square of every idle direction, of unit length, to the lower triangles:
    a constant that moves between a node's edges, and the constant and the scale of all that leads
    to a node whose range follows."""
    n_coef = layout.free.shape[1]
    for r in range(matrix.shape[0]):
        for node in range(layout.own.shape[0]):
            edges = layout.own[node, 1]
            first, many = layout.edge[layout.own[node, 0]], edges * n_coef
            follows = layout.own[node, 2] > 0
            # Constants that sum to zero over the edges span what those columns do; with the
            # constant of all, every edge has its own.
            shared = 0.0 if follows else 1.0 / edges
            square = 0.0
            for p in range(first, first + many):
                square += theta[r, p] ** 2
            share = 1.0 / square if follows and square > 0.0 else 0.0
            for p in range(many):
                to = matrix[r, first + p]
                for j in range(p + 1):
                    to[first + j] += scale[r] * share * theta[r, first + p] * theta[r, first + j]
                    own = 1.0 if j >= p - p % n_coef else 0.0  # of p's own edge
                    to[first + j] += scale[r] * (own - shared) / n_coef


@loop
def traces(
    blocks: Array, solved: Array, chosen: Index, strain: Array, half: Array, layout: Layout,
    table: Array, band: Array, layers: int,
) -> Array:  # fmt: skip
    """tr M B^T B by layer and kind, (r, L, 3), of symmetric M (r, P, P), of which the blocks
    (r, E, K, K) of edges are given and solved = M half (r, P, H)."""
    out = np.zeros((chosen.shape[0], layers, 3))
    n_coef, nodes = layout.free.shape[1], half.shape[2]
    (work, own, e), z = spaces(layout), np.empty(n_coef)
    for i in range(chosen.shape[0]):
        r = chosen[i]
        stiff = band[r if band.shape[0] > 1 else 0]
        for edge in range(layout.edge.shape[0]):
            first, h, to = layout.edge[edge], layout.node[edge], out[i, layout.layer[edge]]
            block = blocks[i, edge]
            to[0] += _band_trace(block, stiff[edge if stiff.shape[0] > 1 else 0])
            for kind in range(1, 3):
                to[kind] += _block_trace(block, layout.gram[kind - 1])
            if h < nodes:  # e^2 half^T M half - 2 e C M half
                square = 0.0
                for p in range(half.shape[1]):
                    square += half[r, p, h] * solved[i, p, h]
                for j in range(n_coef):
                    z[j] = solved[i, first + j, h]
                gathered(strain[r], layout, edge, e)
                edge_rows(z, layout, table[r], edge, work, own)
                for s in range(own.size):
                    own[s] = e[s] * (square * e[s] - 2.0 * own[s])
                add_by_kind(own, layout, to)
    return out


@inner
def _band_trace(block: Array, band: Array) -> float:
    n_coef, width = band.shape
    total = 0.0
    for below in range(width):
        part = 0.0
        for j in range(n_coef - below):
            part += band[j, below] * block[j + below, j]
        total += part if below == 0 else 2.0 * part
    return total


@inner
def _block_trace(block: Array, gram: Array) -> float:
    total = 0.0
    for j in range(block.shape[0]):
        part = 0.0
        for i in range(j):
            part += gram[j, i] * block[j, i]
        total += 2.0 * part + gram[j, j] * block[j, j]
    return total
