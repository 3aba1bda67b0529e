"""What Example 8 says of its matrix, checked: the best sizes, and what more data bring."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from pandas import DataFrame, Series

from kansweep import kinds
from kansweep.laws.cells import CELL, CURVE, DEFAULT, WHOSE, Rules, half_width
from kansweep.laws.notation import listed
from kansweep.laws.verdicts import TINY

HOLDS, FAILS, OPEN = "holds", "does not hold", "is not decided"
OBSERVED = [*WHOSE, "observation", "verdict", "of", "n_seeds", "detail"]


def best_sizes(cells: DataFrame, split: str = "test") -> DataFrame:
    """The size of least mean RMSE for each curve of classified cells, whether it counts or not.

    One row a curve: CURVE, `size`, the RMSE of the split and `reason`, why it does not count or ''.
    """
    rmse = f"{split}_rmse"
    best = cells.dropna(subset=[rmse]).sort_values(rmse).drop_duplicates(CURVE)
    return best.sort_values(CURVE)[[*CELL, rmse, "reason"]].reset_index(drop=True)


def observed(ended: DataFrame, rules: Rules = DEFAULT) -> DataFrame:
    """What Example 8 says of the test RMSE, checked: one row a (data, model, k, observation).

    The rows are as ``cells.checked`` gives them. `more data does no harm`: from one data size to
    the next no size's error grows by more than a factor of `rules.harm`. `larger grids gain more
    from data`, or what the kind calls larger: from one size to the next the factor between the
    errors at the least and at the most data does not shrink by more than that. Each is a number of
    comparisons, `of`, seed by seed, since a seed's points and test set are the same in both. The
    `verdict` is that it holds where the 95% interval of every one ends below the factor, that it
    does not where one begins beyond it, and open otherwise: that nothing is shown is no support.
    `n_seeds` is the least number of seeds compared; one has no interval and is taken as it is.
    """
    observations = []
    for key, part in ended[ended["ok"]].groupby(WHOSE, dropna=False):
        kind = kinds.of(part)
        logs = part.assign(log=np.log(part["test_rmse"].clip(lower=TINY))).pivot(
            index="seed", columns=["size", "n_train"], values="log"
        )
        for name, examine in (
            ("more data does no harm", _no_harm),
            (f"{kind.larger} gain more from data", _gains),
        ):
            whose = {**dict(zip(WHOSE, key, strict=True)), "observation": name}
            observations += [{**whose, **found} for found in examine(logs, kind.symbol, rules)]
    return DataFrame(observations, columns=OBSERVED)


def _no_harm(logs: DataFrame, symbol: str, rules: Rules) -> Iterator[dict[str, Any]]:
    numbers = sorted(set(logs.columns.get_level_values("n_train")))
    grown = {
        f"{symbol} = {size}, n = {fewer} to {more}": of_size[more] - of_size[fewer]
        for fewer, more in itertools.pairwise(numbers)
        for size, of_size in _by_size(logs)
        if {fewer, more} <= set(of_size)
    }
    compared = _over_seeds(grown)
    if len(compared):
        verdict = _verdict(compared, rules)
        end = "high" if verdict == OPEN else "low"
        beyond = compared[compared[end] > np.log(rules.harm)]
        detail = "; ".join(f"{at}: {_factor(row)} the error" for at, row in beyond.iterrows())
        yield _found(verdict, compared, detail)


def _gains(logs: DataFrame, symbol: str, rules: Rules) -> Iterator[dict[str, Any]]:
    numbers = logs.columns.get_level_values("n_train")
    least, most = numbers.min(), numbers.max()
    gains = {
        size: of_size[least] - of_size[most]
        for size, of_size in _by_size(logs)
        if {least, most} <= set(of_size) and least < most
    }
    compared = _over_seeds(
        {more: gains[fewer] - gains[more] for fewer, more in itertools.pairwise(gains)}
    )
    if len(compared):
        factors = [
            f"{_factor(row)} at {symbol} = {size}" for size, row in _over_seeds(gains).iterrows()
        ]
        detail = f"n = {least} to {most}: {listed(factors)}"
        yield _found(_verdict(compared, rules), compared, detail)


def _by_size(logs: DataFrame) -> Iterator[tuple[Any, DataFrame]]:
    """Seeds by numbers of points, for each size."""
    for size in sorted(set(logs.columns.get_level_values("size"))):
        yield size, logs[size]


def _over_seeds(logs: Mapping[Any, Series]) -> DataFrame:
    """Of each, a number a seed: `mean`, `low` and `high` of its 95% Student-t interval, `seeds`."""
    table = DataFrame(logs)
    mean, seeds = table.mean(), table.count()
    half = half_width(table.std(), seeds).fillna(0.0)
    return DataFrame(
        {"mean": mean, "low": mean - half, "high": mean + half, "seeds": seeds}
    ).dropna()


def _verdict(raised: DataFrame, rules: Rules) -> str:
    """On the logs of factors that are to be no larger than the rule's."""
    most = np.log(rules.harm)
    if (raised["low"] > most).any():
        return FAILS
    return HOLDS if (raised["high"] <= most).all() else OPEN


def _found(verdict: str, compared: DataFrame, detail: str) -> dict[str, Any]:
    n_seeds = int(compared["seeds"].min())
    return {"verdict": verdict, "of": len(compared), "n_seeds": n_seeds, "detail": detail}


def _factor(row: Series) -> str:
    middle, low, high = (f"{np.exp(row[name]):.3g}" for name in ("mean", "low", "high"))
    return f"{middle}{f' [{low}, {high}]' if row['seeds'] > 1 else ''} times"
