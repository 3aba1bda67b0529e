"""What a configuration leaves to its data and to a user's code, looked up before it is planned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kansweep import kinds
from kansweep.config.rules import AUTO, ConfigError
from kansweep.config.run import RunConfig
from kansweep.data import published, sources


def check(config: RunConfig) -> None:
    """Refuse what is of no use, as far as that shows without reading a table but for a user's
    network, which has as many inputs as that."""
    sources.check(config.data)
    enough(config)
    if config.kind.inspected is not None:
        resolved(config)


def resolved(config: RunConfig) -> RunConfig:
    """The configuration with everything that its data and the code of its networks decide.

    Reads a table and runs a user's code; raises ConfigError where either is of no use.
    """
    return with_code(replace(config, data=sources.resolved(config.data)))


def with_code(config: RunConfig) -> RunConfig:
    """The configuration with what the code of its networks decides; refused where that is not the
    code that it names, any more."""
    if config.kind.inspected is None:
        return config
    n_inputs, _, n_outputs = sources.shape(config.data)
    settings: Any = config.model
    try:
        facts = kinds.load(config.kind.inspected)(settings, (n_inputs, n_outputs), config.dtype)
    except kinds.Unusable as error:
        raise ConfigError(f"`model.target` {error}.") from error
    if settings.sha256 not in (None, facts["sha256"]):
        raise ConfigError(
            f"`model.sha256` must be that of {settings.target}, {facts['sha256']}; got"
            f" {settings.sha256}."
        )
    return replace(config, model=replace(settings, **facts))


def enough(config: RunConfig) -> float | None:
    """The RMSE that ``model.enough`` asks for, None where it asks for none.

    Raises ConfigError where nothing is to be found, or no such network was published.
    """
    asked = getattr(config.model, "enough", None)
    if asked is not None and not config.model.is_searched:
        raise ConfigError(
            f"`model.enough` is for model.hidden={AUTO}; the hidden widths are given."
        )
    if not isinstance(asked, str):
        return None if asked is None else float(asked)
    known = published.errors(published.entry(config.data.name))
    if asked not in known:
        options = f" or one of {', '.join(known)}" if known else ""
        which = "the networks" if known else "no error was"
        raise ConfigError(
            f"`model.enough` must be a positive number{options} ({which} published for"
            f" data={config.data.name}); got {asked!r}."
        )
    return known[asked]
