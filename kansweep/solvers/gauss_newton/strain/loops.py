"""Loops over the rows of the penalty, one replica after another.

``layout`` says where rows and coefficients stand. ``table`` are the factors of each edge's rough
rows where replicas have knots of their own, (R, E, S, order + 1); it is empty where rows are plain
differences. Sums are in float64 whatever comes in.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kansweep.networks.compiling import inner, loop

Array = NDArray[Any]  # of floats
Index = NDArray[np.int64]


class Layout(NamedTuple):
    """Where a shape's E edges and H hidden nodes have their coefficients and rows."""

    edge: Index  # (E,), each edge's first coefficient among all parameters
    row: Index  # (E, 3), its first row of each kind
    rows: Index  # (3,), how many those are
    layer: Index  # (E,)
    node: Index  # (E,), the hidden node that it leads to, H for those of the last layer
    own: Index  # (every node, 3): its first edge, how many it has, and 1 if its range follows
    order: int  # of differences
    free: Array  # (F, K), curved rows and then the straight one
    gram: Array  # (2, K, K), their squares C^T C by kind


@inner
def _edge_rows(c: Array, layout: Layout, table: Array, e: int, work: Array, out: Array) -> None:
    """The rows of one edge with coefficients c (K,), rough, curved, straight: out (rows,)."""
    n_coef, rough = c.shape[0], layout.rows[0]
    if table.shape[0]:
        for j in range(rough):
            total = 0.0
            for a in range(layout.order + 1):
                total += table[e, j, a] * c[j + a]
            out[j] = total
    elif rough:
        for j in range(n_coef):
            work[j] = c[j]
        for m in range(1, layout.order + 1):  # of smooth coefficients no digits are lost
            for j in range(n_coef - m):
                work[j] = work[j + 1] - work[j]
        for j in range(rough):
            out[j] = work[j]
    for f in range(layout.free.shape[0]):
        total = 0.0
        for j in range(n_coef):
            total += layout.free[f, j] * c[j]
        out[rough + f] = total


@inner
def _edge_pull(u: Array, layout: Layout, table: Array, e: int, work: Array, out: Array) -> None:
    """Its transpose, rows (rows,) -> added to coefficients out (K,)."""
    n_coef, rough = out.shape[0], layout.rows[0]
    if table.shape[0]:
        for j in range(rough):
            for a in range(layout.order + 1):
                out[j + a] += table[e, j, a] * u[j]
    elif rough:
        whole = n_coef + layout.order
        for j in range(whole):
            work[j] = u[j - layout.order] if layout.order <= j < n_coef else 0.0
        for m in range(1, layout.order + 1):
            for j in range(whole - m):
                work[j] = work[j] - work[j + 1]
        for j in range(n_coef):
            out[j] += work[j]
    for f in range(layout.free.shape[0]):
        for j in range(n_coef):
            out[j] += layout.free[f, j] * u[rough + f]


@inner
def _gathered(rows: Array, layout: Layout, e: int, out: Array) -> None:
    """One edge's rows of all, (S,) -> out (rows,)."""
    first = 0
    for kind in range(3):
        for j in range(layout.rows[kind]):
            out[first + j] = rows[layout.row[e, kind] + j]
        first += layout.rows[kind]


@inner
def _spread(own: Array, layout: Layout, e: int, out: Array) -> None:
    """The inverse: an edge's rows to their places among all."""
    first = 0
    for kind in range(3):
        for j in range(layout.rows[kind]):
            out[layout.row[e, kind] + j] = own[first + j]
        first += layout.rows[kind]


@inner
def _spaces(layout: Layout) -> tuple[Array, Array, Array]:
    """Room for what one edge needs: its coefficients with what surrounds them, and rows twice."""
    rows = layout.rows[0] + layout.rows[1] + layout.rows[2]
    return np.empty(layout.free.shape[1] + layout.order), np.empty(rows), np.empty(rows)


@loop
def rows_of(theta: Array, layout: Layout, table: Array) -> Array:
    """C theta, (R, P) -> (R, S)."""
    n_coef = layout.free.shape[1]
    work, own, _ = _spaces(layout)
    out = np.empty((theta.shape[0], layout.edge.shape[0] * own.size), theta.dtype)
    for r in range(theta.shape[0]):
        for edge in range(layout.edge.shape[0]):
            first = layout.edge[edge]
            _edge_rows(theta[r, first : first + n_coef], layout, table[r], edge, work, own)
            _spread(own, layout, edge, out[r])
    return out


@inner
def _add_by_kind(own: Array, layout: Layout, out: Array) -> None:
    """An edge's rows summed by kind, added to out (3,)."""
    first = 0
    for kind in range(3):
        total = 0.0
        for j in range(layout.rows[kind]):
            total += own[first + j]
        out[kind] += total
        first += layout.rows[kind]


@loop
def changed(d: Array, strain: Array, half: Array, layout: Layout, table: Array) -> Array:
    """B d = C d - e half^T d, (R, P) -> (R, S), with half (R, P, H)."""
    out = np.empty(strain.shape, d.dtype)
    n_coef, nodes = layout.free.shape[1], half.shape[2]
    work, own, e = _spaces(layout)
    for r in range(d.shape[0]):
        moved = np.zeros(nodes + 1)
        for h in range(nodes):
            for p in range(d.shape[1]):
                moved[h] += half[r, p, h] * d[r, p]
        for edge in range(layout.edge.shape[0]):
            first = layout.edge[edge]
            _edge_rows(d[r, first : first + n_coef], layout, table[r], edge, work, own)
            _gathered(strain[r], layout, edge, e)
            for s in range(own.size):
                own[s] -= moved[layout.node[edge]] * e[s]
            _spread(own, layout, edge, out[r])
    return out


@loop
def pulled(w: Array, u: Array, strain: Array, half: Array, layout: Layout, table: Array) -> Array:
    """B^T W u, (R, S) -> (R, P), with weights (R, L, 3)."""
    out = np.zeros(half.shape[:2], u.dtype)
    n_coef, nodes = layout.free.shape[1], half.shape[2]
    work, own, e = _spaces(layout)
    for r in range(u.shape[0]):
        moved = np.zeros(nodes + 1)
        for edge in range(layout.edge.shape[0]):
            first = layout.edge[edge]
            _gathered(u[r], layout, edge, own)
            _weigh(own, w[r, layout.layer[edge]], layout.rows)
            _gathered(strain[r], layout, edge, e)
            for s in range(own.size):
                moved[layout.node[edge]] += e[s] * own[s]
            _edge_pull(own, layout, table[r], edge, work, out[r, first : first + n_coef])
        for p in range(half.shape[1]):
            for h in range(nodes):
                out[r, p] -= moved[h] * half[r, p, h]
    return out


@inner
def _weigh(own: Array, w: Array, count: Index) -> None:
    """An edge's rows times the weights (3,) of their kinds, (3,) how many those are."""
    first = 0
    for kind in range(3):
        for j in range(count[kind]):
            own[first + j] *= w[kind]
        first += count[kind]


def add_square(
    matrix: Array, w: Array, chosen: Index, strain: Array, half: Array, layout: Layout,
    table: Array, band: Array,
) -> None:  # fmt: skip
    """B^T W B = C^T W C - half g^T - g half^T + half s half^T, node by node with g = C^T W e and
    s = e^T W e, of the chosen replicas (r,) to the lower triangles of matrices (r, P, P); ``band``
    (R or 1, E or 1, K, order + 1) are the rough rows' bands."""
    _add_edges(matrix, w, chosen, layout, band)
    for i, r in enumerate(chosen):
        _add_nodes(matrix[i], w[i], strain[r], half[r], layout, table[r])


@loop
def _add_edges(matrix: Array, w: Array, chosen: Index, layout: Layout, band: Array) -> None:
    n_coef = band.shape[2]
    for r in range(chosen.shape[0]):
        for edge in range(layout.edge.shape[0]):
            first, weight, to = layout.edge[edge], w[r, layout.layer[edge]], matrix[r]
            own = band[chosen[r] if band.shape[0] > 1 else 0, edge if band.shape[1] > 1 else 0]
            for j in range(n_coef):
                for below in range(min(band.shape[3], n_coef - j)):
                    to[first + j + below, first + j] += weight[0] * own[j, below]
            for kind in range(1, 3):
                if weight[kind] != 0.0:
                    for j in range(n_coef):
                        for i in range(j + 1):
                            value = layout.gram[kind - 1, j, i]
                            to[first + j, first + i] += weight[kind] * value


@loop
def _add_nodes(
    matrix: Array, w: Array, strain: Array, half: Array, layout: Layout, table: Array
) -> None:
    """half q^T + q half^T with q = half s / 2 - g; most of both are zeros."""
    n_params, nodes = half.shape
    n_coef = layout.free.shape[1]
    work, own, e = _spaces(layout)
    for h in range(nodes):
        s, q, moved = 0.0, np.zeros(n_params), np.empty(n_params)
        for edge in range(layout.own[h, 0], layout.own[h, 0] + layout.own[h, 1]):
            first = layout.edge[edge]
            _gathered(strain, layout, edge, e)
            _gathered(strain, layout, edge, own)
            _weigh(own, w[layout.layer[edge]], layout.rows)
            for j in range(own.size):
                s += own[j] * e[j]
            _edge_pull(own, layout, table, edge, work, q[first : first + n_coef])
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
    inverse: Array, solved: Array, chosen: Index, strain: Array, half: Array, layout: Layout,
    table: Array, band: Array, layers: int,
) -> Array:  # fmt: skip
    """tr M B^T B by layer and kind, (r, L, 3), of symmetric M (r, P, P), whose lower triangle is
    read, with solved = M half (r, P, H)."""
    out = np.zeros((chosen.shape[0], layers, 3))
    n_coef, nodes = layout.free.shape[1], half.shape[2]
    (work, own, e), z = _spaces(layout), np.empty(n_coef)
    for i in range(chosen.shape[0]):
        r = chosen[i]
        stiff = band[r if band.shape[0] > 1 else 0]
        for edge in range(layout.edge.shape[0]):
            first, h, to = layout.edge[edge], layout.node[edge], out[i, layout.layer[edge]]
            block = inverse[i, first : first + n_coef, first : first + n_coef]
            to[0] += _band_trace(block, stiff[edge if stiff.shape[0] > 1 else 0])
            for kind in range(1, 3):
                to[kind] += _block_trace(block, layout.gram[kind - 1])
            if h < nodes:  # e^2 half^T M half - 2 e C M half
                square = 0.0
                for p in range(half.shape[1]):
                    square += half[r, p, h] * solved[i, p, h]
                for j in range(n_coef):
                    z[j] = solved[i, first + j, h]
                _gathered(strain[r], layout, edge, e)
                _edge_rows(z, layout, table[r], edge, work, own)
                for s in range(own.size):
                    own[s] = e[s] * (square * e[s] - 2.0 * own[s])
                _add_by_kind(own, layout, to)
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
