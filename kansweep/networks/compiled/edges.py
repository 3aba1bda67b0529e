"""One pass over points, edge by edge: derivatives of the outputs by the inputs, in forward mode as
``networks.derivatives`` has them, and how large each edge is among the points.

A node's jet at a point is its value, its D first derivatives by the inputs and the D (D + 1) / 2
second ones of a triangle, row by row, for Hessians are symmetric; its value alone (D = 0) where no
derivatives are asked for.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kansweep.networks.compiled.forward import BLOCK
from kansweep.networks.compiled.layout import Floats, Net, given_points, packed
from kansweep.networks.compiled.polynomials import base_weight, evaluate, placed, polynomials
from kansweep.networks.compiling import inner, loop
from kansweep.networks.layer import Layer

CACHED = 65_536  # numbers of a layer's jets that a block may hold


@loop
def edgewise(net: Net, x: Floats, block: int, first: Floats, second: Floats, sizes: Floats) -> None:
    """At points (R, n, D), so many at once: derivatives of f into (R, n, M, D) and (R, n, M, D, D),
    or, where D is 0 in these, sums of edges' absolute values into (R, E, block), place by place in
    a block so that no sum waits for another."""
    n, inputs = x.shape[1], first.shape[3]
    size = 1 + inputs + inputs * (inputs + 1) // 2
    interval, place, edge = np.empty(block, np.int32), np.empty((5, block)), np.empty((3, block))
    for r in range(x.shape[0]):
        terms = polynomials(net, r)
        for begin in range(0, n, block):
            points = min(block, n - begin)
            jets = np.zeros((net.width[0], 1, block))
            for i in range(net.width[0]):
                for p in range(points):
                    jets[i, 0, p] = x[r, begin + p, i]
            for layer in range(net.width.size - 1):
                n_in, n_out = net.width[layer], net.width[layer + 1]
                out = np.zeros((n_out, size, block))
                for i in range(n_in):
                    placed(net, r, net.start[layer, 1] + i, jets[i, 0], interval, place)
                    for o in range(n_out):
                        e = net.start[layer, 2] + o * n_in + i
                        weight = base_weight(net, r, layer, o * n_in + i)
                        evaluate(terms[e], weight, interval, place, edge)
                        if inputs == 0:
                            for p in range(points):
                                sizes[r, e, p] += abs(edge[0, p])
                        _add(out[o], jets[i], edge, inputs, i if layer == 0 else -1)
                jets = out
            _unfold(jets, first[r, begin : begin + points], second[r, begin : begin + points])


@inner
def _add(out: Floats, jet: Floats, edge: Floats, inputs: int, i: int) -> None:
    """Add to a node's jet what an edge (3, points) makes of another's: of input ``i`` of the
    network, or of a hidden node (-1)."""
    for p in range(edge.shape[1]):
        out[0, p] += edge[0, p]
    if inputs and i >= 0:
        q = 1 + inputs + i * (i + 3) // 2
        for p in range(edge.shape[1]):
            out[1 + i, p] += edge[1, p]
            out[q, p] += edge[2, p]
        return
    for q in range(1, out.shape[0]):
        for p in range(edge.shape[1]):
            out[q, p] += edge[1, p] * jet[q, p]
    q = 1 + inputs
    for d in range(inputs):
        for e in range(d + 1):
            for p in range(edge.shape[1]):
                out[q, p] += edge[2, p] * jet[1 + d, p] * jet[1 + e, p]
            q += 1


@inner
def _unfold(jets: Floats, first: Floats, second: Floats) -> None:
    """Into (points, M, D) and (points, M, D, D)."""
    inputs = first.shape[2]
    for m in range(jets.shape[0]):
        q = 1 + inputs
        for d in range(inputs):
            for p in range(first.shape[0]):
                first[p, m, d] = jets[m, 1 + d, p]
            for e in range(d + 1):
                for p in range(first.shape[0]):
                    second[p, m, d, e] = second[p, m, e, d] = jets[m, q, p]
                q += 1


def derivatives(layers: tuple[Layer, ...], k: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient and Hessian of the outputs: (R, n, D) -> (R, n, M, D), (R, n, M, D, D)."""
    net = packed(layers, k)
    given = given_points(net, x)
    inputs = given.shape[2]
    first = np.empty((*given.shape[:2], net.width[-1], inputs))
    second = np.empty((*first.shape, inputs))
    numbers = int(net.width[1:].max()) * inputs * (inputs + 3) // 2
    block = max(8, min(BLOCK, CACHED // numbers))
    edgewise(net, given, block, first, second, np.empty((0, 0, 0)))
    return torch.from_numpy(first), torch.from_numpy(second)


def mean_sizes(layers: tuple[Layer, ...], k: int, x: Tensor) -> list[Tensor]:
    """Every edge's mean |output| at points (R, n, I), of each layer (R, O, I)."""
    net = packed(layers, k)
    given = given_points(net, x)
    block = min(BLOCK, given.shape[1])
    sizes, none = (
        np.zeros((len(net.theta), net.start[-1, 2], block)),
        np.empty((*given.shape[:2], 0, 0)),
    )
    edgewise(net, given, block, none, none[..., None], sizes)
    shapes = [layer.coef.shape[1:3] for layer in layers]
    means = torch.from_numpy(sizes.sum(2) / given.shape[1])
    parts = means.split([shape.numel() for shape in shapes], 1)
    return [part.unflatten(1, own) for part, own in zip(parts, shapes, strict=True)]
