"""From a block of points to the Jacobian's rows there: activations, back-propagation, runs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kansweep.networks.compiled.basis import act, add_dots, set4, silu
from kansweep.networks.compiled.layout import Floats, Ints, Net
from kansweep.networks.compiling import inlined, inner


class Block(NamedTuple):
    """Nodes and edges at a block of points; slopes are those of edges from hidden nodes."""

    x: Floats  # (N, points)
    interval: Ints  # (N, points)
    b: Floats  # (N, points * W)
    silu: Floats  # (N, points)
    slope: Floats  # (E, points)
    spline_slope: Floats  # (E, points), the part of it that the grid's range moves


@inner
def activated(net: Net, r: int, theta: Floats, x: Floats) -> Block:
    """The block of the values x (N, points) of a normalised KAN."""
    nodes, points = x.shape
    edges = net.start[net.width.size - 1, 2]
    block = Block(
        x,
        np.empty((nodes, points), np.int32),
        np.empty((nodes, points * net.w)),
        np.empty((nodes, points)),
        np.empty((edges, points)),
        np.empty((edges, points)),
    )
    rise, silu_rise = np.empty(points * net.w), np.zeros(points)
    for layer in range(net.width.size - 1):
        for i in range(net.width[layer]):
            at = net.start[layer, 1] + i
            act(net, r, at, x[at], block.interval[at], block.b[at], rise if layer else rise[:0])
            if net.base:
                silu(net, r, at, x[at], block.silu[at], silu_rise)
            if layer:
                _slopes(net, layer, i, theta, rise, silu_rise, block)
    return block


@inner
def _slopes(
    net: Net, layer: int, i: int, theta: Floats, rise: Floats, silu_rise: Floats, block: Block
) -> None:
    """Slopes of all edges from node i of a layer."""
    n_in, n_out, n_coef = net.width[layer], net.width[layer + 1], net.grid_size + net.k
    first, node, edge = net.start[layer]
    for o in range(n_out):
        own, whole = block.spline_slope[edge + o * n_in + i], block.slope[edge + o * n_in + i]
        for p in range(own.size):
            own[p] = 0.0
        begin = first + (o * n_in + i) * n_coef
        add_dots(own, theta, begin, block.interval[node + i], rise, net.w)
        weight = theta[first + n_in * n_out * n_coef + o * n_in + i] if net.base else 0.0
        for p in range(own.size):
            whole[p] = own[p] + weight * silu_rise[p]


@inner
def backward(net: Net, depth: int, output: int, block: Block, back: Floats, moved: Floats) -> None:
    """Derivatives of an output of the first ``depth`` layers by back-propagation.

    Of that output with respect to every node behind the inputs (N + M, points), and the part of it
    that the node's grid moves.
    """
    for o in range(net.width[depth]):
        for p in range(back.shape[1]):
            back[net.start[depth, 1] + o, p] = 1.0 if o == output else 0.0
    for layer in range(depth - 1, 0, -1):
        n_in, n_out = net.width[layer], net.width[layer + 1]
        node, edge = net.start[layer, 1], net.start[layer, 2]
        for i in range(n_in):
            at = node + i
            for p in range(back.shape[1]):
                back[at, p] = moved[at, p] = 0.0
            for o in range(n_out):
                if layer < depth - 1 or o == output:
                    e, given = edge + o * n_in + i, back[node + n_in + o]
                    for p in range(given.size):
                        back[at, p] += given[p] * block.slope[e, p]
                        moved[at, p] += given[p] * block.spline_slope[e, p]


@inner
def runs(net: Net, depth: int) -> int:
    """How many runs a row of the first ``depth`` layers has."""
    count = 0
    for layer in range(depth):
        edges = net.width[layer] * (1 if layer == depth - 1 else net.width[layer + 1])
        count += edges + (base_runs(net, edges) if net.base else 0)
    return int(count)


@inlined
def base_runs(net: Net, weights: int) -> int:
    """How many runs so many base weights of a layer make, which stand side by side: runs of one
    number each would overlap the next ones' padding, and each sum would wait for the one before."""
    return int((weights + net.w - 1) // net.w)


@inner
def fill(
    net: Net,
    depth: int,
    output: int,
    block: Block,
    back: Floats,
    values: Floats,
    columns: Ints,
    lengths: Ints,
) -> None:
    """Rows of an output of the first ``depth`` layers, as ``rows`` has them: values (points, J W),
    zero where they are not set here, columns (points, J), lengths (J,)."""
    w, n_coef, j = net.w, net.grid_size + net.k, 0
    for layer in range(depth):
        n_in, n_out = net.width[layer], net.width[layer + 1]
        first, node = net.start[layer, 0], net.start[layer, 1]
        only = layer == depth - 1
        for o in range(output if only else 0, output + 1 if only else n_out):
            given = back[node + n_in + o]
            for i in range(n_in):
                b, at = block.b[node + i], first + (o * n_in + i) * n_coef
                for p in range(given.size):
                    columns[p, j] = at + block.interval[node + i, p]
                    for four in range(0, w, 4):
                        set4(values[p], j * w + four, given[p], b, p * w + four)
                lengths[j] = net.k + 1
                j += 1
        if net.base:
            begin, end = (output, output + 1) if only else (0, n_out)
            weights, edges = first + n_in * (n_out * n_coef + begin), n_in * (end - begin)
            for e in range(edges):
                given, value = back[node + n_in + begin + e // n_in], block.silu[node + e % n_in]
                for p in range(given.size):
                    values[p, j * w + e] = given[p] * value[p]
            for run in range(base_runs(net, edges)):
                columns[:, j] = weights + run * w
                lengths[j] = min(w, edges - run * w)
                j += 1


@inner
def gathered(x: Floats, hidden: Floats, begin: int, end: int) -> Floats:
    """The values of all nodes at some points, (I, n) and (H, n) -> (N, points)."""
    out = np.empty((x.shape[0] + hidden.shape[0], end - begin))
    for i in range(x.shape[0]):
        for p in range(end - begin):
            out[i, p] = x[i, begin + p]
    for h in range(hidden.shape[0]):
        for p in range(end - begin):
            out[x.shape[0] + h, p] = hidden[h, begin + p]
    return out


@inner
def range_sides(net: Net, x: Floats, moved: Floats, sides: Floats) -> None:
    """Derivatives with respect to the ends (high, low) of all hidden grids, into (2H, points).

    Only splines follow the range; x and moved are (N, points).
    """
    n_in, at = net.width[0], 0
    node = n_in
    for layer in range(1, net.width.size - 1):
        for o in range(net.width[layer]):
            high, low = sides[at + o], sides[at + net.width[layer] + o]
            for p in range(x.shape[1]):
                high[p] = -moved[node + o, p] * (1 + x[node + o, p]) / 2
                low[p] = -moved[node + o, p] * (1 - x[node + o, p]) / 2
        at += 2 * net.width[layer]
        node += net.width[layer]
