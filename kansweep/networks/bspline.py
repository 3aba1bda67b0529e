"""Uniform B-splines by local support: knots, basis values and derivatives, evaluation, refinement.

A spline of order ``k`` (the KAN paper's word for the polynomial degree; cubic is 3) on ``G``
equal intervals of [lower, upper] has G + k coefficients on the extended knot vector
t_j = lower + (j - k) h, j = 0 ... G + 2k, with h = (upper - lower) / G, as in
``scipy.interpolate.BSpline(t, c, k)``. On each interval only k + 1 basis functions are not
zero, and on equal intervals they are the same k + 1 polynomials of t = (x - t_i) / h, so the
cost of a value does not depend on G. Outside [lower, upper] a spline is the straight line that
has its value and its slope at the end.

Shapes use R replicas, n points, I inputs (a grid each), O outputs, as in ``kan.py``.
Source: de Boor, A Practical Guide to Splines, chapters IX-XI.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import make_lsq_spline
from torch import Tensor

Array = NDArray[np.float64]


def knots(lower: Tensor, upper: Tensor, grid_size: int, k: int) -> Tensor:
    """Extended uniform knots of each grid: (...) and (...) -> (..., G + 2k + 1)."""
    steps = torch.arange(-k, grid_size + k + 1, dtype=lower.dtype, device=lower.device)
    return lower[..., None] + (upper - lower)[..., None] * (steps / grid_size)


def greville(lower: Tensor, upper: Tensor, grid_size: int, k: int) -> Tensor:
    """Coefficients of the identity, the means of k consecutive knots: (...) -> (..., G + k)."""
    return knots(lower, upper, grid_size, k)[..., 1:-1].unfold(-1, k, 1).mean(-1)


@lru_cache
def _pieces(k: int) -> Array:
    """Polynomials of the k + 1 basis functions on one interval, (k + 1, k + 1).

    Row j holds the monomial coefficients in t of the j-th of them, by the Cox-de Boor
    recursion on integer knots: b_j^k = (t - j + k)/k b_{j-1}^{k-1} + (j + 1 - t)/k b_j^{k-1}.
    """
    rows = np.ones((1, 1))
    for order in range(1, k + 1):
        last, rows = rows, np.zeros((order + 1, order + 1))
        for j in range(order + 1):
            if j > 0:
                rows[j, :-1] += (order - j) / order * last[j - 1]
                rows[j, 1:] += last[j - 1] / order
            if j < order:
                rows[j, :-1] += (j + 1) / order * last[j]
                rows[j, 1:] -= last[j] / order
    return rows


@lru_cache
def _derivative_pieces(k: int) -> Array:
    """Derivatives in t of ``_pieces``, (k + 1, k): monomial coefficients up to t^(k-1)."""
    return _pieces(k)[:, 1:] * np.arange(1, k + 1)


def locate(x: Tensor, lower: Tensor, upper: Tensor, grid_size: int) -> tuple[Tensor, Tensor]:
    """Interval of each point, 0 ... G-1, and its place t in it; t leaves [0, 1] outside the grid.

    x is (R, n, I), lower and upper are (R, I); both results are (R, n, I).
    """
    u = (x - lower[:, None]) * (grid_size / (upper - lower))[:, None]
    # A NaN would make the interval meaningless; it stays visible through t.
    interval = u.nan_to_num(0.0).floor().clamp(0, grid_size - 1)
    return interval.long(), u - interval


def piece_table(k: int) -> Array:
    """Entry [m, j] is the coefficient of t^m in the j-th basis function, (k + 1, k + 1)."""
    return _pieces(k).T


@lru_cache
def _table(k: int, derivative: bool, like: tuple[torch.dtype, torch.device]) -> Tensor:
    """The polynomials' monomial coefficients, (k + 1, k + 1), or their derivatives', (k, k + 1)."""
    pieces = _derivative_pieces(k) if derivative else _pieces(k)
    with torch.inference_mode(False):  # it is kept, and autograd must not meet it as it is there
        return torch.from_numpy(pieces.T).to(like[1], like[0])


def powers(t: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """1, t, ..., t^k and beyond [0, 1] their tangents at its ends; and 1, ..., t^(k-1) held there.

    With c the place held in [0, 1], the tangents are c^(m-1) (c + m (t - c)): the former are for
    values, (..., k + 1), the latter for slopes, (..., k).
    """
    held = t.clamp(0.0, 1.0)
    excess = t - held
    inside, values = [torch.ones_like(t)], [torch.ones_like(t)]
    for m in range(1, k + 1):
        values.append(inside[-1] * torch.add(held, excess, alpha=m))
        inside.append(inside[-1] * held)
    return torch.stack(values, dim=-1), torch.stack(inside[:k], dim=-1)


def basis(t: Tensor, k: int) -> Tensor:
    """The k + 1 basis values that are not zero at place t of an interval: (...) -> (..., k+1)."""
    return powers(t, k)[0] @ _table(k, False, (t.dtype, t.device))


def basis_and_derivative(t: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """``basis`` and its derivatives with respect to t; divide those by h for the ones in x."""
    like = t.dtype, t.device
    values, inside = powers(t, k)
    return values @ _table(k, False, like), inside @ _table(k, True, like)


def local_coef(coef: Tensor, interval: Tensor, k: int) -> Tensor:
    """The k + 1 coefficients that act at each point: (R, n, I, O, k+1) of (R, O, I, G+k)."""
    windows = coef.unfold(-1, k + 1, 1).permute(0, 2, 3, 1, 4)  # (R, I, G, O, k+1)
    replica = torch.arange(coef.shape[0], device=coef.device)[:, None, None]
    column = torch.arange(coef.shape[2], device=coef.device)
    return windows[replica, column, interval]


def evaluate(x: Tensor, coef: Tensor, lower: Tensor, upper: Tensor, k: int) -> Tensor:
    """Each edge's spline at its input: (R, n, I), (R, O, I, G+k) -> (R, n, I, O)."""
    interval, t = locate(x, lower, upper, coef.shape[-1] - k)
    return torch.einsum("rnios,rnis->rnio", local_coef(coef, interval, k), basis(t, k))


def refine(coef: Tensor, grid_size: int, k: int) -> Tensor:
    """The same spline on ``grid_size`` intervals of the same range: (..., G+k) -> (..., G'+k).

    Exact where the new grid nests in the old one (knot insertion), otherwise the best
    approximation in least squares over the range.
    """
    old = coef.shape[-1] - k
    if grid_size == old:
        return coef
    nested = grid_size % old == 0
    matrix = _insertion(old, grid_size, k) if nested else _projection(old, grid_size, k)
    return coef @ torch.from_numpy(matrix.T).to(coef)


def regrid(coef: Tensor, old: tuple[Tensor, Tensor], new: tuple[Tensor, Tensor], k: int) -> Tensor:
    """Move splines to other ranges, the number of intervals kept: (R, O, I, G+k) -> the same.

    ``old`` and ``new`` are (lower, upper), each (R, I). Least squares on the Gauss-Legendre
    points of the new intervals, so no coefficient is left to chance; beyond the old range a spline
    is the straight line that it is everywhere.
    """
    grid_size = coef.shape[-1] - k
    points, _ = gauss(np.linspace(0.0, 1.0, grid_size + 1), k)
    unit = torch.from_numpy(points).to(coef)
    lower, upper = new
    x = lower[:, None] + (upper - lower)[:, None] * unit[:, None]  # (R, q, I)
    values = evaluate(x, coef, *old, k)  # (R, q, I, O)
    return fitted(values, grid_size, k)


def fitted(values: Tensor, grid_size: int, k: int) -> Tensor:
    """Coefficients of the splines nearest to values at ``gauss`` points: (R, q, I, O) ->
    (R, O, I, K)."""
    fit = torch.from_numpy(_fit_matrix(grid_size, k)).to(values)  # (G+k, q)
    return torch.einsum("jq,rqio->roij", fit, values)


def difference(coef: Tensor, order: int) -> Tensor:
    """Repeated differences of coefficients, (..., K) -> (..., K - order); empty if K <= order."""
    return torch.diff(coef, n=order)


def difference_transposed(d: Tensor, order: int) -> Tensor:
    """The transpose of ``difference``, (..., K - order) -> (..., K)."""
    # D^T of one difference is minus a difference of what is padded by a zero at both ends.
    padded = torch.nn.functional.pad(d, (order, order))
    return torch.diff(padded, n=order).mul((-1) ** order)


def design_matrix(x: Array, grid_size: int, k: int) -> Array:
    """Every basis function at points of the grid [0, 1], (n,) -> (n, G+k)."""
    u = x * grid_size
    interval = np.clip(np.floor(u), 0, grid_size - 1).astype(int)
    t = u - interval
    values = np.vander(t, k + 1, increasing=True) @ _pieces(k).T
    matrix = np.zeros((x.size, grid_size + k))
    np.put_along_axis(matrix, interval[:, None] + np.arange(k + 1), values, axis=1)
    return matrix


_legendre = cache(np.polynomial.legendre.leggauss)


def gauss(breaks: Array, k: int) -> tuple[Array, Array]:
    """Gauss-Legendre points and weights, k + 1 on each interval: (G + 1,) -> (q,) and (q,)."""
    node, weight = _legendre(k + 1)
    width = np.diff(breaks)[:, None]
    points = breaks[:-1, None] + width * (node + 1.0) / 2.0
    return points.ravel(), (width * weight / 2.0).ravel()


@lru_cache(maxsize=32)
def _fit_matrix(grid_size: int, k: int) -> Array:
    """Least-squares fit to values at the Gauss points, (G+k, q)."""
    points, weights = gauss(np.linspace(0.0, 1.0, grid_size + 1), k)
    return least_squares(points, weights, np.eye(points.size), _unit_knots(grid_size, k), k)


@lru_cache(maxsize=32)
def _projection(old: int, new: int, k: int) -> Array:
    """Best approximation from G to G' intervals in L2, (G'+k, G+k); exact quadrature."""
    breaks = np.union1d(np.arange(old + 1) / old, np.arange(new + 1) / new)
    points, weights = gauss(breaks, k)
    return least_squares(points, weights, design_matrix(points, old, k), _unit_knots(new, k), k)


def _unit_knots(grid_size: int, k: int) -> Array:
    return np.arange(-k, grid_size + k + 1) / grid_size


def least_squares(points: Array, weights: Array, values: Array, t: Array, k: int) -> Array:
    """Coefficients on extended knots t of the splines nearest to values at points: (q, c) ->
    (K, c)."""
    root = np.sqrt(weights)
    # Values that are not finite are those of a network that diverged, and stay visible.
    return np.asarray(make_lsq_spline(points, values, t, k, w=root, check_finite=False).c)


@lru_cache(maxsize=32)
def _insertion(old: int, new: int, k: int) -> Array:
    """Knot insertion from G to G' = m G intervals, (G'+k, G+k), in units of the old intervals."""
    return insertion(np.arange(-k, old + k + 1.0), np.arange(-k, new + k + 1) / (new // old), k)


def insertion(old: Array, new: Array, k: int) -> Array:
    """Coefficients on extended knots ``new``, which hold all breaks of ``old``: (K', K).

    A coefficient is the blossom of any polynomial piece on its support at its k inner knots
    (Ramshaw 1989); the blossom is de Boor's algorithm with one argument a level.
    """
    matrix = np.zeros((len(new) - k - 1, len(old) - k - 1))
    middle = (new[k : -k - 1] + new[k + 1 : -k]) / 2
    piece_of = np.clip(np.searchsorted(old, middle) - 1 - k, 0, len(old) - 2 * k - 2)
    for j in range(len(matrix)):
        inner = new[j + 1 : j + k + 1]
        piece = piece_of[min(max(j - k // 2, 0), len(middle) - 1)]  # an old one amid the support
        level = np.eye(k + 1)
        for r in range(1, k + 1):
            # Row i of the triangle is coefficient piece + i, which begins at knot piece + i.
            start = old[piece + r : piece + k + 1]
            end = old[piece + k + 1 : piece + 2 * k + 2 - r]
            alpha = ((inner[r - 1] - start) / (end - start))[:, None]
            level = (1.0 - alpha) * level[:-1] + alpha * level[1:]
        matrix[j, piece : piece + k + 1] = level[0]
    return matrix
