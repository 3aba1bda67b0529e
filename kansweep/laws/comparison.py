"""Sweeps of one target beside each other: exponents and errors of each against the first's, paired
by seed.

Sweeps of one target share the points of a seed, so that what varies from seed to seed is much the
same for both and a pair's difference varies less than either. The intervals are Student's t over
the seeds that both have. Kinds without a theory are compared like any other.

The first is the first that is named: chosen before anything is seen, where the best of several is
chosen by the errors that it is then compared by, and that flatters it. Every other one is compared
with it and with no other. What is tested is the difference of exponents at the most points that
both have; its p are adjusted over all such tests of one split (Holm 1979), whatever target they are
of and however they depend. All else is described, each interval by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame
from scipy import stats

from kansweep.laws import costs, verdicts
from kansweep.laws.beside import Side, at_costs, at_sizes, paired
from kansweep.laws.cells import AXES, DEFAULT, SPLITS, Curve, Rules
from kansweep.laws.notation import listed

EXPONENT = "exponent"
COMPARED = [
    *("first", "second", "n_train", "split", "x", "quantity", "symbol", "at"),
    *("estimate", "low", "high", "n_seeds", "sizes", "note"),
    *("target", "p", "p_holm", "n_tests", "first_low", "first_high", "second_low", "second_high"),
]


def compare(ended: DataFrame, curves: Sequence[Curve], x: str, rules: Rules = DEFAULT) -> DataFrame:
    """Every sweep beside the first of its target, of rows as ``cells.checked`` gives them, with the
    sweep in `data` and the target in `target`, and their curves; empty where no two share a target.

    One row a data size, split and `quantity`. For `exponent` the `estimate` is the second's less
    the first's, fitted over the `sizes` that both laws rest on or, where these are of different
    kinds, each over its own range of `x`, from `first_low` to `first_high` and likewise the
    second's. `p` is that of the paired t test and, at the most points that a pair shares, `p_holm`
    the one adjusted over the `n_tests` of the split. For `rmse` the `estimate` is the second's over
    the first's `at` a size that both have, and at equal numbers of parameters (`P`) and seconds to
    get there (`s`), at both ends and in the middle of the range that both have. `low` and `high`
    are the 95% interval, null for one seed; `note` says why there is no estimate.
    """
    timed = ended.assign(seconds=costs.to_get_there(ended))
    rows: list[dict[str, Any]] = []
    for target, sweeps in _by_target(timed).items():
        first, *others = sweeps
        for second in others:
            whose = {"first": first, "second": second, "target": target, "x": x}
            pair = sweeps[first], sweeps[second]
            rows += [whose | row for row in _compared(pair, curves, x, rules)]
    return _tested(DataFrame(rows, columns=COMPARED).astype({"n_train": "Int64"}))


def shared(ended: DataFrame) -> DataFrame:
    """Sweeps that can stand beside each other, a row a sweep: `data`, `target` and the `n_train`
    that is the most points that all of these have.

    Of each target those whose points are the first's, where there are two or more.
    """
    rows: list[dict[str, Any]] = []
    for target, sweeps in _by_target(ended).items():
        first = next(iter(sweeps.values()))
        alike = {name: part for name, part in sweeps.items() if not _apart(first, part)}
        common = set.intersection(*(set(part["n_train"]) for part in alike.values()))
        if len(alike) > 1 and common:
            rows += [{"data": n, "target": target, "n_train": max(common)} for n in alike]
    return DataFrame(rows, columns=["data", "target", "n_train"])


def _by_target(ended: DataFrame) -> dict[str, dict[str, DataFrame]]:
    """The rows of every sweep of every target, both in the order in which they are named."""
    sweeps: dict[str, dict[str, DataFrame]] = {}
    targets = ended["target"] if "target" in ended else ended["data"]
    for (target, name), rows in ended.groupby([targets, ended["data"]], sort=False):
        sweeps.setdefault(str(target), {})[str(name)] = rows
    return sweeps


def _compared(
    pair: tuple[DataFrame, DataFrame], curves: Sequence[Curve], x: str, rules: Rules
) -> Iterator[dict[str, Any]]:
    numbers = [sorted(set(rows["n_train"])) for rows in pair]
    common = sorted(set(numbers[0]) & set(numbers[1]))
    hindrance = _apart(*pair)
    if not hindrance and not common:
        given = ", and ".join(map(listed, numbers))
        hindrance = f"they share no number of training points: {given}"
    for split in SPLITS if hindrance else ():
        yield {"split": split, "quantity": EXPONENT, "note": hindrance, "n_seeds": 0, "sizes": []}
    for n_train in () if hindrance else common:
        sides = _side(pair[0], curves, n_train), _side(pair[1], curves, n_train)
        for split in SPLITS:
            of = {"n_train": n_train, "split": split}
            found = [_exponents(sides, split, x, rules)]
            found += [*at_sizes(sides, split), *at_costs(sides, split)]
            yield from (of | row for row in found)


def _side(rows: DataFrame, curves: Sequence[Curve], n_train: int) -> Side:
    name = rows["data"].iloc[0]
    (curve,) = (each for each in curves if each.data == name and each.n_train == n_train)
    return Side(curve, rows[rows["n_train"] == n_train])


def _apart(first: DataFrame, second: DataFrame) -> str:
    """Why errors at the test points of two sweeps cannot be held against each other."""
    settings, others = (_points(rows) for rows in (first, second))
    differ = [
        f"`{name}` is {settings.get(name, 'unset')} and {others.get(name, 'unset')}"
        for name in dict.fromkeys([*settings, *others])
        if settings.get(name) != others.get(name)
    ]
    return f"their points are not the same: {listed(differ)}" if differ else ""


def _points(rows: DataFrame) -> dict[str, Any]:
    """The settings that decide what the points are of, as far as they are known."""
    known: dict[str, Any] = json.loads(rows["points"].iloc[0]) if "points" in rows else {}
    return known


def _exponents(pair: tuple[Side, Side], split: str, x: str, rules: Rules) -> dict[str, Any]:
    curves = [side.curve for side in pair]
    errors = [side.errors(split) for side in pair]
    alike = curves[0].kind.axis == curves[1].kind.axis
    if alike:  # sizes mean the same
        common = errors[0].columns.intersection(errors[1].columns)
        errors = [each[common] for each in errors]
    seeds = errors[0].index.intersection(errors[1].index)
    sizes: list[Any] = list(errors[0].columns)
    note = _hindrance(curves, sizes, len(seeds), rules)
    row: dict[str, Any] = {"quantity": EXPONENT, "sizes": sizes if alike else [], "note": note}
    if note:
        return row | {"n_seeds": len(seeds)}
    along = [_along(curve, each, x) for curve, each in zip(curves, errors, strict=True)]
    for name, values in zip(("first", "second"), along, strict=True):
        row |= {f"{name}_low": float(values.min()), f"{name}_high": float(values.max())}
    slopes = [
        verdicts.fit(values, each.loc[seeds].to_numpy(float)[:, None, :]).slope  # of each seed
        for values, each in zip(along, errors, strict=True)
    ]
    return row | paired(slopes[1] - slopes[0]) | {"p": _p(slopes[1] - slopes[0])}


def _hindrance(curves: Sequence[Curve], sizes: Sequence[int], seeds: int, rules: Rules) -> str:
    """Why exponents cannot be compared, '' where they can."""
    without = [curve.data for curve in curves if not curve.fitted]
    if without:
        return f"no law of {' nor of '.join(without)}"
    if not rules.long_enough(sizes):
        return "the laws share too few sizes"
    return "" if seeds else "the laws share no seed"


def _along(curve: Curve, errors: DataFrame, x: str) -> NDArray[np.float64]:
    """What the sizes of these errors are on the axis of a law."""
    cells = curve.cells.set_index("size", drop=False)
    return cells.loc[errors.columns, AXES[x]].to_numpy(float)


def _p(differences: NDArray[np.float64]) -> float:
    """Of the two-sided t test that they are 0 in the mean, NaN for one."""
    count, mean = len(differences), abs(float(np.mean(differences)))
    if count < 2:
        return np.nan
    error = float(np.std(differences, ddof=1)) / np.sqrt(count)
    return float(2 * stats.t.sf(mean / error, count - 1)) if error > 0 else float(mean == 0)


def _tested(compared: DataFrame) -> DataFrame:
    """With the p of each split's tests adjusted together, those at the most points of each pair."""
    asked = compared[compared["p"].notna()]
    most = asked.groupby(["first", "second", "split"])["n_train"].transform("max")
    for _, family in asked[asked["n_train"] == most].groupby("split"):
        compared.loc[family.index, "p_holm"] = holm(family["p"].to_numpy(float))
        compared.loc[family.index, "n_tests"] = len(family)
    return compared


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """The p of several tests (m,), adjusted so that one of them falsely below 5% is as rare as 5%,
    however they depend: step-down Bonferroni (Holm, Scandinavian Journal of Statistics 6, 1979)."""
    order = np.argsort(p)
    steps = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
