"""What Example 8 says of its matrix, checked: the best sizes, and what more data bring."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from pandas import DataFrame

from kansweep import kinds
from kansweep.laws.cells import CELL, CURVE, DEFAULT, WHOSE, Rules, half_width
from kansweep.laws.verdicts import TINY


def best_sizes(cells: DataFrame, split: str = "test") -> DataFrame:
    """The size of least RMSE for each curve of classified cells, whether it counts or not.

    One row a curve: CURVE, `size`, the RMSE of the split and `reason`, why it does not count or ''.
    """
    rmse = f"{split}_rmse"
    best = cells.dropna(subset=[rmse]).sort_values(rmse).drop_duplicates(CURVE)
    return best.sort_values(CURVE)[[*CELL, rmse, "reason"]].reset_index(drop=True)


def observed(ended: DataFrame, rules: Rules = DEFAULT) -> DataFrame:
    """What Example 8 says of the test RMSE, checked: one row a (data, model, k, observation).

    The rows are as ``cells.checked`` gives them. `more data does no harm`: from one data size to
    the next no size's error grows by more than a factor of `rules.harm`, beyond the 95% interval
    over seeds, which share their points and their test set. `larger grids gain more from data`, or
    what the kind calls larger: the factor between the least and the most data grows with the size.
    `holds`, `of` how many comparisons, and `detail` in words.
    """
    observations = []
    for key, part in ended[ended["ok"]].groupby(WHOSE, dropna=False):
        kind = kinds.of(part)
        logs = part.assign(log=np.log(part["test_rmse"].clip(lower=TINY))).pivot(
            index=["size", "seed"], columns="n_train", values="log"
        )
        if logs.shape[1] < 2:
            continue
        for name, examine in (
            ("more data does no harm", _no_harm),
            (f"{kind.larger} gain more from data", _gains),
        ):
            whose = {**dict(zip(WHOSE, key, strict=True)), "observation": name}
            observations.append({**whose, **examine(logs, kind.symbol, rules)})
    return DataFrame(observations, columns=[*WHOSE, "observation", "holds", "of", "detail"])


def _no_harm(logs: DataFrame, symbol: str, rules: Rules) -> dict[str, Any]:
    harmed, count = [], 0
    for fewer, more in itertools.pairwise(logs.columns):
        grown = (logs[more] - logs[fewer]).dropna().groupby("size")
        spread = half_width(grown.std(), grown.size()).fillna(0.0)  # one seed: as is
        low = grown.mean() - spread
        count += len(low)
        for size in low.index[low > np.log(rules.harm)]:
            factor = np.exp(grown.mean()[size])
            harmed.append(f"{symbol} = {size}, n = {fewer} to {more}: {factor:.2g} times the error")
    return {"holds": not harmed, "of": count, "detail": "; ".join(harmed)}


def _gains(logs: DataFrame, symbol: str, rules: Rules) -> dict[str, Any]:
    least, most = logs.columns[0], logs.columns[-1]
    gain = (logs[least] - logs[most]).dropna().groupby("size").mean()
    factors = [f"{np.exp(log):.2g} times at {symbol} = {size}" for size, log in gain.items()]
    holds = bool(gain.is_monotonic_increasing and len(gain) > 1)
    detail = f"n = {least} to {most}: {', '.join(factors)}"
    return {"holds": holds, "of": len(gain), "detail": detail}
