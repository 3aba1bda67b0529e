"""Where the knots of a grid go: by the splines on a coarser grid.

The best splines of order k on intervals of width h miss a function f by C h^(k+1) |f^(k+1)|. Over
all grids of G intervals the error in L2 is least where each interval holds an equal share of
|f^(k+1)|^(2/(2k+3)): then the slope is that of equal intervals, -(k+1), and only the constant
falls. f^(k+1) is estimated by how the k-th derivative of a spline, constant on each interval, jumps
from one to the next. Source: de Boor, A Practical Guide to Splines, chapter XII (``newnot``).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from kansweep.data.targets import Array

Spacing = Literal["uniform", "adaptive", "quantile"]  # of a grid's knots

_SHARE = 0.02  # of the density is uniform: no interval is wider than 1 / (_SHARE G)
_NARROWEST = 1e-10  # interval, about: narrower ones near -1 or 1 are lost in the round-off of x
_ROUND_OFF = 1e-9  # jumps, against the derivative itself, that tell nothing
_SUPPORT = 4  # points an interval, at least, where intervals are narrower than equal ones
_FILLINGS = 20  # of what is too dense into what is not, at most
_GRID_EPS = 0.02  # of ``at_quantiles`` is uniform, as in pykan


def adapted(breaks: Array, derivatives: Array, k: int, grid_size: int) -> Array:
    """Breaks of ``grid_size`` intervals of [0, 1] for splines like these: (G+1,).

    ``breaks`` (G0+1,) rise from 0 to 1. Rows of ``derivatives`` (E, G0) are the k-th derivatives,
    one value an interval, of the splines that share the grid, scaled so that they count alike.
    Splines without jumps, which are polynomials, get equal intervals. Applied again and again it
    follows a singularity inwards, by a factor each time.
    """
    width = np.diff(breaks)
    jumps = np.sqrt((np.diff(derivatives) ** 2).sum(axis=0))  # (G0 - 1,)
    if not jumps.max(initial=0.0) > _ROUND_OFF * np.sqrt((derivatives**2).sum(axis=0)).max():
        return np.linspace(0.0, 1.0, grid_size + 1)
    size = jumps / (width[1:] + width[:-1])
    square = _smoothed(_with_ends((size / size.max()) ** 2))  # (G0 + 1,)
    density = square ** (1 / (2 * k + 3))
    # Between breaks it is a power of x, rather than linear, where it varies much.
    share = width * np.sqrt(density[1:] * density[:-1])
    share = np.minimum(share / share.sum(), width / (_NARROWEST * grid_size))
    share = (1.0 - _SHARE) * share / share.sum() + _SHARE * width
    reached = np.concatenate([[0.0], share.cumsum()])
    return np.interp(np.linspace(0.0, 1.0, grid_size + 1), reached / reached[-1], breaks)


def supported(breaks: Array, samples: Array) -> Array:
    """Breaks (G+1,) like these for data at ``samples`` (n,), which rise within [0, 1].

    Where they are denser than equal ones there is one for every ``_SUPPORT`` samples at most, as
    the penalty alone would decide on the rest. What is too many goes elsewhere.
    """
    size = breaks.size - 1
    places = np.unique(np.concatenate([breaks, samples[::_SUPPORT], samples[-1:]]))
    width = np.diff(places)
    share = np.diff(np.interp(places, breaks, np.linspace(0.0, 1.0, size + 1)))
    reached = np.interp(places, samples, np.linspace(0.0, 1.0, samples.size), left=0.0, right=1.0)
    most = np.maximum(width, samples.size / (_SUPPORT * size) * np.diff(reached))
    if (share <= most * (1.0 + _ROUND_OFF)).all():
        return breaks
    for _ in range(_FILLINGS):
        full = share >= most
        share = np.minimum(share, most)
        if share.sum() >= 1.0 - _ROUND_OFF or full.all():
            break
        share[~full] *= (1.0 - share[full].sum()) / share[~full].sum()
    total = np.concatenate([[0.0], share.cumsum()])
    return np.asarray(np.interp(np.linspace(0.0, 1.0, size + 1), total / total[-1], places))


def at_quantiles(points: Array, weights: Array, grid_size: int) -> Array:
    """Breaks of intervals of [0, 1] with equal weight, almost: pykan's ``grid_eps``: (G+1,).

    ``points`` (q,) rise within [0, 1]; the first and the last are the least and the greatest.
    """
    share = np.linspace(0.0, 1.0, grid_size + 1)
    reached = weights.cumsum() - weights / 2.0
    reached = (reached - reached[0]) / (reached[-1] - reached[0])
    quantiles = np.interp(share, reached, points)
    quantiles[[0, -1]] = 0.0, 1.0
    return (1.0 - _GRID_EPS) * quantiles + _GRID_EPS * share


def _with_ends(inner: Array) -> Array:
    """Values at the inner breaks continued to both ends: (G0 - 1,) -> (G0 + 1,)."""
    return np.concatenate([[_continued(inner)], inner, [_continued(inner[::-1])]])


def _continued(values: Array) -> float:
    """The value before the first: the same, or greater by as much as the first is than the second.

    So a singularity at an end is found in few steps. The second must exceed the third: it could be
    near a zero otherwise.
    """
    if values.size < 3:
        return float(values[0])
    first, second, third = np.maximum(values[:3], np.finfo(np.float64).tiny)
    return float(values[0] * (first / second if first > second > third else 1.0))


def _smoothed(square: Array) -> Array:
    """Means over neighbours: of squares, so that a zero of f^(k+1) leaves no wide interval."""
    padded = np.pad(square, 1, mode="edge")
    return (padded[:-2] + 2.0 * padded[1:-1] + padded[2:]) / 4.0
