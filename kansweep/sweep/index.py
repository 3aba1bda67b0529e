"""The index over all rows of a folder, derived from their files.

One parquet file holds every row with the stamp of the files it was read from, so that no file is
read twice while it stays as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from kansweep.sweep import files, rows
from kansweep.sweep.layout import ROW, STATE, Layout
from kansweep.sweep.rows import SCHEMA, Stamp

_STAMPS = ["row_time", "row_bytes", "state_time", "state_bytes"]
_INDEX = pa.schema([*SCHEMA, *((name, pa.int64()) for name in _STAMPS)])
_NO_FILE: Stamp = (0, -1)
_AT_ONCE = 1000  # tables of one row that are in memory together; each takes some kilobytes


class Index:
    """All readable rows of a sweep's folder; a row counts if its state, where one is, does too.

    ``damaged`` are the files that turned out to be no row, or no state. Nothing is written but by
    ``save``; the index's file may be missing, old or damaged, and only costs time then.
    """

    def __init__(self, layout: Layout, is_sound: Callable[[str], bool]) -> None:
        self.damaged: tuple[Path, ...] = ()
        self._layout, self._is_sound = layout, is_sound
        self._table: pa.Table | None = None
        self._places: dict[str, int] = {}
        self._saved: pa.Table | None = None
        self._written: dict[tuple[str | int, ...], pa.Table] = {}

    def note(self, key: str, row: pa.Table) -> None:
        """Take a row that this process has just written as it is, so that it is not read again;
        without effect where rows were not read yet, as in a process that only writes."""
        if self._table is None:
            return
        row_stamp, state_stamp = (
            rows.stamp(path) or _NO_FILE
            for path in (self._layout.cell(key), self._layout.state(key))
        )
        self._written[key, *row_stamp, *state_stamp] = row

    def refresh(self) -> Index:
        """Read what is new or changed since the index was last read or saved."""
        if self._table is None:
            self._table = self._saved = _read_index(self._layout.index)
        stamps = _scan(self._layout.cells, ROW)
        states = _scan(self._layout.states, STATE)
        on_disk = {(key, *at, *states.get(key, _NO_FILE)) for key, at in stamps.items()}
        entries = (self._table[name].to_pylist() for name in ("key", *_STAMPS))
        indexed = list(zip(*entries, strict=True))
        kept = [place for place, entry in enumerate(indexed) if entry in on_disk]
        parts = [self._table if len(kept) == len(indexed) else self._table.take(_numbers(kept))]
        damaged: list[Path] = []
        new = sorted(on_disk.difference(indexed))
        for some in (new[i : i + _AT_ONCE] for i in range(0, len(new), _AT_ONCE)):
            read = ((self._row(key, at, damaged), at) for key, *at in some)
            tables = [_marked(row, at) for row, at in read if row is not None]
            parts.append(pa.concat_tables([rows.as_table([], _INDEX), *tables]).combine_chunks())
        if len(parts) > 1 or len(parts[0]) < len(self._table):
            self._table = pa.concat_tables(parts).combine_chunks()
        self._places = {key: i for i, key in enumerate(self._table["key"].to_pylist())}
        self.damaged = tuple(damaged)
        self._written.clear()
        return self

    def _row(self, key: str, at: Sequence[int], damaged: list[Path]) -> pa.Table | None:
        return self._written.get((key, *at)) or self._read(key, damaged)

    def _read(self, key: str, damaged: list[Path]) -> pa.Table | None:
        path, state = self._layout.cell(key), self._layout.state(key)
        row = rows.read_row(path, key)
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
        return self._current.select(SCHEMA.names).take(_numbers(places))

    def statuses(self, keys: Iterable[str]) -> dict[str, str]:
        """The statuses of those of these cells that have a row, in this order."""
        statuses = self.column("status")
        return {key: statuses[key] for key in keys if key in statuses}

    def save(self) -> None:
        """Write the index, if it is not what the file holds already. Raises OSError."""
        if self._table is not self._saved:
            fill = rows.filling(self._current, write_page_checksum=True)
            files.write(self._layout.index, fill)
            self._saved = self._table

    @property
    def _current(self) -> pa.Table:
        if self._table is None:
            raise RuntimeError("an index is refreshed before it is read")
        return self._table


def _read_index(path: Path) -> pa.Table:
    try:
        table = rows.read_table(path)
    except rows.UNREADABLE:  # or not to be read: it only costs time
        return rows.as_table([], _INDEX)
    return table if table.schema.equals(_INDEX) else rows.as_table([], _INDEX)


def _scan(folder: Path, ending: str) -> dict[str, Stamp]:
    """The stamp of every file with that ending, by its name without it."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {
            entry.name.removesuffix(ending): rows.stamp_of(entry.stat())
            for entry in entries
            if entry.name.endswith(ending) and entry.name[0] != "." and entry.is_file()
        }


def _marked(row: pa.Table, at: Iterable[int]) -> pa.Table:
    """The row with the stamps of the files it is from."""
    return pa.Table.from_arrays(
        [*row.columns, *(_numbers([number]) for number in at)], schema=_INDEX
    )


def _numbers(whole: Sequence[int]) -> pa.Array:
    return rows.array(whole, pa.int64())
