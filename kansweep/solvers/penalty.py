"""The roughness penalty: w times the squared (k+2)-th differences of every edge's coefficients.

On a uniform grid those differences are h^(k+2) times the spline's derivative of that order. The
penalty at difference order k + 1 falls as h^(2k+1) G, like the squared error of the best spline
times 1/G; one order more makes it vanish against that error as the grid is refined, yet it decides
what the data leave open. The weight is in units of the output's variance.
"""

from __future__ import annotations

from functools import lru_cache
from math import factorial

import torch
from scipy.special import bernoulli
from torch import Tensor

from kansweep import bspline
from kansweep.kan import KAN


@lru_cache
def weight(grid_size: int, k: int) -> float:
    """|B_(2k+2)| / (2k+2)! / G: the squared constant of the best spline error, a grid interval."""
    order = 2 * k + 2
    return float(abs(bernoulli(order)[-1])) / factorial(order) / grid_size


def block(coef: Tensor, k: int) -> Tensor:
    """D^T D of one edge, (K, K)."""
    eye = torch.eye(coef.shape[-1], dtype=coef.dtype, device=coef.device)
    d = bspline.difference(eye, k + 2)
    return d @ d.mT


def force(coef: Tensor, k: int) -> Tensor:
    """D^T (D c), by differences of differences: the product D^T D loses what is left of D c."""
    d = bspline.difference(coef, k + 2)
    pad = torch.nn.functional.pad
    for _ in range(coef.shape[-1] - d.shape[-1]):
        d = pad(d, (1, 0)) - pad(d, (0, 1))
    return d


def energy(kan: KAN) -> list[Tensor]:
    """Squared differences summed over the edges into each node, (R, O) a layer."""
    return [bspline.difference(layer.coef, kan.k + 2).square().sum((2, 3)) for layer in kan.layers]


def gradient(kan: KAN) -> Tensor:
    """Half the derivative of the energy with respect to theta, (R, P)."""
    parts = []
    for layer in kan.layers:
        parts.append(force(layer.coef, kan.k).flatten(1))
        if layer.base is not None:
            parts.append(torch.zeros_like(layer.base).flatten(1))
    return torch.cat(parts, dim=1)


def add_gram(matrix: Tensor, kan: KAN, w: Tensor) -> None:
    """Add w D^T D of every edge to a normal matrix in place: (R, P, P) and (R,)."""
    offset = 0
    for layer in kan.layers:
        _, n_out, n_in, n_coef = layer.coef.shape
        size = n_out * n_in * n_coef
        part = matrix[:, offset : offset + size, offset : offset + size]
        edges = part.unflatten(2, (-1, n_coef)).unflatten(1, (-1, n_coef))  # (R, E, K, E, K)
        own = edges.diagonal(dim1=1, dim2=3)  # (R, K, K, E)
        own.add_(w[:, None, None, None] * block(layer.coef, kan.k)[..., None])
        offset += size + (0 if layer.base is None else layer.base[0].numel())
