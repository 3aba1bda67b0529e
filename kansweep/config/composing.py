"""A sweep's configuration out of words as they are typed, or of Python's values, for a program.

Hydra composes, as it does for the command line; its own state, which all of a process share, is as
it was before, and one thread at a time has it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
import numpy as np
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from kansweep.config.loading import config_dir, explain, load, register_schemas
from kansweep.config.overrides import override, quoted
from kansweep.config.rules import ConfigError
from kansweep.config.run import RunConfig

_ONE = threading.Lock()
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
        raise ConfigError(explain(error, RunConfig)) from error
    axes = found.hydra.sweeper.params
    if axes:
        listed = ", ".join(f"{key}={values}" for key, values in axes.items())
        raise ConfigError(f"These are several sweeps, {listed}; run them one by one.")
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
        else:
            words.append(override(key, _plain(value)))
    return words


def _plain(value: Any) -> Any:
    """What Hydra reads: no arrays, ranges or paths."""
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple | range) else value
