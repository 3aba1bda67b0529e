"""A sweep's configuration out of words as they are typed, or of Python's values, for a program.

Hydra composes, as it does for the command line; its own state, which all of a process share, is as
it was before, and one thread at a time has it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from kansweep.config.loading import config_dir, explain, load, register_schemas
from kansweep.config.overrides import override, quoted
from kansweep.config.rules import ConfigError, plain
from kansweep.config.run import RunConfig

_ONE = threading.Lock()
_SEVERAL = "These are several sweeps, {}; run them one by one."
SECTIONS = ("data", "grid", "model", "solver", "engine", "run")


def composed(words: Sequence[str], more: Path | None = None) -> RunConfig:
    """What ``kansweep run`` makes of these words; ``more`` is a folder with configurations of
    one's own, as ``--config-dir`` names it.

    Raises ConfigError in the command's words.
    """
    for word in words:
        if not isinstance(word, str):
            raise ConfigError(f"A word must be a text such as 'data=product'; got {word!r}.")
        if word.startswith("-"):
            raise ConfigError(f"`{word}` is for the command line; write key=value.")
        if re.match(r"[+~]*hydra\b", word):
            raise ConfigError(f"`{word}` is a key of Hydra's, for the command line alone.")
    given = [quoted(word) for word in words]
    if more is not None:
        if not more.is_dir():
            raise ConfigError(f"`config_dir` must be a folder; got '{more}'.")
        given.append(f"hydra.searchpath=[file://{more.resolve()}]")
    try:
        with _ONE:
            register_schemas(RunConfig)
            ConfigStore.instance().store(group="hydra/kansweep", name="hydra", node={})
            with hydra.initialize_config_dir(str(config_dir()), version_base="1.3"):
                found = hydra.compose("config", given, return_hydra_config=True)
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:
        if several := re.match(r"Ambiguous value for argument '(.*)'", str(error)):
            raise ConfigError(_SEVERAL.format(several[1])) from error
        raise ConfigError(explain(error, RunConfig)) from error
    axes = found.hydra.sweeper.params
    if axes:
        listed = ", ".join(f"{key}={values}" for key, values in axes.items())
        raise ConfigError(_SEVERAL.format(listed))
    with open_dict(found):
        del found["hydra"]
    return load(found, RunConfig)


def words_of(keys: Mapping[str, Any]) -> list[str]:
    """Words that give keys their values: two underscores stand for a dot, and a section may be a
    mapping of its keys."""
    words = []
    for name, value in keys.items():
        key = name.replace("__", ".")
        if key in SECTIONS and isinstance(value, Mapping):
            words += words_of({f"{key}.{inner}": item for inner, item in value.items()})
        elif _is_written(value := plain(value)):
            words.append(override(key, value))
        else:
            raise ConfigError(
                f"`{key}` must be a number, a text, a flag, None, or a list or mapping of such; got"
                f" one of type {type(value).__name__}."
            )
    return words


def _is_written(value: Any) -> bool:
    """Whether a plain value is one that words have."""
    if isinstance(value, Mapping | tuple):
        return all(map(_is_written, value.values() if isinstance(value, Mapping) else value))
    return value is None or isinstance(value, str | bool | int | float)
