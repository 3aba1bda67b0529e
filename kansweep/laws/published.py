"""Errors beside those of a published table: results and the table in, a table out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame, Series

from kansweep.data.published import errors as published_errors
from kansweep.kinds import KINDS
from kansweep.laws import cells

COLUMNS = [
    *("table", "data", "formula", "model", "shape", "size", "n_train", "n_params", "n_seeds"),
    *("rmse", "worst", "network", "shape_rmse", "kan_rmse", "mlp_rmse"),
    *("over_shape", "over_kan", "over_mlp", "doubt", "sweep"),
]
"""Of ``beside``. ``rmse`` and ``worst`` are ours, median and largest over the seeds, and ``over_*``
its ratio to what was published: for a KAN of this ``shape`` (what the table calls ``network``), for
the best KAN of any shape and for the MLP. NaN and "" where nothing was. ``sweep`` is the name of
the sweep where there are several."""
SUMMARY_COLUMNS = [
    *("table", "n_functions", "n_published"),
    *("below_kan", "median_kan", "below_mlp", "median_mlp"),
]
_MLP = "mlp"  # the published network that is no KAN


def beside(results: DataFrame, published: DataFrame) -> DataFrame:
    """A row, with ``COLUMNS``, for each function of the table, network and sweep in ``results``, of
    its most training points and of the size with the least median test RMSE over the seeds: so the
    published ones were chosen. Sizes of which a cell failed do not count, nor sweeps of which
    another has every cell.
    """
    if "target" in results:  # several sweeps have their own names in ``data``
        results = results.assign(sweep=results["data"], data=results["target"])
    else:
        results = results.assign(sweep="")
    known = results[results["data"].isin(set(published["data"]))]
    if known.empty:
        return DataFrame(columns=COLUMNS)
    known = cells.complete(known)
    by_name = dict(zip(published["data"], published.to_dict("records"), strict=True))
    alike = known.assign(shape=_shapes(known)).groupby(["data", "model", "shape"], sort=False)
    rows = [
        _row(part, by_name[name]) for (name, *_), networks in alike for part in _sweeps(networks)
    ]
    table = DataFrame([row for row in rows if row], columns=COLUMNS)
    place = {name: number for number, name in enumerate(published["data"])}
    return table.sort_values("data", key=lambda names: names.map(place), kind="stable").reset_index(
        drop=True
    )


def _sweeps(networks: DataFrame) -> Iterator[DataFrame]:
    """The rows of each sweep, the largest first, but of those whose cells others have: by their
    keys, which are the same in every sweep."""
    seen: set[str] = set()
    parts = [part for _, part in networks.groupby("sweep", sort=False)]
    for part in sorted(parts, key=len, reverse=True):
        keys = set(part["key"]) if "key" in part else {part["sweep"].iloc[0]}
        if not keys <= seen:
            yield part
        seen |= keys


def _shapes(results: DataFrame) -> list[str]:
    """The networks' layers, in terms of their size where that is one of them: 2-w-w-1."""
    columns = (results["model"], results["width"], results["size"])
    return [KINDS[model].shape(width, size) for model, width, size in zip(*columns, strict=True)]


def _row(part: DataFrame, entry: Mapping[Any, Any]) -> dict[str, Any]:
    """Of the cells of one function and network, empty where no size is whole."""
    part = part[part["n_train"] == part["n_train"].max()]
    failed = part.loc[part["status"] != "ok", "size"]
    medians = part[~part["size"].isin(failed)].groupby("size")["test_rmse"].median()
    if medians.empty:
        return {}
    best = part[part["size"] == medians.idxmin()]
    first = best.iloc[0]
    rmse, beaten = best["test_rmse"].median(), _beaten(first, entry)
    return {
        **{name: entry[name] for name in ("table", "formula")},
        **{name: first[name] for name in ("data", "model", "shape", "size", "n_train")},
        "n_params": first["n_params"],
        "n_seeds": best["seed"].nunique(),
        "rmse": rmse,
        "worst": best["test_rmse"].max(),
        **beaten,
        **{f"over_{name}": rmse / beaten[f"{name}_rmse"] for name in ("shape", "kan", "mlp")},
        "doubt": "" if pd.isna(entry["doubt"]) else entry["doubt"],
        "sweep": first["sweep"],
    }


def _beaten(row: Series, entry: Mapping[Any, Any]) -> dict[str, Any]:
    """What was published for the same shape, for the best KAN and for the MLP."""
    errors = published_errors(entry)
    kans = {name: error for name, error in errors.items() if name != _MLP}
    alike = {
        name: error for name, error in kans.items() if entry.get(f"{name}_shape") == row["shape"]
    }
    network = min(alike, key=lambda name: alike[name], default="")
    return {
        "network": network,
        "shape_rmse": alike.get(network, np.nan),
        "kan_rmse": min(kans.values(), default=np.nan),
        "mlp_rmse": errors.get(_MLP, np.nan),
    }


def summary(table: DataFrame, published: DataFrame) -> DataFrame:
    """A row, with ``SUMMARY_COLUMNS``, for each published table: of how many functions the best of
    our KANs, whatever its shape, is at or below the best published KAN and the MLP, and the median
    of how many times it is below."""
    kans = table[table["model"].map(lambda name: KINDS[name].has_theory).astype(bool)]
    rows = []
    for name, part in kans.groupby("table", sort=False):
        best = part.loc[part.groupby("data")["rmse"].idxmin()]
        row = {"table": name, "n_functions": len(best)}
        row["n_published"] = int((published["table"] == name).sum())
        for which in ("kan", "mlp"):
            ratios = best[f"over_{which}"].dropna()
            row |= {
                f"below_{which}": int((ratios <= 1).sum()),
                f"median_{which}": float((1 / ratios).median()),
            }
        rows.append(row)
    return DataFrame(rows, columns=SUMMARY_COLUMNS)
