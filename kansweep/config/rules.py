"""What a value may be: in words, as a test, and in the sentence that refuses it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from typing import Any


class ConfigError(ValueError):
    """What cannot be run as configured: the key, what it must be and what it was."""


@dataclass(frozen=True)
class Rule:
    """What a value must be, in words and as a test; ``options`` where it is one of a few words."""

    must: str
    holds: Callable[[Any], bool]
    options: tuple[str, ...] = ()

    def refusal(self, key: str, value: Any) -> ConfigError:
        hint = did_you_mean(value, self.options) if isinstance(value, str) else ""
        return ConfigError(f"`{key}` must be {self.must}; got {_shown(value)}.{hint}")


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """A sentence that names the option a misspelt word was probably meant to be, or nothing."""
    close = get_close_matches(word, list(options), n=1)
    return f" Did you mean `{close[0]}`?" if close else ""


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return "null" if value is None else repr(value)


def plain(value: Any) -> Any:
    """A value of Python as the rules want it: numbers and flags of NumPy as Python's own, arrays
    and lists as tuples, paths as texts."""
    if hasattr(value, "tolist"):  # of NumPy
        return plain(value.tolist())
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return tuple(map(plain, value)) if isinstance(value, list | tuple | range) else value


MOST = 2**31 - 1  # no size or seed is larger, and tables hold it


def _is_int(value: Any, least: int, most: int = MOST) -> bool:
    return type(value) is int and least <= value <= most  # to isinstance, True is an int


def _are_ints(values: Any, least: int) -> bool:
    return isinstance(values, tuple) and all(_is_int(value, least) for value in values)


def _are_distinct(values: Any) -> bool:
    """Of one or more values, whatever they are: a list among them cannot be hashed."""
    return 0 < len(values) == len(set(map(repr, values)))


def one_of(*options: str) -> Rule:
    *rest, last = options
    must = f"{', '.join(rest)} or {last}" if rest else last
    return Rule(must, lambda value: value in options, options)


def matching(must: str, pattern: str) -> Rule:
    return Rule(must, lambda value: isinstance(value, str) and bool(re.fullmatch(pattern, value)))


def optional(rule: Rule) -> Rule:
    return Rule(
        f"{rule.must}, or null", lambda value: value is None or rule.holds(value), rule.options
    )


TEXT = matching("a text that is not empty", r".+")
COMMAND = matching("a shell command", r"(?s).*\S.*")
NAME = matching(
    "1 to 200 letters, digits and . _ - = , (the first no dot)",
    r"(?!\.)[A-Za-z0-9._=,-]{1,200}",
)
FOLDER = matching(
    "the name of a sweep, or of several together as plot and report write it, a+b",
    r"(?!\.)[A-Za-z0-9._=,+-]{1,200}",
)
NAMES = Rule(
    "a list of two or more names of sweeps, without repeats, or a pattern such as orders*",
    lambda values: (
        (isinstance(values, str) and bool(re.fullmatch(r"[A-Za-z0-9._=,*?-]{1,200}", values)))
        or (
            isinstance(values, tuple)
            and len(values) > 1
            and _are_distinct(values)
            and all(NAME.holds(value) for value in values)
        )
    ),
)
ADDRESS = matching("as tcp://host:port", r"(tcp|tls)://[^\s/:]+:\d{1,5}")
FLAG = Rule("true or false", lambda value: isinstance(value, bool))
COUNT = Rule("an integer, 1 or more", lambda value: _is_int(value, 1))
COUNT_OR_ZERO = Rule("an integer, 0 or more", lambda value: _is_int(value, 0))
POSITIVE = Rule(
    "a positive number",
    lambda value: type(value) in (int, float) and isfinite(value) and value > 0,
)
POSITIVE_OR_ZERO = Rule(
    "a number, 0 or more",
    lambda value: type(value) in (int, float) and isfinite(value) and value >= 0,
)
INCHES = Rule(
    "a number of inches from 2 to 40",
    lambda value: type(value) in (int, float) and 2 <= value <= 40,
)
SHARE = Rule(
    "a number from 0 to less than 1", lambda value: type(value) in (int, float) and 0 <= value < 1
)
SEEDS = Rule(
    "an integer from 1 to 1000000, or a list of distinct integers, 0 or more",
    lambda value: _is_int(value, 1, 10**6) or (_are_ints(value, 0) and _are_distinct(value)),
)
ORDER = Rule("an integer from 1 to 10", lambda value: _is_int(value, 1, 10))
COUNTS = Rule("a list of positive integers", lambda values: _are_ints(values, 1))
AUTO = "auto"
COUNTS_OR_AUTO = Rule(
    f"a list of positive integers or {AUTO}",
    lambda values: values == AUTO or _are_ints(values, 1),
    (AUTO,),
)
POSITIVE_OR_TEXT = Rule(
    "a positive number or the name of a published network",
    lambda value: POSITIVE.holds(value) or TEXT.holds(value),
)
COUNTS_OR_ALL = Rule(
    "a list of positive integers without repeats, or all",
    lambda values: values == "all" or (_are_ints(values, 1) and _are_distinct(values)),
)
DISTINCT = Rule(
    "a list of integers, 2 or more, without repeats",  # one point has no spread to learn
    lambda values: _are_ints(values, 2) and _are_distinct(values),
)
ASCENDING = Rule(
    "a list of positive integers, in ascending order without repeats",
    lambda values: (
        _are_ints(values, 1) and _are_distinct(values) and list(values) == sorted(values)
    ),
)
NOISE = Rule(
    "a number, 0 or more, or a share of the target's spread such as 1%",
    lambda value: (
        (type(value) in (int, float) and 0 <= value < float("inf"))
        or (isinstance(value, str) and bool(re.fullmatch(r"(\d+\.?\d*|\.\d+)(e-?\d+)?%", value)))
    ),
)
TEXTS = Rule(
    "a text, or a list of such without repeats",
    lambda value: (
        TEXT.holds(value)
        or (isinstance(value, tuple) and _are_distinct(value) and all(map(TEXT.holds, value)))
    ),
)
BOUNDS = Rule(
    "a positive number, or one for each of some sizes, as {50: 1e-6}",
    lambda value: (
        POSITIVE.holds(value)
        or (
            isinstance(value, dict)
            and len(value) > 0
            and all(COUNT.holds(size) and POSITIVE.holds(most) for size, most in value.items())
        )
    ),
)
FUNCTION = matching("as package.module:function", r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
COLUMN_OR_COLUMNS = Rule("the name of a column, or a list of such without repeats", TEXTS.holds)
FORMULA = Rule(
    "a formula, or two or more names with a formula each, as {sum: x1 + x2, product: x1*x2}",
    lambda value: (
        TEXT.holds(value)
        or (
            isinstance(value, dict)
            and len(value) > 1
            and all(isinstance(name, str) and re.fullmatch(r"[A-Za-z_]\w*", name) for name in value)
            and all(map(TEXT.holds, value.values()))
        )
    ),
)
COLUMNS = Rule(
    "a list of names of columns, without repeats",
    lambda values: (
        isinstance(values, tuple)
        and _are_distinct(values)
        and all(isinstance(value, str) and value for value in values)
    ),
)


def _is_interval(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(type(end) in (int, float) and isfinite(end) for end in value)
        and value[0] < value[1]
    )


INTERVAL = Rule("as [low,high]", _is_interval)
DOMAIN = Rule(
    "as [low,high], or a list of such, one for each input",
    lambda value: (
        _is_interval(value)
        or (isinstance(value, list | tuple) and len(value) > 0 and all(map(_is_interval, value)))
    ),
)
SHAPES = Rule(
    "names with a list of positive integers each, as {pruned: [2,1]}",
    lambda value: (
        isinstance(value, dict)
        and all(isinstance(name, str) for name in value)
        and all(COUNTS.holds(tuple(widths)) for widths in value.values())
    ),
)
SETTINGS = Rule(
    "names with a text, a number, true or false each, as {name: value}",
    lambda value: (
        isinstance(value, dict)
        and all(isinstance(name, str) for name in value)
        and all(isinstance(item, str | int | float | bool) for item in value.values())
    ),
)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, float):
        return isfinite(value)
    return value is None or isinstance(value, str | bool | int)


PLAIN = Rule(
    "names with a number, a text, true, false, null or a list of such each, as {hidden: 5}",
    lambda value: (
        isinstance(value, dict)
        and all(isinstance(name, str) for name in value)
        and all(map(_is_plain, value.values()))
    ),
)


def some_of(*options: str) -> Rule:
    return Rule(
        f"a list of one or more of {', '.join(options)}, without repeats",
        lambda values: _are_distinct(values) and all(value in options for value in values),
    )


def words_of(*options: str) -> Rule:
    """One of them, or a list of some."""
    one, some = one_of(*options), some_of(*options)
    return Rule(
        f"{one.must}, or a list of such without repeats",
        lambda value: one.holds(value) or (isinstance(value, tuple) and some.holds(value)),
        options,
    )
