"""What the points next to an end of an interval tell of a function up to that end.

A polynomial through a stretch of points says what the function does a little further, and of which
degree, through which stretch, its errors tell. Near a pole, a logarithm or a root polynomials say
little: there the function is nearly one polynomial over another, of a degree of one or two (a Padé
approximation). The one below is found as Sanathanan and Koerner (*IEEE Transactions on Automatic
Control* 8, 1963) do, by linear least squares weighted with what it was before; with it, the one
above is again a matter of linear regression.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kansweep.networks.compiling import inner, loop
from kansweep.solvers.gauss_newton.strain.loops import Array, Index

SHORTEST, LONGEST = 16, 4096  # points of a stretch; each has twice as many as the one before
# The degree of the polynomial below, and that of the one above while the one below is looked for.
ALONE, OVER = ((0, 0),), ((1, 3), (1, 6), (2, 3), (2, 6))
# Degrees of polynomials alone, and of those above others.
LOWEST, HIGHEST = (3, 1), (10, 7)
ROUNDS = 2  # in which what is below is found
STEEPEST = 1e3  # between the largest and the least value of what is below
DEGENERATE = 1e-10  # so short is rounding: places are too few to tell a direction

Mask = NDArray[np.bool_]
# Points from an end on, their values and how often they count; places, and the share of each.
Given = tuple[Array, Array, Array, Array, Array]
Points = tuple[Array, Array, Array]  # places, values, and roots of how often they count


@dataclass(frozen=True)
class End:
    """The outermost points of B functions, from where t = 0 on."""

    t: Tensor  # (B, m), rising
    y: Tensor  # (B, m)
    weight: Tensor  # (B, m), how often each counts

    @classmethod
    def of(cls, t: Tensor, y: Tensor, counts: Tensor | None) -> End:
        """Of points t (B, n) with values y (B, n)."""
        t, index = t.topk(min(t.shape[1], LONGEST), largest=False)
        weight = torch.ones_like(t) if counts is None else counts.to(t).gather(1, index)
        return cls(t, y.gather(1, index), weight)

    def told(
        self, z: Tensor, near: Tensor, which: Tensor, without: Tensor, *, over: bool
    ) -> tuple[Tensor, Tensor]:
        """The squared error that is to be expected (B,) at places z (B, q), each counted as often
        as ``near`` (B, q) says, of the polynomial, or of the one ``over`` another, by which it is
        least, and its values (B, q).

        Of the functions of which it is asked, ``which`` (B,), and as all points tell but so many of
        the outermost, ``without`` (B,). Infinite of others, and where points are too few.
        """
        parts = (self.t, self.y, self.weight, z, near, which, without)
        models = np.array(OVER if over else ALONE)
        told = _told(models, *(part.cpu().contiguous().numpy() for part in parts))
        error, values = (torch.from_numpy(part).to(z) for part in told)
        return error, values


@loop
def _told(
    models: Index, t: Array, y: Array, weight: Array, z: Array, near: Array, which: Mask,
    without: Index,
) -> tuple[Array, Array]:  # fmt: skip
    """``End.told``."""
    error, values = np.full(len(z), np.inf), np.zeros_like(z)
    for b in range(len(z)):
        counted, first = near[b].sum(), without[b]
        if counted == 0.0 or not which[b]:
            continue
        given = t[b, first:], y[b, first:], weight[b, first:], z[b], near[b] / counted
        for below, above in models:
            least, best = _by_stretches(given, below, above)
            if least < error[b]:
                error[b], values[b] = least, best
    return error, values


@inner
def _by_stretches(given: Given, below: int, above: int) -> tuple[float, Array]:
    """The least expected squared error of fits through all stretches, and the values of the best.
    They are polynomials over one of a degree ``below``, which is found with one of a degree
    ``above`` on top."""
    t, y, weight, z, share = given
    least, values = np.inf, np.zeros_like(z)
    size, total = float(SHORTEST), weight.sum()
    while total > 0.0:
        own = _stretch(weight, size)
        x, at, apart = _scaled(t[: len(own)], own, z)
        if apart:
            points = x, y[: len(own)], np.sqrt(own)
            error, best = _fitted(points, at, share, own.sum(), below, above)
            if error < least:
                least, values = error, best
        if size >= total:
            break
        size *= 2.0
    return least, values


@inner
def _stretch(weight: Array, size: float) -> Array:
    """The weights of the first points that count as often as ``size`` says, of the last of which
    a part may count."""
    own, left = weight.copy(), size
    for p in range(len(own)):
        own[p] = min(own[p], left)
        left -= own[p]
        if left <= 0.0:
            return own[: p + 1]
    return own


@inner
def _scaled(t: Array, weight: Array, z: Array) -> tuple[Array, Array, bool]:
    """Points and places as those of [-1, 1], in which points that count are; not where these are
    one and the same."""
    known = t[weight > 0.0]
    start, length = known[0], known[-1] - known[0]
    if length == 0.0:
        return t, z, False
    return 2.0 * (t - start) / length - 1.0, 2.0 * (z - start) / length - 1.0, True


@inner
def _fitted(
    points: Points, at: Array, share: Array, n: float, below: int, above: int
) -> tuple[float, Array]:
    """The least expected squared error of the fits of one stretch with a polynomial ``below``, and
    the values of the best.

    Polynomials above it are orthogonal on the points (Brubeck, Nakatsukasa and Trefethen, *SIAM
    Review* 63, 2021), so that one of a higher degree leaves the others' coefficients as they are.
    """
    x, y, root = points
    one, two = _denominator(points, below, above)
    under, under_at = 1.0 + x * (one + two * x), 1.0 + at * (one + two * at)
    least, most = min(under.min(), under_at.min()), max(under.max(), under_at.max())
    size = HIGHEST[min(below, 1)] + 3  # two degrees more tell the bias
    q, u = np.empty((size, len(x))), np.empty((size, len(at)))
    a, squares, left, many = np.zeros(size), np.zeros(size), root * y, 0
    while many < size and STEEPEST * least > most:  # no pole where something is asked
        if many == 0:
            q[0], u[0] = root / under, 1.0 / under_at
        else:
            q[many], u[many] = x * q[many - 1], at * u[many - 1]
        if not _made_orthogonal(q, u, many):
            break
        a[many] = np.dot(q[many], left)
        left -= a[many] * q[many]
        squares[many] = (share * u[many] ** 2).sum()
        many += 1
    return _best(a[:many], squares, u, np.dot(left, left), n, below)


@inner
def _best(
    a: Array, squares: Array, u: Array, missed: float, n: float, below: int
) -> tuple[float, Array]:
    """Of fits of all degrees by orthogonal polynomials, whose coefficients are ``a``, whose values
    are ``u`` and the means of these squared ``squares``; ``missed`` is the sum of what is left."""
    least, best, variance = np.inf, np.zeros(u.shape[1]), 0.0
    values = best.copy()
    for degree in range(len(a) - 2):
        values += a[degree] * u[degree]
        variance += squares[degree]
        if 2 * (degree + 2 + below) >= n - 1.0:  # points are twice as many as unknowns
            break
        # By fewer degrees also what the others would have: no difference of sums of squares.
        noise = (missed + (a[degree + 1 :] ** 2).sum()) / (n - degree - below - 1.0)
        # Of two, for of even and odd functions every other coefficient is none.
        following = a[degree + 1 : degree + 3] ** 2 * squares[degree + 1 : degree + 3]
        error = noise * variance + following.max()
        if degree >= LOWEST[min(below, 1)] and error < least:
            least, best = error, values.copy()
    return least, best


@inner
def _denominator(points: Points, below: int, above: int) -> tuple[float, float]:
    """The coefficients of x and x^2 of 1 + ... under a polynomial of a degree ``above``."""
    x, y, root = points
    one = two = 0.0
    if below == 0:
        return one, two
    q, none = np.empty((above + 4, len(x))), np.empty((above + 4, 0))
    for _ in range(ROUNDS):
        under = 1.0 + x * (one + two * x)
        for degree in range(above + 1):
            q[degree] = root / under if degree == 0 else x * q[degree - 1]
            if not _made_orthogonal(q, none, degree):
                return np.nan, np.nan
        # What the polynomials above leave of y, x y and x^2 y: a combination of these is least.
        for power in range(below + 1):
            row = above + 1 + power
            q[row] = root * x**power * y / under
            for other in range(above + 1):
                q[row] -= np.dot(q[other], q[row]) * q[other]
        left, first, second = q[above + 1], q[above + 2], q[above + 3]
        square, two, shared = np.dot(first, first), 0.0, 0.0
        if below == 2:
            shared = np.dot(first, second) / square
            second -= shared * first
            two = -np.dot(second, left) / np.dot(second, second)
        one = -np.dot(first, left) / square - shared * two
    return one, two


@inner
def _made_orthogonal(q: Array, u: Array, index: int) -> bool:
    """Row ``index`` made orthogonal to those before and of length 1, and the same done to that of
    ``u``; whether there is more left of it than rounding."""
    for other in range(index):
        common = np.dot(q[other], q[index])
        q[index] -= common * q[other]
        u[index] -= common * u[other]
    length = np.sqrt(np.dot(q[index], q[index]))
    if length > DEGENERATE:
        q[index] /= length
        u[index] /= length
        return True
    return False
