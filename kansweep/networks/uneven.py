"""B-splines on unequal intervals: the same as ``bspline`` where knots stand where they are needed.

A grid's breaks are its G + 1 knots from 0 to 1, in the unit interval between ``lower`` and
``upper``, so that they stretch with the range. Beyond the ends the knots go on with the width of
the end interval, as equal ones do. Each interval has k + 1 polynomials of its own, tabulated once.

Shapes are those of ``bspline``. What a grid costs once is done in NumPy, input by input.
Source: de Boor, A Practical Guide to Splines, chapters IX-XI; pykan's grids, arXiv:2404.19756.
"""

from __future__ import annotations

from math import factorial

import numpy as np
import torch
from scipy.interpolate import BSpline
from torch import Tensor

from kansweep.data.knots import at_quantiles, supported
from kansweep.networks import bspline
from kansweep.networks.bspline import Array

_ROUNDINGS = 16  # up to which a sum of terms that cancel tells nothing
_SAME = 1e-12  # breaks so near are one, in quadrature


def knots(breaks: Tensor, k: int) -> Tensor:
    """Extended knots on the unit interval: (..., G + 1) -> (..., G + 2k + 1)."""
    steps = torch.arange(1, k + 1, dtype=breaks.dtype, device=breaks.device)
    first, last = breaks[..., 1:2] - breaks[..., :1], breaks[..., -1:] - breaks[..., -2:-1]
    return torch.cat(
        [breaks[..., :1] - first * steps.flip(0), breaks, breaks[..., -1:] + last * steps], dim=-1
    )


def pieces(breaks: Tensor, k: int) -> Tensor:
    """Polynomials of the basis functions on each interval: (..., G + 1) -> (..., G, k+1, k+1).

    Entry [m, s] is the coefficient of t^m in the s-th of the k + 1 that are not zero there, t from
    0 to 1, by the Cox-de Boor recursion.
    """
    t = knots(breaks.double(), k)
    grid_size = breaks.shape[-1] - 1
    start = t[..., k : k + grid_size]
    width = t[..., k + 1 : k + grid_size + 1] - start
    rows = torch.ones_like(start)[..., None, None]  # (..., G, order, m)
    for order in range(1, k + 1):
        last, rows = rows, rows.new_zeros(*start.shape, order + 1, order + 1)
        for s in range(order):
            # The s-th function of the order before falls where the next one of this order rises.
            begin = t[..., k + 1 - order + s :][..., :grid_size]
            end = t[..., k + 1 + s :][..., :grid_size]
            slope = (width / (end - begin))[..., None] * last[..., s, :]
            rise = ((start - begin) / (end - begin))[..., None] * last[..., s, :]
            fall = ((end - start) / (end - begin))[..., None] * last[..., s, :]
            rows[..., s + 1, :-1] += rise
            rows[..., s + 1, 1:] += slope
            rows[..., s, :-1] += fall
            rows[..., s, 1:] -= slope
    return rows.mT.contiguous().to(breaks)


def differences(breaks: Tensor, k: int, order: int) -> Tensor:
    """Rows that ask for little derivative of an order m > k, (R, I, G + 1) -> (R, I, S, m + 1), of
    which there are S = G + k - m.

    A row holds the factors of m + 1 coefficients in succession: m-th differences where intervals
    are equal, else divided ones times that power of the width of the intervals around.
    """
    t, width = knots(breaks, k), breaks.diff(dim=-1)
    n_coef = breaks.shape[-1] - 1 + k
    middle = (width[..., 1:] + width[..., :-1]) / 2
    rows = torch.ones_like(t[..., :n_coef, None])
    for m in range(1, order + 1):
        if m <= k:
            gap = (t[..., k + 1 : k + 1 + n_coef - m] - t[..., m:n_coef]) / (k + 1 - m)
        else:  # between intervals, then between knots, in turns
            gap = width if (m - k) % 2 == 0 else middle
            inside = (m - k) // 2
            gap = gap[..., inside : gap.shape[-1] - inside]
        ahead = torch.nn.functional.pad(rows[..., 1:, :], (1, 0))
        rows = (ahead - torch.nn.functional.pad(rows[..., :-1, :], (0, 1))) / gap[..., None]
    around = width.unfold(-1, order - k + 1, 1).amin(-1)
    return rows * around.pow(order)[..., None]


def locate(x: Tensor, lower: Tensor, upper: Tensor, breaks: Tensor) -> tuple[Tensor, Tensor]:
    """``bspline.locate``; breaks are (R, I, G + 1)."""
    u = ((x - lower[:, None]) / (upper - lower)[:, None]).mT.contiguous()  # (R, I, n)
    inner = breaks[..., 1:-1].contiguous()
    interval = torch.searchsorted(inner, u, right=True)  # the last one of a NaN, which t shows
    start = breaks.gather(2, interval)
    t = (u - start) / (breaks.gather(2, interval + 1) - start)
    return interval.mT.contiguous(), t.mT.contiguous()


def basis(interval: Tensor, t: Tensor, table: Tensor) -> Tensor:
    """``bspline.basis`` by the pieces (R, I, G, k+1, k+1): (R, n, I) -> (R, n, I, k+1)."""
    return _sum(bspline.powers(t, table.shape[-1] - 1)[0], at(table, interval))


def basis_and_derivative(interval: Tensor, t: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """``basis`` and its derivatives with respect to t."""
    k = table.shape[-1] - 1
    powers, inside = bspline.powers(t, k)
    local = at(table, interval)
    exponents = torch.arange(1, k + 1, dtype=t.dtype, device=t.device)
    return _sum(powers, local), _sum(inside * exponents, local[..., 1:, :])


def at(table: Tensor, interval: Tensor) -> Tensor:
    """What a table (R, I, G, ...) has for the interval of each point: (R, n, I, ...)."""
    replicas, n_inputs, grid_size = table.shape[:3]
    grid = torch.arange(replicas * n_inputs, device=table.device).view(replicas, 1, n_inputs)
    index = (interval + grid_size * grid).flatten()
    return table.flatten(0, 2).index_select(0, index).view(*interval.shape, *table.shape[3:])


def _sum(powers: Tensor, local: Tensor) -> Tensor:
    out = powers[..., :1] * local[..., 0, :]
    for m in range(1, powers.shape[-1]):
        out = torch.addcmul(out, powers[..., m : m + 1], local[..., m, :])
    return out


def widths(interval: Tensor, breaks: Tensor) -> Tensor:
    """Width of each point's interval as a share of the range: (R, n, I) -> (R, n, I)."""
    return at(breaks.diff(dim=2), interval)


def top_derivatives(coef: Tensor, breaks: Tensor, k: int) -> Tensor:
    """Each spline's k-th derivative, constant on an interval: (R, O, I, K) -> (R, O, I, G).

    With respect to the place in the unit interval; zero where it is round-off.
    """
    windows = coef.unfold(-1, k + 1, 1)  # (R, O, I, G, k+1)
    terms = windows * pieces(breaks, k)[:, None, ..., k, :]
    rounding = _ROUNDINGS * torch.finfo(coef.dtype).eps * terms.abs().sum(-1)
    leading = torch.where(terms.sum(-1).abs() > rounding, terms.sum(-1), 0.0)
    return leading * (factorial(k) / breaks.diff(dim=2).pow(k)[:, None])


def resampled(breaks: Tensor, grid_size: int) -> Tensor:
    """As many breaks as asked for on the same monotone map: (R, I, G + 1) -> (R, I, G' + 1).

    The map is linear between the breaks at equal steps; grids that are multiples of others nest.
    """
    old = breaks.shape[-1] - 1
    place = np.arange(grid_size + 1) * old / grid_size
    interval = np.minimum(place.astype(int), old - 1)
    share = torch.from_numpy(place - interval).to(breaks)
    index = torch.from_numpy(interval).to(breaks.device)
    start = breaks[..., index]
    return torch.where(share < 1, start + share * (breaks[..., index + 1] - start), 1.0)


def quantiles(u: Tensor, grid_size: int) -> Tensor:
    """Breaks at quantiles of samples u (R, n, I) of the unit interval: (R, I, G + 1)."""
    samples = _samples(u)
    weights = np.ones(samples.shape[1])
    placed = [[at_quantiles(one, weights, grid_size) for one in row.T] for row in samples]
    return torch.from_numpy(np.array(placed)).to(u)


def held(breaks: Tensor, u: Tensor) -> Tensor:
    """Breaks (R, I, G + 1) moved to where samples u (R, n, I) support them: ``knots.supported``."""
    samples, given = _samples(u), breaks.double().cpu().numpy()
    moved = np.empty_like(given)
    for r, i in np.ndindex(*given.shape[:2]):
        moved[r, i] = supported(given[r, i], samples[r, :, i])
    return torch.from_numpy(moved).to(breaks)


def _samples(u: Tensor) -> Array:
    """Samples of the unit interval in their order; what is no number, at its start."""
    rising: Array = u.nan_to_num(0.0).clamp(0.0, 1.0).sort(dim=1).values.double().cpu().numpy()
    return rising


def transferred(coef: Tensor, old: Tensor, new: Tensor, k: int) -> Tensor:
    """The same splines on other breaks, (R, O, I, K) -> (R, O, I, K').

    Exact where the new breaks hold all old ones (knot insertion), otherwise the best approximation
    in least squares over the range. ``old`` is (R, I, G + 1), ``new`` (R, I, G' + 1).
    """
    tolerance = 4 * torch.finfo(coef.dtype).eps
    out = np.empty((*coef.shape[:3], new.shape[-1] - 1 + k))
    given = coef.double().cpu().numpy()
    before, after = old.double().cpu().numpy(), new.double().cpu().numpy()
    for r, i in np.ndindex(*before.shape[:2]):
        distance = np.abs(before[r, i][:, None] - after[r, i]).min(1)
        move = _inserted if distance.max() <= tolerance else _projected
        out[r, :, i] = move(given[r, :, i], before[r, i], after[r, i], k)
    return torch.from_numpy(out).to(coef)


def fitted(values: Tensor, breaks: Tensor, k: int) -> Tensor:
    """Coefficients of the splines nearest to values at ``gauss_points``: (R, q, I, O) ->
    (R, O, I, K)."""
    shape = (values.shape[0], values.shape[3], values.shape[2], breaks.shape[-1] - 1 + k)
    out = np.empty(shape)
    given, places = values.double().cpu().numpy(), breaks.double().cpu().numpy()
    for r, i in np.ndindex(*places.shape[:2]):
        points, weights = bspline.gauss(places[r, i], k)
        t = _extended(places[r, i], k)
        out[r, :, i] = _nearest(points, weights, given[r, :, i], t, k).T
    return torch.from_numpy(out).to(values)


def gauss_points(breaks: Tensor, k: int) -> Tensor:
    """k + 1 Gauss-Legendre points on each interval: (R, I, G + 1) -> (R, q, I)."""
    places = breaks.double().cpu().numpy()
    points = [[bspline.gauss(one, k)[0] for one in row] for row in places]
    return torch.from_numpy(np.array(points)).mT.to(breaks)


def _extended(breaks: Array, k: int) -> Array:
    return knots(torch.from_numpy(breaks), k).numpy()


def _inserted(coef: Array, old: Array, new: Array, k: int) -> Array:
    return coef @ bspline.insertion(_extended(old, k), _extended(new, k), k).T


def _projected(coef: Array, old: Array, new: Array, k: int) -> Array:
    merged = np.union1d(old, new)
    merged = merged[np.append(True, np.diff(merged) > _SAME)]
    points, weights = bspline.gauss(merged, k)
    values = BSpline(_extended(old, k), coef.T, k)(points)
    return _nearest(points, weights, values, _extended(new, k), k).T


def _nearest(points: Array, weights: Array, values: Array, t: Array, k: int) -> Array:
    """``bspline.least_squares`` twice: once more for what round-off left, which is much where
    intervals are of very different widths."""
    first = bspline.least_squares(points, weights, values, t, k)
    left = values - BSpline(t, first, k)(points)
    return first + bspline.least_squares(points, weights, left, t, k)
