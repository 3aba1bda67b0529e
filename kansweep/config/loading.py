"""What Hydra is given to compose, what it composed, checked, and its errors in our words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from hydra.core.config_store import ConfigStore
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)

from kansweep.config.commands import SCHEMAS
from kansweep.config.keys import Key, keys
from kansweep.config.rules import ConfigError, did_you_mean, one_of
from kansweep.config.run import VARIANTS, RunConfig
from kansweep.config.schema import Schema, default_of, own_keys

AnySchema = TypeVar("AnySchema", bound=Schema)


def config_dir() -> Path:
    """The YAML files' folder: in the package where it was installed, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def register_schemas(asked: type[Schema]) -> None:
    """Give Hydra the schemas that the YAML files of a command begin from, by its schema: those of
    all would take longer than what is made of them."""
    of_run, node = issubclass(asked, RunConfig), _node(asked)
    for section in VARIANTS if of_run else ():
        node[section] = MISSING  # or the keys of the default would stay in every other
    for name, schema in SCHEMAS.items():
        if schema is asked:
            # The YAML files of a run serve every command that takes its keys.
            primary = "run" if of_run else name
            ConfigStore.instance().store(group="hydra/kansweep", name=primary, node=node)
    for section, base in VARIANTS.items() if of_run else ():
        for name, schema in base.variants.items():
            node = _node(schema)
            # A YAML file of that name begins from the schema; without one the schema is the choice.
            group = (
                "hydra/kansweep" if (config_dir() / section / f"{name}.yaml").exists() else section
            )
            ConfigStore.instance().store(group=group, name=name, node=node)


def _node(schema: type[Schema]) -> Any:
    """A schema as Hydra has it; a mapping whose names are free takes a new one without a `+`."""
    node = OmegaConf.structured(schema)
    for item in own_keys(schema):
        if isinstance(default_of(item), dict):
            OmegaConf.set_struct(node[item.name], False)
    return node


def load(composed: DictConfig, schema: type[AnySchema]) -> AnySchema:
    """Check what Hydra composed; a key that no schema has is refused, also where `+` added it."""
    strict = OmegaConf.structured(schema)
    try:
        record: Any = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
        for section in ("data", *VARIANTS) if issubclass(schema, RunConfig) else ():
            given = record.get(section, {})
            if not isinstance(given, dict):
                raise ConfigError(f"`{section}` holds other keys; got {given!r} in its place.")
            if section in VARIANTS:
                strict[section] = _variant(section, given)
        return cast(AnySchema, OmegaConf.to_object(OmegaConf.merge(strict, record)))
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error, schema)) from error


def _variant(section: str, given: Mapping[str, Any]) -> type[Schema]:
    """The schema that a section's ``name`` chooses, that of the default where it has none."""
    variants = VARIANTS[section].variants
    name = given.get("name", getattr(RunConfig(), section).name)
    names = one_of(*variants)
    if not names.holds(name):
        raise names.refusal(f"{section}.name", name)
    return variants[name]


def from_record(record: Mapping[str, Any]) -> RunConfig:
    """Read a sweep's stored configuration; a key that it lacks takes its default."""
    return load(OmegaConf.create(dict(record)), RunConfig)


def explain(error: Exception, schema: type[Schema]) -> str:
    """What Hydra or OmegaConf found wrong with a configuration, in a sentence of ours."""
    cause = error.__cause__ or error
    every = keys(schema)
    key = re.sub(r"\[\d+\]$", "", getattr(cause, "full_key", None) or "")
    if isinstance(error, MissingConfigException) and error.options:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        options = sorted(error.options)
        hint = did_you_mean(choice, options)
        return f"There is no {group}={choice}; there is {', '.join(options)}.{hint}"
    if isinstance(error, OverrideParseException):
        return f"`{error.override}` cannot be read; write key=value, as in data.sizes=[100,300]."
    section = re.match(r"Could not override '(\w+)'", str(error))
    if str(error).startswith("Config group override must be"):
        return "What is chosen for a section must be a name, as in data=product or solver=lm."
    if section and (inside := [name for name in every if name.startswith(f"{section[1]}.")]):
        return f"`{section[1]}` holds other keys; set one of those, such as `{inside[0]}`."
    if isinstance(cause, InterpolationResolutionError) and "data.shapes" in str(cause):
        return _no_shape(str(cause))
    if isinstance(cause, ConfigKeyError | ConfigAttributeError):
        named = re.search(r"override '(.+)'", str(error))
        return _unknown(named[1] if named else key, every)
    if isinstance(cause, ValidationError):
        if key in every:
            return str(every[key].rule.refusal(key, cause.value))
        if inside := [name for name in every if name.startswith(f"{key}.")]:
            return f"`{key}` holds other keys; set one of those, such as `{inside[0]}`."
    if isinstance(cause, MissingMandatoryValue):
        return f"`{key}` has no value."
    return str(error).partition("\n    full_key")[0]


def _no_shape(told: str) -> str:
    named = re.search(r"data\.shapes\.\w+", told)
    return (
        "`model.hidden` must be a shape that the data have, in `data.shapes`; these have no"
        f" `{named[0] if named else 'data.shapes'}`."
    )


def _unknown(key: str, every: Mapping[str, Key]) -> str:
    if key not in every:
        return f"There is no key `{key}`.{did_you_mean(key, every)}"
    section = key.partition(".")[0]
    variants = VARIANTS[section].variants if section in VARIANTS else {}
    owners = [name for name, schema in variants.items() if key in keys(schema)]
    if not owners:
        return f"`{key}` cannot be left out."
    *rest, last = (f"{section}={name}" for name in owners)
    named = f"{', '.join(rest)} and {last}" if rest else last
    return f"`{key}` is a key of {named}, which is not the {section} chosen."
