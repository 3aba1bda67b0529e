"""Scaling laws of a sweep: which cells count, the exponent of each curve, observed orders.

A curve is the RMSE of one (data, model, k, n_train) against size, all seeds; the size is the grid
size of a KAN and the width of an MLP. Which of its cells count is decided by rules fixed before
any fit; the fit then takes the whole contiguous run of sizes that ends at the largest one that
counts, never a window chosen by how well it fits. A (curve, seed) is one chain, of a KAN warm-
started, hence one correlated unit: each seed gives a slope. The theory is one of KANs; the law of
an MLP describes its errors against its parameters and is held against nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas import DataFrame, Series
from scipy import linalg, stats

from kansweep import kinds
from kansweep.columns import REQUIRED
from kansweep.kinds import KAN, KINDS

SPLITS = ("train", "test")
AXES = {"grid_size": "size", "n_params": "n_params"}  # and their column in classified cells
CURVE = ["data", "model", "k", "n_train"]  # `k` is null in the curves of an MLP
CELL = [*CURVE, "size"]
CELL_COLUMNS = [
    *(*CELL, "n_params", "noise", "dtype", "n_seeds", "n_failed", "floor_rmse", "grad_norm"),
    *("train_rmse", "train_low", "train_high", "test_rmse", "test_low", "test_high"),
    *("reason", "counts", "used"),
]
LAW_COLUMNS = [
    *("data", "n_train", "x", "split", "exponent", "ci_low", "ci_high"),
    *("exponent_vs_floor", "vs_floor_low", "vs_floor_high"),
    *("amplitude", "n_points", "n_seeds", "theory", "verdict", "note"),
]
CONFIDENCE = 0.95
BAND_SEEDS = 3  # fewer seeds say too little of their spread for a band

_OPTIONAL: dict[str, Any] = {
    "status": "ok",
    "floor_rmse": np.nan,
    "grad_norm": np.nan,
    "dtype": "float64",
    "exact": False,  # as `Rules.exact`, where sweeps of several targets stand together
}
TINY = float(np.finfo(np.float64).eps ** 2)  # stands for an error of exactly 0 in logs


@dataclass(frozen=True)
class Rules:
    """What a cell must meet to count, and a curve to be fitted.

    `scale` is rms(f), the root mean square of the target, which results do not hold; 1 serves
    any target of order one. `exact` says that the model's splines represent the target without
    error: what is left is the solver's and follows no law. `gradient` bounds `grad_norm` where no
    floor above round-off is known: the cosine between the residual and the Jacobian's worst
    column, which a solver that has converged brings below 0.01; it is lax, so that only a cell
    left on its way falls to it. `above_noise` is for noise on the training outputs, as the rows
    have it: what is left then is no error of approximation.
    """

    params_per_point: float = 0.5  # n_params / n_train, at most
    above_noise: float = 2.0  # train / noise, at least
    over_fit: float = 2.0  # test / train, at most
    above_floor: float = 2.0  # train / floor, at most
    gradient: float = 0.1
    round_off: float = 10.0  # test / (eps of the dtype · scale), at least
    scale: float = 1.0
    exact: bool = False
    harm: float = 1.1  # by which more data must raise an error to have done harm
    margin: float = 0.25  # an exponent this close to the theory's is the theory's
    min_sizes: int = 3
    min_span: float = 4.0  # largest / smallest size, at least


DEFAULT = Rules()


def classify(results: DataFrame, rules: Rules = DEFAULT) -> DataFrame:
    """One row a (data, model, k, n_train, size): its errors, and why it does not count.

    Errors, floor and gradient are geometric means over the `n_seeds` seeds that ended ok, `*_low`
    and `*_high` the 95% Student-t interval of that mean in logs, given three seeds. `reason` is
    '' or the first that holds of `failed` (more seeds failed than not), `exactly represented`,
    `over-parameterised`, `noise-limited`, `round-off`, `over-fitted`, `not converged`; `counts`
    says that it is '', `used` that the cell enters the fit of its curve.
    """
    cells = [curve.cells for curve in _curves(results, rules)]
    if not cells:
        return DataFrame(columns=CELL_COLUMNS).astype({"counts": bool, "used": bool})
    return pd.concat(cells, ignore_index=True)


def axis(results: DataFrame) -> str:
    """What these results are drawn against: `grid_size`, or what all of them have."""
    return "n_params" if kinds.any_mlp(results) else "grid_size"


def fit_laws(results: DataFrame, x: str | None = None, rules: Rules = DEFAULT) -> DataFrame:
    """One row a curve and split: RMSE = amplitude · x^exponent, with its 95% interval.

    Least squares in log-log for each seed that has every cell of the run, then mean and Student-t
    interval of the slopes; one seed has the t interval of its own residuals. Where the floor is
    known at every grid size of the run, `exponent_vs_floor` is that of RMSE / floor, 0 in theory
    also where the range is pre-asymptotic. `x` is `grid_size` or `n_params`; left out, the latter
    where there is an MLP. Against grid size an MLP has no row.

    `verdict` is by equivalence (two one-sided tests, Schuirmann 1987), of the exponent against the
    floor where there is one and else of the exponent itself, always against grid size:
    `consistent` where the 90% interval lies within `rules.margin` of the theory, `inconsistent`
    where the 95% interval lies wholly outside of that, else `inconclusive`; `insufficient` where
    there is no fit. That of an MLP, whose `theory` is null, is `descriptive` where there is one.
    """
    x = axis(results) if x is None else x
    if x not in AXES:
        raise ValueError(f"`x` must be 'grid_size' or 'n_params'; got {x!r}.")
    curves = [curve for curve in _curves(results, rules) if curve.has_theory or x != "grid_size"]
    laws = [_law(curve, split, x, rules) for curve in curves for split in SPLITS]
    return DataFrame(laws, columns=LAW_COLUMNS)


def observed_orders(results: DataFrame, rules: Rules = DEFAULT) -> DataFrame:
    """Order ln(e₁/e₂) / ln(G₂/G₁) of neighbouring grid sizes, one row a pair and split.

    `counts` says that both cells do. An MLP has none.
    """
    return orders(classify(results, rules))


def envelope(results: DataFrame, split: str, rules: Rules = DEFAULT) -> DataFrame:
    """The best cell that counts of each curve: its `size` and `rmse`."""
    cells = classify(results, rules).rename(columns={f"{split}_rmse": "rmse"})
    best = cells[cells["counts"]].sort_values("rmse").drop_duplicates(CURVE)
    return best.sort_values(CURVE, ignore_index=True)[[*CELL, "rmse"]]


# ------------------------------------------------------------------------- which cells count


@dataclass(frozen=True)
class _Curve:
    """The classified cells of one curve, and the errors a fit of it may use."""

    cells: DataFrame  # sorted by size
    errors: dict[str, DataFrame]  # split → seeds by sizes of the run; NaN: no sound cell
    fitted: bool

    @property
    def whole(self) -> Series:
        """Which seeds have every cell of the run."""
        return _whole(self.errors["test"])

    @property
    def kind(self) -> kinds.Kind:
        return kinds.of(self.cells)

    @property
    def has_theory(self) -> bool:
        return self.kind is KINDS[KAN]


def _curves(results: DataFrame, rules: Rules) -> list[_Curve]:
    return [_curve(rows, rules) for _, rows in checked(results).groupby(CURVE, dropna=False)]


def _curve(rows: DataFrame, rules: Rules) -> _Curve:
    cells = _summarise(rows)
    cells["reason"] = _reasons(cells, rules)
    cells["counts"] = cells["reason"] == ""
    in_run = _last_run(cells["counts"].to_numpy(bool))
    run = cells.loc[in_run, "size"].tolist()
    sound, seeds = rows[rows["ok"]], sorted(set(rows["seed"]))
    errors = {
        split: sound.pivot(index="seed", columns="size", values=f"{split}_rmse").reindex(
            index=seeds, columns=run
        )
        for split in SPLITS
    }
    fitted = _long_enough(run, rules) and bool(_whole(errors["test"]).any())
    return _Curve(cells.assign(used=in_run & fitted)[CELL_COLUMNS], errors, fitted)


def _whole(errors: DataFrame) -> Series:
    return errors.notna().all(axis=1) & bool(errors.shape[1])


def _last_run(counts: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The contiguous run of True that ends at the last True."""
    run = np.zeros_like(counts)
    if counts.any():
        last = np.flatnonzero(counts)[-1]
        gaps = np.flatnonzero(~counts[:last])
        run[gaps[-1] + 1 if gaps.size else 0 : last + 1] = True
    return run


def _long_enough(run: list[Any], rules: Rules) -> bool:
    return len(run) >= rules.min_sizes and run[-1] >= rules.min_span * run[0]


def complete(results: DataFrame) -> DataFrame:
    """The rows with `model`, `size` and `noise`, which those of older versions lack: of KANs, their
    grid sizes and none."""
    absent = [column for column in REQUIRED if column not in results]
    if "grid_size" not in results and "size" not in results:
        absent.append("grid_size")
    if absent:
        required = [*REQUIRED, "grid_size"]
        raise ValueError(f"`results` must have the columns {required}; it lacks {absent}.")
    size = results["size"] if "size" in results else results["grid_size"]
    if "grid_size" in results:
        size = size.where(size.notna(), results["grid_size"])
    filled = {
        name: results[name].where(results[name].notna(), value) if name in results else value
        for name, value in (("model", KAN), ("noise", 0.0))
    }
    return results.assign(size=size.astype("int64"), **filled)


def checked(results: DataFrame) -> DataFrame:
    """The rows of cells that have ended, with every column that the rules read, and `ok`."""
    rows = complete(results)
    rows = rows.assign(**{c: v for c, v in _OPTIONAL.items() if c not in results})
    if rows["k"].isna().any():
        rows["k"] = rows["k"].astype(float)  # not None: NaN is one group
    rows = rows[rows["status"].notna()]
    twice = rows.loc[rows.duplicated([*CELL, "seed"]), [*CELL, "seed"]]
    if not twice.empty:
        raise ValueError(f"`results` must hold a cell once; got {twice.iloc[0].to_dict()} twice.")
    finite = rows[["train_rmse", "test_rmse"]].astype(float).apply(np.isfinite).all(axis=1)
    return rows.assign(ok=(rows["status"] == "ok") & finite)


def _summarise(rows: DataFrame) -> DataFrame:
    """Geometric means over the seeds that ended ok, and t bands of the errors, a row a cell of one
    curve."""
    by_cell = rows.groupby("size")
    cells = by_cell[["n_params", "noise", "dtype", "exact"]].first()
    cells["n_seeds"] = by_cell["ok"].sum()
    cells["n_failed"] = by_cell["ok"].size() - cells["n_seeds"]
    for column in ("train_rmse", "test_rmse", "floor_rmse", "grad_norm"):
        logs = rows[column].astype(float).clip(lower=TINY).where(rows["ok"]).map(np.log)
        grouped = logs.groupby(rows["size"])
        cells[column] = np.exp(grouped.mean())
        if column in ("train_rmse", "test_rmse"):
            enough = cells["n_seeds"].where(cells["n_seeds"] >= BAND_SEEDS)
            with np.errstate(over="ignore"):
                factor = np.exp(half_width(grouped.std(), enough))
            cells[column.replace("rmse", "low")] = cells[column] / factor
            cells[column.replace("rmse", "high")] = cells[column] * factor
    return cells.reset_index().assign(**rows[CURVE].iloc[0])


def half_width(deviation: Any, count: Any) -> Any:
    """Half the Student-t interval of a mean of `count` values."""
    return deviation * stats.t.ppf(0.5 + CONFIDENCE / 2, count - 1) / np.sqrt(count)


def _reasons(cells: DataFrame, rules: Rules) -> NDArray[Any]:
    least = cells["dtype"].map(lambda name: _least(name, rules)).astype(float)
    above_floor = cells["train_rmse"] > rules.above_floor * cells["floor_rmse"]
    stopped_early = cells["grad_norm"] > rules.gradient
    in_noise = cells["train_rmse"] < rules.above_noise * cells["noise"]
    conditions = {
        "failed": (cells["n_seeds"] == 0) | (cells["n_seeds"] < cells["n_failed"]),
        "exactly represented": cells["exact"].astype(bool) | rules.exact,
        "over-parameterised": cells["n_params"] > rules.params_per_point * cells["n_train"],
        "noise-limited": in_noise & (cells["noise"] > 0),
        "round-off": cells["test_rmse"] < least,
        "over-fitted": cells["test_rmse"] > rules.over_fit * cells["train_rmse"],
        "not converged": above_floor.where(cells["floor_rmse"] > least, stopped_early),
    }
    return np.select(list(conditions.values()), list(conditions), default="")


# ----------------------------------------------------------------------------------- the fit


def _law(curve: _Curve, split: str, x: str, rules: Rules) -> dict[str, Any]:
    cell, used = curve.cells.iloc[0], curve.cells[curve.cells["used"]]
    errors = curve.errors[split][curve.whole].to_numpy(float)
    theory = -(cell["k"] + 1) if curve.has_theory else np.nan
    law = {"data": cell["data"], "n_train": cell["n_train"], "x": x, "split": split}
    law |= {"n_points": errors.shape[1], "n_seeds": errors.shape[0], "theory": theory}
    law |= {"verdict": "insufficient", "note": _note(curve, x, rules)}
    if not curve.fitted:
        return law
    own, grid = fit(used[AXES[x]], errors), fit(used["size"], errors)
    law |= _told(own, ("exponent", "ci_low", "ci_high"))
    law |= {"amplitude": float(np.exp(own.intercept))}
    if not curve.has_theory:
        return law | {"verdict": "descriptive"}
    floor = used["floor_rmse"].to_numpy(float)
    if _is_known(floor, cell["dtype"], rules):
        columns = ("exponent_vs_floor", "vs_floor_low", "vs_floor_high")
        law |= _told(fit(used[AXES[x]], errors / floor), columns)
        theory, grid = 0, fit(used["size"], errors / floor)
    return law | {"verdict": str(verdicts(grid, theory, rules.margin))}


def _told(fit: Fit, columns: tuple[str, str, str]) -> dict[str, float]:
    return dict(zip(columns, map(float, (fit.slope, *fit.interval(CONFIDENCE))), strict=True))


def _is_known(floor: NDArray[np.float64], dtype: str, rules: Rules) -> bool:
    """Whether the floor can be compared with at every grid size of a run: above round-off."""
    return bool((floor > _least(dtype, rules)).all())


def _least(dtype: str, rules: Rules) -> float:
    """The least error that is not round-off."""
    return rules.round_off * float(np.finfo(dtype).eps) * rules.scale


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


def orders(cells: DataFrame) -> DataFrame:
    """Pairwise orders of the KANs among classified cells, given sorted by curve and grid size."""
    rows = []
    for _, curve in cells[cells["model"] == KAN].groupby(CURVE):
        coarse, fine = curve.iloc[:-1].reset_index(drop=True), curve.iloc[1:].reset_index(drop=True)
        pair = coarse[CELL].assign(next_size=fine["size"])
        for split in SPLITS:
            drop = np.log(coarse[f"{split}_rmse"] / fine[f"{split}_rmse"])
            order = drop / np.log(fine["size"] / coarse["size"])
            both = coarse["counts"] & fine["counts"]
            rows.append(pair.assign(split=split, order=order, counts=both))
    columns = [*CURVE, "split", "size", "next_size", "order", "counts"]
    return pd.concat(rows, ignore_index=True)[columns] if rows else DataFrame(columns=columns)


def floor_orders(cells: DataFrame) -> dict[tuple[int, int], float]:
    """Orders of the floor between neighbouring grid sizes of classified cells, as far as known."""
    floor = cells.dropna(subset=["floor_rmse"]).groupby("size")["floor_rmse"].first()
    known = floor[floor > 0]
    return {
        (coarse, fine): float(np.log(known[coarse] / known[fine]) / np.log(fine / coarse))
        for coarse, fine in itertools.pairwise(known.index)
    }


# ----------------------------------------------------------------------- what a note says


def _note(curve: _Curve, x: str, rules: Rules) -> str:
    """What the fit left out, cell by cell and why, and what else its reader must know."""
    kind = curve.kind
    parts = [] if curve.fitted else [_shortfall(list(curve.errors["test"]), kind, rules)]
    for reason, part in curve.cells[~curve.cells["counts"]].groupby("reason", sort=False):
        parts.append(f"{kind.symbol} = {listed(part['size'])} {reason}")
    stranded = curve.cells[curve.cells["counts"] & ~curve.cells["used"] & curve.fitted]
    if not stranded.empty:
        sizes = listed(stranded["size"])
        parts.append(f"{kind.symbol} = {sizes} {kind.smaller} than a gap")
    lacking = curve.errors["test"].isna()
    lacking = lacking[lacking.any(axis=1)]
    lacks = lacking.apply(lambda row: listed(lacking.columns[row]), axis=1, result_type="reduce")
    for sizes, seeds in lacks.groupby(lacks, sort=False):
        parts.append(
            f"without seed {listed(seeds.index)}: no sound cell at {kind.symbol} = {sizes}"
        )
    if curve.fitted and curve.whole.sum() == 1:
        parts.append("one seed: the interval is that of its own residuals")
    if not curve.has_theory:
        parts.append("a description: no theory of its exponent is claimed")
    elif x == "n_params":
        parts.append("the theory is asymptotic in the grid size, not in n_params")
    return "; ".join(parts)


def _shortfall(run: list[Any], kind: kinds.Kind, rules: Rules) -> str:
    if len(run) < rules.min_sizes:
        return f"too few {kind.size}s in a row count: {len(run)}, a fit takes {rules.min_sizes}"
    if not _long_enough(run, rules):
        span = f"{kind.symbol} = {run[0]} to {run[-1]}"
        return f"{span} spans less than a factor of {rules.min_span:g}"
    return f"no seed has every cell of {kind.symbol} = {listed(run)}"


def listed(values: Iterable[Any]) -> str:
    return ", ".join(str(value) for value in values)
