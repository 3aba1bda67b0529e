"""Whether laws and errors are as expected: what `kansweep check` says and exits by.

Only the rows, laws and cells that are asked for are looked at. What cannot be checked, since it is
not there, is refused and neither holds nor fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame, Series

from kansweep.config.commands import ExpectedConfig
from kansweep.config.rules import ConfigError
from kansweep.kinds import KINDS
from kansweep.laws import fits, notation, outputs
from kansweep.laws.cells import AXES, CELL, CURVE, DERIVATIVES, SPLITS
from kansweep.laws.findings import Study
from kansweep.laws.notation import counted, listed
from kansweep.laws.verdicts import TINY


@dataclass(frozen=True)
class Check:
    """One check of one law or of one size: whether it holds, and what was found, in words."""

    name: str  # `verdict`, `exponent`, `worst` or `against`
    of: str  # which curve
    holds: bool
    detail: str


def perform(study: Study, expected: ExpectedConfig, stored: DataFrame | None = None) -> list[Check]:
    """Every check that is expected of a study, in the order of its curves.

    ``stored`` are the laws of ``expected.against``, or its rows as ``cells.checked`` gives them.
    A law that is insufficient is not where an exponent is expected, and a cell that failed is worse
    than any bound. Raises ConfigError where what is selected is not there.
    """
    splits = SPLITS if expected.split == "both" else (expected.split,)
    if expected.output is not None:
        study, expected, stored = _of_outputs(study, expected, stored)
    if expected.split in DERIVATIVES:
        study = _of_derivative(study, expected)
    laws = study.shown[study.shown["split"].isin(splits)]
    laws, rows = _selected(laws, expected), _selected(study.ended, expected)
    made: list[Check] = []
    if expected.verdict is not None:
        made += [_verdict(law, _listed(expected.verdict)) for _, law in laws.iterrows()]
    if expected.exponent is not None:
        made += [_exponent(law, *expected.exponent) for _, law in laws.iterrows()]
    if expected.worst is not None:
        made += _worst(rows, splits, expected.worst)
    if stored is not None and "exponent" in stored:
        made += _against_laws(study, laws, stored, expected)
    elif stored is not None:
        made += _against_cells(rows, splits, stored, expected)
    return made


def _of_outputs(
    study: Study, expected: ExpectedConfig, stored: DataFrame | None
) -> tuple[Study, ExpectedConfig, DataFrame | None]:
    """The same of each output that is asked for, as a target of its own."""
    each = study.outputs
    if each is None:
        raise ConfigError(
            f"`check.output` must be null for a sweep of one output, and for several sweeps; got"
            f" {listed(_listed(expected.output))}."
        )
    _selected(study.ended, expected)  # refused where there is nothing
    _refuse_absent("output", _listed(expected.output), outputs.names(study.results))
    if stored is not None:
        stored = stored[stored["data"] == study.results["data"].iloc[0]]
        stored = _laws_of_each(stored) if "exponent" in stored else outputs.of_each(stored)
    return each, replace(expected, data=expected.output, output=None), stored


def _laws_of_each(stored: DataFrame) -> DataFrame:
    """Stored laws of outputs, as those of a study of them; those of older versions have none."""
    if "output" not in stored:
        return stored.iloc[:0]
    of_outputs = stored[stored["output"].notna()]
    return of_outputs.assign(data=of_outputs["output"], output=None)


def _of_derivative(study: Study, expected: ExpectedConfig) -> Study:
    rows, split = _selected(study.ended, expected), expected.split
    if rows.loc[rows["ok"], f"{split}_rmse"].isna().any():
        raise ConfigError(
            f"`check.split` must be one of whose errors there are; of the {split} some of these"
            " cells have none."
        )
    return study.derivatives[split]


def _listed(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _selected(rows: DataFrame, expected: ExpectedConfig) -> DataFrame:
    """Those of the data and the numbers of training points that are asked for."""
    names = sorted(set(rows["data"]))
    asked = names if expected.data is None else _listed(expected.data)
    _refuse_absent("data", asked, names)
    rows = rows[rows["data"].isin(asked)]
    if expected.n_train == "all":
        return rows
    if expected.n_train is None:
        most: DataFrame = rows[rows["n_train"] == rows.groupby("data")["n_train"].transform("max")]
        return most
    _refuse_absent("n_train", expected.n_train, sorted(set(rows["n_train"])))
    return rows[rows["n_train"].isin(expected.n_train)]


def _refuse_absent(key: str, asked: Any, there: Any) -> None:
    if absent := [each for each in asked if each not in there]:
        raise ConfigError(f"`check.{key}` must be out of {listed(there)}; got {listed(absent)}.")


def _whose(row: Series, split: str) -> str:
    name = KINDS[row["model"]].of(row["data"])
    return f"{name}, n = {row['n_train']}, {split}"


# ------------------------------------------------------------------------------------ the laws


def _verdict(law: Series, verdicts: tuple[str, ...]) -> Check:
    holds = law["verdict"] in verdicts
    given = str(law["verdict"]) if holds else f"{law['verdict']}, not {' or '.join(verdicts)}"
    return Check("verdict", _whose(law, law["split"]), holds, f"{given}: {_told(law)}")


def _exponent(law: Series, low: float, high: float) -> Check:
    holds = bool(low <= law["exponent"] <= high)  # NaN is not
    where = "within" if holds else "not within"
    detail = f"{_told(law)}, {where} [{low:g}, {high:g}]"
    return Check("exponent", _whose(law, law["split"]), holds, detail)


def _told(law: Series) -> str:
    if pd.isna(law["exponent"]):
        return f"no law ({law['note']})"
    told = [
        f"{where}{_interval(*law[columns])}"
        for where, columns in (
            ("", ["exponent", "ci_low", "ci_high"]),
            ("over the floor ", ["exponent_vs_floor", "vs_floor_low", "vs_floor_high"]),
            ("over the finest doubling ", ["exponent_finest", "finest_low", "finest_high"]),
        )
        if law[columns].notna().all()
    ]
    return ", ".join(told)


def _interval(middle: float, low: float, high: float) -> str:
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


def _against_laws(
    study: Study, laws: DataFrame, stored: DataFrame, expected: ExpectedConfig
) -> Iterator[Check]:
    """Each law beside the stored one of its curve, at the ends of its range: between them the
    factor is between those at the ends."""
    names = dict(zip(study.ended["data"], _targets(study.ended), strict=True))
    renamed = study.cells.assign(data=study.cells["data"].map(names))
    stored = fits.completed(stored, renamed).astype({"k": float})
    for _, law in laws.iterrows():
        whose = {**law[[*CURVE, "x", "split", "output"]], "data": names[law["data"]]}
        same = [
            (stored[name] == value) | (stored[name].isna() & pd.isna(value))
            for name, value in whose.items()
        ]
        before = stored[np.logical_and.reduce(same)].dropna(subset=["exponent", "amplitude"])
        if before.empty:
            _refuse_nothing_stored(expected, law, law["split"])
        yield _against_law(law, before.iloc[0], study.behind(law)[AXES[law["x"]]], expected)


def _targets(rows: DataFrame) -> Series:
    """What is learned: of several sweeps, ``data`` is the sweep."""
    targets: Series = rows["target" if "target" in rows else "data"]
    return targets


def _against_law(law: Series, before: Series, x: Series, expected: ExpectedConfig) -> Check:
    of = _whose(law, law["split"])
    if pd.isna(law["exponent"]):
        return Check("against", of, False, f"{_told(law)}, where {expected.against} has one")
    ends = np.array([x.min(), x.max()], float)
    log = np.log(law["amplitude"] / before["amplitude"])
    factors = np.exp(log + (law["exponent"] - before["exponent"]) * np.log(ends))
    worst = int(factors.argmax())
    symbol = KINDS[law["model"]].symbol if law["x"] == "grid_size" else "P"
    detail = f"{factors[worst]:.3g} times the law of {expected.against} at {symbol}"
    return _limited(of, factors[worst], f"{detail} = {ends[worst]:g}", expected.factor)


def _limited(of: str, factor: float, detail: str, most: float) -> Check:
    holds = bool(factor <= most)
    return Check("against", of, holds, f"{detail}, {'at most' if holds else 'above'} {most:g}")


def _refuse_nothing_stored(expected: ExpectedConfig, row: Series, split: str) -> None:
    raise ConfigError(
        f"`check.against` must hold what is checked; {expected.against} has nothing of"
        f" {_whose(row, split)}."
    )


# ------------------------------------------------------------------------------------ the cells


def _worst(rows: DataFrame, splits: tuple[str, ...], bounds: Any) -> Iterator[Check]:
    """The largest error of a seed, in a line a curve or, where bounds are by size, a line each."""
    for _, curve in rows.groupby(CURVE, dropna=False, sort=False):
        for split in splits:
            if not isinstance(bounds, dict):
                yield _largest(curve, split, bounds)
                continue
            _refuse_absent("worst", bounds, sorted(set(curve["size"])))
            for size, most in bounds.items():
                yield _largest(curve[curve["size"] == size], split, most)


def _largest(part: DataFrame, split: str, most: float) -> Check:
    of = _whose(part.iloc[0], split)
    if not part["ok"].all():
        failed = part[~part["ok"]].iloc[0]
        return Check("worst", of, False, f"{_place(failed)} {failed['status']}")
    row = part.sort_values(f"{split}_rmse").iloc[-1]
    error = float(row[f"{split}_rmse"])
    holds = error <= most
    detail = f"{notation.rmse(error)} at {_place(row)}, {'at most' if holds else 'above'} {most:g}"
    return Check("worst", of, holds, detail)


def _place(row: Series) -> str:
    return f"{KINDS[row['model']].symbol} = {row['size']}, seed {row['seed']}"


def _against_cells(
    rows: DataFrame, splits: tuple[str, ...], stored: DataFrame, expected: ExpectedConfig
) -> Iterator[Check]:
    """Each cell beside the stored one, by the geometric mean over the seeds that both have; a line
    a curve tells of the worst size."""
    stored = stored[stored["ok"]].astype({"k": float})
    here = rows.assign(named=rows["data"], data=_targets(rows)).astype({"k": float})
    both = here.merge(stored, on=[*CELL, "seed"], suffixes=("", "_stored"))
    for _, curve in here.groupby(["named", *CURVE], dropna=False, sort=False):
        row = curve.iloc[0].copy()
        row["data"] = row["named"]
        part = both[(both["named"] == row["named"]) & (both["n_train"] == row["n_train"])]
        for split in splits:
            stored_too = part.dropna(subset=[f"{split}_rmse_stored"])
            if stored_too.empty:
                _refuse_nothing_stored(expected, row, split)
            yield _compared(stored_too, _whose(row, split), split, expected)


def _compared(part: DataFrame, of: str, split: str, expected: ExpectedConfig) -> Check:
    if not part["ok"].all():
        failed = part[~part["ok"]].iloc[0]
        return Check("against", of, False, f"{_place(failed)} {failed['status']}")
    now, before = (
        part[f"{split}_rmse{suffix}"].astype(float).clip(lower=TINY).map(np.log)
        for suffix in ("", "_stored")
    )
    factors = (now - before).groupby(part["size"]).mean().sort_values().map(np.exp)
    size, factor, kind = factors.index[-1], float(factors.iloc[-1]), KINDS[part["model"].iloc[0]]
    detail = (
        f"{factor:.3g} times {expected.against} at {kind.symbol} = {size}, the worst of"
        f" {counted(len(factors), kind.size)}"
    )
    return _limited(of, factor, detail, expected.factor)
