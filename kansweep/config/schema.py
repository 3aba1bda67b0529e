"""A schema is a part of a configuration: one line a key, with default, rule, role and meaning."""

from __future__ import annotations

from dataclasses import MISSING as DATACLASS_MISSING
from dataclasses import Field, dataclass, field, fields
from enum import Enum, auto
from typing import Any, ClassVar

from kansweep.config.rules import Rule, one_of

MISSING: Any = "???"  # a value that must be given, as OmegaConf writes it


class Role(Enum):
    """What a key decides."""

    IDENTITY = auto()  # the numbers of every cell: another value is another sweep
    EXTENT = auto()  # which cells there are; a cell's own key has its size and seed
    CONDUCT = auto()  # how a sweep is run, and none of its numbers


NO_VALUE = object()


def key(
    default: Any, rule: Rule, meaning: str, *, role: Role | None = None, neutral: Any = NO_VALUE
) -> Any:
    """A key's line in its schema.

    ``role`` is that of the schema unless given. A key that came when there were sweeps already has
    a ``neutral`` value, at which it changes nothing: it is then no part of a cell's key, and
    folders stay what they are.
    """
    metadata = {"rule": rule, "meaning": meaning, "role": role, "neutral": neutral}
    if isinstance(default, dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def default_of(item: Field[Any]) -> Any:
    """The value that a key has where none is given."""
    return item.default if item.default_factory is DATACLASS_MISSING else item.default_factory()


def choice(name: str, meaning: str) -> Any:
    """The key that says which variant it is."""
    return key(name, one_of(name), meaning)


def own_keys(schema: type[Schema]) -> list[Field[Any]]:
    """The keys of a schema itself, without those of its sections."""
    return [item for item in fields(schema) if "rule" in item.metadata]


@dataclass
class Schema:
    """Part of a configuration; it checks its keys when it is made, and its lists become tuples."""

    prefix: ClassVar[str] = ""
    role: ClassVar[Role] = Role.IDENTITY

    def __post_init__(self) -> None:
        for item in own_keys(type(self)):
            value = getattr(self, item.name)
            if isinstance(value, list):
                value = tuple(value)
                setattr(self, item.name, value)
            rule: Rule = item.metadata["rule"]
            if not rule.holds(value):
                raise rule.refusal(self.prefix + item.name, value)


class Variant(Schema):
    """A section of which one out of several schemas applies, as its ``name`` says.

    A direct subclass is a section; a subclass of that with a ``name`` is one of its variants, and
    is registered with it.
    """

    variants: ClassVar[dict[str, type[Any]]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if Variant in cls.__bases__:
            cls.variants = {}
        elif "name" in cls.__dict__:
            cls.variants[cls.__dict__["name"].default] = cls
