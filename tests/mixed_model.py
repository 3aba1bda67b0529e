"""The penalised additive model as a mixed model, in NumPy and SciPy alone: an oracle for REML.

An edge's coefficients have rows of three kinds, each a Gaussian prior of its own variance; data are
their splines plus noise. Only the constant is free.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from scipy.optimize import minimize

Array = NDArray[np.float64]
SMALLEST, LARGEST = 1e-12, 1e10  # weights that are looked at
INNER = 1e-9, 1e6  # from which a search may start


def rows(n_coef: int, k: int) -> tuple[Array, Array, Array]:
    """Of one edge: differences of order k + 2, polynomials of degree 2 ... k + 1 and of degree 1,
    as mean squares of the coefficients; their signs are arbitrary."""
    rough = np.diff(np.eye(n_coef), k + 2, axis=0) if n_coef > k + 2 else np.zeros((0, n_coef))
    place = np.arange(n_coef) - (n_coef - 1) / 2
    found: list[Array] = []
    for degree in range(min(k + 2, n_coef)):
        one = (place / n_coef) ** degree
        for _ in range(2):  # the second pass removes the rounding of the first
            for other in found:
                one = one - (one @ other) * other
        found.append(one / np.linalg.norm(one))
    free = np.array(found) / np.sqrt(n_coef)
    return rough, free[2:], free[1:2]


def design(x: Array, grid_size: int, k: int) -> Array:
    """B-splines of every input on [-1, 1], (n, I) -> (n, I * (G + k))."""
    h = 2 / grid_size
    knots = -1 + h * np.arange(-k, grid_size + k + 1)
    return np.hstack([BSpline.design_matrix(u, knots, k).toarray() for u in x.T])


class Additive:
    """Points (n, I) and (n,), and the log-likelihood of weights (3,) in units of y's variance."""

    def __init__(self, x: Array, y: Array, grid_size: int, k: int = 3) -> None:
        self.y = (y - y.mean()) / y.std()
        self.n, n_inputs = x.shape
        whole = design(x, grid_size, k)
        own = np.vstack(rows(grid_size + k, k))
        sizes = [len(part) for part in rows(grid_size + k, k)]
        # With the constant the rows determine an edge: c = C^+ b + constant.
        inverse = np.linalg.pinv(own)
        effect = whole @ np.kron(np.eye(n_inputs), inverse)  # (n, I * rows), Z
        kind = np.tile(np.repeat(np.arange(3), sizes), n_inputs)
        # What is orthogonal to all effects is noise alone, whatever the weights.
        span, effect = np.linalg.qr(np.hstack([np.ones((self.n, 1)), effect]))
        self.seen = span.T @ self.y
        self.rest = self.y @ self.y - self.seen @ self.seen
        self.one = effect[:, 0]
        parts = [effect[:, 1:][:, kind == j] for j in range(3)]
        self.grams = [part @ part.T for part in parts]

    def likelihood(self, w: Array) -> float:
        """log of the marginal density of y ~ N(b, s^2 (I + sum_j Z_j Z_j^T / (n w_j))), flat in b
        and at its best s^2, but for a constant."""
        return self._fitted(w)[0]

    def variance(self, w: Array) -> float:
        """The restricted estimate of s^2, in units of y's variance."""
        return self._fitted(w)[1]

    def _fitted(self, w: Array) -> tuple[float, float]:
        v = np.eye(len(self.seen))
        for weight, gram in zip(w, self.grams, strict=True):
            v += gram / (self.n * weight)
        solved = np.linalg.solve(v, np.stack([self.one, self.seen], axis=1))
        information = self.one @ solved[:, 0]
        square = self.rest + self.seen @ solved[:, 1] - (self.one @ solved[:, 1]) ** 2 / information
        variance = square / (self.n - 1)
        log_det = np.linalg.slogdet(v)[1] + np.log(information)
        return -((self.n - 1) * np.log(variance) + log_det) / 2, float(variance)

    def best(self, start: Array) -> Array:
        """The weights (3,) that maximise the likelihood, as found from a start."""
        bounds = [(np.log(SMALLEST), np.log(LARGEST))] * 3
        found = minimize(
            lambda log_w: -self.likelihood(np.exp(log_w)),
            np.log(np.clip(start, *INNER)),
            method="Nelder-Mead",
            bounds=bounds,
            options={"xatol": 1e-5, "fatol": 1e-9, "maxiter": 2000},
        )
        return np.exp(found.x)
