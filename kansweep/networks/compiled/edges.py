"""What edges are among points: their mean absolute, their least and their largest value."""

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


class Seen(NamedTuple):
    """Of every edge (E,), of the points at each place of a block."""

    size: Floats  # (E, BLOCK), sums of absolute values
    least: Floats  # (E, BLOCK)
    most: Floats  # (E, BLOCK)


@loop
def figures(net: Net, x: Floats, out: Floats) -> None:
    """The three of every edge, into (3, R, E), at points (R, n, I) that go on from layer to layer.

    A block's points are counted place by place, so that no sum and no extreme waits for another.
    """
    n, edges = x.shape[1], net.start[net.width.size - 1, 2]
    for r in range(x.shape[0]):
        theta = extended(net, r)
        seen = Seen(
            np.zeros((edges, BLOCK)),
            np.full((edges, BLOCK), np.inf),
            np.full((edges, BLOCK), -np.inf),
        )
        for begin in range(0, n, BLOCK):
            values = x[r, begin : min(begin + BLOCK, n)].T.copy()
            for layer in range(net.width.size - 1):
                values = _through(net, r, layer, theta, values, seen)
        for e in range(edges):
            total = seen.size[e].sum()
            out[0, r, e] = total / n
            # What is no number passes by comparisons.
            out[1, r, e] = np.nan if np.isnan(total) else seen.least[e].min()
            out[2, r, e] = np.nan if np.isnan(total) else seen.most[e].max()


@inner
def _through(net: Net, r: int, layer: int, theta: Floats, x: Floats, seen: Seen) -> Floats:
    """Sums of a layer's edges, (I, points) -> (O, points), and what is seen of each."""
    n_in, n_out, n_coef = net.width[layer], net.width[layer + 1], net.grid_size + net.k
    first, points = net.start[layer, 0], x.shape[1]
    out, own, none = np.zeros((n_out, points)), np.empty(points), np.empty(0)
    interval, b = np.empty(points, np.int32), np.empty(points * net.w)
    base, rise = np.empty(points), np.empty(points)
    for i in range(n_in):
        node = net.start[layer, 1] + i
        act(net, r, node, x[i], interval, b, none, none)
        if net.base:
            silu(net, r, node, x[i], base, rise, none)
        for o in range(n_out):
            e = o * n_in + i
            weight = theta[first + n_in * n_out * n_coef + e] if net.base else 0.0
            for p in range(points):
                own[p] = weight * base[p] if net.base else 0.0
            add_dots(own, theta, first + e * n_coef, interval, b, net.w)
            e += net.start[layer, 2]
            size, least, most = seen.size[e], seen.least[e], seen.most[e]
            for p in range(points):
                out[o, p] += own[p]
                size[p] += abs(own[p])
                least[p] = min(least[p], own[p])
                most[p] = max(most[p], own[p])
    return out


def of_edges(layers: tuple[Layer, ...], k: int, x: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
    """The three of each layer's edges, (R, O, I) each, of points (R, n, I)."""
    net = packed(layers, k)
    out = np.empty((3, len(net.theta), net.start[-1, 2]))
    figures(net, given_points(net, x), out)
    parts, found = torch.from_numpy(out).split([one.coef[0, ..., 0].numel() for one in layers], 2), []
    for layer, part in zip(layers, parts, strict=True):
        size, least, most = part.unflatten(2, layer.coef.shape[1:3])
        found.append((size, least, most))
    return found
