"""Rows of results and of traces: their schemas, and the files that hold them: the truth."""

from __future__ import annotations

import errno
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kansweep.sweep import columns, files
from kansweep.sweep.columns import Column

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
        table = _in_schema(read_table(path))
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
        return stamp_of(path.stat())
    except OSError:
        return None


def read_table(path: Path) -> pa.Table:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read()


def stamp_of(status: os.stat_result) -> Stamp:
    return status.st_mtime_ns, status.st_size


def _in_schema(table: pa.Table) -> pa.Table:
    """The row of another version: columns that it lacks are null, those it has more are dropped."""
    if table.schema.equals(SCHEMA):
        return table
    shared = table.select([name for name in SCHEMA.names if name in table.column_names])
    filled = pa.concat_tables([SCHEMA.empty_table(), shared], promote_options="permissive")
    return filled.cast(SCHEMA)


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and value != value
