"""Which cells of a sweep count: their errors over the seeds, and the rules fixed before any fit.

A curve is the RMSE of one (data, model, k, n_train) against size, all seeds; the size is what the
kind of network grows along. The fit of a curve takes the whole contiguous run of sizes that ends
at the largest one that counts, never a window chosen by how well it fits. A (curve, seed) is one
chain, where each size is warm-started from the last, hence one correlated unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas import DataFrame, Series
from scipy import stats

from kansweep import kinds
from kansweep.config.commands import FigureConfig
from kansweep.solvers.reasons import StopReason
from kansweep.sweep.columns import REQUIRED, Status

SPLITS = ("train", "test")
AXES = {"grid_size": "size", "n_params": "n_params"}  # of laws, and their column in cells
WHOSE = ["data", "model", "k"]  # `k` is null where the kind has no splines
CURVE = [*WHOSE, "n_train"]
CELL = [*CURVE, "size"]
CELL_COLUMNS = [
    *(*CELL, "n_params", "noise", "dtype", "n_seeds", "n_failed", "floor_rmse", "grad_norm"),
    *("train_rmse", "train_low", "train_high", "test_rmse", "test_low", "test_high"),
    *("reason", "counts", "used"),
]
CONFIDENCE = 0.95
BAND_SEEDS = 3  # fewer seeds say too little of their spread for a band
TINY = float(np.finfo(np.float64).eps ** 2)  # stands for an error of exactly 0 in logs

_OPTIONAL: dict[str, Any] = {
    "status": Status.OK,
    "floor_rmse": np.nan,
    "grad_norm": np.nan,
    "dtype": "float64",
    "stop_reason": "",
    "exact": False,  # as `Rules.exact`, where sweeps of several targets stand together
}


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
    margin: float = FigureConfig.margin  # an exponent this close to the theory's is the theory's
    min_sizes: int = 3
    min_span: float = 4.0  # largest / smallest size, at least

    def least_error(self, dtype: str) -> float:
        """The least error that is not round-off."""
        return self.round_off * float(np.finfo(dtype).eps) * self.scale

    def long_enough(self, run: Sequence[float]) -> bool:
        """Whether a curve can be fitted over these sizes, given in ascending order."""
        return len(run) >= self.min_sizes and run[-1] >= self.min_span * run[0]


DEFAULT = Rules()


@dataclass(frozen=True, eq=False)
class Curve:
    """The classified cells of one curve, and the errors that a fit of it may use."""

    cells: DataFrame  # CELL_COLUMNS, sorted by size
    errors: dict[str, DataFrame]  # split -> seeds by sizes of the run; NaN: no sound cell
    fitted: bool

    @property
    def whole(self) -> Series:
        """Which seeds have every cell of the run."""
        return _whole(self.errors["test"])

    @property
    def kind(self) -> kinds.Kind:
        return kinds.of(self.cells)

    @property
    def data(self) -> str:
        return str(self.cells["data"].iloc[0])

    @property
    def n_train(self) -> int:
        return int(self.cells["n_train"].iloc[0])

    @property
    def exponent(self) -> float:
        """That the theory of its kind gives it, NaN where there is none."""
        return self.kind.exponent(self.cells["k"].iloc[0])


def classified(ended: DataFrame, rules: Rules = DEFAULT) -> list[Curve]:
    """The curves of rows as ``checked`` gives them, every cell with why it does not count."""
    return [_curve(rows, rules) for _, rows in ended.groupby(CURVE, dropna=False)]


def table(curves: Sequence[Curve]) -> DataFrame:
    """One row a (data, model, k, n_train, size): its errors, and why it does not count.

    Errors, floor and gradient are geometric means over the `n_seeds` seeds that ended ok, `*_low`
    and `*_high` the 95% Student-t interval of that mean in logs, given three seeds. `reason` is
    '' or the first that holds of `failed` (more seeds failed than not), `exactly represented`,
    `over-parameterised`, `noise-limited`, `round-off`, `over-fitted`, `poor fit` (most seeds ended
    so, and no floor says otherwise), `not converged`; `counts` says that it is '', `used` that the
    cell enters the fit of its curve.
    """
    if not curves:
        return DataFrame(columns=CELL_COLUMNS).astype({"counts": bool, "used": bool})
    return pd.concat([curve.cells for curve in curves], ignore_index=True)


def classify(results: DataFrame, rules: Rules = DEFAULT) -> DataFrame:
    """The ``table`` of classified cells of results as a sweep stores them."""
    return table(classified(checked(results), rules))


def axis(results: DataFrame) -> str:
    """What these results are drawn against: `grid_size`, or what all of them have."""
    return "grid_size" if kinds.all_on_grid(results) else "n_params"


def filled(cells: DataFrame) -> Series:
    """Which cells a law rests on or, where a curve has none, which ones count."""
    fitted = cells.groupby(CURVE, dropna=False)["used"].transform("any")
    return cells["counts"] & (cells["used"] | ~fitted)


def of_sweep(cells: DataFrame, row: Series) -> DataFrame:
    """The cells with the target, kind and order of a row, of laws or of cells."""
    same = (cells["data"] == row["data"]) & (cells["model"] == row["model"])
    same &= cells["k"].isna() if pd.isna(row["k"]) else cells["k"] == row["k"]
    belonging: DataFrame = cells[same]
    return belonging


def of_curve(cells: DataFrame, row: Series) -> DataFrame:
    """The cells of the curve that a row belongs to."""
    return of_sweep(cells[cells["n_train"] == row["n_train"]], row)


# -------------------------------------------------------------------------------- the rows


def complete(results: DataFrame) -> DataFrame:
    """The rows with `model`, `size`, `noise` and `spacing`, which those of older versions lack: of
    the default kind, their grid sizes, none and equal steps."""
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
        for name, value in (("model", kinds.DEFAULT), ("noise", 0.0), ("spacing", "uniform"))
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
    return rows.assign(ok=(rows["status"] == Status.OK) & finite)


# ------------------------------------------------------------------------- which cells count


def _curve(rows: DataFrame, rules: Rules) -> Curve:
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
    fitted = rules.long_enough(run) and bool(_whole(errors["test"]).any())
    return Curve(cells.assign(used=in_run & fitted)[CELL_COLUMNS], errors, fitted)


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


def _summarise(rows: DataFrame) -> DataFrame:
    """Geometric means over the seeds that ended ok, and t bands of the errors, a row a cell of one
    curve."""
    by_cell = rows.groupby("size")
    cells = by_cell[["n_params", "noise", "dtype", "exact"]].first()
    cells["n_seeds"] = by_cell["ok"].sum()
    cells["n_failed"] = by_cell["ok"].size() - cells["n_seeds"]
    poor = rows["ok"] & (rows["stop_reason"] == StopReason.POOR_FIT)
    cells["n_poor"] = poor.groupby(rows["size"]).sum()
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
    least = cells["dtype"].map(rules.least_error).astype(float)
    above_floor = cells["train_rmse"] > rules.above_floor * cells["floor_rmse"]
    stopped_early = cells["grad_norm"] > rules.gradient
    in_noise = cells["train_rmse"] < rules.above_noise * cells["noise"]
    known = cells["floor_rmse"] > least
    poor = (2 * cells["n_poor"] > cells["n_seeds"]) & ~(known & ~above_floor)
    conditions = {
        "failed": (cells["n_seeds"] == 0) | (cells["n_seeds"] < cells["n_failed"]),
        "exactly represented": cells["exact"].astype(bool) | rules.exact,
        "over-parameterised": cells["n_params"] > rules.params_per_point * cells["n_train"],
        "noise-limited": in_noise & (cells["noise"] > 0),
        "round-off": cells["test_rmse"] < least,
        "over-fitted": cells["test_rmse"] > rules.over_fit * cells["train_rmse"],
        "poor fit": poor,
        "not converged": above_floor.where(known, stopped_early),
    }
    return np.select(list(conditions.values()), list(conditions), default="")
