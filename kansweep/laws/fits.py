"""The law of each curve: its exponent, seed by seed, the verdict on it, and what to know of it.

The theory is that of the kind of network. The law of a kind without one describes its errors and is
held against nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pandas import DataFrame, Series

from kansweep.kinds import KINDS
from kansweep.laws import notes
from kansweep.laws.cells import AXES, CURVE, DEFAULT, WHOSE, Curve, Rules
from kansweep.laws.verdicts import CONFIDENCE, DESCRIPTIVE, INSUFFICIENT, Fit, finest, fit

LAW_COLUMNS = [
    *("data", "n_train", "x", "split", "exponent", "ci_low", "ci_high"),
    *("exponent_vs_floor", "vs_floor_low", "vs_floor_high"),
    *("amplitude", "n_points", "n_seeds", "theory", "verdict", "note", "model", "k"),
    *("exponent_finest", "finest_low", "finest_high", "primary", "output"),
]
PRIMARY = "test"


def check_axis(x: str) -> None:
    """Raises ValueError where laws have no such axis."""
    if x not in tuple(AXES):
        raise ValueError(f"`x` must be 'grid_size' or 'n_params'; got {x!r}.")


def fit_laws(curves: Sequence[Curve], x: str, rules: Rules = DEFAULT) -> DataFrame:
    """One row a curve and split: RMSE = amplitude · x^exponent, with its 95% interval.

    Least squares in log-log for each seed that has every cell of the run, then mean and Student-t
    interval of the slopes; one seed has the t interval of its own residuals. Where the floor is
    known at every size of the run, `exponent_vs_floor` is that of RMSE / floor, near 0 in theory
    also where the range is pre-asymptotic; elsewhere `exponent_finest` is that over the finest
    doubling. On these rests the `verdict` (``verdicts.verdict``), always against size; of a
    kind without a theory, whose `theory` is null, it is `descriptive`, and `insufficient` where
    there is no fit. `x` is `grid_size` or `n_params`; against grid size only kinds on a grid have
    a row. `primary` is the law of the test error at the most data, of each target, kind and order,
    against either axis: which one counts is not to be chosen by what it says. `output` is null: the
    law is that of all outputs together, and primary are no others.
    """
    check_axis(x)
    return _laws(curves, (x,), rules)


def every_law(curves: Sequence[Curve], rules: Rules = DEFAULT) -> DataFrame:
    """The laws against every axis, as ``laws.csv`` holds them."""
    return _laws(curves, tuple(AXES), rules)


def _laws(curves: Sequence[Curve], axes: Sequence[str], rules: Rules) -> DataFrame:
    """What does not hang on the axis is told once for all of them, as are the notes for splits."""
    fitted = [
        (curve, split, _judged(curve, split, rules, told))
        for curve in curves
        for told in [list(notes.of_curve(curve, rules))]
        for split in curve.splits
    ]
    rows = [
        _law(curve, split, x, rules, judged)
        for x in axes
        for curve, split, judged in fitted
        if curve.kind.on_grid or x != "grid_size"
    ]
    laws = DataFrame(rows, columns=LAW_COLUMNS)
    return laws.assign(primary=_primary(laws))


def _primary(laws: DataFrame) -> Series:
    most = laws.groupby(WHOSE, dropna=False)["n_train"].transform("max")
    return (laws["split"] == PRIMARY) & (laws["n_train"] == most)


def completed(laws: DataFrame, cells: DataFrame) -> DataFrame:
    """The laws with the columns that those of older versions lack: `model` and `k` of the curve of
    these cells that has the law's target, data size and theory, and what was not told."""
    if not {"model", "k"} <= set(laws):
        curves = cells[CURVE].drop_duplicates()
        theory = [
            KINDS[model].exponent(k) for model, k in zip(curves["model"], curves["k"], strict=True)
        ]
        by = ["data", "n_train", "theory"]
        laws = laws.drop(columns=["model", "k"], errors="ignore").astype({"theory": float})
        laws = laws.merge(curves.assign(theory=theory), on=by, how="left")
    if "primary" not in laws:
        laws = laws.assign(primary=_primary(laws))
    return laws.assign(**{name: np.nan for name in LAW_COLUMNS if name not in laws})


@dataclass(frozen=True)
class _Judged:
    """What a law says whatever its axis."""

    verdict: str
    notes: list[str]
    hinges: list[str]


def _judged(curve: Curve, split: str, rules: Rules, told: list[str]) -> _Judged:
    verdict, hinges = INSUFFICIENT, []
    if curve.fitted and curve.kind.has_theory:
        of_seeds = curve.errors[split][curve.whole]
        verdict = rules.judged(curve.used, of_seeds, curve.exponent)
        hinges = list(notes.hinges(curve, split, verdict, rules))
    elif curve.fitted:
        verdict = DESCRIPTIVE
    return _Judged(verdict, told, hinges)


def _law(curve: Curve, split: str, x: str, rules: Rules, judged: _Judged) -> dict[str, Any]:
    cell, used = curve.cells.iloc[0], curve.used
    errors = curve.errors[split][curve.whole].to_numpy(float)
    law = {"data": cell["data"], "n_train": cell["n_train"], "x": x, "split": split}
    law |= {"n_points": errors.shape[1], "n_seeds": errors.shape[0], "theory": curve.exponent}
    law |= {"verdict": judged.verdict, "model": cell["model"], "k": cell["k"], "output": None}
    law |= {"note": "; ".join([*judged.notes, *notes.of_axis(curve, x), *judged.hinges])}
    if not curve.fitted:
        return law
    against_x = fit(used[AXES[x]], errors)
    law |= _estimates(against_x, ("exponent", "ci_low", "ci_high"))
    law |= {"amplitude": float(np.exp(against_x.intercept))}
    if not curve.kind.has_theory:
        return law
    floor = rules.floor_of(used)
    if floor is not None:
        columns = ("exponent_vs_floor", "vs_floor_low", "vs_floor_high")
        return law | _estimates(fit(used[AXES[x]], errors / floor), columns)
    columns = ("exponent_finest", "finest_low", "finest_high")
    return law | _estimates(finest(used["size"], errors), columns)


def _estimates(fit: Fit, columns: tuple[str, str, str]) -> dict[str, float]:
    return dict(zip(columns, map(float, (fit.slope, *fit.interval(CONFIDENCE))), strict=True))
