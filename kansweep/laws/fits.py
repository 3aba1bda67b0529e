"""The law of each curve: its exponent, seed by seed, the verdict on it, and what to know of it.

The theory is that of the kind of network. The law of a kind without one describes its errors and is
held against nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame
from scipy import linalg, stats

from kansweep.kinds import KINDS
from kansweep.laws.cells import AXES, CONFIDENCE, CURVE, DEFAULT, SPLITS, TINY, Curve, Rules
from kansweep.laws.notation import listed

LAW_COLUMNS = [
    *("data", "n_train", "x", "split", "exponent", "ci_low", "ci_high"),
    *("exponent_vs_floor", "vs_floor_low", "vs_floor_high"),
    *("amplitude", "n_points", "n_seeds", "theory", "verdict", "note", "model", "k"),
]


def fit_laws(curves: Sequence[Curve], x: str, rules: Rules = DEFAULT) -> DataFrame:
    """One row a curve and split: RMSE = amplitude · x^exponent, with its 95% interval.

    Least squares in log-log for each seed that has every cell of the run, then mean and Student-t
    interval of the slopes; one seed has the t interval of its own residuals. Where the floor is
    known at every size of the run, `exponent_vs_floor` is that of RMSE / floor, 0 in theory also
    where the range is pre-asymptotic. `x` is `grid_size` or `n_params`; against grid size only
    kinds on a grid have a row.

    `verdict` is by equivalence (two one-sided tests, Schuirmann 1987), of the exponent against the
    floor where there is one and else of the exponent itself, always against size: `consistent`
    where the 90% interval lies within `rules.margin` of the theory, `inconsistent` where the 95%
    interval lies wholly outside of that, else `inconclusive`; `insufficient` where there is no
    fit. Of a kind without a theory, whose `theory` is null, it is `descriptive` where there is one.
    """
    if x not in AXES:
        raise ValueError(f"`x` must be 'grid_size' or 'n_params'; got {x!r}.")
    fitted = [curve for curve in curves if curve.kind.on_grid or x != "grid_size"]
    laws = [_law(curve, split, x, rules) for curve in fitted for split in SPLITS]
    return DataFrame(laws, columns=LAW_COLUMNS)


def with_kinds(laws: DataFrame, cells: DataFrame) -> DataFrame:
    """The laws with `model` and `k`, which those of older versions lack: of the curve of these
    cells that has the law's target, data size and theory."""
    if {"model", "k"} <= set(laws):
        return laws
    curves = cells[CURVE].drop_duplicates()
    theory = [
        KINDS[model].exponent(k) for model, k in zip(curves["model"], curves["k"], strict=True)
    ]
    by = ["data", "n_train", "theory"]
    laws = laws.drop(columns=["model", "k"], errors="ignore").astype({"theory": float})
    return laws.merge(curves.assign(theory=theory), on=by, how="left")


def _law(curve: Curve, split: str, x: str, rules: Rules) -> dict[str, Any]:
    cell, used = curve.cells.iloc[0], curve.cells[curve.cells["used"]]
    errors = curve.errors[split][curve.whole].to_numpy(float)
    theory = curve.exponent
    law = {"data": cell["data"], "n_train": cell["n_train"], "x": x, "split": split}
    law |= {"n_points": errors.shape[1], "n_seeds": errors.shape[0], "theory": theory}
    law |= {"verdict": "insufficient", "note": _note(curve, x, rules)}
    law |= {"model": cell["model"], "k": cell["k"]}
    if not curve.fitted:
        return law
    against_x, against_size = fit(used[AXES[x]], errors), fit(used["size"], errors)
    law |= _estimates(against_x, ("exponent", "ci_low", "ci_high"))
    law |= {"amplitude": float(np.exp(against_x.intercept))}
    if not curve.kind.has_theory:
        return law | {"verdict": "descriptive"}
    floor = used["floor_rmse"].to_numpy(float)
    if (floor > rules.least_error(cell["dtype"])).all():  # it can be compared with at every size
        columns = ("exponent_vs_floor", "vs_floor_low", "vs_floor_high")
        law |= _estimates(fit(used[AXES[x]], errors / floor), columns)
        theory, against_size = 0.0, fit(used["size"], errors / floor)
    return law | {"verdict": str(verdicts(against_size, theory, rules.margin))}


def _estimates(fit: Fit, columns: tuple[str, str, str]) -> dict[str, float]:
    return dict(zip(columns, map(float, (fit.slope, *fit.interval(CONFIDENCE))), strict=True))


# ----------------------------------------------------------------------------------- the fit


@dataclass(frozen=True)
class Fit:
    """Slope and intercept in log-log, and the slope's standard error with its degrees of freedom.

    Of one curve numbers, of many curves at once arrays.
    """

    slope: Any
    intercept: Any
    error: Any
    freedom: int

    def interval(self, confidence: float) -> tuple[Any, Any]:
        """Student's t interval of the slope."""
        half = self.error * stats.t.ppf(0.5 + confidence / 2, self.freedom)
        return self.slope - half, self.slope + half


def fit(x: Any, errors: NDArray[np.float64]) -> Fit:
    """Least squares of log errors (..., seeds, sizes) against log x (sizes,), seed by seed.

    The slope is the mean over seeds and its error that of the mean; one seed has the standard
    error of its own regression instead.
    """
    log_x = np.log(np.asarray(x, float))
    log_errors = np.log(np.clip(errors, TINY, None))
    flat = log_errors.reshape(-1, len(log_x))
    design = np.column_stack([log_x - log_x.mean(), np.ones_like(log_x)])
    (slopes, means), *_ = linalg.lstsq(design, flat.T)
    residuals = flat - np.outer(slopes, design[:, 0]) - means[:, None]
    shape = log_errors.shape[:-1]
    slopes, means = slopes.reshape(shape), means.reshape(shape)
    n_seeds = shape[-1]
    if n_seeds > 1:
        error, freedom = slopes.std(axis=-1, ddof=1) / np.sqrt(n_seeds), n_seeds - 1
    else:
        freedom = len(log_x) - 2
        variance = (residuals**2).sum(axis=1).reshape(shape)[..., 0] / freedom
        error = np.sqrt(variance / (design[:, 0] ** 2).sum())
    slope = slopes.mean(axis=-1)
    return Fit(slope, means.mean(axis=-1) - slope * log_x.mean(), error, freedom)


def verdicts(fit: Fit, theory: float, margin: float) -> Any:
    """`consistent`, `inconsistent` or `inconclusive`, by equivalence within the margin."""
    inner, outer = fit.interval(2 * CONFIDENCE - 1), fit.interval(CONFIDENCE)
    low, high = theory - margin, theory + margin
    inside = (inner[0] > low) & (inner[1] < high)
    outside = (outer[1] < low) | (outer[0] > high)
    return np.select([inside, outside], ["consistent", "inconsistent"], "inconclusive")


# ----------------------------------------------------------------------- what a note says


def _note(curve: Curve, x: str, rules: Rules) -> str:
    """What the fit left out, cell by cell and why, and what else its reader must know."""
    parts = [] if curve.fitted else [_shortfall(curve, rules)]
    parts += [*_left_out(curve), *_lacking(curve)]
    if curve.fitted and curve.whole.sum() == 1:
        parts.append("one seed: the interval is that of its own residuals")
    if not curve.kind.has_theory:
        parts.append("a description: no theory of its exponent is claimed")
    elif x == "n_params":
        parts.append(f"the theory is asymptotic in the {curve.kind.size}, not in n_params")
    return "; ".join(parts)


def _left_out(curve: Curve) -> list[str]:
    """The sizes that do not count, and those that do beyond a gap."""
    cells, kind = curve.cells, curve.kind
    parts = [
        f"{kind.symbol} = {listed(part['size'])} {reason}"
        for reason, part in cells[~cells["counts"]].groupby("reason", sort=False)
    ]
    stranded = cells[cells["counts"] & ~cells["used"] & curve.fitted]
    if not stranded.empty:
        parts.append(f"{kind.symbol} = {listed(stranded['size'])} {kind.smaller} than a gap")
    return parts


def _lacking(curve: Curve) -> list[str]:
    """The seeds without a sound cell somewhere in the run."""
    lacking = curve.errors["test"].isna()
    lacking = lacking[lacking.any(axis=1)]
    sizes = lacking.apply(lambda row: listed(lacking.columns[row]), axis=1, result_type="reduce")
    return [
        f"without seed {listed(seeds.index)}: no sound cell at {curve.kind.symbol} = {names}"
        for names, seeds in sizes.groupby(sizes, sort=False)
    ]


def _shortfall(curve: Curve, rules: Rules) -> str:
    run: list[Any] = list(curve.errors["test"])
    kind = curve.kind
    if len(run) < rules.min_sizes:
        return f"too few {kind.size}s in a row count: {len(run)}, a fit takes {rules.min_sizes}"
    if not rules.long_enough(run):
        span = f"{kind.symbol} = {run[0]} to {run[-1]}"
        return f"{span} spans less than a factor of {rules.min_span:g}"
    return f"no seed has every cell of {kind.symbol} = {listed(run)}"
