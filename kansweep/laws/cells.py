"""Which cells of a sweep count: their errors over the seeds, and the rules fixed before any fit.

A curve is the RMSE of one (data, model, k, n_train) against size, all seeds; the size is what the
kind of network grows along. A (curve, seed) is one chain, where each size is warm-started from the
last, hence one correlated unit: a seed whose training went wrong leaves the curve as a seed. The
fit of a curve takes the whole run of sizes that ends at the largest one that counts, across one
size that does not where enough remain, never a window chosen by how well it fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas import DataFrame, Series
from scipy import stats

from kansweep import kinds
from kansweep.config.commands import FigureConfig
from kansweep.laws import verdicts
from kansweep.laws.verdicts import CONFIDENCE, TINY
from kansweep.solvers.reasons import StopReason
from kansweep.sweep.columns import REQUIRED, Status

SPLITS = ("train", "test")
DERIVATIVES = {"gradient": 1, "hessian": 2}  # at the test points, by their order
AXES = {"grid_size": "size", "n_params": "n_params"}  # of laws, and their column in cells
WHOSE = ["data", "model", "k"]  # `k` is null where the kind has no splines
CURVE = [*WHOSE, "n_train"]
CELL = [*CURVE, "size"]
CELL_COLUMNS = [
    *(*CELL, "n_params", "noise", "dtype", "n_seeds", "n_failed", "floor_rmse", "grad_norm"),
    *("train_rmse", "train_low", "train_high", "test_rmse", "test_low", "test_high"),
    *("reason", "counts", "used"),
    *(f"{split}_{what}" for split in DERIVATIVES for what in ("rmse", "low", "high")),
]
MANY = 3  # fewer seeds say too little of their spread for a band, or of what is usual

_OPTIONAL: dict[str, Any] = {
    "status": Status.OK,
    "floor_rmse": np.nan,
    "grad_norm": np.nan,
    "dtype": "float64",
    "stop_reason": "",
    **{f"{split}_rmse": np.nan for split in DERIVATIVES},
    "exact": False,  # as `Rules.exact`, where sweeps of several targets stand together
}


@dataclass(frozen=True)
class Rules:
    """What a cell must meet to count, and a curve to be fitted.

    `scale` is rms(f), the root mean square of the target, which results do not hold; 1 serves
    any target of order one. `exact` says that the model's splines represent the target without
    error: what is left is the solver's and follows no law. Whether training converged is the
    solver's to say and never the error's, or a law that fails would lose the cells that show it.
    `gradient` bounds `grad_norm`, the cosine between the residual and the Jacobian's worst column,
    which a solver that has converged brings below 0.01; it is lax, so that only a cell left on its
    way falls to it. `astray` compares a seed with the others of its cell, whatever they all are.
    `above_noise` is for noise on the training outputs, as the rows have it: what is left then is
    no error of approximation. `above_floor` excludes nothing: beyond it a note says so.
    """

    params_per_point: float = 0.5  # n_params / n_train, at most
    above_noise: float = 2.0  # train / noise, at least
    over_fit: float = 2.0  # test / train, at most
    gradient: float = 0.1
    astray: float = 3.0  # train / that of the median seed, at most, among three seeds or more
    above_floor: float = 2.0  # train / floor, beyond which it is remarked
    round_off: float = 10.0  # test / (eps of the dtype · scale), at least
    scale: float = 1.0
    exact: bool = False
    harm: float = 1.1  # by which more data must raise an error to have done harm
    margin: float = FigureConfig.margin  # an exponent this close to the theory's is the theory's
    min_sizes: int = 3
    min_span: float = 4.0  # largest / smallest size, at least
    min_with_gap: int = 4  # sizes that must remain where one between them is left out

    def least_error(self, dtype: str) -> float:
        """The least error that is not round-off."""
        return self.round_off * float(np.finfo(dtype).eps) * self.scale

    def floor_of(self, cells: DataFrame) -> NDArray[np.float64] | None:
        """The floor of cells of one curve, where it can be compared with at every size."""
        floor = cells["floor_rmse"].to_numpy(float)
        return floor if (floor > self.least_error(cells["dtype"].iloc[0])).all() else None

    def judged(self, cells: DataFrame, errors: DataFrame, theory: float) -> str:
        """The verdict on the errors, seeds by sizes, of these cells of one curve."""
        sizes = cells["size"].to_numpy(float)
        floor, numbers = self.floor_of(cells), errors.to_numpy(float)
        return str(verdicts.verdict(sizes, numbers, floor, theory, self.margin))

    def long_enough(self, run: Sequence[float]) -> bool:
        """Whether a curve can be fitted over these sizes, given in ascending order."""
        return len(run) >= self.min_sizes and run[-1] >= self.min_span * run[0]


DEFAULT = Rules()


@dataclass(frozen=True, eq=False)
class Curve:
    """The classified cells of one curve, and the errors that a fit of it may use."""

    cells: DataFrame  # CELL_COLUMNS, sorted by size
    errors: dict[str, DataFrame]  # split -> seeds by sizes of the run; NaN: no sound cell
    faults: DataFrame  # seeds by sizes of the run: why there is none
    fitted: bool
    splits: tuple[str, ...] = SPLITS  # whose errors it is of

    @cached_property
    def sound(self) -> DataFrame:
        """Seeds by sizes of the run: where a sound cell has an error."""
        return self.errors[self.splits[-1]].notna()

    @cached_property
    def whole(self) -> Series:
        """Which seeds have every cell of the run."""
        return self.sound.all(axis=1) & bool(self.sound.shape[1])

    @cached_property
    def used(self) -> DataFrame:
        """The cells that the fit rests on."""
        used: DataFrame = self.cells[self.cells["used"]]
        return used

    @cached_property
    def kind(self) -> kinds.Kind:
        return kinds.of(self.cells)

    @cached_property
    def data(self) -> str:
        return str(self.cells["data"].iloc[0])

    @cached_property
    def n_train(self) -> int:
        return int(self.cells["n_train"].iloc[0])

    @cached_property
    def exponent(self) -> float:
        """That the theory of its kind gives it, NaN where there is none; a derivative of order m
        converges by m less."""
        lost = DERIVATIVES.get(self.splits[-1], 0)
        return self.kind.exponent(self.cells["k"].iloc[0]) + lost


def classified(ended: DataFrame, rules: Rules = DEFAULT) -> list[Curve]:
    """The curves of rows as ``checked`` gives them, every cell with why it does not count."""
    return [_curve(rows, rules) for _, rows in ended.groupby(CURVE, dropna=False)]


def table(curves: Sequence[Curve]) -> DataFrame:
    """One row a (data, model, k, n_train, size): its errors, and why it does not count.

    Errors, floor and gradient are geometric means over the `n_seeds` seeds whose cell is sound, or
    over those that ended ok where most are not; `*_low` and `*_high` are the 95% Student-t interval
    of that mean in logs, given three seeds. A seed's cell is not sound that `failed`, ended in a
    `poor fit` and no floor says that this is what splines can do, is `not converged`, or `astray`
    of the other seeds. `reason` is '' or the first that holds of `failed` (so did more seeds than
    did not), `exactly represented`, `over-parameterised`, `noise-limited`, `round-off`,
    `over-fitted`, and what most of the seeds have where fewer are sound than not; `counts` says
    that it is '', `used` that the cell enters the fit of its curve.
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
    if not isinstance(results, DataFrame):
        raise ValueError(f"`results` must be a table, as load_results gives it; got {results!r}.")
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
    rows = rows.assign(fault=faults_of(rows, rules))
    cells = _summarise(rows)
    cells["reason"] = _reasons(cells, rules)
    cells["counts"] = cells["reason"] == ""
    in_run = _run(cells["counts"].to_numpy(bool), rules.min_with_gap)
    run = cells.loc[in_run, "size"].tolist()
    sound, seeds = rows[rows["fault"] == ""], sorted(set(rows["seed"]))
    errors = {
        split: sound.pivot(index="seed", columns="size", values=f"{split}_rmse").reindex(
            index=seeds, columns=run
        )
        for split in (*SPLITS, *DERIVATIVES)
    }
    faults = rows.pivot(index="seed", columns="size", values="fault").reindex(columns=run)
    fitted = rules.long_enough(run) and bool(errors["test"].notna().all(axis=1).any())
    return Curve(cells.assign(used=in_run & fitted)[CELL_COLUMNS], errors, faults, fitted)


def _run(counts: NDArray[np.bool_], with_gap: int) -> NDArray[np.bool_]:
    """The contiguous run of True that ends at the last True; with the run before it where one
    False is between them and so many True are in both."""
    run = np.zeros_like(counts)
    if not counts.any():
        return run
    last = np.flatnonzero(counts)[-1]
    first = _after_gap(counts, last)
    if first >= 2 and counts[first - 2]:
        further = _after_gap(counts, first - 2)
        if (first - 1 - further) + (last + 1 - first) >= with_gap:
            run[further : first - 1] = True
    run[first : last + 1] = True
    return run


def _after_gap(counts: NDArray[np.bool_], last: int) -> int:
    """Where the contiguous run of True that ends at ``last`` begins."""
    gaps = np.flatnonzero(~counts[:last])
    return int(gaps[-1]) + 1 if gaps.size else 0


def faults_of(rows: DataFrame, rules: Rules) -> NDArray[Any]:
    """Why each seed's cell is not sound, '' where it is."""
    train, floor = rows["train_rmse"].astype(float), rows["floor_rmse"].astype(float)
    least = rows["dtype"].map(rules.least_error).astype(float)
    at_floor = (floor > least) & (train <= rules.above_floor * floor)
    of_cell = train.clip(lower=TINY).where(rows["ok"]).groupby(rows["size"])
    typical = of_cell.transform("median").where(of_cell.transform("count") >= MANY)
    conditions = {
        "failed": ~rows["ok"],
        "poor fit": (rows["stop_reason"] == StopReason.POOR_FIT) & ~at_floor,
        "not converged": rows["grad_norm"].astype(float) > rules.gradient,
        "astray": train > np.maximum(rules.astray * typical, least),
    }
    return np.select(list(conditions.values()), list(conditions), default="")


def _summarise(rows: DataFrame) -> DataFrame:
    """Geometric means over seeds, and t bands of the errors, a row a cell of one curve."""
    by_cell = rows.groupby("size")
    cells = by_cell[["n_params", "noise", "dtype", "exact"]].first()
    sound = rows["fault"] == ""
    cells["n_seeds"] = sound.groupby(rows["size"]).sum()
    cells["n_failed"] = by_cell.size() - cells["n_seeds"]
    cells["fault"] = [_commonest(faults) for _, faults in by_cell["fault"]]
    few = rows["size"].map(cells["n_seeds"] < cells["n_failed"])
    averaged = sound | (few & rows["ok"])
    errors = [f"{split}_rmse" for split in (*SPLITS, *DERIVATIVES)]
    columns = [*errors, "floor_rmse", "grad_norm"]
    logs = rows.loc[averaged, columns].astype(float).clip(lower=TINY).apply(np.log)
    grouped = logs.groupby(rows["size"])
    means = grouped.mean().apply(np.exp)
    deviation, count = grouped[errors].std(), grouped[errors].count()
    with np.errstate(over="ignore"):
        factor = np.exp(half_width(deviation, count.where(count >= MANY)))
    low = (means[errors] / factor).rename(columns=lambda name: name.replace("rmse", "low"))
    high = (means[errors] * factor).rename(columns=lambda name: name.replace("rmse", "high"))
    summarised: DataFrame = cells.join([means, low, high]).reset_index()
    return summarised.assign(**rows[CURVE].iloc[0])


def _commonest(faults: Series) -> str:
    found = faults[faults != ""]
    return "" if found.empty else str(found.mode().iloc[0])


def half_width(deviation: Any, count: Any, confidence: float = CONFIDENCE) -> Any:
    """Half the Student-t interval of a mean of `count` values."""
    return deviation * stats.t.ppf(0.5 + confidence / 2, count - 1) / np.sqrt(count)


def _reasons(cells: DataFrame, rules: Rules) -> NDArray[Any]:
    least = cells["dtype"].map(rules.least_error).astype(float)
    in_noise = cells["train_rmse"] < rules.above_noise * cells["noise"]
    few = (cells["n_seeds"] == 0) | (cells["n_seeds"] < cells["n_failed"])
    conditions = {
        "failed": few & (cells["fault"] == "failed"),
        "exactly represented": cells["exact"].astype(bool) | rules.exact,
        "over-parameterised": cells["n_params"] > rules.params_per_point * cells["n_train"],
        "noise-limited": in_noise & (cells["noise"] > 0),
        "round-off": cells["test_rmse"] < least,
        "over-fitted": cells["test_rmse"] > rules.over_fit * cells["train_rmse"],
    }
    others = cells["fault"].where(few, "").to_numpy(object)
    return np.select(list(conditions.values()), list(conditions), default=others)
