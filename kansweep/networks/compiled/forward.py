"""Outputs at points: a block of points at a time, layer by layer, so that all stays in a cache."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kansweep.networks.compiled.basis import act, add_dots, silu
from kansweep.networks.compiled.layout import Floats, Ints, Net, packed
from kansweep.networks.compiling import inner, loop
from kansweep.networks.layer import Layer

BLOCK = 128  # points


@inner
def extended(net: Net, r: int) -> Floats:
    """theta of one replica with zeros behind, so that blocks of W may be read from any place."""
    theta = np.zeros(net.theta.shape[1] + 8)
    for j in range(net.theta.shape[1]):
        theta[j] = net.theta[r, j]
    return theta


@inner
def starts(net: Net) -> tuple[Ints, Ints]:
    """Where the parameters of each layer and its input nodes begin, (L + 1,) each."""
    layers, per_edge = net.width.size - 1, net.grid_size + net.k + int(net.base)
    first, node = np.zeros(layers + 1, np.int64), np.zeros(layers + 1, np.int64)
    for layer in range(layers):
        first[layer + 1] = first[layer] + net.width[layer] * net.width[layer + 1] * per_edge
        node[layer + 1] = node[layer] + net.width[layer]
    return first, node


@inner
def layer_sums(
    net: Net, r: int, layer: int, first: int, node: int, theta: Floats, x: Floats, out: Floats
) -> None:
    """Sums of a layer's edges at a block of points, (I, points) -> (O, points); its coefficients
    begin at ``first``, its inputs at ``node``."""
    n_in, n_out, n_coef = net.width[layer], net.width[layer + 1], net.grid_size + net.k
    w, points = net.pieces.shape[4], x.shape[1]
    b, none = np.empty((points, w)), np.empty((0, w))
    interval, given = np.empty(points, np.int32), np.empty(points)
    value, slope = np.empty(points), np.empty(points)
    flat, weights = b.reshape(b.size), first + n_in * n_out * n_coef
    for o in range(n_out):
        for p in range(points):
            out[o, p] = 0.0
    for i in range(n_in):
        for p in range(points):
            given[p] = x[i, p]
        act(net, r, node + i, given, interval, b, none)
        if net.base:
            silu(net, r, node + i, given, value, slope)
        for o in range(n_out):
            at = first + (o * n_in + i) * n_coef
            add_dots(out[o], theta, at, interval, flat, w)
            if net.base:
                weight = theta[weights + o * n_in + i]
                for p in range(points):
                    out[o, p] += weight * value[p]


@loop
def outputs(net: Net, x: Floats, out: Floats) -> None:
    """f, (R, n, I) -> (R, n, M)."""
    first, node = starts(net)
    layers, n = net.width.size - 1, x.shape[1]
    values, sums = np.empty((net.width.max(), BLOCK)), np.empty((net.width.max(), BLOCK))
    for r in range(x.shape[0]):
        theta = extended(net, r)
        for begin in range(0, n, BLOCK):
            points = min(BLOCK, n - begin)
            for i in range(net.width[0]):
                for p in range(points):
                    values[i, p] = x[r, begin + p, i]
            for layer in range(layers):
                n_in, n_out = net.width[layer], net.width[layer + 1]
                given, made = values[:n_in, :points], sums[:n_out, :points]
                layer_sums(net, r, layer, first[layer], node[layer], theta, given, made)
                values, sums = sums, values
            for m in range(net.width[layers]):
                for p in range(points):
                    out[r, begin + p, m] = values[m, p]


def values(layers: tuple[Layer, ...], k: int, x: Tensor) -> Tensor:
    """Outputs of layers at points, (R, n, I) -> (R, n, M), in float64."""
    net = packed(layers, k)
    given = np.ascontiguousarray(x.expand(len(net.theta), *x.shape[1:]).numpy())
    out = np.empty((*given.shape[:2], net.width[-1]))
    outputs(net, given, out)
    return torch.from_numpy(out)
