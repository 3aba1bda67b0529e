"""How the loops want a KAN: flat arrays, the same for every depth, so that one compilation serves.

Nodes are numbered through: the inputs, then hidden ones layer by layer (N in all, H of them
hidden), then the outputs. Edges leave a node and lead to another, in the order of theta. Blocks of
k + 1 numbers are padded by zeros to W = 4 or 8, so that they fill vectors.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kansweep.networks.bspline import piece_table
from kansweep.networks.compiling import available
from kansweep.networks.layer import Layer, trainable

Floats = NDArray[np.float64]
Ints = NDArray[np.int32] | NDArray[np.int64]


class Net(NamedTuple):
    """R KANs of one shape, all arrays contiguous and of float64."""

    width: Ints  # (L + 1,)
    start: Ints  # (L + 1, 3): where each layer's parameters, input nodes and edges begin
    k: int
    w: int
    grid_size: int
    base: bool
    theta: Floats  # (R, P)
    grid: Floats  # (R, N, 4): lower, upper, shift, scale
    breaks: Floats  # (R, N, G + 1), or (1, 1, 1) where intervals are equal
    pieces: Floats  # (R, N G (k + 1) W), or (1, (k + 1) W)

    def of(self, replicas: NDArray[np.bool_]) -> Net:
        """Those that a mask selects."""
        net = self._replace(theta=self.theta[replicas], grid=self.grid[replicas])
        if self.breaks.size == 1:
            return net
        return net._replace(breaks=self.breaks[replicas], pieces=self.pieces[replicas])


HIGHEST = 7  # order whose k + 1 numbers fill W


def loops_run(x: Tensor, k: int) -> bool:
    """Whether there are loops for such numbers and splines of order k."""
    exact = x.device.type == "cpu" and x.dtype == torch.float64
    return exact and k <= HIGHEST and available()


def loops_serve(x: Tensor, layers: tuple[Layer, ...], k: int) -> bool:
    """Whether they compute what is asked: where no gradient is wanted."""
    parts = [x, *(part for layer in layers for part in trainable(layer))]
    return loops_run(x, k) and not any(part.requires_grad for part in parts)


def packed(layers: tuple[Layer, ...], k: int) -> Net:
    """The flat arrays of layers, copied."""
    first = layers[0]
    theta = torch.cat([part.flatten(1) for one in layers for part in trainable(one)], 1)
    ends = [torch.stack([a.lower, a.upper, a.shift, a.scale], 2) for a in layers]
    grid = torch.cat(ends, 1)
    breaks, pieces = _knots(layers, k)
    grid_size, base = first.coef.shape[3] - k, first.base is not None
    shape = _shape((first.n_inputs, *(one.n_outputs for one in layers)), grid_size + k + base)
    return Net(*shape, k, padded(k), grid_size, base, _array(theta), _array(grid), breaks, pieces)


def given_points(net: Net, x: Tensor) -> Floats:
    """Points (R, n, I), or those of all replicas (1, n, I), of each replica."""
    return np.ascontiguousarray(x.expand(len(net.theta), *x.shape[1:]).numpy())


@lru_cache
def _shape(width: tuple[int, ...], per_edge: int) -> tuple[Ints, Ints]:
    """``Net``'s width and start."""
    nodes = np.array(width)
    edges = nodes[:-1] * nodes[1:]
    begin = np.stack([edges * per_edge, nodes[:-1], edges], 1).cumsum(0)
    return nodes, np.concatenate([np.zeros_like(begin[:1]), begin])


def _knots(layers: tuple[Layer, ...], k: int) -> tuple[Floats, Floats]:
    padding = (0, padded(k) - k - 1)
    if layers[0].breaks is None:
        return np.zeros((1, 1, 1)), _even(k)
    breaks = torch.cat([a.breaks for a in layers if a.breaks is not None], 1)
    pieces = torch.cat([a.pieces for a in layers if a.pieces is not None], 1)
    return _array(breaks), _array(torch.nn.functional.pad(pieces, padding).flatten(1))


def unpacked(net: Net, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Layers like the given ones with the numbers of flat arrays, which they share."""
    theta, grid = torch.from_numpy(net.theta), torch.from_numpy(net.grid)
    made, first, node = [], 0, 0
    for layer in layers:
        shape = (len(theta), *layer.coef.shape[1:])
        end = first + layer.coef[0].numel()
        coef, base = theta[:, first:end].view(shape), None
        if layer.base is not None:
            first, end = end, end + layer.base[0].numel()
            base = theta[:, first:end].view(shape[:3])
        first = end
        _, _, shift, scale = grid[:, node : node + layer.n_inputs].unbind(2)
        node += layer.n_inputs
        made.append(replace(layer, coef=coef, base=base, shift=shift, scale=scale))
    return tuple(made)


def one_output(net: Net) -> Net:
    """The first output behind what reaches the last layer."""
    n_in, per_edge = int(net.width[-2]), net.grid_size + net.k + net.base
    width, start = _shape((n_in, 1), per_edge)
    breaks, pieces = net.breaks, net.pieces
    if breaks.size > 1:
        own = pieces.shape[1] // breaks.shape[1] * n_in
        breaks, pieces = breaks[:, -n_in:].copy(), pieces[:, -own:].copy()
    return net._replace(
        width=width,
        start=start,
        theta=net.theta[:, : n_in * per_edge],
        grid=net.grid[:, -n_in:].copy(),
        breaks=breaks,
        pieces=pieces,
    )


def last_of(net: Net) -> Floats:
    """The last layer's numbers output by output, each one's coefficients and base: (R, M, Q)."""
    replicas, n_out = len(net.theta), int(net.width[-1])
    n_in, n_coef = int(net.width[-2]), net.grid_size + net.k
    begin = net.theta.shape[1] - n_out * n_in * (n_coef + net.base)
    end = begin + n_out * n_in * n_coef
    coef = net.theta[:, begin:end].reshape(replicas, n_out, -1)
    if not net.base:
        return coef
    return np.concatenate([coef, net.theta[:, end:].reshape(replicas, n_out, -1)], 2)


def padded(k: int) -> int:
    return 4 if k < 4 else 8


_EVEN: dict[int, Floats] = {}


def _even(k: int) -> Floats:
    """The polynomials of equal intervals, (1, (k + 1) W)."""
    if k not in _EVEN:
        table = np.zeros((k + 1, padded(k)))
        table[:, : k + 1] = piece_table(k)
        _EVEN[k] = table.reshape(1, -1)
    return _EVEN[k]


def _array(values: Tensor) -> Floats:
    return values.contiguous().double().numpy()
