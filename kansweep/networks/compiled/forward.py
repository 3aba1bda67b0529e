"""Outputs at points: a block of points at a time, layer by layer, so that all stays in a cache."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kansweep.networks.compiled.basis import act, add_dots, silu
from kansweep.networks.compiled.layout import Floats, Net, given_points, packed
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
def layer_sums(net: Net, r: int, layer: int, theta: Floats, x: Floats, out: Floats) -> None:
    """Sums of a layer's edges, x (I, n) -> out (O, n)."""
    n_in, n_out, n_coef = net.width[layer], net.width[layer + 1], net.grid_size + net.k
    first, node = net.start[layer, 0], net.start[layer, 1]
    b, none, weights = np.empty(BLOCK * net.w), np.empty(0), first + n_in * n_out * n_coef
    interval, value, slope = np.empty(BLOCK, np.int32), np.empty(BLOCK), np.empty(BLOCK)
    for begin in range(0, x.shape[1], BLOCK):
        end = min(begin + BLOCK, x.shape[1])
        for o in range(n_out):
            for p in range(begin, end):
                out[o, p] = 0.0
        for i in range(n_in):
            act(net, r, node + i, x[i, begin:end], interval, b, none)
            if net.base:
                silu(net, r, node + i, x[i, begin:end], value, slope)
            for o in range(n_out):
                at, sums = first + (o * n_in + i) * n_coef, out[o, begin:end]
                add_dots(sums, theta, at, interval, b, net.w)
                if net.base:
                    weight = theta[weights + o * n_in + i]
                    for p in range(sums.size):
                        sums[p] += weight * value[p]


@loop
def outputs(net: Net, x: Floats, out: Floats) -> None:
    """f, (R, n, I) -> (R, n, M)."""
    layers, n = net.width.size - 1, x.shape[1]
    for r in range(x.shape[0]):
        theta = extended(net, r)
        for begin in range(0, n, BLOCK):
            points = min(BLOCK, n - begin)
            values = np.empty((net.width[0], points))
            for i in range(net.width[0]):
                for p in range(points):
                    values[i, p] = x[r, begin + p, i]
            for layer in range(layers):
                sums = np.empty((net.width[layer + 1], points))
                layer_sums(net, r, layer, theta, values, sums)
                values = sums
            for m in range(net.width[layers]):
                for p in range(points):
                    out[r, begin + p, m] = values[m, p]


def values(layers: tuple[Layer, ...], k: int, x: Tensor) -> Tensor:
    """Outputs of layers at points, (R, n, I) -> (R, n, M), in float64."""
    net = packed(layers, k)
    given = given_points(net, x)
    out = np.empty((*given.shape[:2], net.width[-1]))
    outputs(net, given, out)
    return torch.from_numpy(out)
