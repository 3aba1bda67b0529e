"""Rows of results and of traces: their schemas, and the files that hold them: the truth."""

from __future__ import annotations

import errno
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kansweep.sweep import columns, files
from kansweep.sweep.columns import Column

_ARROW = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "list of string": pa.list_(pa.string()),
    "list of float64": pa.list_(pa.float64()),
}


_NUMPY = {"double": "float64", "bool": "bool"}  # the others are whole numbers of 64 bits
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _schema(of: Iterable[Column]) -> pa.Schema:
    return pa.schema([(column.name, _ARROW[column.type]) for column in of])


SCHEMA = _schema(columns.RESULTS)
TRACE = _schema(columns.TRACE)  # of ``traces/<key>.parquet``, one row an iteration

# How the file of a single row is written: in two thirds of the time, without a dictionary and
# statistics of values that are but one.
OF_ONE = {"write_page_checksum": True, "use_dictionary": False, "write_statistics": False}

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


def of_cells(rows: Sequence[Mapping[str, Any]]) -> dict[str, pa.Table]:
    """The rows of cells by their keys, a table each; NaN is null. Raises ValueError where one has a
    column that is none of a row's."""
    for row in rows:
        columns.check(columns.RESULTS, row)
    filled = [{name: _without_nan(value) for name, value in row.items()} for row in rows]
    # All at once: most of it takes as long for one as for many.
    table = as_table(filled, SCHEMA)
    return {str(row["key"]): table.slice(place, 1) for place, row in enumerate(rows)}


def as_table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as a table; what one lacks is null.

    As ``pa.Table.from_pylist`` does, which imports pandas first, to know whether it was given any:
    a tenth of the time that a small run takes.
    """
    columns = [array([row.get(field.name) for row in rows], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Values as an array of one of the types above; None is null."""
    there = np.array([value is not None for value in values], bool)
    given = [value for value in values if value is not None]
    validity = None if there.all() else _bits(there)
    if pa.types.is_list(kind):
        ends = np.cumsum(
            [0, *(0 if value is None else len(value) for value in values)], dtype=np.int32
        )
        parts = [array([part for value in given for part in value], kind.value_type)]
        buffers = [validity, pa.py_buffer(ends)]
        return pa.Array.from_buffers(kind, len(values), buffers, children=parts)
    if pa.types.is_string(kind):
        texts = [b"" if value is None else str(value).encode() for value in values]
        ends = np.cumsum([0, *map(len, texts)], dtype=np.int32)
        buffers = [validity, pa.py_buffer(ends), pa.py_buffer(b"".join(texts))]
    else:
        if pa.types.is_timestamp(kind):
            given = [(value - _EPOCH) // timedelta(microseconds=1) for value in given]
        filled = np.zeros(len(values), _NUMPY.get(str(kind), "int64"))
        if given:
            filled[there] = np.array(given).astype(filled.dtype, casting="same_kind")
        is_bit = pa.types.is_boolean(kind)
        buffers = [validity, _bits(filled) if is_bit else pa.py_buffer(filled)]
    return pa.Array.from_buffers(kind, len(values), buffers)


def _bits(flags: NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder="little"))


def write_trace(path: Path, steps: Sequence[Mapping[str, Any]]) -> None:
    """Write the iterations of one cell.

    Raises OSError, and ValueError where there is a column that is none of a trace's.
    """
    for step in steps:
        columns.check(columns.TRACE, step)
    files.write(path, filling(as_table(steps, TRACE)))


def filling(table: pa.Table, **options: Any) -> Callable[[BinaryIO], object]:
    """What fills a file with a table."""
    return files.at_once(lambda file: pq.write_table(table, file, **options))


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
    filled = pa.concat_tables([as_table([], SCHEMA), shared], promote_options="permissive")
    return filled.cast(SCHEMA)


def _without_nan(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and value != value else value
