"""The index over rows: what is read once is not read again, and what changed is."""

from __future__ import annotations

import os
from datetime import UTC
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kansweep.config.data import DataConfig
from kansweep.config.models import GridConfig
from kansweep.config.run import RunConfig
from kansweep.sweep import index, rows
from kansweep.sweep.plan import planned
from kansweep.sweep.store import Store

PLAN = planned(RunConfig(seeds=2, data=DataConfig(sizes=(30,)), grid=GridConfig(sizes=(3, 5, 8))))
KEYS = [cell.key for cell in PLAN.cells]


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """The names of the row files that are opened."""
    names: list[str] = []
    original = rows.read_row

    def noting(path: Path, key: str) -> pa.Table | None:
        names.append(path.name)
        return original(path, key)

    monkeypatch.setattr(rows, "read_row", noting)
    return names


@pytest.fixture
def store(tmp_path) -> Store:
    store = Store(tmp_path / "one")
    with store.open(PLAN):
        for number, key in enumerate(KEYS):
            write(store, key, number)
        store.consolidate()
    return store


def write(store: Store, key: str, number: float) -> None:
    row = {"key": key, "status": "ok", "train_rmse": float(number)}
    store.write_cell(row, {"a": np.full(3, number)})


def values(store: Store) -> dict[str, float]:
    return store.index().column("train_rmse")


def test_what_has_been_consolidated_is_not_read_again(store, read):
    again = Store(store.folder)
    assert values(again) == dict(zip(KEYS, range(6), strict=True))
    assert again.results(reversed(KEYS))["train_rmse"].tolist() == [5, 4, 3, 2, 1, 0]
    assert read == []


def test_only_what_is_new_changed_or_damaged_is_read(store, read):
    for key in KEYS[:4]:
        path = store.folder / "cells" / f"{key}.parquet"
        match KEYS.index(key):
            case 0:
                write(store, key, 10.0)
            case 1:
                path.write_bytes(b"")
            case 2:
                path.unlink()
            case 3:
                (store.folder / "states" / f"{key}.npz").write_bytes(b"PK and no more")
    again = Store(store.folder)
    assert values(again) == {KEYS[0]: 10.0, KEYS[4]: 4.0, KEYS[5]: 5.0}
    assert sorted(read) == sorted(f"{KEYS[i]}.parquet" for i in (0, 1, 3))
    assert {path.name for path in again.damaged} == {f"{KEYS[1]}.parquet", f"{KEYS[3]}.npz"}
    write(store, KEYS[1], 1.0)
    assert values(again)[KEYS[1]] == 1.0
    assert {path.name for path in again.damaged} == {f"{KEYS[3]}.npz"}


def test_weights_that_were_removed_leave_the_row(store, read):
    (store.folder / "states" / f"{KEYS[0]}.npz").unlink()
    assert len(values(Store(store.folder))) == 6
    assert Store(store.folder).damaged == ()


@pytest.mark.parametrize("damage", ["missing", "truncated", "garbage", "older"])
def test_an_index_that_cannot_be_read_only_costs_time(store, read, damage):
    path = store.folder / "index.parquet"
    whole = path.read_bytes()
    match damage:
        case "missing":
            path.unlink()
        case "truncated":
            path.write_bytes(whole[: len(whole) // 2])
        case "garbage":
            path.write_bytes(b"x" * 1000)
        case "older":
            pq.write_table(pq.read_table(path).drop_columns(["start_grid"]), path)
    assert len(values(Store(store.folder))) == 6
    assert len(read) == 6
    fresh = Store(store.folder)
    fresh.consolidate()
    read.clear()
    assert len(values(Store(store.folder))) == 6
    assert read == []


def written(path: Path) -> tuple[int, int, int]:
    """What a file's writing changes, and its reading does not."""
    now = path.stat()
    return now.st_ino, now.st_size, now.st_mtime_ns


def test_nothing_is_written_where_nothing_changed(store):
    path = store.folder / "index.parquet"
    before = written(path)
    again = Store(store.folder)
    again.consolidate()
    again.consolidate()
    assert written(path) == before


def test_looking_writes_nothing(store):
    write(store, KEYS[0], 7.0)
    before = {path: written(path) for path in store.folder.rglob("*")}
    Store(store.folder).overview(PLAN)
    assert {path: written(path) for path in store.folder.rglob("*")} == before


def test_many_rows_are_read_a_part_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(index, "_AT_ONCE", 2)
    store = Store(tmp_path / "one")
    with store.open(PLAN):
        for number, key in enumerate(KEYS):
            write(store, key, number)
    assert Store(store.folder).results(KEYS)["train_rmse"].tolist() == [0, 1, 2, 3, 4, 5]


def test_temporaries_and_strangers_are_no_rows(store):
    cells = store.folder / "cells"
    (cells / f".{KEYS[0]}.parquet.{os.getpid()}.tmp").write_bytes(b"half")
    (cells / "notes.txt").write_text("mine")
    again = Store(store.folder)
    assert len(values(again)) == 6
    assert again.damaged == ()


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "error": st.sampled_from([None, "", "\N{GREEK SMALL LETTER PI}", "two\nlines"]),
                "seed": st.none() | st.integers(-(2**63), 2**63 - 1),
                "seconds": st.none() | st.floats(allow_nan=False),
                "started_at": st.none() | st.datetimes(timezones=st.just(UTC)),
            },
        ),
        max_size=10,
    )
)
def test_rows_become_the_table_that_pyarrow_makes_of_them(made):
    assert rows.as_table(made, rows.SCHEMA).equals(pa.Table.from_pylist(made, schema=rows.SCHEMA))


def test_a_number_that_is_none_of_its_column_is_refused():
    with pytest.raises(TypeError):
        rows.as_table([{"seed": 0.5}], rows.SCHEMA)
