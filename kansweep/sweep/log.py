"""A run's log, ``run.log`` in the sweep's folder: a line at each end, and one a cell.

It is for people, ``tail -f`` and ``grep``: nothing reads it back. Runs append to it, and what a
disk refuses is left out, since what matters there will be noticed by what is written beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from kansweep.kinds import DEFAULT, KINDS
from kansweep.sweep.columns import Status
from kansweep.sweep.events import Event, Finished, Started


class RunLog:
    """Listens to a run, as a context that ends with it."""

    def __init__(self, path: Path) -> None:
        self._total = self._done = self._failed = 0
        self._file: TextIO | None = None
        with suppress(OSError):
            self._file = path.open("a", buffering=1, encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __call__(self, event: Event) -> None:
        match event:
            case Started(total, cached):
                self._total, self._done = total, cached
                self._write(f"run begins: {total} cells, {cached} of them kept")
            case Finished(row):
                self._done += 1
                self._failed += row["status"] != Status.OK
                self._write(f"{self._done}/{self._total} {words(row)}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        how = "ends" if kind is None else f"is stopped by {kind.__name__}"
        self._write(f"run {how}: {self._done} of {self._total} cells, {self._failed} failed in it")
        with suppress(OSError):
            if self._file is not None:
                self._file.close()

    def _write(self, line: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with suppress(OSError):
            if self._file is not None:
                self._file.write(f"{now} {line}\n")


def words(row: Mapping[str, Any]) -> str:
    """Which cell it was and what came of it, in key=value words."""
    symbol = KINDS[row.get("model") or DEFAULT].symbol
    told = [f"n={row['n_train']}", f"seed={row['seed']}", f"{symbol}={row['size']}"]
    told.append(f"status={row['status']}")
    if row.get("stop_reason"):
        told.append(f"stop={str(row['stop_reason']).replace(' ', '_')}")
    told += [
        f"{name}={row[name]:.3e}"
        for name in ("train_rmse", "test_rmse")
        if row.get(name) is not None
    ]
    if row.get("seconds") is not None:
        told.append(f"seconds={row['seconds']:.3f}")
    if row.get("error"):
        told.append(f"error={str(row['error']).splitlines()[0]}")
    return " ".join(told)
