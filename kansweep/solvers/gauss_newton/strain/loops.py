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
def edge_rows(c: Array, layout: Layout, table: Array, e: int, work: Array, out: Array) -> None:
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
def edge_pull(u: Array, layout: Layout, table: Array, e: int, work: Array, out: Array) -> None:
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
def gathered(rows: Array, layout: Layout, e: int, out: Array) -> None:
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
def spaces(layout: Layout) -> tuple[Array, Array, Array]:
    """Room for what one edge needs: its coefficients with what surrounds them, and rows twice."""
    rows = layout.rows[0] + layout.rows[1] + layout.rows[2]
    return np.empty(layout.free.shape[1] + layout.order), np.empty(rows), np.empty(rows)


@loop
def rows_of(theta: Array, layout: Layout, table: Array) -> Array:
    """C theta, (R, P) -> (R, S)."""
    n_coef = layout.free.shape[1]
    work, own, _ = spaces(layout)
    out = np.empty((theta.shape[0], layout.edge.shape[0] * own.size), theta.dtype)
    for r in range(theta.shape[0]):
        for edge in range(layout.edge.shape[0]):
            first = layout.edge[edge]
            edge_rows(theta[r, first : first + n_coef], layout, table[r], edge, work, own)
            _spread(own, layout, edge, out[r])
    return out


@loop
def energy_of(theta: Array, layout: Layout, table: Array, layers: int) -> Array:
    """Squares of C theta summed by layer and kind, (R, P) -> (R, L, 3)."""
    n_coef = layout.free.shape[1]
    work, own, _ = spaces(layout)
    out = np.zeros((theta.shape[0], layers, 3), theta.dtype)
    for r in range(theta.shape[0]):
        for edge in range(layout.edge.shape[0]):
            first = layout.edge[edge]
            edge_rows(theta[r, first : first + n_coef], layout, table[r], edge, work, own)
            for j in range(own.size):
                own[j] *= own[j]
            add_by_kind(own, layout, out[r, layout.layer[edge]])
    return out


@inner
def add_by_kind(own: Array, layout: Layout, out: Array) -> None:
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
    work, own, e = spaces(layout)
    for r in range(d.shape[0]):
        moved = np.zeros(nodes + 1)
        for h in range(nodes):
            for p in range(d.shape[1]):
                moved[h] += half[r, p, h] * d[r, p]
        for edge in range(layout.edge.shape[0]):
            first = layout.edge[edge]
            edge_rows(d[r, first : first + n_coef], layout, table[r], edge, work, own)
            gathered(strain[r], layout, edge, e)
            for s in range(own.size):
                own[s] -= moved[layout.node[edge]] * e[s]
            _spread(own, layout, edge, out[r])
    return out


@loop
def pulled(w: Array, u: Array, strain: Array, half: Array, layout: Layout, table: Array) -> Array:
    """B^T W u, (R, S) -> (R, P), with weights (R, L, 3)."""
    out = np.zeros(half.shape[:2], u.dtype)
    n_coef, nodes = layout.free.shape[1], half.shape[2]
    work, own, e = spaces(layout)
    for r in range(u.shape[0]):
        moved = np.zeros(nodes + 1)
        for edge in range(layout.edge.shape[0]):
            first = layout.edge[edge]
            gathered(u[r], layout, edge, own)
            weigh(own, w[r, layout.layer[edge]], layout.rows)
            gathered(strain[r], layout, edge, e)
            for s in range(own.size):
                moved[layout.node[edge]] += e[s] * own[s]
            edge_pull(own, layout, table[r], edge, work, out[r, first : first + n_coef])
        for p in range(half.shape[1]):
            for h in range(nodes):
                out[r, p] -= moved[h] * half[r, p, h]
    return out


@inner
def weigh(own: Array, w: Array, count: Index) -> None:
    """An edge's rows times the weights (3,) of their kinds, (3,) how many those are."""
    first = 0
    for kind in range(3):
        for j in range(count[kind]):
            own[first + j] *= w[kind]
        first += count[kind]
