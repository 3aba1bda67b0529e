"""A cold start for one hidden node behind any outer function: level sets by an eigenproblem.

Of f = Phi(s), s = sum_i phi_i(x_i), the gradient is Phi'(s) times that of s: whatever Phi is,
monotone or not, the gradient of s points along that of f. With s a sum of splines this is linear in
their coefficients: s maximises the share of sum |grad s|^2 that lies along the gradients of the
data, a generalised eigenproblem. Gradients of scattered data come from local quadratic fits, as in
the outer product of gradients (Xia, Tong, Li and Zhu, J. R. Statist. Soc. B 64, 2002), of which
this is the additive form.

Where f turns within the distance to the next points, its gradients are wrong, and wrong directions
all make the same mistake: what is steep comes out too flat. So they are treated as outliers, by the
weights of Geman and McClure on a scale that is narrowed from turn to turn (graduated non-convexity,
Blake and Zisserman, Visual Reconstruction, 1987).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from kansweep.data.targets import Array
from kansweep.networks import bspline
from kansweep.networks.kan import KAN, Layer, Shape
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton.start import blank

MOST_POINTS = 4000  # at which gradients are estimated, from all points
MOST_NUMBERS = 20_000_000  # that all local fits may hold together
NEIGHBOURS = 2.0  # of a local fit, times its coefficients
QUADRATIC_UP_TO = 6  # inputs; local fits of more are linear, as their neighbours are far
SINGULAR = 1e-10  # pivots below this share of a local fit's largest
FLAT = 0.1  # a gradient of this share of the typical one counts half
ROUGHNESS = 1e-6  # of the penalty on what gradients leave open, a share of the largest entry
MISSED = 0.05  # of what varies nearby, left over by a local fit whose gradient counts half
# Sines of the angles between gradients at which one counts a quarter. After twenty turns more
# change nothing; with ten, four in ten of the functions that are so found were lost.
ANGLES = np.geomspace(0.5, 0.1, 20)
LEVEL = 0.01  # of the typical squared gradient, below which it counts by its size
# The grids on which inner functions follow from gradients, whatever the cell's is, the finest two
# that have so many points a parameter: rough gradients tell no more than the first, a layer or a
# fast wave inside shows on the last, in the right basin also where a coarser grid cannot follow it.
GRIDS, POINTS = (6, 12, 24), 4


def grids(shape: Shape, n_points: int) -> tuple[int, ...]:
    """Those of ``GRIDS`` on which to begin."""
    most = n_points / (POINTS * shape.n_edges) - shape.k
    return tuple(size for size in GRIDS if size <= most)[-2:] or GRIDS[:1]


def trained(
    shape: Shape, problem: Problem, fit: Callable[[KAN, Problem], KAN], grid_size: int
) -> KAN:
    """A network of a shape that ``fit`` trains from ``start``, on a grid of another size first."""
    net = blank(replace(shape, grid_size=grid_size), problem)
    net = fit(start(net, problem), problem)
    return net if grid_size == shape.grid_size else fit(net.refined(shape.grid_size), problem)


def gradients(x: Array, y: Array) -> tuple[Array, Array, Array]:
    """Points (m, d) out of x (n, d), the gradient of y (n,) there, (m, d), by local fits, and the
    share (m,) of what varies nearby that these leave."""
    n, d = x.shape
    quadratic = d <= QUADRATIC_UP_TO
    upper = np.triu_indices(d)
    n_terms = 1 + d + (len(upper[0]) if quadratic else 0)
    near = min(n, int(np.ceil(NEIGHBOURS * n_terms)) + 1)
    at = x[: max(1, min(n, MOST_POINTS, MOST_NUMBERS // (near * n_terms)))]
    distance, index = (np.asarray(part) for part in cKDTree(x).query(at, k=near))
    scale = np.maximum(distance[:, -1:], np.finfo(float).tiny)
    step = (x[index] - at[:, None]) / scale[..., None]  # (m, near, d)
    columns = [np.ones_like(step[..., :1]), step]
    if quadratic:
        columns.append((step[..., :, None] * step[..., None, :])[..., upper[0], upper[1]])
    design = np.concatenate(columns, axis=2)
    # Nearer ones count more (tricube, as in loess).
    weight = np.sqrt((1 - (distance / (1.001 * scale)) ** 3) ** 3)
    design, near_y = design * weight[..., None], y[index] * weight
    fit = least_squares(design, near_y)
    left = ((near_y - (design @ fit[..., None])[..., 0]) ** 2).sum(1)
    mean = (near_y * weight).sum(1) / (weight**2).sum(1)
    varies = ((near_y - mean[:, None] * weight) ** 2).sum(1)
    return at, fit[:, 1 : 1 + d] / scale, left / np.maximum(varies, np.finfo(float).tiny)


def least_squares(a: Array, b: Array) -> Array:
    """Of many small systems, (m, rows, T) and (m, rows) -> (m, T); the shortest solution where that
    is not unique. Triangular factors without Q cost a seventh of singular values."""
    m, rows, size = a.shape
    out, regular = np.empty((m, size)), np.zeros(m, bool)
    if rows >= size:
        r = np.asarray(np.linalg.qr(np.concatenate([a, b[..., None]], axis=2), mode="r"))[:, :size]
        diagonal = np.abs(np.diagonal(r, axis1=1, axis2=2))
        regular = diagonal.min(1) > SINGULAR * diagonal.max(1)
        r = r[regular]
        out[regular] = np.linalg.solve(r[..., :size], r[..., size:])[..., 0]
    rest = ~regular
    out[rest] = (np.linalg.pinv(a[rest]) @ b[rest][..., None])[..., 0]
    return out


def along(directions: Array, weight: Array, slopes: list[Array], stiffness: Array) -> Array:
    """Coefficients (d, K) of the additive function whose gradient lies most along unit directions
    (m, d), counted by a weight (m,); slopes[i] (m, K) are the derivatives of input i's splines."""
    d, size = len(slopes), slopes[0].shape[1]
    rows = np.concatenate([slopes[i] * directions[:, i : i + 1] for i in range(d)], axis=1)
    parallel = _gram(rows, weight)
    total = np.zeros_like(parallel)
    for i, slope in enumerate(slopes):
        block = slice(i * size, (i + 1) * size)
        total[block, block] = _gram(slope, weight)
    largest = np.abs(total).max() or 1.0  # of an output that is constant
    for i in range(d):
        block = slice(i * size, (i + 1) * size)
        total[block, block] += largest * (ROUGHNESS * stiffness + 1e-10 * np.eye(size))
    return _foremost(parallel, total).reshape(d, size)


# By torch, which a run leaves at one thread: NumPy and SciPy have as many as there are cores, by
# which last digits are others, and lose much where a core is busy.


def _gram(rows: Array, weight: Array) -> Array:
    """A^T W A, (m, K) and (m,) -> (K, K)."""
    a = torch.from_numpy(rows)
    return np.asarray((a * torch.from_numpy(weight)[:, None]).mT @ a)


def _foremost(a: Array, b: Array) -> Array:
    """v of A v = lambda B v with the largest lambda, of symmetric matrices."""
    lower = torch.linalg.cholesky(torch.from_numpy(b))
    half = torch.linalg.solve_triangular(lower, torch.from_numpy(a), upper=False)
    whole = torch.linalg.solve_triangular(lower, half.mT, upper=False)
    last = torch.linalg.eigh(whole)[1][:, -1:]
    return np.asarray(torch.linalg.solve_triangular(lower.mT, last, upper=True)[:, 0])


def agreed(directions: Array, weight: Array, slopes: list[Array], stiffness: Array) -> Array:
    """``along`` those directions that agree with it."""
    counts = weight
    for angle in ANGLES:
        coef = along(directions, counts, slopes, stiffness)
        own = np.stack([slope @ c for slope, c in zip(slopes, coef, strict=True)], axis=1)
        squares = np.maximum((own**2).sum(1), np.finfo(float).tiny)
        off = 1 - (own * directions).sum(1) ** 2 / squares  # the squared sine of an angle
        counts = weight * (angle**2 / (angle**2 + off)) ** 2
        counts /= squares / np.median(squares) + LEVEL  # all angles alike, steep or not
    return along(directions, counts, slopes, stiffness)


def start(net: KAN, problem: Problem) -> KAN:
    """The blank ``net`` of one hidden node with inner functions along the data's gradients and the
    identity behind them."""
    (first, last), grid_size, k = net.layers, net.grid_size, net.k
    # Each replica by itself: where directions leave much open, a last digit decides, and the spread
    # has others in a batch.
    alone = [problem[r] for r in torch.arange(net.n_replicas, device=problem.x.device).split(1)]
    y = [(one.y / one.spread[:, None]).mean(2)[0] for one in alone]
    coef = torch.stack([_inner(first, r, problem.x[r], y[r], k) for r in range(len(y))])
    line = bspline.greville(last.lower, last.upper, grid_size, k)[:, None]
    layers = (replace(first, coef=coef[:, None]), replace(last, coef=line.expand_as(last.coef)))
    return replace(net, layers=layers)


def _inner(layer: Layer, r: int, x: Tensor, y: Tensor, k: int) -> Tensor:
    """Coefficients (I, K) of replica r's inner functions."""
    lower, upper = (end[r].cpu().numpy().astype(float) for end in (layer.lower, layer.upper))
    unit = (x.cpu().numpy().astype(float) - lower) / (upper - lower)
    at, gradient, left = gradients(unit, y.cpu().numpy().astype(float))
    size = np.linalg.norm(gradient, axis=1)
    typical = np.median(size)
    weight = size**2 / (size**2 + (FLAT * typical) ** 2 + np.finfo(float).tiny)
    weight *= MISSED / (MISSED + left)
    directions = gradient / np.maximum(size, np.finfo(float).tiny)[:, None]
    n_coef = layer.coef.shape[3]
    slopes = [_slopes(at[:, i], n_coef - k, k) for i in range(unit.shape[1])]
    order = min(k + 2, n_coef - 1)
    rough = np.diff(np.eye(n_coef), n=order, axis=0)
    return torch.from_numpy(agreed(directions, weight, slopes, rough.T @ rough)).to(x)


def _slopes(u: Array, grid_size: int, k: int) -> Array:
    """Derivatives of all splines on [0, 1] at points, (m,) -> (m, K)."""
    place = torch.from_numpy(u * grid_size)
    interval = place.floor().clamp(0, grid_size - 1)
    values = bspline.basis_and_derivative(place - interval, k)[1].numpy() * grid_size
    matrix = np.zeros((u.size, grid_size + k))
    index = interval.long().numpy()[:, None] + np.arange(k + 1)
    np.put_along_axis(matrix, index, values, axis=1)
    return matrix
