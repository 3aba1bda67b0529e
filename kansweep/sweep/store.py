"""A sweep's folder: who may write in it, what is written, reading back.

``cells/<key>.parquet`` is the truth, one row a file, written when the cell ends; the weights in
``states/<key>.npz`` are written before it. ``results.parquet``, the rows of the current plan, and
``index.parquet``, all rows read so far, are derived and can be rebuilt at any time. One run at a
time holds ``.lock``.
"""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import yaml

from kansweep.config.keys import identity
from kansweep.config.rules import AUTO
from kansweep.sweep import files, rows
from kansweep.sweep.columns import State, Status
from kansweep.sweep.index import Index
from kansweep.sweep.layout import Layout
from kansweep.sweep.marks import PATIENCE, Marks, holder_of, read_note, this_process
from kansweep.sweep.plan import Plan
from kansweep.sweep.refusals import ConfigDamaged, StoreError, naming_the_file, unlockable
from kansweep.sweep.rows import Stamp

if TYPE_CHECKING:  # imported where it is needed, so that a run starts without it
    import pandas as pd
    from matplotlib.figure import Figure

FinishedCell = tuple[Mapping[str, Any], Mapping[str, np.ndarray] | None]
"""Its row, and its weights where it has any."""

SETTLE_EVERY = 1.0  # seconds, at least, between flushes of the cells' names


class Store:
    """One sweep's folder, ``outputs/<name>``."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.layout = folder, Layout(folder)
        self.marks = Marks(self.layout.running)
        self._index = Index(self.layout, lambda key: self.read_state(key) is not None)
        self._settled = -math.inf

    def __reduce__(self) -> tuple[type[Store], tuple[Path]]:
        return Store, (self.folder,)  # the index is not for those who only write

    # ------------------------------------------------------------------ who may write in it

    @contextmanager
    def open(self, plan: Plan) -> Iterator[None]:
        """Make the folder this plan's and keep other runs out; refuse one that is not its own."""
        self.check(plan.config_record)
        with self.locked() as lock:
            try:
                with naming_the_file(self.folder):
                    lock.write(
                        json.dumps({"run": uuid.uuid4().hex, **this_process()}), durable=True
                    )
                    self.check(plan.config_record)  # again: it may have been another's until now
                    self.marks.await_release()
                    self._take_over(plan)
                yield
            finally:
                self.marks.remove_folder()

    @contextmanager
    def locked(self) -> Iterator[files.Lock]:
        """Keep runs out of the folder; refused where one is at work in it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = files.Lock.take(self.layout.lock, PATIENCE)
        except OSError as error:
            raise unlockable(self.folder, error) from error
        if lock is None:
            raise StoreError(
                f"Another run is at work in {self.folder}{holder_of(self.layout.lock)}."
                " Wait for it, or give this one a name of its own with name=…"
            )
        try:
            yield lock
        finally:
            lock.release()

    def holder(self) -> str | None:
        """Which run holds the folder; None where none does."""
        return (read_note(self.layout.lock) or {}).get("run")

    def is_held_by(self, run: str | None) -> bool:
        """Whether a run still has the folder, as far as one can tell; None stands for no run."""
        note = read_note(self.layout.lock)
        if note is None:  # not there, or not to be read at this moment
            return run is None or self.layout.lock.exists()
        return note.get("run") == run

    def check(self, record: Mapping[str, Any]) -> None:
        """Refuse a folder that is no sweep's, or that of another configuration."""
        with naming_the_file(self.folder, "read"):
            if not self.folder.exists():
                return
            if all(map(self.layout.is_passing, self.folder.iterdir())):
                return
            if not any(path.exists() for path in self.layout.of_a_sweep):
                raise StoreError(
                    f"{self.folder} is not a sweep's folder; choose another with name=…"
                )
        try:
            stored = self.read_config()
        except ConfigDamaged:  # it is written again; cells are known by their keys
            return
        self._refuse_other(stored, record)

    def _refuse_other(self, record: Mapping[str, Any], other: Mapping[str, Any]) -> None:
        stored, asked = identity(record), identity(other)
        stored |= {key: AUTO for key in stored if asked.get(key) == AUTO}  # to be found there
        keys = [key for key in {**stored, **asked} if stored.get(key) != asked.get(key)]
        if keys:
            changes = ", ".join(f"`{key}` ({stored.get(key)} → {asked.get(key)})" for key in keys)
            raise StoreError(
                f"{self.folder} holds another configuration; what differs is {changes}. "
                "Give this one a name of its own with name=…"
            )

    def _take_over(self, plan: Plan) -> None:
        """Write what makes the folder this plan's, and remove what dead processes left."""
        text = yaml.safe_dump(plan.config_record, sort_keys=False)
        # First of all, since by it a folder is known to be a sweep's.
        files.write(self.layout.config, lambda file: file.write(text.encode()))
        for part in (self.layout.cells, self.layout.states, self.layout.figures):
            part.mkdir(exist_ok=True)
        for path in self.layout.temporaries():
            path.unlink(missing_ok=True)
        self.marks.clear()
        name = self.folder.name.encode()
        files.write(self.layout.latest, lambda file: file.write(name))

    # ---------------------------------------------------------------------------- writing

    def write_cell(self, row: Mapping[str, Any], state: Mapping[str, np.ndarray] | None) -> None:
        """Keep a finished cell: its weights, where it has any, then its row."""
        self.write_cells([(row, state)])

    def write_cells(self, cells: Sequence[FinishedCell]) -> None:
        """Keep finished cells, each as ``write_cell`` does.

        None is lost to a kill; a power cut can take back those of the last second, each whole.
        """
        tables = rows.of_cells([row for row, _ in cells])
        fills: dict[Path, Callable[[BinaryIO], object]] = {}  # the weights before the rows
        for key, (_, state) in zip(tables, cells, strict=True):
            if state is None:
                with naming_the_file(self.layout.state(key)):  # what was there is not this row's
                    self.layout.state(key).unlink(missing_ok=True)
            else:
                fills[self.layout.state(key)] = _packed(key, state)
        for key, table in tables.items():
            fills[self.layout.cell(key)] = rows.filling(table, **rows.OF_ONE)
        self._write_together(fills)
        for key, table in tables.items():
            self._index.note(key, table)
        if time.monotonic() - self._settled > SETTLE_EVERY:
            self.settle()

    def settle(self) -> None:
        """From here on not even a power cut takes back a cell that is written."""
        for folder in (self.layout.states, self.layout.cells):
            with naming_the_file(folder):
                files.settle(folder)
        self._settled = time.monotonic()

    def write_trace(self, key: str, steps: Sequence[Mapping[str, Any]]) -> None:
        """Keep the iterations of a cell."""
        path = self.layout.trace(key)
        with naming_the_file(path):
            path.parent.mkdir(exist_ok=True)
            rows.write_trace(path, steps)

    def write_results(self, keys: Iterable[str]) -> dict[str, str]:
        """Rebuild ``results.parquet`` for these cells, and the index; the statuses of the former's
        rows by their keys."""
        self.consolidate()
        keys = list(keys)
        self._write(self.layout.results, rows.filling(self._index.take(keys)))
        return self._index.statuses(keys)

    def consolidate(self) -> None:
        """Let the index hold all rows, so that none of their files is read again."""
        index = self.index()
        with naming_the_file(self.layout.index):
            index.save()

    def write_laws(self, laws: pd.DataFrame) -> Path:
        return self._write_text(self.layout.laws, laws.to_csv(index=False))

    def write_comparison(self, compared: pd.DataFrame) -> Path:
        return self._write_text(self.layout.comparison, compared.to_csv(index=False))

    def write_report(self, text: str) -> Path:
        return self._write_text(self.layout.report, text)

    def write_published(self, ending: str, text: str) -> Path:
        return self._write_text(self.layout.published(ending), f"{text}\n")

    def _write_text(self, path: Path, text: str) -> Path:
        """In the sweep's folder, which that of several sweeps may have to become."""
        with naming_the_file(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._write(path, lambda file: file.write(text.encode()))
        return path

    def write_figure(self, name: str, file_format: str, figure: Figure) -> Path:
        path = self.layout.figure(name, file_format)
        with naming_the_file(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._write(path, lambda file: figure.savefig(file, format=file_format))
        return path

    def _write_together(self, fills: Mapping[Path, Callable[[BinaryIO], object]]) -> None:
        """Files in this order, each whole or not at all; their folders are not settled."""
        with ExitStack() as stack:
            staged = []
            for path, fill in fills.items():
                with naming_the_file(path):
                    staged.append(stack.enter_context(files.Staged(path, fill)))
            with naming_the_file(staged[-1].path):
                files.flush(staged)
            for one in staged:
                with naming_the_file(one.path):
                    one.place()

    def _write(self, path: Path, fill: Callable[[BinaryIO], object]) -> None:
        with naming_the_file(path):
            files.write(path, fill)

    # ----------------------------------------------------------------------- reading back

    def read_config(self) -> dict[str, Any]:
        """The configuration of the sweep as it was last run."""
        path, record = self.layout.config, None
        if not any(each.exists() for each in self.layout.of_a_sweep):
            raise StoreError(f"There is no sweep in {self.folder}.")
        no_config = yaml.YAMLError, UnicodeDecodeError, FileNotFoundError
        with suppress(*no_config), naming_the_file(path, "read"):
            record = yaml.safe_load(path.read_text())
        if not isinstance(record, dict) or not {"data", "grid", "model", "solver"} <= set(record):
            raise ConfigDamaged(
                f"{path} holds no configuration; the `kansweep run …` that made the sweep writes it"
                " again and trains nothing anew."
            )
        return record

    def read_state(self, key: str) -> dict[str, np.ndarray] | None:
        """The weights of a cell as plain arrays, or None where there are none to be read."""
        try:
            with (
                self.layout.state(key).open("rb") as file,
                np.load(file, allow_pickle=False) as arrays,
            ):
                state = dict(arrays)
        except rows.UNREADABLE as error:
            rows.refuse_denied(error)
            return None
        return state if str(state.pop("key", "")) == key else None

    def row(self, key: str) -> dict[str, Any] | None:
        """A cell's row, or None where there is none to be read."""
        with naming_the_file(self.layout.cell(key), "read"):
            table = rows.read_row(self.layout.cell(key), key)
        return None if table is None else table.to_pylist()[0]

    def stamp(self, key: str) -> Stamp | None:
        """What tells one writing of a cell's row from the next, None where there is no row."""
        return rows.stamp(self.layout.cell(key))

    @property
    def damaged(self) -> tuple[Path, ...]:
        """Files that were found to be no row or no weights when rows were last read."""
        return self._index.damaged

    def index(self) -> Index:
        """All rows there are, read where they are new or changed."""
        with naming_the_file(self.folder, "read"):
            return self._index.refresh()

    def statuses(self, keys: Iterable[str]) -> dict[str, str]:
        """The statuses of those of these cells that have a row, in this order."""
        return self.index().statuses(keys)

    def rows(self, keys: Iterable[str]) -> list[dict[str, Any]]:
        """The rows of these cells as of the last reading; what is null there is None."""
        rows: list[dict[str, Any]] = self._index.take(keys).to_pylist()
        return rows

    def results(self, keys: Iterable[str]) -> pd.DataFrame:
        """The rows of these cells, in this order; those without a row are left out."""
        table: pd.DataFrame = self.index().take(keys).to_pandas()
        return table

    def overview(self, plan: Plan) -> pd.DataFrame:
        """Every planned cell with its status (done, failed, running or waiting), its errors and
        its seconds, if any."""
        import pandas as pd

        at_work = {key for mark in self.marks.held() for key in mark.running}
        planned = pd.DataFrame([vars(cell) for cell in plan.cells])
        ended = self.results(planned["key"])
        ended = ended[["key", "status", "train_rmse", "test_rmse", "seconds"]]
        table = planned.merge(ended, on="key", how="left")
        after = {status.value: State.after(status).value for status in Status}
        state = table["status"].map(after).fillna(State.WAITING.value)
        state = state.mask(table["key"].isin(at_work), State.RUNNING.value)
        return table.assign(status=state, model=plan.config_record["model"]["name"])


def _packed(key: str, state: Mapping[str, np.ndarray]) -> Callable[[BinaryIO], object]:
    """What fills a file with a cell's weights."""
    arrays = {**state, "key": np.array(key)}
    return files.at_once(lambda file: np.savez(file, allow_pickle=False, **arrays))


def read_record(path: Path) -> dict[str, Any]:
    """The configuration of the sweep that a folder, or a parquet file in it, is of."""
    return Store(path if path.is_dir() else path.parent).read_config()


def read_results(path: Path) -> pd.DataFrame:
    """The rows of a sweep's folder or of one parquet file."""
    import pandas as pd

    file = Layout(path).results if path.is_dir() else path
    results: pd.DataFrame = pd.read_parquet(file)
    return results


def read_laws(path: Path) -> pd.DataFrame:
    """The rows of a ``laws.csv``, of whatever version."""
    import pandas as pd

    laws: pd.DataFrame = pd.read_csv(path)
    return laws
