"""Rows of results: their schema, the file that holds one, and the index over all of a folder's.

The files are the truth. The index, one parquet file, is derived from them: it holds every row with
the stamp of the files it was read from, so that no file is read twice while it stays as it is.
"""

from __future__ import annotations

import errno
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kansweep import columns, files
from kansweep.columns import Column

_ARROW = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


def _schema(of: Iterable[Column]) -> pa.Schema:
    return pa.schema([(column.name, _ARROW[column.type]) for column in of])


SCHEMA = _schema(columns.RESULTS)
TRACE = _schema(columns.TRACE)  # of ``traces/<key>.parquet``, one row an iteration

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

# What the system says of a file that may be sound, but cannot be read at this moment.
DENIED = {
    *(errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ETIMEDOUT),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
}

Stamp = tuple[int, int]
"""When a file was last written, in nanoseconds, and its bytes; another writing, another stamp."""

_STAMPS = ["row_time", "row_bytes", "state_time", "state_bytes"]
_INDEX = pa.schema([*SCHEMA, *((name, pa.int64()) for name in _STAMPS)])
_NO_FILE: Stamp = (0, -1)
_AT_ONCE = 1000  # tables of one row that are in memory together; each takes some kilobytes


def write_row(path: Path, row: Mapping[str, Any]) -> None:
    """Write one cell's row; NaN is stored as null.

    Raises OSError, and ValueError where it has a column that is none of a row's.
    """
    columns.check(columns.RESULTS, row)
    filled = {name: value for name, value in row.items() if not _is_nan(value)}
    table = pa.Table.from_pylist([filled], schema=SCHEMA)
    write_table(path, table, write_page_checksum=True)


def write_trace(path: Path, steps: Sequence[Mapping[str, Any]]) -> None:
    """Write the iterations of one cell. Raises as ``write_row`` does."""
    for step in steps:
        columns.check(columns.TRACE, step)
    write_table(path, pa.Table.from_pylist(list(steps), schema=TRACE))


def write_table(path: Path, table: pa.Table, **options: Any) -> None:
    files.write(path, lambda file: pq.write_table(table, file, **options))


def read_row(path: Path, key: str) -> pa.Table | None:
    """A cell's row as a table, or None where there is no file or it is no row of that cell.

    Raises OSError where the file may be sound, but cannot be read now.
    """
    try:
        table = _in_schema(_read(path))
        return table if table["key"].to_pylist() == [key] else None
    except UNREADABLE as error:
        refuse_denied(error)
        return None


def refuse_denied(error: Exception) -> None:
    """Raise an error that says nothing of what the file holds, such as a lack of permission."""
    if isinstance(error, OSError) and error.errno in DENIED:
        raise error


def stamp(path: Path) -> Stamp | None:
    """The file's stamp, None where there is no file."""
    try:
        return _stamp(path.stat())
    except OSError:
        return None


class Index:
    """All readable rows of the folder ``rows``; a row counts if its state, where one is, does too.

    ``damaged`` are the files that were found to be no row, or no state. Nothing is written but by
    ``save``; the file at ``path`` may be missing, old or damaged, and only costs time then.
    """

    def __init__(
        self, rows: Path, states: Path, path: Path, is_sound: Callable[[str], bool]
    ) -> None:
        self.damaged: tuple[Path, ...] = ()
        self._rows, self._states, self._path, self._is_sound = rows, states, path, is_sound
        self._table: pa.Table | None = None
        self._places: dict[str, int] = {}
        self._saved: pa.Table | None = None

    def refresh(self) -> Index:
        """Read what is new or changed since the index was last read or saved."""
        if self._table is None:
            self._table = self._saved = _read_index(self._path)
        stamps = _scan(self._rows, ".parquet")
        states = _scan(self._states, ".npz")
        on_disk = {(key, *at, *states.get(key, _NO_FILE)) for key, at in stamps.items()}
        entries = (self._table[name].to_pylist() for name in ("key", *_STAMPS))
        indexed = list(zip(*entries, strict=True))
        kept = [entry in on_disk for entry in indexed]
        parts = [self._table if all(kept) else self._table.filter(pa.array(kept, pa.bool_()))]
        damaged: list[Path] = []
        new = sorted(on_disk.difference(indexed))
        for some in (new[i : i + _AT_ONCE] for i in range(0, len(new), _AT_ONCE)):
            read = ((self._read(key, damaged), at) for key, *at in some)
            tables = [_marked(row, at) for row, at in read if row is not None]
            parts.append(pa.concat_tables([_INDEX.empty_table(), *tables]).combine_chunks())
        if len(parts) > 1 or len(parts[0]) < len(self._table):
            self._table = pa.concat_tables(parts).combine_chunks()
        self._places = {key: i for i, key in enumerate(self._table["key"].to_pylist())}
        self.damaged = tuple(damaged)
        return self

    def _read(self, key: str, damaged: list[Path]) -> pa.Table | None:
        path, state = self._rows / f"{key}.parquet", self._states / f"{key}.npz"
        row = read_row(path, key)
        if row is None and path.exists():
            damaged.append(path)
        elif row is not None and not self._is_sound(key) and state.exists():
            damaged.append(state)
            row = None
        return row

    def column(self, name: str) -> dict[str, Any]:
        """A column of every row by the row's key, as of the last refresh."""
        keys, values = (self._current[each].to_pylist() for each in ("key", name))
        return dict(zip(keys, values, strict=True))

    def take(self, keys: Iterable[str]) -> pa.Table:
        """The rows of these cells, in this order; those without a row are left out."""
        places = [self._places[key] for key in keys if key in self._places]
        return self._current.select(SCHEMA.names).take(pa.array(places, pa.int64()))

    def save(self) -> None:
        """Write the index, if it is not what the file holds already. Raises OSError."""
        if self._table is not self._saved:
            write_table(self._path, self._current, write_page_checksum=True)
            self._saved = self._table

    @property
    def _current(self) -> pa.Table:
        if self._table is None:
            raise RuntimeError("an index is refreshed before it is read")
        return self._table


def _read_index(path: Path) -> pa.Table:
    try:
        table = _read(path)
    except UNREADABLE:  # or not to be read: it only costs time
        return _INDEX.empty_table()
    return table if table.schema.equals(_INDEX) else _INDEX.empty_table()


def _read(path: Path) -> pa.Table:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read()


def _scan(folder: Path, ending: str) -> dict[str, Stamp]:
    """The stamp of every file with that ending, by its name without it."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {
            entry.name.removesuffix(ending): _stamp(entry.stat())
            for entry in entries
            if entry.name.endswith(ending) and entry.name[0] != "." and entry.is_file()
        }


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_mtime_ns, status.st_size


def _marked(row: pa.Table, at: Iterable[int]) -> pa.Table:
    """The row with the stamps of the files it is from."""
    return pa.Table.from_arrays([*row.columns, *([number] for number in at)], schema=_INDEX)


def _in_schema(table: pa.Table) -> pa.Table:
    """The row of another version: columns that it lacks are null, those it has more are dropped."""
    if table.schema.equals(SCHEMA):
        return table
    shared = table.select([name for name in SCHEMA.names if name in table.column_names])
    filled = pa.concat_tables([SCHEMA.empty_table(), shared], promote_options="permissive")
    return filled.cast(SCHEMA)


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and value != value
