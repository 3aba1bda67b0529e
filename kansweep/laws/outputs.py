"""Each of several outputs as a target of its own: rows of results in, the rows it has alone out."""

from __future__ import annotations

import numpy as np
from pandas import DataFrame, Series

from kansweep.laws.cells import DERIVATIVES
from kansweep.sweep.columns import PER_OUTPUT


def names(results: DataFrame) -> list[str]:
    """Of the outputs of these rows, in their order; none where they have one."""
    if "outputs" not in results:
        return []
    return list(dict.fromkeys(name for listed in results["outputs"].dropna() for name in listed))


def of_each(results: DataFrame) -> DataFrame:
    """A row a cell and output, in the output's own unit and with its name in `data`; none of cells
    with one output.

    Errors of derivatives, which are known of all outputs together, are null. A floor of 0 says that
    splines represent the output, which is then `exact`.
    """
    if not names(results):
        return results.iloc[:0]
    rows = results[results["outputs"].notna()]
    lists = {name: _lists(rows, f"{name}_each") for name in PER_OUTPUT}
    rows = rows.drop(columns=[f"{name}_each" for name in PER_OUTPUT if f"{name}_each" in rows])
    each = rows.assign(**lists).explode(["outputs", *PER_OUTPUT], ignore_index=True)
    each = each.astype(dict.fromkeys(PER_OUTPUT, float))
    nothing = {f"{split}_rmse": np.nan for split in DERIVATIVES}
    exact = each["floor_rmse"] == 0
    if "exact" in each:
        exact |= each["exact"].astype(bool)
    return each.assign(data=each["outputs"], exact=exact, **nothing).drop(columns="outputs")


def _lists(rows: DataFrame, column: str) -> Series:
    """A column's lists, of NaN where there is none."""
    given = rows[column] if column in rows else Series(None, rows.index, object)
    pairs = zip(given, rows["outputs"], strict=True)
    lists = [[np.nan] * len(of) if each is None else list(each) for each, of in pairs]
    return Series(lists, rows.index, object)
