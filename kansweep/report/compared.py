"""Laws beside each other, in sentences."""

from __future__ import annotations

import pandas as pd
from pandas import DataFrame, Series

from kansweep.laws import beside
from kansweep.laws.notation import counted

LEVEL = 0.05
_AT = {
    beside.PARAMETERS: " at equal parameters",
    beside.SECONDS: " at equal seconds to get there",
}


def sentences(compared: DataFrame, split: str = "test") -> list[str]:
    """Of each pair two sentences or more a data size, that of the most data first: on the exponents
    and on the errors; then what the tests are. None where nothing is compared."""
    chosen = compared[compared["split"] == split]
    lines = []
    for _, pair in chosen.groupby(["target", "second"], sort=False):
        pair = pair.sort_values("n_train", ascending=False, kind="stable")
        for _, part in pair.groupby("n_train", sort=False, dropna=False):
            of_errors = part["quantity"] == beside.RMSE
            lines += [exponents(row) for _, row in part[~of_errors].iterrows()]
            lines += [
                f"  {errors(rows)}"
                for _, rows in part[of_errors].groupby(part["symbol"], sort=False)
            ]
    note = tests(chosen)
    return [*lines, note] if note else lines


def tests(compared: DataFrame) -> str:
    """What several tests are together, '' where there is one or none."""
    number = int(compared["n_tests"].max()) if compared["n_tests"].notna().any() else 0
    if number < 2:
        return ""
    return (
        "Each sweep is compared with the first of its target, as they are named, and with no"
        f" other: {counted(number, 'test')} of exponents, whose p are adjusted together by Holm's"
        f" method, so that a difference is shown where p is at most {LEVEL:g}. Intervals are of 95%"
        " each and not adjusted; errors are described and not tested."
    )


def exponents(row: Series) -> str:
    """How the exponents of two sweeps differ, or why that is not told."""
    first, second = row["first"], row["second"]
    if pd.isna(row["n_train"]):
        return f"{first} and {second} are not compared; {row['note']}."
    where = f"n = {row['n_train']}, {row['split']} RMSE"
    if row["note"]:
        return f"{where}: the exponents of {first} and {second} are not compared; {row['note']}."
    found = _finding(row)
    return (
        f"{where}: {found}{'; ' if found else ''}the exponent of {second} less that of {first} is"
        f" {_interval(row, '+.2f')} over {ranges(row)}, {counted(row['n_seeds'], 'shared seed')}"
        f"{_adjusted(row)}."
    )


def _finding(row: Series) -> str:
    """What the test shows, '' where there is none: other data sizes are described."""
    if pd.isna(row["low"]):
        return "one seed has no spread to tell a difference by"
    if pd.isna(row["p_holm"]):
        return ""
    if row["p_holm"] > LEVEL:
        return f"neither {row['first']} nor {row['second']} is shown to fall faster"
    faster, slower = ("second", "first") if row["estimate"] < 0 else ("first", "second")
    return f"{row[faster]} falls faster than {row[slower]}"


def ranges(row: Series) -> str:
    """What two exponents were fitted over."""
    if len(row["sizes"]):
        return f"sizes {row['sizes'][0]} to {row['sizes'][-1]}"
    second, first = (f"P = {_own(row, whose)}" for whose in ("second", "first"))
    return f"{second} and {first}, each its own"


def _own(row: Series, whose: str) -> str:
    return f"{row[f'{whose}_low']:.0f} to {row[f'{whose}_high']:.0f}"


def _adjusted(row: Series) -> str:
    several = row["n_tests"] > 1  # not where it is null
    return f", p = {row['p_holm']:.2g} by Holm over {row['n_tests']:.0f} tests" if several else ""


def errors(rows: DataFrame) -> str:
    """The ratios of the errors of two sweeps, at sizes or at equal cost."""
    row = rows.iloc[0]
    of = f"RMSE of {row['second']} over that of {row['first']}{_AT.get(row['symbol'], '')}"
    if row["note"]:
        return f"{of}: not compared, {row['note']}."
    places = [f"{_interval(each, '.3g')} at {place(each)}" for _, each in rows.iterrows()]
    return f"{of}: {', '.join(places)}."


def place(row: Series) -> str:
    """What errors are compared at."""
    if row["symbol"] == beside.SECONDS:
        return f"{row['at']:.2g} s"
    return f"{row['symbol']} = {row['at']:.0f}"


def _interval(row: Series, form: str) -> str:
    if pd.isna(row["low"]):
        return f"{row['estimate']:{form}}"
    return f"{row['estimate']:{form}} [{row['low']:{form}}, {row['high']:{form}}]"
