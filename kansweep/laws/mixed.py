"""How far a sweep's errors stand above their floor, by size, data and seed: a mixed model.

    ln(RMSE / floor) = a + c P/n + u(G) + v + w

`u` is the misfit, what a size's error departs from its floor by whatever the data: drawn once for
each size, it falls as G^-2, as the next term of a spline's error does. `v` is a seed's own and the
same in all its cells; `w` is a seed's own in each cell and grows as (P/(P+n))^1.5. Their variances
are those of restricted maximum likelihood (Patterson & Thompson, Biometrika 58, 1971). A term
delta ln G enters only where the likelihood asks for it, since delta is 0 in theory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame
from scipy import optimize, stats

from kansweep.laws.verdicts import CONFIDENCE

Array = NDArray[np.float64]
AXES = ["size", "n_train", "n_params"]
NAMES = ("a", "c", "delta")
LEAST = 3  # sizes, at least
_DEPARTURE = float(stats.chi2.ppf(0.99, 1)) / 2  # of the log likelihood, before delta is believed
_FADING = 2.0  # the power of 1/G as which the misfit falls
_SCATTER = (3e-4, 3.0)  # of v and w, where the search for their variances begins


@dataclass(frozen=True, eq=False)
class Sample:
    """Cells and what is measured in them, ln(RMSE / floor), by seed."""

    size: Array  # (cells,)
    n_train: Array
    n_params: Array
    values: Array  # (cells, seeds)

    @classmethod
    def of(cls, by_seed: DataFrame) -> Sample:
        """Of a table with a row a cell, its index `AXES`, and a column a seed."""
        size, n_train, n_params = (
            by_seed.index.get_level_values(name).to_numpy(float) for name in AXES
        )
        return cls(size, n_train, n_params, by_seed.to_numpy(float))

    @property
    def means(self) -> Array:
        return np.asarray(self.values.mean(axis=1))

    @property
    def n_seeds(self) -> int:
        return int(self.values.shape[1])

    @property
    def crowding(self) -> Array:
        """What `w` has its variance as, (P/(P+n))^3."""
        return np.asarray((self.n_params / (self.n_params + self.n_train)) ** 3, float)

    def terms(self, delta: bool) -> Array:
        """(cells, 2 or 3)."""
        cost = self.n_params / self.n_train
        columns = [np.ones_like(cost), cost, np.log(self.size)]
        return np.column_stack(columns if delta else columns[:2])

    def fading(self, size: Array) -> Array:
        """The misfit's standard deviation against that of the smallest size."""
        return np.asarray((self.size.min() / size) ** _FADING, float)

    def unlikelihood(self, common: float, own: float) -> float:
        """Minus the log likelihood of each cell's variance over the seeds."""
        if self.n_seeds < 2:
            return 0.0
        variance = common + own * self.crowding
        measured = self.values.var(axis=1, ddof=1)
        return float(0.5 * (self.n_seeds - 1) * np.sum(np.log(variance) + measured / variance))

    def among_seeds(self) -> tuple[float, float]:
        """The variances of v and w where the cells' means follow whatever law; 0 of one seed."""
        if self.n_seeds < 2:
            return 0.0, 0.0

        def unlikelihood(logs: Array) -> float:
            return self.unlikelihood(*np.exp(logs))

        common, own = map(float, np.exp(_least(unlikelihood, np.log(_SCATTER))))
        return common, own


@dataclass(frozen=True, eq=False)
class Solution:
    """Generalised least squares at given variances."""

    coefficients: Array  # as in NAMES
    covariance: Array  # theirs
    full: float  # minus the log likelihood
    restricted: float


@dataclass(frozen=True, eq=False)
class Mixed:
    """The model of a sample, at given variances of u, v and w."""

    sample: Sample
    delta: bool
    variances: Array  # (3,)

    def covariance(self) -> Array:
        """Of the cells' means over the seeds."""
        sample, (misfit, common, own) = self.sample, self.variances
        fading = sample.fading(sample.size)
        same = np.equal.outer(sample.size, sample.size) * np.outer(fading, fading)
        of_seeds = common + np.diag(own * sample.crowding)
        round_off = 1e-14 * np.eye(len(same))
        return np.asarray(misfit * same + of_seeds / sample.n_seeds + round_off, float)

    def solve(self) -> Solution:
        sample = self.sample
        factor = np.linalg.cholesky(self.covariance())
        together = np.column_stack([sample.terms(self.delta), sample.means])
        whitened = np.linalg.solve(factor, together)
        terms, means = whitened[:, :-1], whitened[:, -1]
        normal = terms.T @ terms
        found = np.linalg.solve(normal, terms.T @ means)
        left = means - terms @ found
        full = 0.5 * left @ left + np.log(np.diag(factor)).sum()
        full += sample.unlikelihood(*self.variances[1:])
        restricted = full + 0.5 * np.linalg.slogdet(normal)[1]
        return Solution(found, np.linalg.inv(normal), float(full), float(restricted))

    def at(self, cell: Sample) -> tuple[float, float]:
        """ln(RMSE / floor) of a new seed in a cell, and half its 95% interval.

        The best linear unbiased prediction: at a size of the sample its misfit is known in part.
        """
        sample, (misfit, common, own) = self.sample, self.variances
        terms, wanted = sample.terms(self.delta), cell.terms(self.delta)[0]
        fading = sample.fading(cell.size)[0]
        shared = misfit * (sample.size == cell.size) * sample.fading(sample.size) * fading
        weights = np.linalg.solve(self.covariance(), shared)
        solved = self.solve()
        value = wanted @ solved.coefficients
        value += weights @ (sample.means - terms @ solved.coefficients)
        away = wanted - terms.T @ weights
        unknown = away @ solved.covariance @ away + max(misfit * fading**2 - weights @ shared, 0.0)
        sizes, several = len(set(sample.size)), len(set(sample.n_train)) > 1
        seeds = max(sample.n_seeds - 1, 1)
        parts = [
            (unknown, max(sizes - len(wanted) + several, 1)),
            (common, seeds),
            (own * cell.crowding[0], 2 * seeds),
        ]
        return float(value), half_width(parts)


def fitted(sample: Sample) -> Mixed:
    """The model at its most likely variances, with delta where the likelihood asks for it."""
    return _most_likely(sample, _departs(sample), "restricted")


def _departs(sample: Sample) -> bool:
    """Whether delta raises the likelihood by what chance does once in a hundred; of a single data
    size it cannot be told from the cost of parameters."""
    if len(set(sample.n_train)) < 2 or len(sample.size) < 2 * LEAST:
        return False
    without, within = (_most_likely(sample, delta, "full") for delta in (False, True))
    return without.solve().full - within.solve().full > _DEPARTURE


def _most_likely(sample: Sample, delta: bool, likelihood: str) -> Mixed:
    searched = np.array([True, sample.n_seeds > 1, True])  # of one seed, `v` is part of `a`

    def mixed(logs: Array) -> Mixed:
        variances = np.zeros(3)
        variances[searched] = np.exp(logs)
        return Mixed(sample, delta, variances)

    def unlikelihood(logs: Array) -> float:
        return float(getattr(mixed(logs).solve(), likelihood))

    start = np.log([10 * _SCATTER[0], *_SCATTER])[searched]
    return mixed(_least(unlikelihood, start))


def _least(unlikelihood: Callable[[Array], float], start: Array) -> Array:
    """The logs of the variances at which it is least, by Nelder and Mead's simplex."""
    given: dict[str, Any] = {
        "method": "Nelder-Mead",
        "bounds": optimize.Bounds(-25.0, 10.0),  # a new one: SciPy keeps the start's shape in it
        "options": {"xatol": 1e-3, "fatol": 1e-4, "maxiter": 600},
    }
    return np.asarray(optimize.minimize(unlikelihood, start, **given).x, float)


def half_width(parts: Sequence[tuple[float, float]]) -> float:
    """Half the 95% interval of a sum of variances, each with its degrees of freedom: Student's t
    with those of Satterthwaite (Biometrics Bulletin 2, 1946)."""
    total = sum(variance for variance, _ in parts)
    freedom = total**2 / sum(variance**2 / number for variance, number in parts)
    return float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom) * np.sqrt(total))
