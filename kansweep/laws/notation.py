"""How numbers and words are written: the same in legends, notes, tables and pages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pandas as pd
from pandas import Series

DASH = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"
MINUS = "\N{MINUS SIGN}"
_UNPRINTABLE = re.compile("[^\t\n -~\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def signed(value: float, digits: int = 2) -> str:
    return DASH if pd.isna(value) else f"{value:z.{digits}f}".replace("-", MINUS)


def rmse(value: float) -> str:
    return DASH if pd.isna(value) else f"{value:.2e}"


def exponent(law: Series) -> str:
    """Such as `-4.08 [-4.23, -3.92]`, with minus signs; '' where there is none."""
    return _interval(law, "exponent", "ci_low", "ci_high")


def exponent_vs_floor(law: Series) -> str:
    return _interval(law, "exponent_vs_floor", "vs_floor_low", "vs_floor_high")


def exponent_finest(law: Series) -> str:
    return _interval(law, "exponent_finest", "finest_low", "finest_high")


def _interval(law: Series, middle: str, low: str, high: str) -> str:
    if middle not in law or pd.isna(law[middle]):
        return ""
    if pd.isna(law[low]):
        return signed(law[middle])
    return f"{signed(law[middle])} [{signed(law[low])}, {signed(law[high])}]"


def listed(values: Iterable[Any]) -> str:
    return ", ".join(str(value) for value in values)


def entry(value: Any) -> str:
    """A text of a table, '' where it has none."""
    return "" if pd.isna(value) else str(value)


def counted(number: int, noun: str) -> str:
    word = _NUMBERS[number] if number < len(_NUMBERS) else str(number)
    return f"{word} {noun}{'' if number == 1 else 's'}"


def printable(words: str) -> str:
    """What is no character of a text, nor of XML, is U+FFFD."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", words)
