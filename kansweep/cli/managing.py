"""``kansweep list`` and ``clean``: the sweeps in a folder, and what of one can go."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kansweep.cli.analysing import stored
from kansweep.cli.output import OK, say
from kansweep.config.commands import CleanConfig, ListConfig
from kansweep.config.rules import ConfigError
from kansweep.engines.imports import importing

if TYPE_CHECKING:  # imported where it is needed, so that help and refusals come at once
    from kansweep.sweep.store import Store


def list_sweeps(job: ListConfig) -> int:
    with importing():
        from kansweep.report import listing
        from kansweep.sweep import catalogue

    entries = catalogue.entries(Path(job.outputs))
    if not entries and job.format == "table":
        raise ConfigError(f"There is no sweep in {job.outputs}; `kansweep run` makes one.")
    say(listing.text(entries, job.format))
    return OK


def clean(job: CleanConfig) -> int:
    with importing():
        from kansweep.laws.notation import counted
        from kansweep.report.listing import size
        from kansweep.sweep import cleaning

    store, plan = _of_several(job) if job.is_of_several else stored(job)
    groups = cleaning.removable(store, plan)
    if not groups:
        say(f"There is nothing to remove from {store.folder}.")
        return OK
    say(
        *(
            f"{counted(len(group.files), 'file')}, {size(group.size)}, {group.what}"
            for group in groups
        )
    )
    if not job.yes and not _agreed(f"Remove them from {store.folder}?"):
        say("Nothing is removed.")
        return OK
    cleaning.remove(store, groups)
    if plan is None:
        cleaning.remove_empty(store)
    say(f"Removed from {store.folder}.")
    return OK


def _of_several(job: CleanConfig) -> tuple[Store, None]:
    """The folder of what is made of several sweeps, which has no plan."""
    from kansweep.sweep.store import Store

    store = Store(Path(job.outputs) / str(job.name))
    if not store.folder.is_dir():
        raise ConfigError(f"There is no {store.folder}; `plot` and `report` with names=… make one.")
    return store, None


def _agreed(question: str) -> bool:
    """What is answered in a terminal; refused where nobody can be asked."""
    if not sys.stdin.isatty():
        raise ConfigError("`yes` must be true where nobody can be asked; got False.")
    with suppress(EOFError):  # Ctrl-D
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    return False
