"""Who is at work in a sweep's folder: the notes in its lock and in the marks of its tasks.

Whoever trains a task holds its file in ``running/`` and says in it how far it is. A mark that
nobody holds is that of a worker that died.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from kansweep import files
from kansweep.events import Progressed
from kansweep.refusals import StoreError, unlockable

PATIENCE = 3.0  # seconds that the workers of a killed run may take to end
_PROGRESS = tuple(field.name for field in fields(Progressed))


@dataclass(frozen=True)
class Mark:
    """What a worker says of its task: the keys of the cells that it trains and of those that it
    has written, how training goes, and which process it is."""

    running: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    progress: Progressed | None = None
    host: str | None = None
    pid: int | None = None

    def to_record(self) -> dict[str, Any]:
        """Flat, as the file has it; ``progress`` by the names of its numbers."""
        numbers = {} if self.progress is None else asdict(self.progress)
        work = {"running": list(self.running), "done": list(self.done)}
        return {"host": self.host, "pid": self.pid, **numbers, **work}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Mark:
        """What a worker of this or another version wrote; what is missing was not said."""
        progress = None
        if set(_PROGRESS) <= set(record):
            progress = Progressed(**{name: record[name] for name in _PROGRESS})
        running, done = (tuple(record.get(name, ())) for name in ("running", "done"))
        return cls(running, done, progress, record.get("host"), record.get("pid"))


class Marks:
    """The marks of a sweep's tasks, one file each in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def hold(self, task: str) -> Iterator[Callable[[Mark], None]]:
        """Hold a task while it is trained; the function given writes what is to be known of it."""
        path = self._of(task)
        try:
            path.parent.mkdir(exist_ok=True)
            lock = files.Lock.take(path, PATIENCE)
        except OSError as error:
            raise unlockable(path, error) from error
        if lock is None:
            raise StoreError(f"{task} is being trained by another process{holder_of(path)}.")

        def write(mark: Mark) -> None:
            with suppress(OSError):  # a full disk will be noticed by what matters
                lock.write(json.dumps(mark.to_record() | this_process()))

        try:
            write(Mark())  # who died here before said something else
            yield write
        finally:
            lock.release()

    def held(self) -> list[Mark]:
        """Those of the tasks that some process trains now."""
        notes = (read_note(path) for path in self._paths() if files.is_locked(path))
        return [Mark.from_record(note) for note in notes if note is not None]

    def of_dead_worker(self, task: str) -> Mark | None:
        """What a worker said of a task before it died; None where it had not begun."""
        note = read_note(self._of(task))
        return None if note is None else Mark.from_record(note)

    def await_release(self) -> None:
        """Workers of a run that was killed end by themselves, those of a cluster do not."""
        deadline = time.monotonic() + PATIENCE
        while held := [path for path in self._paths() if files.is_locked(path)]:
            if time.monotonic() > deadline:
                raise StoreError(
                    f"Workers of an earlier run are still training in {self._folder.parent}"
                    f"{holder_of(held[0])}. Wait for them, or cancel them."
                )
            time.sleep(0.1)

    def clear(self) -> None:
        """Remove the marks of dead workers."""
        for path in self._paths():
            path.unlink(missing_ok=True)

    def remove_folder(self) -> None:
        with suppress(OSError):  # not empty: a worker is still at it
            self._folder.rmdir()

    def _of(self, task: str) -> Path:
        return self._folder / f"{task}.json"

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("*.json"))


def this_process() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid()}


def read_note(path: Path) -> dict[str, Any] | None:
    """What the holder of a lock wrote in it, None where that cannot be read."""
    try:
        record, _ = json.JSONDecoder().raw_decode(path.read_text())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def holder_of(path: Path) -> str:
    """Which process holds a lock, for a message, as far as its file says so."""
    note = read_note(path)
    if not note or not {"host", "pid"} <= set(note):
        return ""
    return f" (process {note['pid']} on {note['host']})"
