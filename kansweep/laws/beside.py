"""Errors of two sweeps beside each other: at equal sizes, numbers of parameters and seconds.

At an equal size cells are compared as they are, whether they count or not. At equal cost a seed's
error is interpolated in log-log between its own neighbouring cells, of those that its law rests on:
no straight law is asked to hold, and nothing is said beyond the range of costs that both have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame, Index

from kansweep.laws.cells import Curve, half_width
from kansweep.laws.notation import listed
from kansweep.laws.verdicts import TINY

RMSE = "rmse"
Array = NDArray[np.float64]
PARAMETERS, SECONDS = "P", "s"  # symbols of what errors are compared at, beside those of sizes
_COSTS = {PARAMETERS: ("n_params", "numbers of parameters"), SECONDS: ("seconds", "seconds")}
_MACHINES = ("host", "device")  # the seconds of one are not those of another


@dataclass(frozen=True, eq=False)
class Side:
    """One sweep at one data size: its curve, and its rows with `seconds` those to get there."""

    curve: Curve
    rows: DataFrame

    @cached_property
    def sound(self) -> DataFrame:
        sound: DataFrame = self.rows[self.rows["ok"]]
        return sound

    def errors(self, split: str) -> DataFrame:
        """Seeds by sizes of those that the law rests on or, where there is none, that count."""
        whole: DataFrame = self.curve.errors[split][self.curve.whole]
        return whole

    def logs(self, column: str) -> DataFrame:
        """Of a column of all sound cells, seeds by sizes."""
        values = self.sound.pivot(index="seed", columns="size", values=column).astype(float)
        return values.clip(lower=TINY).map(np.log)


def paired(differences: Array) -> dict[str, Any]:
    """The mean of the seeds' differences with its 95% interval."""
    count, mean = len(differences), float(np.mean(differences))
    half = half_width(np.std(differences, ddof=1), count) if count > 1 else np.nan
    return {"estimate": mean, "low": mean - half, "high": mean + half, "n_seeds": count}


def _ratio(logs: Array, symbol: str, at: float) -> dict[str, Any]:
    found = paired(logs)
    ratio = {name: float(np.exp(found[name])) for name in ("estimate", "low", "high")}
    return {"quantity": RMSE, "symbol": symbol, "at": at, **found, **ratio, "note": ""}


def at_sizes(pair: tuple[Side, Side], split: str) -> Iterator[dict[str, Any]]:
    """At every size that ended ok in both for some seed, where sizes mean the same."""
    kinds = [side.curve.kind for side in pair]
    if kinds[0].axis != kinds[1].axis:
        return
    logs = [side.logs(f"{split}_rmse") for side in pair]
    differences = (logs[1] - logs[0]).dropna(how="all")
    differences = differences.dropna(how="all", axis=1)
    for size, column in differences.items():
        yield _ratio(column.dropna().to_numpy(float), kinds[0].symbol, float(str(size)))


def at_costs(pair: tuple[Side, Side], split: str) -> Iterator[dict[str, Any]]:
    """At equal parameters, unless equal sizes are just that, and at equal seconds, where known."""
    errors = [side.errors(split).clip(lower=TINY).map(np.log) for side in pair]
    seeds = errors[0].index.intersection(errors[1].index)
    if not len(seeds) or min(each.shape[1] for each in errors) < 2:
        return
    for symbol in _COSTS:
        if symbol == PARAMETERS and _same_parameters(pair):
            continue
        yield from _at_cost(pair, errors, seeds, symbol)


def _same_parameters(pair: tuple[Side, Side]) -> bool:
    """Whether networks of equal size have equal numbers of parameters."""
    if pair[0].curve.kind.axis != pair[1].curve.kind.axis:
        return False
    first, second = (side.curve.cells.set_index("size")["n_params"] for side in pair)
    common = first.index.intersection(second.index)
    return bool((first[common] == second[common]).all())


def _at_cost(
    pair: tuple[Side, Side], errors: list[DataFrame], seeds: Index[Any], symbol: str
) -> Iterator[dict[str, Any]]:
    column, words = _COSTS[symbol]
    costs = [
        side.logs(column).reindex(index=seeds, columns=each.columns)
        for side, each in zip(pair, errors, strict=True)
    ]
    if any(each.isna().any(axis=None) for each in costs):
        return  # not known
    # Where every seed of both has cells on both sides.
    ranges = [(float(c.min(axis=1).max()), float(c.max(axis=1).min())) for c in costs]
    low, high = max(r[0] for r in ranges), min(r[1] for r in ranges)
    why = _elsewhere(pair) if symbol == SECONDS else ""
    if not why and low >= high:
        given = (f"{np.exp(least):.3g} to {np.exp(most):.3g}" for least, most in ranges)
        why = f"they have no {words} in common: {', and '.join(given)}"
    if why:
        yield {"quantity": RMSE, "symbol": symbol, "n_seeds": len(seeds), "note": why}
    for at in () if why else (low, (low + high) / 2, high):
        logs = [
            _interpolated(at, cost.to_numpy(float), error.loc[seeds].to_numpy(float))
            for cost, error in zip(costs, errors, strict=True)
        ]
        yield _ratio(logs[1] - logs[0], symbol, float(np.exp(at)))


def _elsewhere(pair: tuple[Side, Side]) -> str:
    """Why the seconds of two sweeps are not the same seconds."""
    for name in _MACHINES:
        if all(name in side.rows for side in pair):
            first, second = (listed(sorted(set(side.rows[name].dropna()))) for side in pair)
            if first != second:
                return f"they were trained on different {name}s: {first}, and {second}"
    return ""


def _interpolated(at: float, costs: Array, errors: Array) -> Array:
    """Log errors (seeds,) of cells (seeds, sizes) at a log cost, seed by seed."""
    order = np.argsort(costs, axis=1)
    costs, errors = (np.take_along_axis(each, order, axis=1) for each in (costs, errors))
    pairs = zip(costs, errors, strict=True)
    return np.array([np.interp(at, of_seed, error) for of_seed, error in pairs])
