"""A sweep's folder: file names, who may write in it, reading back; known here and nowhere else.

``cells/<key>.parquet`` is the truth, one row a file, written when the cell ends; the weights in
``states/<key>.npz`` are written before it. ``results.parquet``, the rows of the current plan, and
``index.parquet``, all rows read so far, are derived and can be rebuilt at any time. One run at a
time holds ``.lock``; whoever trains a task holds its file in ``running/`` and says in it how far
it is.
"""

from __future__ import annotations

import fnmatch
import io
import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pandas as pd
import yaml

from kansweep import files, rows, sweep
from kansweep.config.keys import identity
from kansweep.rows import Stamp

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONFIG, RESULTS, LAWS, INDEX = "config.yaml", "results.parquet", "laws.csv", "index.parquet"
REPORT = "report.html"
LOCK, LATEST = ".lock", ".latest"
CELLS, STATES, FIGURES, TRACES, RUNNING, JOBS = (
    "cells",
    "states",
    "figures",
    "traces",  # made where there are any, as are the next two
    "running",
    "jobs",
)
PATIENCE = 3.0  # seconds that the workers of a killed run may take to end

Note = Callable[[Mapping[str, Any]], None]


class StoreError(RuntimeError):
    """A folder that cannot be used as asked; the message says why and what to do."""


class Damaged(StoreError):
    """A configuration that is not there or is none, in a folder that may hold cells."""


class Store:
    """One sweep's folder, ``outputs/<name>``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._index = rows.Index(
            folder / CELLS,
            folder / STATES,
            folder / INDEX,
            lambda key: self.read_state(key) is not None,
        )

    def __reduce__(self) -> tuple[type[Store], tuple[Path]]:
        return Store, (self.folder,)  # the index is not for those who only write

    # ------------------------------------------------------------------ who may write in it

    @contextmanager
    def open(self, plan: sweep.Plan) -> Iterator[None]:
        """Make the folder this plan's and keep other runs out; refuse one that is not its own."""
        self._check(plan)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = files.Lock.take(self.folder / LOCK, PATIENCE)
        except OSError as error:
            raise _unlockable(self.folder, error) from error
        if lock is None:
            raise StoreError(
                f"Another run is at work in {self.folder}{_by(self.holder())}."
                " Wait for it, or give this one a name of its own with name=…"
            )
        try:
            with _told(self.folder):
                lock.write(json.dumps({"run": uuid.uuid4().hex, **_me()}), durable=True)
                self._check(plan)  # again: it may have been another's until now
                self._await_workers()
                self._settle(plan)
            yield
        finally:
            with suppress(OSError):  # not empty: a worker is still at it
                (self.folder / RUNNING).rmdir()
            lock.release()

    def holder(self) -> dict[str, Any]:
        """What the run says of itself that holds the folder; nothing where none does."""
        return _said(self.folder / LOCK) or {}

    def is_held_by(self, run: str | None) -> bool:
        """Whether a run still has the folder, as far as one can tell; None stands for no run."""
        holder = _said(self.folder / LOCK)
        if holder is None:  # not there, or not to be read at this moment
            return run is None or (self.folder / LOCK).exists()
        return holder.get("run") == run

    def _check(self, plan: sweep.Plan) -> None:
        with _told(self.folder, "read"):
            if not self.folder.exists() or all(map(_is_passing, self.folder.iterdir())):
                return
            if not (self.folder / CELLS).is_dir() and not (self.folder / CONFIG).exists():
                raise StoreError(
                    f"{self.folder} is not a sweep's folder; choose another with name=…"
                )
        try:
            stored = self.read_config()
        except Damaged:  # it is written again; cells are known by their keys
            return
        self._refuse_other(stored, plan.config_record)

    def _refuse_other(self, record: Mapping[str, Any], other: Mapping[str, Any]) -> None:
        stored, asked = identity(record), identity(other)
        keys = [key for key in {**stored, **asked} if stored.get(key) != asked.get(key)]
        if keys:
            changes = ", ".join(f"`{key}` ({stored.get(key)} → {asked.get(key)})" for key in keys)
            raise StoreError(
                f"{self.folder} holds another configuration; what differs is {changes}. "
                "Give this one a name of its own with name=…"
            )

    def _await_workers(self) -> None:
        """Workers of a run that was killed end by themselves, those of a cluster do not."""
        deadline = time.monotonic() + PATIENCE
        while held := [path for path in self._marks() if files.is_locked(path)]:
            if time.monotonic() > deadline:
                raise StoreError(
                    f"Workers of an earlier run are still training in {self.folder}"
                    f"{_by(_said(held[0]))}. Wait for them, or cancel them."
                )
            time.sleep(0.1)

    def _settle(self, plan: sweep.Plan) -> None:
        """Write what makes the folder this plan's, and remove what dead processes left."""
        text = yaml.safe_dump(plan.config_record, sort_keys=False)
        # First of all, since by it a folder is known to be a sweep's.
        files.write(self.folder / CONFIG, lambda file: file.write(text.encode()))
        for part in (CELLS, STATES, FIGURES):
            (self.folder / part).mkdir(exist_ok=True)
        folders = [self.folder / part for part in ("", CELLS, STATES, FIGURES, TRACES)]
        for path in (path for folder in folders if folder.is_dir() for path in folder.iterdir()):
            if files.is_temporary(path):
                path.unlink(missing_ok=True)
        for path in self._marks():
            path.unlink(missing_ok=True)
        name = self.folder.name.encode()
        files.write(self.folder.parent / LATEST, lambda file: file.write(name))

    # --------------------------------------------------------------------- who is at work

    @contextmanager
    def mark(self, task: str) -> Iterator[Note]:
        """Hold a task while it is trained; the function given takes what is to be known of it."""
        path = self.folder / RUNNING / f"{task}.json"
        try:
            path.parent.mkdir(exist_ok=True)
            lock = files.Lock.take(path, PATIENCE)
        except OSError as error:
            raise _unlockable(path, error) from error
        if lock is None:
            raise StoreError(f"{task} is being trained by another process{_by(_said(path))}.")

        def note(record: Mapping[str, Any]) -> None:
            with suppress(OSError):  # a full disk will be noticed by what matters
                lock.write(json.dumps({**_me(), **record}))

        try:
            note({})  # who died here before said something else
            yield note
        finally:
            lock.release()

    def running(self) -> list[dict[str, Any]]:
        """What is said of every task that some process trains now."""
        said = (_said(path) for path in self._marks() if files.is_locked(path))
        return [record for record in said if record is not None]

    def last_words(self, task: str) -> dict[str, Any] | None:
        """What was said of a task by a worker that died with it; None where it had not begun."""
        return _said(self.folder / RUNNING / f"{task}.json")

    def _marks(self) -> list[Path]:
        return sorted((self.folder / RUNNING).glob("*.json"))

    # ---------------------------------------------------------------------------- writing

    def write_cell(self, row: Mapping[str, Any], state: Mapping[str, np.ndarray] | None) -> None:
        """Keep a finished cell: its weights, where it has any, then its row."""
        if state is None:
            with _told(self._state(row["key"])):  # what was there is not this row's
                self._state(row["key"]).unlink(missing_ok=True)
        else:
            packed = io.BytesIO()
            np.savez(packed, allow_pickle=False, **state, key=np.array(row["key"]))
            self._write(self._state(row["key"]), lambda file: file.write(packed.getbuffer()))
        with _told(self._cell(row["key"])):
            rows.write_row(self._cell(row["key"]), row)

    def write_trace(self, key: str, steps: Sequence[Mapping[str, Any]]) -> None:
        """Keep the iterations of a cell."""
        path = self.folder / TRACES / f"{key}.parquet"
        with _told(path):
            path.parent.mkdir(exist_ok=True)
            rows.write_trace(path, steps)

    def write_results(self, keys: Iterable[str]) -> pd.DataFrame:
        """Rebuild ``results.parquet`` for these cells, and the index; what the former holds."""
        self.consolidate()
        table = self._index.take(keys)
        with _told(self.results_path):
            rows.write_table(self.results_path, table)
        results: pd.DataFrame = table.to_pandas()
        return results

    def consolidate(self) -> None:
        """Let the index hold all rows, so that none of their files is read again."""
        census = self.census()
        with _told(self.folder / INDEX):
            census.save()

    def write_laws(self, laws: pd.DataFrame) -> Path:
        path = self.folder / LAWS
        text = laws.to_csv(index=False)
        self._write(path, lambda file: file.write(text.encode()))
        return path

    def write_report(self, text: str) -> Path:
        path = self.folder / REPORT
        self._write(path, lambda file: file.write(text.encode()))
        return path

    def write_figure(self, name: str, file_format: str, figure: Figure) -> Path:
        path = self.folder / FIGURES / f"{name}.{file_format}"
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._write(path, lambda file: figure.savefig(file, format=file_format))
        return path

    def _write(self, path: Path, fill: Callable[[BinaryIO], object]) -> None:
        with _told(path):
            files.write(path, fill)

    # ----------------------------------------------------------------------- reading back

    def read_config(self) -> dict[str, Any]:
        """The configuration of the sweep as it was last run."""
        path, record = self.folder / CONFIG, None
        if not self.folder.is_dir():
            raise StoreError(f"There is no sweep in {self.folder}.")
        with suppress(yaml.YAMLError, UnicodeDecodeError, FileNotFoundError), _told(path, "read"):
            record = yaml.safe_load(path.read_text())
        if not isinstance(record, dict) or not {"data", "grid", "model", "solver"} <= set(record):
            raise Damaged(
                f"{path} holds no configuration; the `kansweep run …` that made the sweep writes it"
                " again and trains nothing anew."
            )
        return record

    def read_state(self, key: str) -> dict[str, np.ndarray] | None:
        """The weights of a cell as plain arrays, or None where there are none to be read."""
        try:
            with self._state(key).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                state = dict(arrays)
        except rows.UNREADABLE as error:
            rows.refuse_denied(error)
            return None
        return state if str(state.pop("key", "")) == key else None

    def row(self, key: str) -> dict[str, Any] | None:
        """A cell's row, or None where there is none to be read."""
        with _told(self._cell(key), "read"):
            table = rows.read_row(self._cell(key), key)
        return None if table is None else table.to_pylist()[0]

    def stamp(self, key: str) -> Stamp | None:
        """What tells one writing of a cell's row from the next, None where there is no row."""
        return rows.stamp(self._cell(key))

    @property
    def damaged(self) -> tuple[Path, ...]:
        """Files that were found to be no row or no weights when rows were last read."""
        return self._index.damaged

    def census(self) -> rows.Index:
        """All rows there are."""
        with _told(self.folder, "read"):
            return self._index.refresh()

    def results(self, keys: Iterable[str]) -> pd.DataFrame:
        """The rows of these cells, in this order; those without a row are left out."""
        table: pd.DataFrame = self.census().take(keys).to_pandas()
        return table

    def overview(self, plan: sweep.Plan) -> pd.DataFrame:
        """Every planned cell with its status (done, failed, running or waiting), its errors and
        its seconds, if any."""
        at_work = {key for record in self.running() for key in record.get("running", ())}
        planned = pd.DataFrame([vars(cell) for cell in plan.cells])
        found = self.results(planned["key"])
        found = found[["key", "status", "train_rmse", "test_rmse", "seconds"]]
        table = planned.merge(found, on="key", how="left")
        words = {"ok": "done", "diverged": "failed", "failed": "failed"}
        status = table["status"].map(words).fillna("waiting")
        status = status.mask(table["key"].isin(at_work), "running")
        return table.assign(status=status, model=plan.config_record["model"]["name"])

    @property
    def results_path(self) -> Path:
        return self.folder / RESULTS

    @property
    def jobs_folder(self) -> Path:
        """Where an engine may keep its jobs' files and logs."""
        return self.folder / JOBS

    def _cell(self, key: str) -> Path:
        return self.folder / CELLS / f"{key}.parquet"

    def _state(self, key: str) -> Path:
        return state_path(self.folder, key)


def state_path(folder: Path, key: str) -> Path:
    """The weights of a cell of a sweep's folder."""
    return folder / STATES / f"{key}.npz"


def read_results(path: Path) -> pd.DataFrame:
    """The rows of a sweep's folder or of one parquet file."""
    file = path / RESULTS if path.is_dir() else path
    results: pd.DataFrame = pd.read_parquet(file)
    return results


def named(outputs: Path, pattern: str) -> list[str]:
    """The sweeps in ``outputs`` whose names match a shell's pattern."""
    names = [path.parent.name for path in outputs.glob(f"*/{CONFIG}")]
    return sorted(fnmatch.filter(names, pattern))


def latest(outputs: Path) -> str | None:
    """Name of the sweep in ``outputs`` that was run last, None where there is no sweep."""
    with suppress(OSError, UnicodeDecodeError):
        name = (outputs / LATEST).read_text()
        if (outputs / name / CONFIG).is_file() and (outputs / name).parent == outputs:
            return name
    names = sorted(path.parent.name for path in outputs.glob(f"*/{CONFIG}"))
    if len(names) > 1:
        raise StoreError(f"Choose a sweep of {outputs} with name=…; there is {', '.join(names)}.")
    return names[0] if names else None


def _me() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid()}


def _by(record: Mapping[str, Any] | None) -> str:
    """Who holds a lock, as far as its file says so."""
    if not record or not {"host", "pid"} <= set(record):
        return ""
    return f" (process {record['pid']} on {record['host']})"


def _said(path: Path) -> dict[str, Any] | None:
    """What the holder of a lock wrote in it, None where that cannot be read."""
    try:
        record, _ = json.JSONDecoder().raw_decode(path.read_text())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _is_passing(path: Path) -> bool:
    """Whether a file is one that a run leaves when it is killed before it has begun."""
    return files.is_temporary(path) or path.name == LOCK


@contextmanager
def _told(path: Path, what: str = "written") -> Iterator[None]:
    """What the system refuses as an error that names the file; that it is not there passes."""
    try:
        yield
    except FileNotFoundError:
        if what == "read":
            raise
        raise _refused(path, what, "No such file or directory") from None
    except OSError as error:
        raise _refused(path, what, error.strerror or str(error)) from error


def _refused(path: Path, what: str, reason: str) -> StoreError:
    return StoreError(f"{path} cannot be {what}: {reason}.")


def _unlockable(path: Path, error: OSError) -> StoreError:
    if error.errno in files.LOCKLESS:
        return StoreError(
            f"{path} is on a file system without locks; choose another with outputs=…"
        )
    return _refused(path, "written", error.strerror or str(error))
