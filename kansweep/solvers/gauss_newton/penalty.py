"""The penalty: what it asks of an edge's coefficients, in rows of three kinds.

``ROUGH``: their m-th differences, m = k + 2 but for ``smoother``. On a uniform grid those are h^m
times the spline's derivative of that order; on others divided differences, times local widths, are
in their place, or what has no data would go on as a polynomial in the index. The penalty at
difference order k + 1 falls as h^(2k+1) G, like the squared error of the best spline times 1/G; one
order more makes it vanish against that error as the grid is refined, yet it decides what the data
leave open.

``CURVED`` and ``STRAIGHT``: what those differences leave free, the polynomials in the index below
degree m: the ones from degree 2 on, without which an edge is a straight line, and the slope,
without which it vanishes (the second penalty of Marra and Wood, Computational Statistics and Data
Analysis 55, 2011, in two parts). They count as mean squares over the coefficients, so that their
weights mean the same on every grid. Only noise gives them a weight worth the name.

Weights (R, L, 3) are in units of the output's variance, one for each layer and kind.
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from math import comb, factorial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import bernoulli
from torch import Tensor

from kansweep.networks import bspline, uneven
from kansweep.networks.kan import KAN, Layer

Array = NDArray[np.float64]
KINDS = 3
ROUGH, CURVED, STRAIGHT = range(KINDS)


@lru_cache
def weight(grid_size: int, k: int) -> float:
    """|B_(2k+2)| / (2k+2)! / G: the squared constant of the best spline error, a grid interval."""
    order = 2 * k + 2
    return float(abs(bernoulli(order)[-1])) / factorial(order) / grid_size


def least(grid_size: int, k: int, scale: float = 1.0) -> Tensor:
    """The weights of the three kinds where there is no noise, (3,): multiples of ``weight``, and
    nothing for what the rough rows leave free."""
    return torch.tensor([scale * weight(grid_size, k), 0.0, 0.0], dtype=torch.float64)


@lru_cache
def band(n_coef: int, order: int) -> NDArray[np.float64]:
    """D^T D of one edge as a lower band, (K, order + 1): entry [j, d] is row j + d, column j."""
    signed = np.array([(-1.0) ** i * comb(order, i) for i in range(order + 1)])
    rows, out = max(n_coef - order, 0), np.zeros((n_coef, order + 1))
    for a in range(order + 1):
        out[a : a + rows, : order + 1 - a] += signed[a] * signed[a:]
    return out


def order(kan: KAN) -> int:
    """Of the differences that are to be small."""
    return kan.k + kan.beyond


@lru_cache
def _polynomials(n_coef: int, order: int) -> Array:
    """Orthonormal polynomials in the index of degrees from 1 to below an order, over sqrt(K):
    (rows, K)."""
    degrees = min(order, n_coef) - 1
    place = np.linspace(-1.0, 1.0, n_coef)
    q, _ = np.linalg.qr(np.vander(place, degrees + 1, increasing=True))
    rows: Array = np.ascontiguousarray(q[:, 1:].T) / np.sqrt(n_coef)
    return rows


def counts(n_coef: int, order: int) -> tuple[int, int, int]:
    """How many rows an edge has of each kind."""
    free = min(order, n_coef) - 1
    return max(n_coef - order, 0), free - 1, 1


def free_rows(n_coef: int, order: int) -> Array:
    """``_polynomials`` in the order of the rows: curved ones, then the straight one."""
    rows = _polynomials(n_coef, order)
    return np.concatenate([rows[1:], rows[:1]])


@lru_cache
def _free(n_coef: int, order: int, like: tuple[torch.dtype, torch.device]) -> Tensor:
    with torch.inference_mode(False):
        return torch.from_numpy(free_rows(n_coef, order)).to(like[1], like[0])


def shared(kan: KAN) -> bool:
    """Whether all edges have the same rough rows, or none."""
    even = all(layer.breaks is None for layer in kan.layers)
    return even or kan.grid_size <= kan.beyond


def differences(layer: Layer, k: int, order: int) -> Tensor:
    """The rough rows of a layer's unequal intervals, (R, I, S, order + 1)."""
    return uneven.differences(layer.unit_breaks(k).double(), k, order)


def bands(kan: KAN) -> Tensor:
    """``band`` of the rough rows, (R, E, K, order + 1); or one for all edges, (1, 1, K, .)."""
    m, n_coef = order(kan), kan.grid_size + kan.k
    like = kan.layers[0].coef
    if shared(kan):
        return torch.from_numpy(band(n_coef, m)).to(like.device)[None, None]
    parts = []
    for layer in kan.layers:
        rows = differences(layer, kan.k, m)
        out = rows.new_zeros(*rows.shape[:2], n_coef, m + 1)
        for a in range(m + 1):
            out[..., a : a + rows.shape[2], : m + 1 - a] += rows[..., a, None] * rows[..., a:]
        parts.append(out.repeat(1, layer.n_outputs, 1, 1))
    return torch.cat(parts, dim=1)


def _rough(layer: Layer, k: int, order: int) -> Tensor:
    """The rough rows of a layer, (R, O, I, S)."""
    if layer.breaks is None or layer.coef.shape[3] <= order:
        return bspline.difference(layer.coef, order)
    rows = uneven.differences(layer.breaks, k, order)
    return torch.einsum("roijs,rijs->roij", layer.coef.unfold(-1, order + 1, 1), rows)


def _rough_transposed(layer: Layer, e: Tensor, k: int, order: int) -> Tensor:
    """The coefficients (R, O, I, K) that rough rows (R, O, I, S) pull at."""
    if layer.breaks is None:
        return bspline.difference_transposed(e, order)
    out, rows = torch.zeros_like(layer.coef), uneven.differences(layer.breaks, k, order)
    for a in range(order + 1):
        out[..., a : a + e.shape[3]] += e * rows[:, None, ..., a]
    return out


def strain(kan: KAN, theta: Tensor) -> Tensor:
    """C theta, (R, P) -> (R, S): layer by layer, in each the rough rows of its edges, then the
    curved ones, then the straight ones."""
    parts = []
    for layer in kan.with_theta(theta).layers:
        free = _free(layer.coef.shape[3], order(kan), (theta.dtype, theta.device))
        left = layer.coef @ free.mT
        parts += [_rough(layer, kan.k, order(kan)), left[..., :-1], left[..., -1:]]
    return torch.cat([part.flatten(1) for part in parts], dim=1)


def transposed(kan: KAN, e: Tensor) -> Tensor:
    """C^T e, (R, S) -> (R, P). As differences again: the product D^T D would lose what is left
    of D c."""
    parts, pieces = [], iter(e.split(ranks(kan), dim=1))
    for layer in kan.layers:
        edges, n_coef = layer.coef.shape[:3], layer.coef.shape[3]
        rough, curved, straight = (
            next(pieces).reshape(*edges, rows) for rows in counts(n_coef, order(kan))
        )
        free = _free(n_coef, order(kan), (e.dtype, e.device))
        pull = torch.cat([curved, straight], dim=3) @ free
        if rough.shape[3]:
            pull = pull + _rough_transposed(layer, rough, kan.k, order(kan))
        parts.append(pull.flatten(1))
        if layer.base is not None:
            parts.append(torch.zeros_like(layer.base).flatten(1))
    return torch.cat(parts, dim=1)


def energy(kan: KAN) -> Tensor:
    """Squared rows summed by layer and kind, (R, L, 3)."""
    squares = strain(kan, kan.theta()).square()
    sums = torch.stack([part.sum(1) for part in squares.split(ranks(kan), dim=1)], dim=1)
    by_layer: Tensor = sums.unflatten(1, (-1, KINDS))
    return by_layer


def ranks(kan: KAN) -> list[int]:
    """Rows by layer and kind: how many directions each restrains."""
    rows = counts(kan.grid_size + kan.k, order(kan))
    return [layer.n_outputs * layer.n_inputs * n for layer in kan.layers for n in rows]


def freedoms(kan: KAN) -> Tensor:
    """The same of edges that were not pruned, replica by replica: (R, L, 3)."""
    device = kan.layers[0].coef.device
    if not kan.is_pruned:
        return (
            torch.tensor(ranks(kan), device=device).view(-1, KINDS).expand(kan.n_replicas, -1, -1)
        )
    rows = torch.tensor(counts(kan.grid_size + kan.k, order(kan)), device=device)
    edges = torch.stack([layer.edges_kept.sum((1, 2)) for layer in kan.layers], 1)  # (R, L)
    return edges[..., None] * rows


def per_row(kan: KAN, w: Tensor) -> Tensor:
    """The weight of each row, (R, L, 3) -> (R, S)."""
    sizes = torch.tensor(ranks(kan), device=w.device)
    weights: Tensor = w.flatten(1).repeat_interleave(sizes, dim=1)
    return weights


@lru_cache
def owners(width: tuple[int, ...], n_coef: int, order: int, device: torch.device) -> Tensor:
    """The hidden node that each row leads to, (S,); for the last layer their number, H."""
    parts, first = [], 0
    for n_in, n_out in itertools.pairwise(width):
        nodes = torch.arange(first, first + n_out, device=device)
        parts += [nodes.repeat_interleave(n_in * rows) for rows in counts(n_coef, order)]
        first += n_out
    return torch.cat(parts).clamp(max=sum(width[1:-1]))


def entries(kan: KAN) -> tuple[Tensor, Tensor, Tensor]:
    """C^T C of all edges in float64: places in a flattened lower triangle (P * P,), values (1, .)
    or, where replicas have knots of their own, (R, .), and the layer and kind, as an index into
    flattened weights, that each belongs to."""
    base, device = kan.layers[0].base is not None, kan.layers[0].coef.device
    n_coef = kan.grid_size + kan.k
    place, value, group = _entries(kan.width, n_coef, order(kan), base, device)
    if not shared(kan):
        own = bands(kan)
        column, depth = (torch.from_numpy(at) for at in np.nonzero(band(n_coef, order(kan))))
        value = value.expand(own.shape[0], -1).clone()
        value[:, group % KINDS == ROUGH] = own[:, :, column, depth].flatten(1)
    return place, value, group


@lru_cache
def _entries(
    width: tuple[int, ...], n_coef: int, order: int, base: bool, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    lower = _lower_entries(n_coef, order)
    first, layer, offset = [], [], 0
    for index, (n_in, n_out) in enumerate(itertools.pairwise(width)):
        first.append(offset + n_coef * np.arange(n_in * n_out))
        layer.append(np.full(n_in * n_out, index))
        offset += n_in * n_out * (n_coef + base)
    at = np.concatenate(first)[:, None]  # (E, 1)
    places, values, groups = [], [], []
    for kind, (row, column, value) in enumerate(lower):
        places.append(((at + row) * offset + at + column).ravel())
        values.append(np.tile(value, len(at)))
        groups.append(np.repeat(KINDS * np.concatenate(layer) + kind, len(value)))
    place, value_of, group = (
        torch.from_numpy(np.concatenate(part)).to(device) for part in (places, values, groups)
    )
    return place, value_of[None], group


def _lower_entries(n_coef: int, order: int) -> list[tuple[NDArray[Any], NDArray[Any], Array]]:
    """Of one edge and each kind: row, column and value of the lower triangle of C^T C."""
    stiff = band(n_coef, order)
    column, depth = np.nonzero(stiff)
    found = [(column + depth, column, stiff[column, depth])]
    row, column = np.tril_indices(n_coef)
    polynomials = _polynomials(n_coef, order)
    for part in (polynomials[1:], polynomials[:1]):
        found.append((row, column, (part.T @ part)[row, column]))
    return found


def diagonal(kan: KAN, w: Tensor) -> Tensor:
    """The diagonal of C^T W C, weights (R, L, 3) -> (R, P)."""
    n_coef = kan.grid_size + kan.k
    squares = _polynomials(n_coef, order(kan)) ** 2
    free = torch.from_numpy(np.stack([squares[1:].sum(0), squares[0]])).to(w)  # (2, K)
    own, parts, first = bands(kan)[..., 0].to(w), [], 0
    for layer, weight in zip(kan.layers, w.unbind(1), strict=True):
        edges = layer.n_outputs * layer.n_inputs
        if shared(kan):
            parts.append((weight @ torch.cat([own[0], free])).repeat(1, edges))
        else:
            rough = weight[:, None, :1] * own[:, first : first + edges]  # (R, E, K)
            parts.append((rough + (weight[:, CURVED:] @ free)[:, None]).flatten(1))
        first += edges
        if layer.base is not None:
            parts.append(torch.zeros_like(layer.base).flatten(1))
    return torch.cat(parts, dim=1)
