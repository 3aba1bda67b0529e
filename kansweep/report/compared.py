"""Two laws beside each other, in sentences."""

from __future__ import annotations

import pandas as pd
from pandas import DataFrame, Series

from kansweep.laws import comparison
from kansweep.laws.notation import counted


def sentences(compared: DataFrame, split: str = "test") -> list[str]:
    """Two sentences a data size, that of the most data first: on the exponents and on the errors.
    None where nothing is compared."""
    chosen = compared[compared["split"] == split].sort_values(
        "n_train", ascending=False, kind="stable"
    )
    lines = []
    for _, part in chosen.groupby("n_train", sort=False):
        of_errors = part["quantity"] == comparison.RMSE
        lines += [_exponents(row) for _, row in part[~of_errors].iterrows()]
        lines += [_errors(part[of_errors])] if of_errors.any() else []
    return lines


def _exponents(row: Series) -> str:
    first, second = row["first"], row["second"]
    where = f"n = {row['n_train']}, {row['split']} RMSE"
    if row["note"]:
        return f"{where}: the exponents of {first} and {second} are not compared; {row['note']}."
    sizes = f" over sizes {row['sizes'][0]} to {row['sizes'][-1]}," if row["sizes"] else ","
    return (
        f"{where}: {_finding(row)}; the exponent of {second} less that of {first} is"
        f" {_interval(row, '+.2f')}{sizes} {counted(row['n_seeds'], 'shared seed')}."
    )


def _finding(row: Series) -> str:
    if pd.isna(row["low"]):
        return "one seed has no spread to tell a difference by"
    if row["low"] <= 0 <= row["high"]:
        return f"neither {row['first']} nor {row['second']} is shown to fall faster"
    faster, slower = ("second", "first") if row["high"] < 0 else ("first", "second")
    return f"{row[faster]} falls faster than {row[slower]}"


def _errors(rows: DataFrame) -> str:
    row = rows.iloc[0]
    places = [
        f"{_interval(each, '.3g')} at {each['symbol']} = {each['at']:g}"
        for _, each in rows.iterrows()
    ]
    return f"  RMSE of {row['second']} over that of {row['first']}: {', '.join(places)}."


def _interval(row: Series, form: str) -> str:
    if pd.isna(row["low"]):
        return f"{row['estimate']:{form}}"
    return f"{row['estimate']:{form}} [{row['low']:{form}}, {row['high']:{form}}]"
