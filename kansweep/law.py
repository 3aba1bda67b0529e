"""Scaling laws of a sweep: which cells count, the exponent of each curve, observed orders.

A curve is the RMSE of one (data, k, n_train) against grid size, all seeds. Which of its cells
count is decided by rules fixed before any fit; the fit then takes the whole contiguous run of
grid sizes that ends at the largest one that counts, never a window chosen by how well it fits.
A (curve, seed) is one warm-started chain, hence one correlated unit: each seed gives a slope.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas import DataFrame, Series
from scipy import stats

SPLITS = ("train", "test")
CURVE = ["data", "k", "n_train"]
CELL = [*CURVE, "grid_size"]
CELL_COLUMNS = [
    *(*CELL, "n_params", "dtype", "n_seeds", "n_failed", "floor_rmse", "grad_norm"),
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

_REQUIRED = [*CELL, "seed", "n_params", "train_rmse", "test_rmse"]
_OPTIONAL: dict[str, Any] = {
    "status": "ok",
    "floor_rmse": np.nan,
    "grad_norm": np.nan,
    "dtype": "float64",
}
_TINY = float(np.finfo(np.float64).eps ** 2)  # stands for an error of exactly 0 in logs


@dataclass(frozen=True)
class Rules:
    """What a cell must meet to count, and a curve to be fitted.

    `scale` is rms(f), the root mean square of the target, which results do not hold; 1 serves
    any target of order one. `exact` says that the model's splines represent the target without
    error: what is left is the solver's and follows no law. `gradient` bounds `grad_norm` where no
    floor above round-off is known: the cosine between the residual and the Jacobian's worst
    column, which a solver that has converged brings below 0.01; it is lax, so that only a cell
    left on its way falls to it.
    """

    params_per_point: float = 0.5  # n_params / n_train, at most
    over_fit: float = 2.0  # test / train, at most
    above_floor: float = 2.0  # train / floor, at most
    gradient: float = 0.1
    round_off: float = 10.0  # test / (eps of the dtype · scale), at least
    scale: float = 1.0
    exact: bool = False
    min_sizes: int = 3
    min_span: float = 4.0  # largest / smallest grid size, at least


DEFAULT = Rules()


def classify(results: DataFrame, rules: Rules = DEFAULT) -> DataFrame:
    """One row a (data, k, n_train, grid_size): its errors, and why it does not count.

    Errors, floor and gradient are geometric means over the `n_seeds` seeds that ended ok, `*_low`
    and `*_high` the 95% Student-t interval of that mean in logs, given three seeds. `reason` is
    '' or the first that holds of `failed` (more seeds failed than not), `exactly represented`,
    `over-parameterised`, `round-off`, `over-fitted`, `not converged`; `counts` says that it is
    '', `used` that the cell enters the fit of its curve.
    """
    cells = [curve.cells for curve in _curves(results, rules)]
    if not cells:
        return DataFrame(columns=CELL_COLUMNS).astype({"counts": bool, "used": bool})
    return pd.concat(cells, ignore_index=True)


def fit_laws(results: DataFrame, x: str = "grid_size", rules: Rules = DEFAULT) -> DataFrame:
    """One row a curve and split: RMSE = amplitude · x^exponent, with its 95% interval.

    Least squares in log-log for each seed that has every cell of the run, then mean and Student-t
    interval of the slopes; one seed has the t interval of its own residuals. The columns that
    need the floor stay empty, and so does `verdict`, unless it is `insufficient`.
    """
    if x not in ("grid_size", "n_params"):
        raise ValueError(f"`x` must be 'grid_size' or 'n_params'; got {x!r}.")
    curves = _curves(results, rules)
    laws = [_law(curve, split, x, rules) for curve in curves for split in SPLITS]
    return DataFrame(laws, columns=LAW_COLUMNS)


def observed_orders(results: DataFrame, rules: Rules = DEFAULT) -> DataFrame:
    """Order ln(e₁/e₂) / ln(G₂/G₁) of neighbouring grid sizes, one row a pair and split.

    `counts` says that both cells do.
    """
    return _orders(classify(results, rules))


def envelope(results: DataFrame, split: str, rules: Rules = DEFAULT) -> DataFrame:
    """The best cell that counts of each (data, k, n_train): its `grid_size` and `rmse`."""
    cells = classify(results, rules).rename(columns={f"{split}_rmse": "rmse"})
    best = cells[cells["counts"]].sort_values("rmse").drop_duplicates(CURVE)
    return best.sort_values(CURVE, ignore_index=True)[[*CELL, "rmse"]]


# ------------------------------------------------------------------------- which cells count


@dataclass(frozen=True)
class _Curve:
    """The classified cells of one (data, k, n_train), and the errors a fit of it may use."""

    cells: DataFrame  # sorted by grid size
    errors: dict[str, DataFrame]  # split → seeds by grid sizes of the run; NaN: no sound cell
    fitted: bool

    @property
    def whole(self) -> Series:
        """Which seeds have every cell of the run."""
        return _whole(self.errors["test"])


def _curves(results: DataFrame, rules: Rules) -> list[_Curve]:
    rows = _checked(results)
    cells = _summarise(rows)
    cells["reason"] = _reasons(cells, rules)
    cells["counts"] = cells["reason"] == ""
    rows_of = dict(list(rows.groupby(CURVE)))
    return [_curve(part, rows_of[key], rules) for key, part in cells.groupby(CURVE)]


def _curve(cells: DataFrame, rows: DataFrame, rules: Rules) -> _Curve:
    in_run = _last_run(cells["counts"].to_numpy(bool))
    run = cells.loc[in_run, "grid_size"].tolist()
    sound, seeds = rows[rows["ok"]], sorted(set(rows["seed"]))
    errors = {
        split: sound.pivot(index="seed", columns="grid_size", values=f"{split}_rmse").reindex(
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


def _checked(results: DataFrame) -> DataFrame:
    """The rows of cells that have ended, with every column that the rules read, and `ok`."""
    absent = [column for column in _REQUIRED if column not in results]
    if absent:
        raise ValueError(f"`results` must have the columns {_REQUIRED}; it lacks {absent}.")
    rows = results.assign(**{c: v for c, v in _OPTIONAL.items() if c not in results})
    rows = rows[rows["status"].notna()]
    twice = rows.loc[rows.duplicated([*CELL, "seed"]), [*CELL, "seed"]]
    if not twice.empty:
        raise ValueError(f"`results` must hold a cell once; got {twice.iloc[0].to_dict()} twice.")
    finite = rows[["train_rmse", "test_rmse"]].astype(float).apply(np.isfinite).all(axis=1)
    return rows.assign(ok=(rows["status"] == "ok") & finite)


def _summarise(rows: DataFrame) -> DataFrame:
    """Geometric means over the seeds that ended ok, and t bands of the errors, a row a cell."""
    by_cell = rows.groupby(CELL)
    cells = by_cell[["n_params", "dtype"]].first()
    cells["n_seeds"] = by_cell["ok"].sum()
    cells["n_failed"] = by_cell["ok"].size() - cells["n_seeds"]
    for column in ("train_rmse", "test_rmse", "floor_rmse", "grad_norm"):
        logs = rows[column].astype(float).clip(lower=_TINY).where(rows["ok"]).map(np.log)
        grouped = logs.groupby([rows[name] for name in CELL])
        cells[column] = np.exp(grouped.mean())
        if column in ("train_rmse", "test_rmse"):
            enough = cells["n_seeds"].where(cells["n_seeds"] >= BAND_SEEDS)
            with np.errstate(over="ignore"):
                factor = np.exp(_half_width(grouped.std(), enough))
            cells[column.replace("rmse", "low")] = cells[column] / factor
            cells[column.replace("rmse", "high")] = cells[column] * factor
    return cells.reset_index()


def _half_width(deviation: Any, count: Any) -> Any:
    """Half the Student-t interval of a mean of `count` values."""
    return deviation * stats.t.ppf(0.5 + CONFIDENCE / 2, count - 1) / np.sqrt(count)


def _reasons(cells: DataFrame, rules: Rules) -> NDArray[Any]:
    eps = cells["dtype"].map(lambda name: float(np.finfo(name).eps)).astype(float)
    least = rules.round_off * eps * rules.scale
    above_floor = cells["train_rmse"] > rules.above_floor * cells["floor_rmse"]
    stopped_early = cells["grad_norm"] > rules.gradient
    conditions = {
        "failed": (cells["n_seeds"] == 0) | (cells["n_seeds"] < cells["n_failed"]),
        "exactly represented": cells["n_seeds"].ge(0) & rules.exact,
        "over-parameterised": cells["n_params"] > rules.params_per_point * cells["n_train"],
        "round-off": cells["test_rmse"] < least,
        "over-fitted": cells["test_rmse"] > rules.over_fit * cells["train_rmse"],
        "not converged": above_floor.where(cells["floor_rmse"] > least, stopped_early),
    }
    return np.select(list(conditions.values()), list(conditions), default="")


# ----------------------------------------------------------------------------------- the fit


def _law(curve: _Curve, split: str, x: str, rules: Rules) -> dict[str, Any]:
    cell = curve.cells.iloc[0]
    errors = curve.errors[split][curve.whole]
    law = {"data": cell["data"], "n_train": cell["n_train"], "x": x, "split": split}
    law |= {"n_points": errors.shape[1], "n_seeds": errors.shape[0], "theory": -(cell["k"] + 1)}
    law |= {"verdict": "" if curve.fitted else "insufficient", "note": _note(curve, x, rules)}
    if curve.fitted:
        law |= _slope(curve.cells.loc[curve.cells["used"], x], errors)
    return law


def _slope(x: Series, errors: DataFrame) -> dict[str, float]:
    """Exponent, interval and amplitude from errors of shape (seeds, grid sizes)."""
    log_x = np.log(x.to_numpy(float))
    log_errors = np.log(errors.to_numpy(float).clip(min=_TINY))
    fits = [stats.linregress(log_x, row) for row in log_errors]
    slopes = np.array([fit.slope for fit in fits])
    if len(fits) > 1:
        half = _half_width(slopes.std(ddof=1), len(fits))
    else:
        half = fits[0].stderr * stats.t.ppf(0.5 + CONFIDENCE / 2, len(log_x) - 2)
    mean = float(slopes.mean())
    amplitude = float(np.exp(np.mean([fit.intercept for fit in fits])))
    interval = {"ci_low": mean - float(half), "ci_high": mean + float(half)}
    return {"exponent": mean, **interval, "amplitude": amplitude}


def _orders(cells: DataFrame) -> DataFrame:
    """Pairwise orders of classified cells, given sorted by curve and grid size."""
    rows = []
    for _, curve in cells.groupby(CURVE):
        coarse, fine = curve.iloc[:-1].reset_index(drop=True), curve.iloc[1:].reset_index(drop=True)
        pair = coarse[CELL].assign(next_grid_size=fine["grid_size"])
        for split in SPLITS:
            drop = np.log(coarse[f"{split}_rmse"] / fine[f"{split}_rmse"])
            order = drop / np.log(fine["grid_size"] / coarse["grid_size"])
            both = coarse["counts"] & fine["counts"]
            rows.append(pair.assign(split=split, order=order, counts=both))
    columns = [*CURVE, "split", "grid_size", "next_grid_size", "order", "counts"]
    return pd.concat(rows, ignore_index=True)[columns] if rows else DataFrame(columns=columns)


# ------------------------------------------------------------------------------- in words


def _note(curve: _Curve, x: str, rules: Rules) -> str:
    """What the fit left out, cell by cell and why, and what else its reader must know."""
    parts = [] if curve.fitted else [_shortfall(list(curve.errors["test"]), rules)]
    for reason, part in curve.cells[~curve.cells["counts"]].groupby("reason", sort=False):
        parts.append(f"G = {_listed(part['grid_size'])} {reason}")
    stranded = curve.cells[curve.cells["counts"] & ~curve.cells["used"] & curve.fitted]
    if not stranded.empty:
        parts.append(f"G = {_listed(stranded['grid_size'])} coarser than a gap")
    lacking = curve.errors["test"].isna()
    lacking = lacking[lacking.any(axis=1)]
    lacks = lacking.apply(lambda row: _listed(lacking.columns[row]), axis=1, result_type="reduce")
    for sizes, seeds in lacks.groupby(lacks, sort=False):
        parts.append(f"without seed {_listed(seeds.index)}: no sound cell at G = {sizes}")
    if curve.fitted and curve.whole.sum() == 1:
        parts.append("one seed: the interval is that of its own residuals")
    if x == "n_params":
        parts.append("the theory is asymptotic in the grid size, not in n_params")
    return "; ".join(parts)


def _shortfall(run: list[Any], rules: Rules) -> str:
    if len(run) < rules.min_sizes:
        return f"too few grid sizes in a row count: {len(run)}, a fit takes {rules.min_sizes}"
    if not _long_enough(run, rules):
        return f"G = {run[0]} to {run[-1]} spans less than a factor of {rules.min_span:g}"
    return f"no seed has every cell of G = {_listed(run)}"


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(str(value) for value in values)


def format_laws(laws: DataFrame, cells: DataFrame) -> str:
    """The laws as a table for a terminal, and what they leave out; `cells` as `classify` gives."""
    blocks = []
    for (data, x, theory), part in laws.groupby(["data", "x", "theory"], sort=False):
        mine = cells[(cells["data"] == data) & (-1 - cells["k"] == theory)]
        title = f"{data}: RMSE ~ {x}^exponent, in theory {theory}"
        blocks.append("\n".join([title, *_table(part, mine), *_remarks(part)]))
    return "\n\n".join(blocks)


def _table(laws: DataFrame, cells: DataFrame) -> list[str]:
    rows = [["RMSE", "n_train", "exponent", "95% interval", "seeds", "grid sizes", "orders in G"]]
    rows += [_words(law, cells) for _, law in laws.sort_values(["split", "n_train"]).iterrows()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(_padded, row, widths, "<>>><<<")).rstrip() for row in rows]


def _padded(text: str, width: int, align: str) -> str:
    return f"{text:{align}{width}}"


def _words(law: Series, cells: DataFrame) -> list[str]:
    fitted = law["verdict"] != "insufficient"
    mine = cells[(cells["n_train"] == law["n_train"]) & cells["used" if fitted else "counts"]]
    orders = _orders(mine)
    orders = orders.loc[orders["split"] == law["split"], "order"]
    return [
        law["split"],
        str(law["n_train"]),
        f"{law['exponent']:.2f}" if fitted else "",
        f"[{law['ci_low']:.2f}, {law['ci_high']:.2f}]" if fitted else "insufficient",
        str(law["n_seeds"]),
        " ".join(map(str, mine["grid_size"])),
        " ".join(f"{order:.2f}" for order in orders),
    ]


def _remarks(laws: DataFrame) -> list[str]:
    """Each part of the notes once, with the data sizes that it concerns."""
    sizes: dict[str, list[Any]] = {}
    for n_train, notes in laws.groupby("n_train")["note"]:
        for part in "; ".join(notes.dropna().unique()).split("; "):  # NaN: '' read back from CSV
            sizes.setdefault(part, []).append(n_train)
    sizes.pop("", None)
    return [f"  n = {_listed(numbers)}: {part}" for part, numbers in sizes.items()]
