"""What Example 8 says of its matrix, checked: the best sizes, and what more data bring."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from pandas import DataFrame

from kansweep import cells as law
from kansweep import kinds


def best_sizes(results: DataFrame, rules: law.Rules = law.DEFAULT) -> DataFrame:
    """The grid size, or width, of least test RMSE for each curve, whether it counts or not.

    One row a curve: CURVE, `size`, `test_rmse` and `reason`, why it does not count or ''.
    """
    cells = law.classify(results, rules).dropna(subset=["test_rmse"])
    best = cells.sort_values("test_rmse").drop_duplicates(law.CURVE).sort_values(law.CURVE)
    return best[[*law.CELL, "test_rmse", "reason"]].reset_index(drop=True)


def check(results: DataFrame, rules: law.Rules = law.DEFAULT) -> DataFrame:
    """What Example 8 says of the test RMSE, checked: one row a (data, model, k, observation).

    `more data does no harm`: from one data size to the next no grid's error grows by more than a
    factor of `rules.harm`, beyond the 95% interval over seeds, which share their points and their
    test set. `larger grids gain more from data`, of MLPs `wider networks …`: the factor between
    the least and the most data grows with the size. `holds`, `of` how many comparisons, and
    `detail` in words.
    """
    rows = law.checked(results)
    rows = rows[rows["ok"]]
    found = []
    whose = ["data", "model", "k"]
    for key, part in rows.groupby(whose, dropna=False):
        kind = kinds.of(part)
        logs = part.assign(log=np.log(part["test_rmse"].clip(lower=law.TINY))).pivot(
            index=["size", "seed"], columns="n_train", values="log"
        )
        if logs.shape[1] < 2:
            continue
        for name, examine in (
            ("more data does no harm", _no_harm),
            (f"{kind.larger} gain more from data", _gains),
        ):
            told = {**dict(zip(whose, key, strict=True)), "observation": name}
            found.append({**told, **examine(logs, kind.symbol, rules)})
    return DataFrame(found, columns=[*whose, "observation", "holds", "of", "detail"])


def _no_harm(logs: DataFrame, symbol: str, rules: law.Rules) -> dict[str, Any]:
    harmed, count = [], 0
    for fewer, more in itertools.pairwise(logs.columns):
        grown = (logs[more] - logs[fewer]).dropna().groupby("size")
        low = grown.mean() - law.half_width(grown.std(), grown.size()).fillna(
            0.0
        )  # one seed: as is
        count += len(low)
        for size in low.index[low > np.log(rules.harm)]:
            factor = np.exp(grown.mean()[size])
            harmed.append(f"{symbol} = {size}, n = {fewer} to {more}: {factor:.2g} times the error")
    return {"holds": not harmed, "of": count, "detail": "; ".join(harmed)}


def _gains(logs: DataFrame, symbol: str, rules: law.Rules) -> dict[str, Any]:
    least, most = logs.columns[0], logs.columns[-1]
    gain = (logs[least] - logs[most]).dropna().groupby("size").mean()
    factors = [f"{np.exp(log):.2g} times at {symbol} = {size}" for size, log in gain.items()]
    holds = bool(gain.is_monotonic_increasing and len(gain) > 1)
    told = f"n = {least} to {most}: {', '.join(factors)}"
    return {"holds": holds, "of": len(gain), "detail": told}
