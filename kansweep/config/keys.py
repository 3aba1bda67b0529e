"""All keys below a schema, and what of a stored configuration identifies its sweep."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import Field, dataclass, fields, is_dataclass
from typing import Any, cast

from kansweep.config.rules import Rule
from kansweep.config.run import VARIANTS, RunConfig
from kansweep.config.schema import NO_VALUE, Role, Schema, default_of, own_keys

_OF_TRAINING = ("data.noise", "data.sampling")


@dataclass(frozen=True)
class Key:
    """What is known of one key beside its type."""

    default: Any
    rule: Rule
    meaning: str
    role: Role
    has_neutral: bool
    neutral: Any


def keys(schema: type[Schema], *, usual: bool = False) -> dict[str, Key]:
    """Every key below a schema under its full name, those of all variants included; or the
    ``usual`` ones, of the variants that are chosen where none is."""
    every = {schema.prefix + item.name: _as_key(schema, item) for item in own_keys(schema)}
    for item in fields(schema):
        section = None if usual else VARIANTS.get(item.name)
        for part in [item.default_factory] if section is None else section.variants.values():
            if is_dataclass(part):
                every |= keys(cast(type[Schema], part), usual=usual)
    return every


def _as_key(schema: type[Schema], item: Field[Any]) -> Key:
    given = item.metadata
    return Key(
        default=default_of(item),
        rule=given["rule"],
        meaning=given["meaning"],
        role=given["role"] or schema.role,
        has_neutral=given["neutral"] is not NO_VALUE,
        neutral=given["neutral"],
    )


def identity(record: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a stored configuration that all cells of its sweep share, flat: another
    value is another sweep."""
    every = keys(RunConfig)
    shared = {
        name: value
        for name, value in _flat(record, every).items()
        if _is_identity(every.get(name), name, value)
    }
    if "device" in shared:
        shared["device"] = str(shared["device"]).partition(":")[0]  # which GPU does not matter
    return shared


def points(record: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a stored configuration that decide what its points are of and which test
    points there are: all of the identity of its data but what is done to training points."""
    shared = identity({"data": record["data"]})
    return {name: value for name, value in shared.items() if name not in _OF_TRAINING}


def _is_identity(key: Key | None, name: str, value: Any) -> bool:
    if key is None:  # of another version, or of an engine that is not here
        return VARIANTS.get(name.partition(".")[0], Schema).role is Role.IDENTITY
    return key.role is Role.IDENTITY and not (key.has_neutral and value == key.neutral)


def _flat(record: Mapping[str, Any], every: Container[str], prefix: str = "") -> dict[str, Any]:
    """Settings by their full names; a key that holds names of its own is one of them."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping) and prefix + name not in every:
            flat |= _flat(value, every, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
