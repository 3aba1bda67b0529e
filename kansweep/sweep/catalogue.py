"""What there is in a folder of outputs: one entry a sweep, read from its files."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kansweep.config.loading import from_record
from kansweep.config.rules import ConfigError
from kansweep.data import sources
from kansweep.sweep import files, outputs
from kansweep.sweep.columns import Status
from kansweep.sweep.plan import planned
from kansweep.sweep.refusals import StoreError
from kansweep.sweep.store import Store


@dataclass(frozen=True)
class Entry:
    """A sweep as its files tell it; None is what they do not."""

    name: str
    data: str | None  # what is learned
    model: str | None  # the kind of network
    cells: int | None  # planned
    done: int  # of them
    failed: int
    running: bool
    last_run: datetime | None
    size: int  # bytes on disk
    verdict: str | None  # of the primary law, by the last `kansweep plot`


def entries(folder: Path) -> list[Entry]:
    """Every sweep in a folder of outputs, by name."""
    return [_entry(Store(folder / name)) for name in outputs.names(folder)]


def _entry(store: Store) -> Entry:
    data = model = cells = None
    keys = list(store.index().column("key"))
    with suppress(StoreError, ConfigError):  # what it learned may be elsewhere by now
        config = from_record(store.read_config())
        data, model = sources.label(config.data), config.model.name
        keys = [cell.key for cell in planned(config).cells]
        cells = len(keys)
    statuses = list(store.statuses(keys).values())
    done = statuses.count(Status.OK)
    return Entry(
        name=store.folder.name,
        data=data,
        model=model,
        cells=cells,
        done=done,
        failed=len(statuses) - done,
        running=files.is_locked(store.layout.lock),
        last_run=_last_written(store),
        size=sum(stat.st_size for stat in _files(store.folder)),
        verdict=_verdict(store.layout.laws),
    )


def _last_written(store: Store) -> datetime | None:
    """When a run began there, or ended."""
    times = []
    for path in (store.layout.config, store.layout.results):
        with suppress(OSError):
            times.append(path.stat().st_mtime)
    return datetime.fromtimestamp(max(times), UTC) if times else None


def _files(folder: Path) -> Iterator[os.stat_result]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            else:
                with suppress(OSError):  # a run at work replaces its files
                    yield entry.stat(follow_symlinks=False)


def _verdict(laws: Path) -> str | None:
    """Of the primary law of test errors, None where none was fitted."""
    with suppress(OSError, UnicodeDecodeError, csv.Error), laws.open(newline="") as file:
        for law in csv.DictReader(file):
            if law.get("primary") == "True" and law.get("split") == "test":
                return law.get("verdict")
    return None
