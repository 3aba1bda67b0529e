"""A description of a whole matrix at once: test RMSE by grid size and by parameters a point.

    m(G, n) = A G^-alpha + C (P/n)^gamma,   RMSE = m / (1 + m / spread)

The first term is what the grid resolves; the second is what the data leave open, P parameters to
n points; the error ends at the target's spread. It describes and proves nothing: the law of a
curve is of ``fits``. Beside it stand the grid's term alone and the sum A G^-alpha + B n^-beta + E
that is usual for other networks (Hoffmann et al. 2022, arXiv:2203.15556, section 3.3). All are of
kinds that are on a grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame
from scipy.optimize import least_squares

from kansweep.kinds import KINDS

Array = NDArray[np.float64]
STARTS = 20
STEEPEST, LARGEST = 12.0, 30.0  # bounds of exponents, and of logs of amplitudes
_COLUMNS = ["form", "parameters", "n_cells", "rms_log", "aicc", "condition", "at_bound"]
_HELD_OUT = {"held_out_grid": "size", "held_out_data": "n_train"}


@dataclass(frozen=True)
class Logs:
    """Natural logs of what the forms are made of, one number a cell."""

    grid: Array
    data: Array
    params: Array
    rmse: Array

    @classmethod
    def of(cls, cells: DataFrame) -> Logs:
        names = ("size", "n_train", "n_params", "test_rmse")
        return cls(*(np.log(cells[name].to_numpy(float)) for name in names))


@dataclass(frozen=True)
class Form:
    """A formula for log RMSE: its parameters, an `a...` being a log and the others exponents."""

    name: str
    parameters: tuple[str, ...]
    log_model: Callable[[Array, Logs], Array]


def _grid(p: Array, logs: Logs) -> Array:
    return np.asarray(p[0] - p[1] * logs.grid, float)


def _grid_and_data(p: Array, logs: Logs) -> Array:
    return np.asarray(np.logaddexp(_grid(p, logs), p[2] + p[3] * (logs.params - logs.data)), float)


def _sum(p: Array, logs: Logs) -> Array:
    data = np.logaddexp(p[2] - p[3] * logs.data, p[4])
    return np.asarray(np.logaddexp(_grid(p, logs), data), float)


FORMS = (
    Form("A G^-alpha + C (P/n)^gamma", ("a1", "alpha", "a2", "gamma"), _grid_and_data),
    Form("A G^-alpha", ("a1", "alpha"), _grid),
    Form("A G^-alpha + B n^-beta + E", ("a1", "alpha", "a2", "beta", "a3"), _sum),
)


def describe(cells: DataFrame, spread: float) -> DataFrame:
    """One row a form, fitted in logs to the geometric mean errors of all sound cells on a grid.

    `rms_log` is the rms residual of the natural log, `aicc` Akaike's criterion with its correction
    for few cells (lower is better, on these cells), `condition` that of the scaled Jacobian at the
    best of ``STARTS`` starts, `at_bound` the parameters that ended at a bound, `held_out_grid` and
    `held_out_data` the rms log error on the largest grid and the most data when the fit has not
    seen them. Empty with fewer cells than the largest form has parameters plus two.
    """
    on_grid = cells["model"].map(lambda name: KINDS[name].on_grid).astype(bool)
    cells = cells[on_grid & np.isfinite(cells["test_rmse"].astype(float))]
    if len(cells) < max(len(form.parameters) for form in FORMS) + 2:
        return DataFrame(columns=[*_COLUMNS, *_HELD_OUT])
    return DataFrame([_described(form, cells, spread) for form in FORMS])


def _described(form: Form, cells: DataFrame, spread: float) -> dict[str, Any]:
    best = _fit(form, Logs.of(cells), spread)
    n, p = len(cells), len(form.parameters) + 1  # and the residuals' variance
    rms = float(np.sqrt(np.mean(best.fun**2)))
    correction = 2 * p * (p + 1) / (n - p - 1) if n > p + 1 else np.inf
    scaled = best.jac / np.maximum(np.linalg.norm(best.jac, axis=0), 1e-300)
    parameters = zip(form.parameters, best.x, strict=True)
    row = {
        "form": form.name,
        "parameters": {_name(name): _value(name, value) for name, value in parameters},
        "n_cells": n,
        "rms_log": rms,
        "aicc": n * np.log(max(rms, 1e-300) ** 2) + 2 * p + correction,
        "condition": float(np.linalg.cond(scaled)),
        "at_bound": [
            _name(name)
            for name, active in zip(form.parameters, best.active_mask, strict=True)
            if active
        ],
    }
    return row | {name: _held_out(form, cells, spread, c) for name, c in _HELD_OUT.items()}


def _name(parameter: str) -> str:
    return {"a1": "A", "a2": "C or B", "a3": "E"}.get(parameter, parameter)


def _value(parameter: str, value: float) -> float:
    return float(np.exp(value)) if parameter.startswith("a") and parameter != "alpha" else value


def _held_out(form: Form, cells: DataFrame, spread: float, column: str) -> float:
    """Rms log error on the cells with the largest value of a column, unseen; NaN if too few."""
    away = cells[column] == cells[column].max()
    seen = cells[~away]
    if len(seen) < len(form.parameters) + 1:
        return float("nan")
    best = _fit(form, Logs.of(seen), spread)
    return float(np.sqrt(np.mean(_residuals(best.x, form, Logs.of(cells[away]), spread) ** 2)))


def _residuals(p: Array, form: Form, logs: Logs, spread: float) -> Array:
    log_m = form.log_model(p, logs)
    predicted = log_m - np.logaddexp(0.0, log_m - np.log(spread))
    return np.asarray(predicted - logs.rmse, float)


def _fit(form: Form, logs: Logs, spread: float) -> Any:
    """The best of many starts, drawn from a generator of its own: the same every time."""
    scale = np.array([name[0] == "a" and name != "alpha" for name in form.parameters])
    low, high = np.where(scale, -LARGEST, 0.0), np.where(scale, LARGEST, STEEPEST)
    draws = np.random.default_rng(0).uniform(0.0, 1.0, (STARTS, len(scale)))
    starts = np.where(scale, -10.0 + 15.0 * draws, 0.5 + 6.0 * draws)
    fits = [
        least_squares(_residuals, start, bounds=(low, high), args=(form, logs, spread))
        for start in starts
    ]
    return min(fits, key=lambda fit: float(fit.cost))
