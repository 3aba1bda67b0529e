"""A configuration as the words that give it: the inverse of what Hydra does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from kansweep.config.data import DataConfig
from kansweep.config.rules import ConfigError
from kansweep.config.run import RunConfig
from kansweep.config.schema import Schema, own_keys


def overrides(job: RunConfig, suggested: tuple[int, ...] | None = None) -> list[str]:
    """The words after ``kansweep run`` that give this configuration; none give the default one.

    ``suggested`` are the hidden widths that suit its data, where they are known: a sweep's record
    has them, and a command need not.
    """
    if suggested is not None and getattr(job.model, "hidden", None) == suggested:
        settings: Any = job.model  # of a kind with hidden widths of its own
        job = replace(job, model=replace(settings, hidden=None))
    usual, words = RunConfig(), []
    for item in fields(RunConfig):
        value, default = getattr(job, item.name), getattr(usual, item.name)
        if not isinstance(value, Schema):
            counted = item.name == "seeds" and value == tuple(range(len(value)))
            words += [override(item.name, len(value) if counted else value)] * (value != default)
            continue
        table = isinstance(value, DataConfig) and value.is_table
        if getattr(value, "name", None) != getattr(default, "name", None):
            written = isinstance(value, DataConfig) and (value.formula or value.target)
            name = getattr(value, "name", None)
            words.append(override(f"{item.name}.name" if written else item.name, name))
            default = default if isinstance(value, DataConfig) else type(value)()
        for key in (key.name for key in own_keys(type(value)) if key.name != "name"):
            always = table and key in ("sizes", "n_test")  # data=table has others than the default
            if always or getattr(value, key) != getattr(default, key):
                words.append(override(value.prefix + key, getattr(value, key)))
    return words


def override(key: str, value: Any) -> str:
    """``key=value`` as Hydra reads it back; a shell may want the whole of it quoted."""
    return f"{key}={_literal(value)}"


def quoted(word: str) -> str:
    """A formula, pattern or file as Hydra reads it, also where a shell has taken the quotes."""
    key, _, value = word.partition("=")
    bare = key.lstrip("+") in ("data.formula", "names", "check.against") and value not in (
        "",
        "null",
    )
    if bare and re.fullmatch(r"\{[^{}]*\}", value):
        return override(key, _named(key, value[1:-1]))
    return override(key, value) if bare and value[0] not in "'\"$[{" else word


def _named(key: str, inner: str) -> dict[str, str]:
    """Formulas by their names, as ``a: f(x1, x2), b: g(x1)`` has them, in quotes or not."""
    named: dict[str, str] = {}
    for part in re.split(r",(?=\s*\w+\s*:)", inner) if inner.strip() else ():
        name, _, text = (piece.strip() for piece in part.partition(":"))
        if name in named:
            raise ConfigError(f"`{key}` must name each output once; got {name!r} twice.")
        in_quotes = re.fullmatch(r"([\"'])(.*)\1", text)
        named[name] = in_quotes[2] if in_quotes else text
    return named


def _literal(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {_literal(item)}' for name, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_literal, value))}]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if not isinstance(value, str) or _reads_as_itself(value):
        return str(value)
    escaped = re.sub(r'(\\*)("|$)', lambda end: 2 * end[1] + (end[2] and '\\"'), value)
    return f'"{escaped}"'


def _reads_as_itself(text: str) -> bool:
    plain = re.fullmatch(r"[A-Za-z_./][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)*", text)
    return bool(plain) and text.lower() not in ("null", "true", "false", "nan", "inf")
