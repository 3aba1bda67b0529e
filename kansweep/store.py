"""A sweep's folder: schema, file names, atomic writes, reading back; known here and nowhere else.

``cells/<key>.parquet`` is the truth, one row a file, written when the cell ends; the weights in
``states/<key>.npz`` are written before it. ``results.parquet`` is derived from the rows of the
current plan and can be rebuilt at any time.
"""

from __future__ import annotations

import io
import os
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from kansweep import sweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("data", pa.string()),
        ("n_train", pa.int64()),
        ("seed", pa.int64()),
        ("grid_size", pa.int64()),
        ("k", pa.int64()),
        ("width", pa.string()),
        ("model", pa.string()),
        ("solver", pa.string()),
        ("n_params", pa.int64()),
        ("train_rmse", pa.float64()),
        ("test_rmse", pa.float64()),
        ("test_median_error", pa.float64()),
        ("floor_rmse", pa.float64()),
        ("reg", pa.float64()),
        ("status", pa.string()),
        ("stop_reason", pa.string()),
        ("steps", pa.int64()),
        ("grad_norm", pa.float64()),
        ("seconds", pa.float64()),
        ("dtype", pa.string()),
        ("device", pa.string()),
        ("error", pa.string()),
        ("version", pa.string()),
        ("torch_version", pa.string()),
        ("git_revision", pa.string()),
        ("host", pa.string()),
        ("started_at", pa.timestamp("us", tz="UTC")),
    ]
)

# One row an iteration of one cell, in ``traces/<key>.parquet``.
TRACE = pa.schema(
    [
        ("step", pa.int64()),
        ("rmse", pa.float64()),
        ("grad_norm", pa.float64()),
        ("accepted", pa.bool_()),
        ("damping", pa.float64()),
        ("penalty", pa.float64()),
    ]
)

CONFIG, RESULTS, LAWS = "config.yaml", "results.parquet", "laws.csv"
# What is raised by a file that is not what its name says, or is not there.
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    RuntimeError,
    zipfile.BadZipFile,
    pa.ArrowException,
)
PARTS = ("cells", "states", "figures")
TRACES = "traces"  # made where there are any
ABANDONED = 3600.0  # seconds: a temporary lives for one at most, unless its process died


class StoreError(RuntimeError):
    """A folder that cannot be used as asked; the message says why and what to do."""


class Store:
    """One sweep's folder, ``outputs/<name>``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, plan: sweep.Plan) -> None:
        """Make the folder this plan's, or refuse one that belongs to another configuration."""
        if (self.folder / CONFIG).exists():
            self._refuse_other(plan.config_record)
        elif self.folder.is_dir() and not all(map(_is_temporary, self.folder.iterdir())):
            raise StoreError(f"{self.folder} is not a sweep's folder; choose another with name=…")
        text = yaml.safe_dump(plan.config_record, sort_keys=False)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # First of all, since by it a folder is known to be a sweep's.
            _write(self.folder / CONFIG, lambda file: file.write(text.encode()))
            for part in PARTS:
                (self.folder / part).mkdir(exist_ok=True)
            self._sweep_up()
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def _sweep_up(self) -> None:
        """Remove the temporaries of processes that died while they wrote."""
        folders = [self.folder / part for part in ("", *PARTS, TRACES)]
        for path in (path for folder in folders if folder.is_dir() for path in folder.iterdir()):
            if _is_temporary(path) and path.stat().st_mtime < time.time() - ABANDONED:
                path.unlink(missing_ok=True)

    def _refuse_other(self, record: Mapping[str, Any]) -> None:
        stored, asked = sweep.identity(self.read_config()), sweep.identity(record)
        keys = [key for key in {**stored, **asked} if stored.get(key) != asked.get(key)]
        if keys:
            changes = ", ".join(f"`{key}` ({stored.get(key)} → {asked.get(key)})" for key in keys)
            raise StoreError(
                f"{self.folder} holds another configuration; what differs is {changes}. "
                "Give this one a name of its own with name=…"
            )

    def read_config(self) -> dict[str, Any]:
        """The configuration of the sweep as it was last run."""
        try:
            record = yaml.safe_load((self.folder / CONFIG).read_text())
        except OSError as error:
            raise StoreError(f"There is no sweep in {self.folder}.") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise StoreError(f"{self.folder / CONFIG} is not valid YAML.") from error
        if not isinstance(record, dict):
            raise StoreError(f"{self.folder / CONFIG} holds no configuration.")
        return record

    def write_cell(self, row: Mapping[str, Any], state: Mapping[str, np.ndarray] | None) -> None:
        """Keep a finished cell: its weights, where it has any, then its row."""
        if state is not None:
            packed = io.BytesIO()
            np.savez(packed, allow_pickle=False, **state, key=np.array(row["key"]))
            _write(self._state(row["key"]), lambda file: file.write(packed.getbuffer()))
        filled = {name: value for name, value in row.items() if not _is_nan(value)}
        table = pa.Table.from_pylist([filled], schema=SCHEMA)
        _write(
            self._cell(row["key"]),
            lambda file: pq.write_table(table, file, write_page_checksum=True),
        )

    def write_trace(self, key: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keep the iterations of a cell."""
        table = pa.Table.from_pylist(list(rows), schema=TRACE)
        path = self.folder / TRACES / f"{key}.parquet"
        path.parent.mkdir(exist_ok=True)
        _write(path, lambda file: pq.write_table(table, file))

    def read_state(self, key: str) -> dict[str, np.ndarray] | None:
        """The weights of a cell as plain arrays, or None where there are none to be read."""
        try:
            with self._state(key).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                state = dict(arrays)
        except UNREADABLE:
            return None
        return state if str(state.pop("key", "")) == key else None

    def statuses(self, keys: Iterable[str]) -> dict[str, str]:
        """Status of those cells that have a readable row."""
        rows = self._rows(keys)
        return dict(zip(rows["key"].to_pylist(), rows["status"].to_pylist(), strict=True))

    def results(self, keys: Iterable[str]) -> pd.DataFrame:
        """The rows of these cells, in this order; those without a row are left out."""
        table: pd.DataFrame = self._rows(keys).to_pandas()
        return table

    def overview(self, plan: sweep.Plan) -> pd.DataFrame:
        """Every planned cell with its status (done, failed or waiting) and its errors, if any."""
        planned = pd.DataFrame([vars(cell) for cell in plan.cells])
        rows = self.results(planned["key"])
        found = rows[["key", "status", "train_rmse", "test_rmse", "seconds"]]
        table = planned.merge(found, on="key", how="left")
        words = {"ok": "done", "diverged": "failed", "failed": "failed"}
        return table.assign(status=table["status"].map(words).fillna("waiting"))

    def write_results(self, keys: Iterable[str]) -> None:
        """Rebuild ``results.parquet`` for these cells."""
        table = self._rows(keys)
        _write(self.results_path, lambda file: pq.write_table(table, file))

    @property
    def results_path(self) -> Path:
        return self.folder / RESULTS

    def write_laws(self, laws: pd.DataFrame) -> Path:
        path = self.folder / LAWS
        text = laws.to_csv(index=False)
        _write(path, lambda file: file.write(text.encode()))
        return path

    def write_figure(self, name: str, file_format: str, figure: Figure) -> Path:
        path = self.folder / "figures" / f"{name}.{file_format}"
        path.parent.mkdir(exist_ok=True)
        _write(path, lambda file: figure.savefig(file, format=file_format))
        return path

    def _rows(self, keys: Iterable[str]) -> pa.Table:
        tables = [table for key in keys if (table := self._read_cell(key)) is not None]
        return pa.concat_tables([SCHEMA.empty_table(), *tables])

    def _read_cell(self, key: str) -> pa.Table | None:
        """A cell's row, or None where it was never written or is none: the cell is not done."""
        try:
            with pq.ParquetFile(self._cell(key), page_checksum_verification=True) as file:
                table = _in_schema(file.read())
            return table if table["key"].to_pylist() == [key] else None
        except UNREADABLE:
            return None

    def _cell(self, key: str) -> Path:
        return self.folder / "cells" / f"{key}.parquet"

    def _state(self, key: str) -> Path:
        return self.folder / "states" / f"{key}.npz"


def _in_schema(table: pa.Table) -> pa.Table:
    """The row of another version: columns that it lacks are null, those it has more are dropped."""
    there = set(table.column_names)
    known = table.select([name for name in SCHEMA.names if name in there])
    return pa.concat_tables([SCHEMA.empty_table(), known], promote_options="permissive").cast(
        SCHEMA
    )


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and value != value


def latest(outputs: Path) -> str | None:
    """Name of the sweep in ``outputs`` that was run last."""
    if not outputs.is_dir():
        return None
    configs = [folder / CONFIG for folder in outputs.iterdir() if (folder / CONFIG).is_file()]
    newest = max(configs, key=lambda path: path.stat().st_mtime, default=None)
    return None if newest is None else newest.parent.name


def _write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Write a file so that it is there whole or not at all, whenever the process dies."""
    try:
        _replace(path, fill)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise _unwritable(path, error) from error


def _replace(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")  # as _is_temporary knows it
    try:
        with temporary.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path} cannot be written: {error.strerror or error}.")


def _is_temporary(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(".tmp")
