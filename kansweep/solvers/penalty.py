"""The roughness penalty: w times the squared (k+2)-th differences of every edge's coefficients.

On a uniform grid those differences are h^(k+2) times the spline's derivative of that order. The
penalty at difference order k + 1 falls as h^(2k+1) G, like the squared error of the best spline
times 1/G; one order more makes it vanish against that error as the grid is refined, yet it decides
what the data leave open. The weight is in units of the output's variance.
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from math import comb, factorial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import bernoulli
from torch import Tensor

from kansweep import bspline
from kansweep.kan import KAN


@lru_cache
def weight(grid_size: int, k: int) -> float:
    """|B_(2k+2)| / (2k+2)! / G: the squared constant of the best spline error, a grid interval."""
    order = 2 * k + 2
    return float(abs(bernoulli(order)[-1])) / factorial(order) / grid_size


@lru_cache
def band(n_coef: int, order: int) -> NDArray[np.float64]:
    """D^T D of one edge as a lower band, (K, order + 1): entry [j, d] is row j + d, column j."""
    signed = np.array([(-1.0) ** i * comb(order, i) for i in range(order + 1)])
    rows, out = max(n_coef - order, 0), np.zeros((n_coef, order + 1))
    for a in range(order + 1):
        out[a : a + rows, : order + 1 - a] += signed[a] * signed[a:]
    return out


def differences(kan: KAN, theta: Tensor) -> Tensor:
    """D theta, (R, P) -> (R, S): the differences of every edge, layer by layer."""
    layers = kan.with_theta(theta).layers
    return torch.cat(
        [bspline.difference(layer.coef, kan.k + 2).flatten(1) for layer in layers], dim=1
    )


def transposed(kan: KAN, strain: Tensor) -> Tensor:
    """D^T e, (R, S) -> (R, P). As differences again: the product D^T D would lose what is left
    of D c."""
    order, parts, offset = kan.k + 2, [], 0
    for layer in kan.layers:
        edges, n_coef = layer.coef.shape[1:3], layer.coef.shape[3]
        rows = n_coef - order
        if rows > 0:
            size = edges.numel() * rows
            d = strain[:, offset : offset + size].reshape(-1, *edges, rows)
            parts.append(bspline.difference_transposed(d, order).flatten(1))
            offset += size
        else:
            parts.append(strain.new_zeros(strain.shape[0], edges.numel() * n_coef))
        if layer.base is not None:
            parts.append(torch.zeros_like(layer.base).flatten(1))
    return torch.cat(parts, dim=1)


def energy(kan: KAN) -> Tensor:
    """Squared differences summed over the edges of each layer, (R, L)."""
    squares = differences(kan, kan.theta()).square()
    return torch.stack([part.sum(1) for part in squares.split(ranks(kan), dim=1)], dim=1)


def ranks(kan: KAN) -> list[int]:
    """Rows of D of each layer: how many directions the penalty restrains."""
    rows = max(kan.grid_size - 2, 0)
    return [layer.n_outputs * layer.n_inputs * rows for layer in kan.layers]


def per_difference(kan: KAN, w: Tensor) -> Tensor:
    """The weight of each difference, (R, L) -> (R, S)."""
    return w[:, _layer_of_each(kan.width, kan.grid_size, w.device)]


@lru_cache
def _layer_of_each(width: tuple[int, ...], grid_size: int, device: torch.device) -> Tensor:
    """The layer of each difference, (S,)."""
    rows = max(grid_size - 2, 0)
    sizes = torch.tensor([n_in * n_out * rows for n_in, n_out in itertools.pairwise(width)])
    return torch.arange(len(width) - 1).repeat_interleave(sizes).to(device)


@lru_cache
def owners(width: tuple[int, ...], grid_size: int, device: torch.device) -> Tensor:
    """The hidden node that each difference leads to, (S,); for the last layer their number, H."""
    rows, parts, first = max(grid_size - 2, 0), [], 0
    for n_in, n_out in itertools.pairwise(width):
        nodes = torch.arange(first, first + n_out, device=device)
        parts.append(nodes.repeat_interleave(n_in * rows))
        first += n_out
    return torch.cat(parts).clamp(max=sum(width[1:-1]))


def entries(kan: KAN) -> tuple[Tensor, Tensor, Tensor]:
    """D^T D of all edges in float64: places in a flattened lower triangle (P * P,), values, and the
    layer that each belongs to."""
    base, device = kan.layers[0].base is not None, kan.layers[0].coef.device
    return _entries(kan.width, kan.grid_size, kan.k, base, device)


@lru_cache
def _entries(
    width: tuple[int, ...], grid_size: int, k: int, base: bool, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    n_coef = grid_size + k
    lower = band(n_coef, k + 2)
    column, depth = np.nonzero(lower)
    first, layer, offset = [], [], 0
    for index, (n_in, n_out) in enumerate(itertools.pairwise(width)):
        first.append(offset + n_coef * np.arange(n_in * n_out))
        layer.append(np.full(n_in * n_out, index))
        offset += n_in * n_out * (n_coef + base)
    at = np.concatenate(first)[:, None] + column  # (E, entries)
    places = (at + depth) * offset + at
    values = np.broadcast_to(lower[column, depth], places.shape)
    layers = np.broadcast_to(np.concatenate(layer)[:, None], places.shape)
    place, value, layer_of = (
        torch.from_numpy(part.flatten()).to(device) for part in (places, values, layers)
    )
    return place, value, layer_of


def diagonal(kan: KAN, w: Tensor) -> Tensor:
    """The diagonal of D^T W D, weights (R, L) -> (R, P)."""
    parts = []
    of_edge = torch.from_numpy(band(kan.grid_size + kan.k, kan.k + 2)[:, 0]).to(w)
    for layer, weight in zip(kan.layers, w.unbind(1), strict=True):
        edges = layer.n_outputs * layer.n_inputs
        parts.append(weight[:, None] * of_edge.repeat(edges))
        if layer.base is not None:
            parts.append(torch.zeros_like(layer.base).flatten(1))
    return torch.cat(parts, dim=1)
