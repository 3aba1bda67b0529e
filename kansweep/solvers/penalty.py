"""The roughness penalty: w times the squared (k+2)-th differences of every edge's coefficients.

On a uniform grid those differences are h^(k+2) times the spline's derivative of that order. The
penalty at difference order k + 1 falls as h^(2k+1) G, like the squared error of the best spline
times 1/G; one order more makes it vanish against that error as the grid is refined, yet it decides
what the data leave open. The weight is in units of the output's variance.
"""

from __future__ import annotations

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


@lru_cache
def block(n_coef: int, order: int) -> NDArray[np.float64]:
    """D^T D of one edge, (K, K)."""
    lower = band(n_coef, order)
    out = np.zeros((n_coef, n_coef))
    for d in range(min(order + 1, n_coef)):
        np.einsum("jj->j", out[d:, : n_coef - d])[:] = lower[: n_coef - d, d]
    return out + np.tril(out, -1).T


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
    pad = torch.nn.functional.pad
    for layer in kan.layers:
        edges, n_coef = layer.coef.shape[1:3], layer.coef.shape[3]
        rows = max(n_coef - order, 0)
        size = edges.numel() * rows
        d = strain[:, offset : offset + size].reshape(-1, *edges, rows)
        offset += size
        for _ in range(n_coef - rows):
            d = pad(d, (1, 0)) - pad(d, (0, 1))
        parts.append(d.flatten(1))
        if layer.base is not None:
            parts.append(torch.zeros_like(layer.base).flatten(1))
    return torch.cat(parts, dim=1)


def energy(kan: KAN) -> Tensor:
    """Squared differences summed over all edges, (R,)."""
    return differences(kan, kan.theta()).square().sum(1)


def rank(kan: KAN) -> int:
    """Rows of D: how many directions the penalty restrains."""
    rows = max(kan.grid_size - 2, 0)
    return sum(layer.n_outputs * layer.n_inputs * rows for layer in kan.layers)


def owners(kan: KAN) -> Tensor:
    """The hidden node that each difference leads to, (S,); for the last layer their number, H."""
    rows = max(kan.grid_size - 2, 0)
    hidden = sum(kan.width[1:-1])
    nodes = torch.arange(hidden, device=kan.layers[0].coef.device)
    parts = [
        nodes[first : first + layer.n_outputs].repeat_interleave(layer.n_inputs * rows)
        for layer, first in zip(kan.layers[:-1], _first_nodes(kan), strict=True)
    ]
    last = kan.layers[-1].n_outputs * kan.layers[-1].n_inputs * rows
    return torch.cat([*parts, nodes.new_full((last,), hidden)])


def _first_nodes(kan: KAN) -> list[int]:
    hidden = kan.width[1:-1]
    return [sum(hidden[:depth]) for depth in range(len(hidden))]


def add_gram(matrix: Tensor, kan: KAN, w: Tensor) -> None:
    """Add w D^T D of every edge to a normal matrix in place: (R, P, P) and (R,)."""
    offset = 0
    for layer in kan.layers:
        _, n_out, n_in, n_coef = layer.coef.shape
        size = n_out * n_in * n_coef
        part = matrix[:, offset : offset + size, offset : offset + size]
        edges = part.unflatten(2, (-1, n_coef)).unflatten(1, (-1, n_coef))  # (R, E, K, E, K)
        own = edges.diagonal(dim1=1, dim2=3)  # (R, K, K, E)
        stiff = torch.from_numpy(block(n_coef, kan.k + 2)).to(matrix)
        own.add_((w[:, None, None] * stiff)[..., None])
        offset += size + (0 if layer.base is None else layer.base[0].numel())
