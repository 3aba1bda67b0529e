"""Two sweeps beside each other: their exponents and their errors, paired by seed.

Sweeps of one target share the points of a seed, so that what varies from seed to seed is much the
same for both and a pair's difference varies less than either. The intervals are Student's t over
the seeds that both have. Kinds without a theory are compared like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame

from kansweep.laws import verdicts
from kansweep.laws.cells import AXES, DEFAULT, SPLITS, Curve, Rules, half_width
from kansweep.laws.verdicts import TINY

EXPONENT, RMSE = "exponent", "rmse"
COMPARED = [
    *("first", "second", "n_train", "split", "x", "quantity", "symbol", "at"),
    *("estimate", "low", "high", "n_seeds", "sizes", "note"),
]


def compare(ended: DataFrame, curves: Sequence[Curve], x: str, rules: Rules = DEFAULT) -> DataFrame:
    """The second sweep beside the first, of rows as ``cells.checked`` gives them and their curves;
    empty unless there are two.

    One row a data size, split and `quantity`: for `exponent` the `estimate` is the second's less
    the first's, fitted over the `sizes` that both laws rest on or, where these are of different
    kinds, each over its own range of parameters; for `rmse` it is the second's over the first's
    `at` a size that both have, or by the fitted laws at both ends of the parameters that both have.
    `low` and `high` are the 95% interval, null for one seed; `note` says why there is no estimate.
    """
    names = list(dict.fromkeys(ended["data"]))
    rows: list[dict[str, Any]] = []
    if len(names) == 2:
        first, second = (
            {curve.n_train: curve for curve in curves if curve.data == name} for name in names
        )
        for n_train in sorted(first.keys() & second.keys()):
            pair = first[n_train], second[n_train]
            of_pair = ended[ended["n_train"] == n_train]
            for split in SPLITS:
                whose = dict(zip(COMPARED, (*names, n_train, split, x), strict=False))
                rows += [whose | row for row in _compared(pair, of_pair, split, x, rules)]
    return DataFrame(rows, columns=COMPARED)


def _compared(
    pair: tuple[Curve, Curve], ended: DataFrame, split: str, x: str, rules: Rules
) -> Iterator[dict[str, Any]]:
    alike = pair[0].kind.axis == pair[1].kind.axis
    errors = [curve.errors[split][curve.whole] for curve in pair]
    if alike:  # sizes mean the same
        common = errors[0].columns.intersection(errors[1].columns)
        errors = [each[common] for each in errors]
    seeds = errors[0].index.intersection(errors[1].index)
    sizes: list[Any] = list(errors[0].columns)
    note = _hindrance(pair, sizes, len(seeds), rules)
    exponent = {"quantity": EXPONENT, "sizes": sizes if alike else [], "note": note}
    if note:
        yield exponent | {"n_seeds": len(seeds)}
    else:
        laws = [_laws(curve, each.loc[seeds], x) for curve, each in zip(pair, errors, strict=True)]
        yield exponent | _paired(laws[1].slope - laws[0].slope)
        if not alike:
            yield from _at_parameters(pair, laws)
    if alike:
        yield from _at_sizes(pair, ended, split)


def _hindrance(pair: tuple[Curve, Curve], sizes: Sequence[int], seeds: int, rules: Rules) -> str:
    """Why exponents cannot be compared, '' where they can."""
    without = [curve.data for curve in pair if not curve.fitted]
    if without:
        return f"no law of {' nor of '.join(without)}"
    if not rules.long_enough(sizes):
        return "the laws share too few sizes"
    return "" if seeds else "the laws share no seed"


def _laws(curve: Curve, errors: DataFrame, x: str) -> verdicts.Fit:
    """The law of each seed, over the sizes of these errors."""
    along = curve.cells.set_index("size", drop=False).loc[list(errors), AXES[x]]
    return verdicts.fit(along, errors.to_numpy(float)[:, None, :])


def _paired(differences: NDArray[np.float64]) -> dict[str, Any]:
    """The mean of the seeds' differences with its interval."""
    count, mean = len(differences), float(np.mean(differences))
    half = half_width(np.std(differences, ddof=1), count) if count > 1 else np.nan
    return {"estimate": mean, "low": mean - half, "high": mean + half, "n_seeds": count}


def _ratio(logs: NDArray[np.float64], symbol: str, at: float) -> dict[str, Any]:
    paired = _paired(logs)
    ratio = {name: float(np.exp(paired[name])) for name in ("estimate", "low", "high")}
    return {"quantity": RMSE, "symbol": symbol, "at": at, **paired, **ratio, "note": ""}


def _at_sizes(pair: tuple[Curve, Curve], ended: DataFrame, split: str) -> Iterator[dict[str, Any]]:
    """Errors at every size that ended ok in both for some seed, whether it counts or not."""
    sound = ended[ended["ok"]]
    logs = [
        sound[sound["data"] == curve.data]
        .pivot(index="size", columns="seed", values=f"{split}_rmse")
        .clip(lower=TINY)
        .map(np.log)
        for curve in pair
    ]
    differences = (logs[1] - logs[0]).dropna(how="all")
    for size, row in differences.iterrows():
        yield _ratio(row.dropna().to_numpy(float), pair[0].kind.symbol, float(str(size)))


def _at_parameters(
    pair: tuple[Curve, Curve], laws: Sequence[verdicts.Fit]
) -> Iterator[dict[str, Any]]:
    """The fitted laws at both ends of the parameters that both rest on."""
    used = [curve.cells.loc[curve.cells["used"], "n_params"] for curve in pair]
    low, high = max(each.min() for each in used), min(each.max() for each in used)
    for at in (low, high) if low < high else ():
        logs = [law.intercept + law.slope * np.log(at) for law in laws]
        yield _ratio(logs[1] - logs[0], "P", float(at))
