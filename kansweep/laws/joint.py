"""A description of a whole matrix at once: test RMSE by grid size, parameters and points.

    m(G, n) = A G^-alpha exp(c P/(P+n)) + B n^-beta,   RMSE = m / (1 + m / spread)

The power of the grid is what splines resolve; the exponential is what P parameters cost on n
points, and levels off where there are more of them than points; the last term is what n points
leave open on any grid. The error ends at the target's spread. A term that does not lower AICc,
Akaike's criterion with its correction for few cells, is left out, n^-beta alone too. It describes
and proves nothing: the law of a curve is of ``fits``. Beside it stand what describes such matrices
elsewhere: the grid's power alone, with a power of P/n, and the sum A G^-alpha + B n^-beta + E
(Hoffmann et al. 2022, arXiv:2203.15556, section 3.3). All are of kinds that are on a grid.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame
from scipy import stats
from scipy.optimize import least_squares

from kansweep.kinds import KINDS
from kansweep.laws.verdicts import CONFIDENCE, TINY

Array = NDArray[np.float64]
STARTS, RESAMPLES = 12, 100
STEEPEST, LARGEST = 12.0, 30.0  # bounds of exponents, and of logs of amplitudes and of factors
_COLUMNS = [
    *("form", "parameters", "intervals", "n_cells", "rms_log", "aicc", "condition", "at_bound"),
    *("held_out_grid", "held_out_data"),
]
_AXES = ["size", "n_train", "n_params"]


_TERMS = {  # the sum's, by their amplitudes; each the exponential of what is linear in parameters
    "A": ("alpha", "c"),
    "B": ("beta",),
    "C": ("gamma",),
    "E": (),
}


@dataclass(frozen=True)
class Form:
    """A sum of terms by their parameters: amplitudes in capitals, by their logs, and exponents."""

    name: str
    parameters: tuple[str, ...]

    @property
    def amplitudes(self) -> NDArray[np.bool_]:
        return np.array([name.isupper() for name in self.parameters])

    @property
    def bounds(self) -> tuple[Array, Array]:
        free = self.amplitudes | (np.array(self.parameters) == "c")
        return np.where(self.amplitudes, -LARGEST, 0.0), np.where(free, LARGEST, STEEPEST)

    def designs(self, cells: DataFrame) -> Array:
        """ln of each term by the parameters, (terms, cells, parameters)."""
        size, n_train, n_params = (np.log(cells[name].to_numpy(float)) for name in _AXES)
        columns = {
            "alpha": -size,
            "c": 1.0 / (1.0 + np.exp(n_train - n_params)),  # P/(P+n)
            "beta": -n_train,
            "gamma": n_params - n_train,
        }
        zero, one = np.zeros(len(cells)), np.ones(len(cells))
        amplitudes = [name for name in self.parameters if name.isupper()]
        return np.array(
            [
                [
                    one if name == term else columns[name] if name in _TERMS[term] else zero
                    for name in self.parameters
                ]
                for term in amplitudes
            ]
        ).transpose(0, 2, 1)


def _form(name: str, *parameters: str) -> Form:
    return Form(name, ("A", "alpha", *parameters))


GRID = _form("A G^-alpha")
JOINT = (  # by the terms that it may have
    GRID,
    _form("A G^-alpha + B", "B"),
    _form("A G^-alpha + B n^-beta", "B", "beta"),
    _form("A G^-alpha exp(c P/(P+n))", "c"),
    _form("A G^-alpha exp(c P/(P+n)) + B", "c", "B"),
    _form("A G^-alpha exp(c P/(P+n)) + B n^-beta", "c", "B", "beta"),
)
OTHERS = (
    GRID,
    _form("A G^-alpha + C (P/n)^gamma", "C", "gamma"),
    _form("A G^-alpha + B n^-beta + E", "B", "beta", "E"),
)


@dataclass(frozen=True, eq=False)
class Model:
    """A form at cells: ln RMSE and its derivatives by the parameters."""

    designs: Array  # (terms, cells, parameters)
    spread: float

    def log_rmse(self, values: Array) -> Array:
        log_m = np.logaddexp.reduce(self.designs @ values)
        return np.asarray(log_m - np.logaddexp(0.0, log_m - np.log(self.spread)), float)

    def jacobian(self, values: Array) -> Array:
        logs = self.designs @ values  # (terms, cells)
        log_m = np.logaddexp.reduce(logs)
        below = np.exp(-np.logaddexp(0.0, log_m - np.log(self.spread)))  # 1 / (1 + m / spread)
        return np.asarray(np.einsum("tc,tcp->cp", np.exp(logs - log_m) * below, self.designs))


# ------------------------------------------------------------------------------------- the fit


@dataclass(frozen=True, eq=False)
class Fitted:
    """A form fitted to cells, in logs and by least squares."""

    form: Form
    values: Array
    residuals: Array  # ln predicted - ln measured, a number a cell
    jacobian: Array  # of the residuals by the values
    at_bound: list[str]

    @property
    def rms(self) -> float:
        return float(np.sqrt(np.mean(self.residuals**2)))

    @property
    def aicc(self) -> float:
        n, p = len(self.residuals), len(self.values) + 1  # and the residuals' variance
        correction = 2 * p * (p + 1) / (n - p - 1) if n > p + 1 else np.inf
        return float(n * np.log(max(self.rms, 1e-300) ** 2) + 2 * p + correction)

    @property
    def condition(self) -> float:
        scaled = self.jacobian / np.maximum(np.linalg.norm(self.jacobian, axis=0), 1e-300)
        return float(np.linalg.cond(scaled))

    def named(self, values: Array) -> dict[str, float]:
        """The parameters as they stand in the formula."""
        plain = np.where(self.form.amplitudes, np.exp(values), values)
        return dict(zip(self.form.parameters, map(float, plain), strict=True))


def by_seed(ended: DataFrame) -> DataFrame:
    """ln test RMSE of sound cells of kinds on a grid, a column a seed, NaN where there is none.

    The rows are as ``cells.checked`` gives them; the index is of cells, `_AXES`.
    """
    on_grid = ended["model"].map(lambda name: KINDS[name].on_grid).astype(bool)
    rows = ended[on_grid & ended["ok"]]
    logs = np.log(rows["test_rmse"].astype(float).clip(lower=TINY))
    return rows.assign(log=logs).pivot(index=_AXES, columns="seed", values="log")


def cells_of(logs: DataFrame) -> DataFrame:
    """The cells, as rows of `_AXES`, and `log`: of the geometric mean of their RMSE over seeds."""
    return logs.mean(axis=1).rename("log").reset_index()


def fit(form: Form, cells: DataFrame, spread: float, start: Array | None = None) -> Fitted:
    """From a start or the best of many, drawn from a generator of its own: the same every time."""
    model, logs = Model(form.designs(cells), spread), cells["log"].to_numpy(float)

    def residuals(values: Array) -> Array:
        return np.asarray(model.log_rmse(values) - logs)

    fits = [
        least_squares(residuals, each, model.jacobian, form.bounds)
        for each in (_starts(form) if start is None else [start])
    ]
    best = min(fits, key=lambda fit: float(fit.cost))
    pairs = zip(form.parameters, best.active_mask, strict=True)
    at_bound = [name for name, active in pairs if active]
    return Fitted(form, best.x, best.fun, model.jacobian(best.x), at_bound)


def _starts(form: Form) -> Iterable[Array]:
    draws = np.random.default_rng(0).uniform(0.0, 1.0, (STARTS, len(form.parameters)))
    return np.where(form.amplitudes, -20.0 + 25.0 * draws, 0.2 + 6.0 * draws)


def joint(cells: DataFrame, spread: float) -> Fitted:
    """The joint form with the terms that earn their place: of least AICc."""
    return min((fit(form, cells, spread) for form in JOINT), key=lambda fitted: fitted.aicc)


def enough(cells: DataFrame) -> bool:
    """Whether there are more cells than the most parameters plus one."""
    return len(cells) > max(len(form.parameters) for form in (*JOINT, *OTHERS)) + 1


# --------------------------------------------------------------------------- what is said of it


def describe(ended: DataFrame, spread: float) -> DataFrame:
    """The joint form in the first row and the others below, fitted in logs to the geometric means
    of all sound cells on a grid; the rows are as ``cells.checked`` gives them.

    `rms_log` is the rms residual of the natural log, `aicc` the criterion (lower is better, on
    these cells), `condition` that of the scaled Jacobian at the solution and `at_bound` the
    parameters that ended at a bound. `intervals` are 95% intervals of the joint form's parameters,
    by `RESAMPLES` bootstrap samples of the seeds; none of one seed. `held_out_grid` and
    `held_out_data` are the rms log errors on the largest grid and on the most data where these were
    not fitted, NaN if what is left is too little. `spread` is the targets' standard deviation.
    Nothing for fewer cells than the most parameters plus two.
    """
    logs = by_seed(ended)
    cells = cells_of(logs)
    if not enough(cells):
        return DataFrame(columns=_COLUMNS)
    best = joint(cells, spread)
    others = [fit(form, cells, spread) for form in OTHERS if form is not best.form]
    described = [_row(each, cells, spread) for each in (best, *others)]
    described[0]["intervals"] = _intervals(best, logs, spread)
    return DataFrame(described, columns=_COLUMNS)


def _row(fitted: Fitted, cells: DataFrame, spread: float) -> dict[str, Any]:
    return {
        "form": fitted.form.name,
        "parameters": fitted.named(fitted.values),
        "intervals": {},
        "n_cells": len(cells),
        "rms_log": fitted.rms,
        "aicc": fitted.aicc,
        "condition": fitted.condition,
        "at_bound": fitted.at_bound,
        "held_out_grid": held_out(fitted.form, cells, spread, "size"),
        "held_out_data": held_out(fitted.form, cells, spread, "n_train"),
    }


def held_out(form: Form, cells: DataFrame, spread: float, column: str) -> float:
    """Rms log error on the cells with the largest value of a column, unseen; NaN if too few."""
    away = cells[column] == cells[column].max()
    if (~away).sum() < len(form.parameters) + 1:
        return float("nan")
    seen = fit(form, cells[~away], spread)
    predicted = Model(form.designs(cells[away]), spread).log_rmse(seen.values)
    return float(np.sqrt(np.mean((predicted - cells["log"][away]) ** 2)))


def _intervals(fitted: Fitted, logs: DataFrame, spread: float) -> dict[str, tuple[float, float]]:
    """By the spread of fits to seeds drawn with replacement, with Student's t for their number.

    Such a sample of s seeds varies by (s - 1)/s of the variance of s other seeds.
    """
    n_seeds = logs.shape[1]
    if n_seeds < 2:
        return {}
    draws = np.random.default_rng(0).integers(0, n_seeds, (RESAMPLES, n_seeds))
    resampled = [
        fit(fitted.form, cells_of(logs.iloc[:, drawn]).dropna(), spread, fitted.values).values
        for drawn in draws
    ]
    deviation = np.std(resampled, axis=0, ddof=1) * np.sqrt(n_seeds / (n_seeds - 1))
    half = stats.t.ppf(0.5 + CONFIDENCE / 2, n_seeds - 1) * deviation
    ends = (np.clip(fitted.values + sign * half, *fitted.form.bounds) for sign in (-1, 1))
    low, high = map(fitted.named, ends)
    return {name: (low[name], high[name]) for name in fitted.form.parameters}
