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
from kansweep.laws.verdicts import CONFIDENCE, TINY

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

    The rows are as ``cells.checked`` gives them, and seeds are compared with themselves, whose
    points and test set are shared. `more data does no harm`: from one data size to the next no
    size's error grows by more than a factor of `rules.harm`. The `verdict` is by equivalence, as on
    laws: it holds where the 90% interval over seeds of every comparison stays within the factor, it
    does not where the 95% interval of one is beyond, and is not decided otherwise, for that nothing
    is shown is no support. `larger grids gain more from data`, or what the kind calls larger: the
    factor by which an error falls from the least to the most data grows with the size. It holds
    where the slope of its log against that of the size is positive by the 95% interval, and not
    where the slope is negative by it or the factor shrinks, from one size to the next, by more than
    `rules.harm`, by it too. `of` is the number of comparisons, `n_seeds` the least number
    of seeds in them; one has no interval and is taken as it is. `detail` is in words.
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
    compared, most = _over_seeds(grown), np.log(rules.harm)
    if len(compared):
        beyond, verdict = compared[compared["low"] > most], FAILS
        if beyond.empty:
            beyond = compared[compared["most"] > most]
            verdict = HOLDS if beyond.empty else OPEN
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
    whole = DataFrame(gains).dropna()  # seeds by sizes
    if whole.shape[1] < 2 or whole.empty:
        return
    log_size = np.log(np.array(whole.columns, float))
    centred = log_size - log_size.mean()
    slopes = whole @ centred / (centred @ centred)
    falling = _over_seeds({"": -slopes}).iloc[0]
    shrunk = _over_seeds(
        {more: whole[fewer] - whole[more] for fewer, more in itertools.pairwise(whole)}
    )
    told = OPEN if falling["high"] >= 0 else HOLDS
    if falling["low"] > 0 or (shrunk["low"] > np.log(rules.harm)).any():
        told = FAILS
    factors = [
        f"{_factor(row)} at {symbol} = {size}" for size, row in _over_seeds(gains).iterrows()
    ]
    power = _interval(-falling[["mean", "high", "low"]], falling["seeds"])
    detail = f"the gain goes as {symbol}^{power}; n = {least} to {most}: {listed(factors)}"
    yield _found(told, shrunk, detail)


def _by_size(logs: DataFrame) -> Iterator[tuple[Any, DataFrame]]:
    """Seeds by numbers of points, for each size."""
    for size in sorted(set(logs.columns.get_level_values("size"))):
        yield size, logs[size]


def _over_seeds(logs: Mapping[Any, Series]) -> DataFrame:
    """Of each, a number a seed: `mean`, `low` and `high` of its 95% Student-t interval, `most` of
    that of 90%, and how many `seeds`."""
    table = DataFrame(logs)
    mean, seeds = table.mean(), table.count()
    half = half_width(table.std(), seeds).fillna(0.0)
    inner = half_width(table.std(), seeds, 2 * CONFIDENCE - 1).fillna(0.0)
    ends = {"low": mean - half, "high": mean + half, "most": mean + inner}
    return DataFrame({"mean": mean, **ends, "seeds": seeds}).dropna()


def _found(verdict: str, compared: DataFrame, detail: str) -> dict[str, Any]:
    n_seeds = int(compared["seeds"].min())
    return {"verdict": verdict, "of": len(compared), "n_seeds": n_seeds, "detail": detail}


def _factor(row: Series) -> str:
    return f"{_interval(np.exp(row[['mean', 'low', 'high']]), row['seeds'])} times"


def _interval(ends: Series, seeds: int) -> str:
    middle, low, high = ends
    return f"{middle:.3g}{f' [{low:.3g}, {high:.3g}]' if seeds > 1 else ''}"
