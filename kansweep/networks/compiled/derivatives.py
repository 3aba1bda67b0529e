"""First and second derivatives of the outputs by the inputs, in forward mode.

A block of points at a time goes through the layers as ``networks.derivatives`` has it. Hessians
are symmetric: of them the T = D (D + 1) / 2 numbers of the lower triangle, row by row, are
computed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from kansweep.networks.compiled.basis import act, add_dots, silu
from kansweep.networks.compiled.forward import BLOCK, extended
from kansweep.networks.compiled.layout import Floats, Net, given_points, packed
from kansweep.networks.compiling import inner, loop
from kansweep.networks.layer import Layer

CACHED = 16_384  # numbers of the Hessians of one layer's nodes that a block may hold


class Jets(NamedTuple):
    """Nodes of a layer at a block of points, with their derivatives by the inputs."""

    value: Floats  # (I, points)
    first: Floats  # (I, D, points)
    second: Floats  # (I, T, points)


@loop
def derivatives(net: Net, x: Floats, first: Floats, second: Floats) -> None:
    """Those of f at points (R, n, D), into (R, n, M, D) and (R, n, M, D, D)."""
    n, inputs = x.shape[1], x.shape[2]
    numbers = net.width.max() * inputs * (inputs + 1) // 2
    block = max(8, min(BLOCK, CACHED // numbers))
    for r in range(x.shape[0]):
        theta = extended(net, r)
        for begin in range(0, n, block):
            end = min(begin + block, n)
            at = Jets(x[r, begin:end].T.copy(), np.empty((0, 0, 0)), np.empty((0, 0, 0)))
            for layer in range(net.width.size - 1):
                at = _through(net, r, layer, theta, at, inputs)
            _unfold(at, first[r, begin:end], second[r, begin:end])


@inner
def _through(net: Net, r: int, layer: int, theta: Floats, given: Jets, inputs: int) -> Jets:
    """What leaves a layer, where ``given`` reaches it."""
    n_in, n_out, n_coef = net.width[layer], net.width[layer + 1], net.grid_size + net.k
    first, w, points = net.start[layer, 0], net.w, given.value.shape[1]
    triangle = inputs * (inputs + 1) // 2
    out = Jets(
        np.zeros((n_out, points)),
        np.zeros((n_out, inputs, points)),
        np.zeros((n_out, triangle, points)),
    )
    interval, bases = np.empty(points, np.int32), np.empty((3, points * w))
    base, edge = np.empty((3, points)), np.empty((3, points))
    for i in range(n_in):
        node, x = net.start[layer, 1] + i, given.value[i]
        act(net, r, node, x, interval, bases[0], bases[1], bases[2])
        if net.base:
            silu(net, r, node, x, base[0], base[1], base[2])
        for o in range(n_out):
            weight = theta[first + n_in * n_out * n_coef + o * n_in + i] if net.base else 0.0
            for order in range(3):
                own = edge[order]
                for p in range(points):
                    own[p] = weight * base[order, p] if net.base else 0.0
                add_dots(own, theta, first + (o * n_in + i) * n_coef, interval, bases[order], w)
            _add(out, o, given, i, edge, layer == 0)
    return out


@inner
def _add(out: Jets, o: int, given: Jets, i: int, edge: Floats, outermost: bool) -> None:
    """Add to node o what an edge (3, points), its slope and second derivative, makes of node i, an
    input of the network where it is ``outermost``."""
    points, t = edge.shape[1], 0
    for p in range(points):
        out.value[o, p] += edge[0, p]
    if outermost:
        own, bent = out.first[o, i], out.second[o, i * (i + 3) // 2]
        for p in range(points):
            own[p] += edge[1, p]
            bent[p] += edge[2, p]
        return
    for d in range(given.first.shape[1]):
        own, slope = out.first[o, d], given.first[i, d]
        for p in range(points):
            own[p] += edge[1, p] * slope[p]
        for e in range(d + 1):
            bent, bend, other = out.second[o, t], given.second[i, t], given.first[i, e]
            for p in range(points):
                bent[p] += edge[1, p] * bend[p] + edge[2, p] * slope[p] * other[p]
            t += 1


@inner
def _unfold(at: Jets, first: Floats, second: Floats) -> None:
    """Into (points, M, D) and (points, M, D, D)."""
    for m in range(at.first.shape[0]):
        t = 0
        for d in range(at.first.shape[1]):
            for p in range(first.shape[0]):
                first[p, m, d] = at.first[m, d, p]
            for e in range(d + 1):
                for p in range(first.shape[0]):
                    second[p, m, d, e] = second[p, m, e, d] = at.second[m, t, p]
                t += 1


def of_outputs(layers: tuple[Layer, ...], k: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient and Hessian at points: (R, n, D) -> (R, n, M, D), (R, n, M, D, D)."""
    net = packed(layers, k)
    given = given_points(net, x)
    first = np.empty((*given.shape[:2], net.width[-1], given.shape[2]))
    second = np.empty((*first.shape, given.shape[2]))
    derivatives(net, given, first, second)
    return torch.from_numpy(first), torch.from_numpy(second)
