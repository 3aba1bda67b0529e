"""The best size for each data size, and the laws along these: where more parameters stop to help.

Beyond some size the error of penalised splines levels off, and which is least there is chance. The
best size of a seed is therefore the smallest whose test RMSE is within 10% of the seed's least
(``Rules.harm``). It says something of the data only where the list of sizes goes on beyond it on
both sides: where for a quarter of the seeds or more it is the largest or the smallest size tried,
the data size is at the edge of the list and enters no law.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame
from scipy import stats

from kansweep.laws import costs
from kansweep.laws.cells import DEFAULT, WHOSE, Rules, half_width
from kansweep.laws.verdicts import CONFIDENCE, TINY

Array = NDArray[np.float64]
BEST_COLUMNS = [
    *(*WHOSE, "n_train", "size", "n_params", "rmse", "seconds"),
    *("per_point", "per_point_low", "per_point_high", "n_seeds", "edge"),
]
LAW_COLUMNS = [*WHOSE, "of", "x", "exponent", "ci_low", "ci_high", "n_points", "n_seeds"]
LAWS = (  # of what, against what
    ("n_params", "n_train"),
    ("rmse", "n_train"),
    ("rmse", "cost"),
    ("rmse", "seconds"),
)
COSTS = ("cost", "seconds")  # parameters x points, and time
_AT_EDGE = 0.25  # of the seeds, for a data size to be at the edge
_LEAST = 3  # data sizes and sizes, for there to be a frontier


@dataclass(frozen=True, eq=False)
class Frontier:
    """Of one or several targets, kinds and orders; empty where there are fewer than three data
    sizes or three sizes.

    ``best``: for each data size geometric means over the seeds of the best size and of what it has,
    `per_point` being P/n with its 95% interval, and `edge`, '' or the `largest` or `smallest` that
    it is for many a seed. ``laws``: exponents along the best sizes inside the list, against data
    size, `cost`, which is parameters times points, and seconds. ``costs``: every cell's geometric
    means, with `envelope_cost` and `envelope_seconds` where none of less cost or time is better.
    """

    best: DataFrame
    laws: DataFrame
    costs: DataFrame


def frontier(ended: DataFrame, rules: Rules = DEFAULT) -> Frontier:
    """Of the rows of sound cells, as ``cells.checked`` gives them."""
    best, laws, of_cells = [], [], []
    for key, rows in ended[ended["ok"]].groupby(WHOSE, dropna=False):
        if rows[["n_train", "size"]].nunique().min() < _LEAST:
            continue
        whose = dict(zip(WHOSE, key, strict=True))
        rows = _with_costs(rows)
        of_seeds = _of_seeds(rows, rules)
        of_data = [_best(part) for _, part in of_seeds.groupby("n_train")]
        inside = [row["n_train"] for row in of_data if not row["edge"]]
        best += [whose | row for row in of_data]
        laws += [whose | law for law in _laws(of_seeds[of_seeds["n_train"].isin(inside)], rules)]
        of_cells += [whose | row for row in _costs(rows).to_dict("records")]
    columns = [*WHOSE, "n_train", "size", "rmse", *COSTS, *(f"envelope_{of}" for of in COSTS)]
    return Frontier(
        DataFrame(best, columns=BEST_COLUMNS),
        DataFrame(laws, columns=LAW_COLUMNS),
        DataFrame(of_cells, columns=columns),
    )


def _with_costs(rows: DataFrame) -> DataFrame:
    """With `rmse`, `cost` and the `seconds` to get there."""
    rows = rows.sort_values("size", ignore_index=True)
    rows = rows.assign(rmse=rows["test_rmse"].astype(float).clip(lower=TINY))
    cost = rows["n_params"].astype(float) * rows["n_train"]
    return rows.assign(cost=cost, seconds=costs.to_get_there(rows))


def _of_seeds(rows: DataFrame, rules: Rules) -> DataFrame:
    """The best size of every data size and seed, with `edge`."""
    chains = rows.groupby(["n_train", "seed"])
    least = chains["rmse"].transform("min")
    best = rows[rows["rmse"] <= rules.harm * least].drop_duplicates(["n_train", "seed"])
    ends = rows.groupby("n_train")["size"].agg(["min", "max"]).loc[best["n_train"]]
    size = best["size"].to_numpy()
    at_end = [size == ends[end].to_numpy() for end in ("max", "min")]
    return best.assign(edge=np.select(at_end, ["largest", "smallest"], ""))


def _best(part: DataFrame) -> dict[str, Any]:
    """Of one data size."""
    names = ("size", "n_params", "rmse", "seconds")
    logs = part[[*names]].astype(float).map(np.log)
    row = {"n_train": part["n_train"].iloc[0], **np.exp(logs.mean()).to_dict()}
    share = logs["n_params"] - np.log(row["n_train"])
    half = half_width(share.std(), len(part)) if len(part) > 1 else np.nan
    for column, log in {"": 0.0, "_low": -half, "_high": half}.items():
        row[f"per_point{column}"] = float(np.exp(share.mean() + log))
    edges = part.loc[part["edge"] != "", "edge"]
    edge = edges.mode()[0] if len(edges) >= _AT_EDGE * len(part) else ""
    return row | {"n_seeds": len(part), "edge": edge}


def _laws(of_seeds: DataFrame, rules: Rules) -> list[dict[str, Any]]:
    """Slopes in log-log along the best sizes, seed by seed; of seeds that have every data size."""
    numbers = sorted(set(of_seeds["n_train"]))
    if not rules.long_enough(numbers):
        return []
    logs = {
        name: of_seeds.pivot(index="seed", columns="n_train", values=name).astype(float).map(np.log)
        for name in ("n_params", "rmse", *COSTS)
    }
    whole = logs["rmse"].dropna().index
    logs["n_train"] = logs["rmse"] * 0.0 + np.log(numbers)
    laws = []
    for of, x in LAWS:
        pair = (logs[x].loc[whole].to_numpy(), logs[of].loc[whole].to_numpy())
        if len(whole) and np.isfinite(pair).all() and np.ptp(pair[0], axis=1).min() > 0:
            slope, half = _slope(*pair)
            law = {"of": of, "x": x, "exponent": slope}
            law |= {"ci_low": slope - half, "ci_high": slope + half}
            laws.append(law | {"n_points": len(numbers), "n_seeds": len(whole)})
    return laws


def _slope(x: Array, y: Array) -> tuple[float, float]:
    """Mean slope of seeds (seeds, points) and half its 95% interval, of one seed by residuals."""
    x, y = (each - each.mean(axis=1, keepdims=True) for each in (x, y))
    square = (x**2).sum(axis=1)
    slopes = (x * y).sum(axis=1) / square
    if len(slopes) > 1:
        return float(slopes.mean()), float(half_width(slopes.std(ddof=1), len(slopes)))
    freedom = x.shape[1] - 2
    left = float(((y - slopes[:, None] * x) ** 2).sum()) / freedom
    half = stats.t.ppf(0.5 + CONFIDENCE / 2, freedom) * np.sqrt(left / square[0])
    return float(slopes[0]), float(half)


def _costs(rows: DataFrame) -> DataFrame:
    """Every cell's geometric means, and whether it is on the lower envelopes."""
    names = ["rmse", *COSTS]
    logs = rows[names].astype(float).map(np.log)
    logs = logs.groupby([rows["n_train"], rows["size"]]).mean()
    cells = logs.map(np.exp).reset_index()
    for name in COSTS:
        by_cost = cells.sort_values([name, "rmse"])["rmse"]
        cells[f"envelope_{name}"] = by_cost < by_cost.cummin().shift(fill_value=np.inf)
    return cells
