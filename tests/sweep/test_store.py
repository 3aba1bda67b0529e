"""The folder of a sweep: schema, atomic writes, and what is not believed."""

from __future__ import annotations

import math
import os
import stat
import struct
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from folders import files
from hypothesis import given, settings
from hypothesis import strategies as st

from kansweep.config.data import DataConfig
from kansweep.config.models import GridConfig, KANConfig
from kansweep.config.run import RunConfig
from kansweep.sweep import outputs, rows
from kansweep.sweep.plan import Plan, planned
from kansweep.sweep.refusals import StoreError
from kansweep.sweep.rows import SCHEMA
from kansweep.sweep.store import Store

CONFIG = RunConfig(seeds=[0], data=DataConfig(sizes=(30,)), grid=GridConfig(sizes=(3, 5)))
PLAN = planned(CONFIG)
KEYS = [cell.key for cell in PLAN.cells]
CELL, STATE = f"cells/{KEYS[0]}.parquet", f"states/{KEYS[0]}.npz"
COLUMNS = (
    "key, data, n_train, seed, grid_size, k, width, model, solver, n_params, train_rmse, "
    "test_rmse, test_median_error, floor_rmse, reg, status, stop_reason, steps, grad_norm, "
    "seconds, dtype, device, error, version, torch_version, git_revision, host, started_at, "
    "start_grid, size, noise, spacing, gradient_rmse, hessian_rmse, outputs, train_rmse_each, "
    "test_rmse_each, floor_rmse_each, noise_each, spread_each"
)


def row(key: str = KEYS[0], **values: object) -> dict[str, object]:
    return {"key": key, "status": "ok", "n_train": 30, "seed": 0, "train_rmse": 0.25, **values}


def opened(folder: Path, plan: Plan = PLAN) -> Store:
    """A sweep's folder that a run has left again."""
    store = Store(folder)
    with store.open(plan):
        pass
    return store


def statuses(store: Store) -> dict[str, str]:
    return store.index().column("status")


@pytest.fixture
def store(tmp_path):
    return opened(tmp_path / "outputs" / "one")


def test_the_columns_are_those_of_the_contract():
    assert ", ".join(SCHEMA.names) == COLUMNS
    whole = {"n_train", "seed", "grid_size", "k", "n_params", "steps", "start_grid", "size"}
    real = {name for name in SCHEMA.names if "rmse" in name}
    real |= {"test_median_error", "reg", "grad_norm", "seconds", "noise"}
    of_each = {name for name in SCHEMA.names if name.endswith("_each")}
    kinds = dict.fromkeys(SCHEMA.names, "string")
    kinds |= dict.fromkeys(whole, "int64") | dict.fromkeys(real, "double")
    kinds |= dict.fromkeys(of_each, "list<item: double>")
    kinds |= {"started_at": "timestamp[us, tz=UTC]", "outputs": "list<item: string>"}
    assert {column.name: str(column.type) for column in SCHEMA} == kinds


def test_what_is_no_number_is_null_in_the_file(store):
    store.write_cell(row(status="diverged", test_rmse=math.nan, train_rmse=math.inf), None)
    store.write_results(KEYS)
    for path in (store.folder / CELL, store.layout.results):
        table = pq.read_table(path)
        assert table["test_rmse"].null_count == 1
        assert table["train_rmse"].to_pylist() == [math.inf]


def test_columns_have_the_same_types_however_many_rows_there_are(store):
    none = store.results(KEYS).dtypes
    store.write_cell(
        row(n_params=24, steps=3, k=3, grid_size=3, start_grid=3, size=3, error=None), None
    )
    assert store.results(KEYS).dtypes.to_dict() == none.to_dict()
    assert str(none["seed"]) == "int64"


def test_a_cell_comes_back_as_it_was_written(store):
    when = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    store.write_cell(row(started_at=when, width="2-1-1"), {"a": np.arange(3.0)})
    store.write_results(KEYS)
    table = pq.read_table(store.layout.results)
    assert table.schema.equals(SCHEMA)
    results = pd.read_parquet(store.layout.results)
    assert results.loc[0, "train_rmse"] == 0.25
    assert results.loc[0, "started_at"] == when
    assert pd.isna(results.loc[0, "test_rmse"])
    np.testing.assert_array_equal(store.read_state(KEYS[0])["a"], np.arange(3.0))


def test_results_have_the_plans_order_and_leave_out_what_is_missing(store):
    for key in reversed(KEYS):
        store.write_cell(row(key), None)
    assert store.results(KEYS)["key"].tolist() == KEYS
    assert store.results(["no-such", KEYS[1]])["key"].tolist() == KEYS[1:]
    assert store.results(["no-such"]).empty


def test_the_overview_says_of_every_cell_how_it_stands(store):
    assert store.overview(PLAN)["status"].tolist() == ["waiting", "waiting"]
    store.write_cell(row(KEYS[0]), None)
    store.write_cell(row(KEYS[1], status="diverged"), None)
    assert store.overview(PLAN)["status"].tolist() == ["done", "failed"]


def cut_off(monkeypatch, step: str, error: BaseException) -> None:
    """Let every write end in an error at one of its steps, the data half written."""

    def raising(*_: object, **__: object) -> None:
        raise error

    def half(file: BinaryIO) -> None:
        file.write(b"PAR1 and no more")
        raise error

    owner, name, broken = {
        "pack": (pq, "write_table", raising),
        "open": (Path, "open", raising),
        "write": (rows, "filling", lambda *_, **__: half),
        "fsync": (os, "fsync", raising),
        "replace": (Path, "replace", raising),
    }[step]
    monkeypatch.setattr(owner, name, broken)


@pytest.mark.parametrize("step", ["open", "pack", "write", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("before", [[1.0], []])
def test_a_write_that_is_cut_off_leaves_the_old_file_and_nothing_else(
    store, monkeypatch, step, error, before
):
    for value in before:
        store.write_cell(row(train_rmse=value), None)
    there = files(store.folder)
    cut_off(monkeypatch, step, error)
    expected = StoreError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected, match="No space left" if isinstance(error, OSError) else None):
        store.write_cell(row(train_rmse=2.0), None)
    monkeypatch.undo()
    assert files(store.folder) == there
    assert store.results(KEYS)["train_rmse"].tolist() == before


def test_rows_that_are_written_together_are_read_as_they_are(store):
    each = [
        row(KEYS[0], train_rmse=None, error="café", outputs=["flow", "x"], spread_each=[1.0, 2.0]),
        row(KEYS[1], train_rmse=0.5, width="2-1-1", outputs=["y"], spread_each=None, start_grid=5),
    ]
    store.write_cells([(one, None) for one in each])
    for one in each:
        read = Store(store.folder).row(one["key"])
        assert {name: value for name, value in read.items() if value is not None} == {
            name: value for name, value in one.items() if value is not None
        }


def test_weights_that_cannot_be_written_leave_the_row_unwritten(store, monkeypatch):
    cut_off(monkeypatch, "replace", OSError(28, "No space left on device"))
    with pytest.raises(StoreError, match=r"\.npz cannot be written: No space left on device\."):
        store.write_cell(row(), {"a": np.zeros(2)})
    monkeypatch.undo()
    assert list(statuses(store)) == []


def test_cells_are_flushed_before_they_are_placed_and_their_names_once_a_second(store, monkeypatch):
    clock, calls = [100.0], []
    flush, place = os.fsync, Path.replace

    def flushed(number):
        calls.append("name" if stat.S_ISDIR(os.fstat(number).st_mode) else "file")
        flush(number)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", lambda *of: calls.append(of[1].suffix) or place(*of))
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    both = [(row(key), {"a": np.zeros(2)}) for key in KEYS]
    placed = ["file"] * 4 + [".npz", ".npz", ".parquet", ".parquet"]
    store.write_cells(both)
    assert calls == [*placed, "name", "name"]
    calls.clear()
    store.write_cells(both)
    assert calls == placed
    clock[0] += 1.5
    store.write_cells(both)
    assert calls == [*placed, *placed, "name", "name"]


def test_what_a_killed_process_leaves_behind_is_not_read_and_goes_with_the_next_run(
    store, monkeypatch
):
    store.write_cell(row(), {"a": np.zeros(2)})
    there = files(store.folder)
    with monkeypatch.context() as killed:  # nobody cleans up behind a kill -9
        killed.setattr(Path, "unlink", lambda *_, **__: None)
        cut_off(killed, "replace", KeyboardInterrupt())
        for cell in (row(), row(KEYS[1])):
            with pytest.raises(KeyboardInterrupt):
                store.write_cell(cell, None)
        with pytest.raises(KeyboardInterrupt):
            store.write_cell(row(), {"a": np.ones(2)})
    left = files(store.folder) - there
    assert len(left) == 3
    assert list(statuses(store)) == KEYS[:1]
    assert store.read_state(KEYS[0])["a"].tolist() == [0.0, 0.0]

    opened(store.folder)
    assert files(store.folder) == there


@pytest.mark.parametrize("damage", ["empty", "truncated", "garbage", "of another cell"])
def test_a_damaged_row_counts_as_not_done(store, damage):
    store.write_cell(row(), None)
    path = store.folder / CELL
    whole = path.read_bytes()
    if damage == "of another cell":
        store.write_cell(row(KEYS[1]), None)
        whole = (store.folder / "cells" / f"{KEYS[1]}.parquet").read_bytes()
    content = {"empty": b"", "truncated": whole[:-20], "garbage": b"x" * 500}
    path.write_bytes(content.get(damage, whole))
    assert KEYS[0] not in statuses(store)


@pytest.mark.parametrize(
    "foreign",
    [
        pa.table({"name": ["no cell"]}),
        pa.table({"key": [KEYS[0]], "seed": ["zero"]}),
        pa.table({"key": [KEYS[0], KEYS[0]], "seed": [0, 1]}),
        pa.table({"key": [3]}),
    ],
)
def test_a_table_that_is_no_row_of_the_cell_counts_as_not_done(store, foreign):
    pq.write_table(foreign, store.folder / CELL)
    store.write_cell(row(KEYS[1]), None)
    assert store.results(KEYS)["key"].tolist() == KEYS[1:]


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Store:
    store = opened(tmp_path_factory.mktemp("outputs"))
    store.write_cell(row(), {"a": np.arange(5.0), "b": np.array(3)})
    return store


@settings(max_examples=100, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(0, 255), cut=st.booleans())
def test_damage_anywhere_never_is_an_error_nor_other_weights(written, place, flip, cut):
    cell, state = (written.folder / name for name in (CELL, STATE))
    wholes = [path.read_bytes() for path in (cell, state)]
    try:
        for path, whole in zip((cell, state), wholes, strict=True):
            at = int(place * len(whole))
            end = b"" if cut else bytes([whole[at] ^ flip]) + whole[at + 1 :]
            path.write_bytes(whole[:at] + end)
        assert len(written.results(KEYS)) <= (0 if cut else 1)
        read = written.read_state(KEYS[0])
        assert read is None or (
            not cut and read["a"].tolist() == [0, 1, 2, 3, 4] and read["b"] == 3
        )
    finally:
        for path, whole in zip((cell, state), wholes, strict=True):
            path.write_bytes(whole)


def test_a_number_that_changed_on_the_disk_is_not_believed(store):
    store.write_cell(row(seconds=0.1), None)
    path = store.folder / CELL
    there = struct.pack("<d", 0.1)
    path.write_bytes(path.read_bytes().replace(there, struct.pack("<d", 0.2), 1))
    assert store.results(KEYS).empty


def test_weights_of_another_cell_or_of_nobody_are_not_read(store):
    store.write_cell(row(), {"a": np.zeros(2)})
    mine, other = (store.folder / "states" / f"{key}.npz" for key in KEYS)
    other.write_bytes(mine.read_bytes())
    assert store.read_state(KEYS[1]) is None
    np.savez(mine, a=np.zeros(2))
    assert store.read_state(KEYS[0]) is None
    with mine.open("wb") as file:
        np.save(file, np.zeros(2))
    assert store.read_state(KEYS[0]) is None


def test_weights_cannot_run_code(store):
    path = store.folder / STATE
    np.savez(path, key=np.array(KEYS[0]), a=np.array([print], dtype=object))
    assert store.read_state(KEYS[0]) is None
    with pytest.raises(ValueError, match="allow_pickle"):
        store.write_cell(row(), {"a": np.array([print], dtype=object)})


@pytest.mark.parametrize("both", [True, False])
def test_rows_of_newer_and_older_versions_are_read(store, both):
    """A newer one has columns more, an older one lacks those that came at the end."""
    newer = pa.Table.from_pylist([row()], schema=SCHEMA).append_column("mood", pa.array([5]))
    older = pa.Table.from_pylist([row(KEYS[1])], schema=SCHEMA).drop_columns("started_at")
    for key, table in list(zip(KEYS, (newer, older), strict=True))[0 if both else 1 :]:
        pq.write_table(table, store.folder / "cells" / f"{key}.parquet")
    assert store.results(KEYS)["key"].tolist() == KEYS[0 if both else 1 :]
    store.write_results(KEYS)
    assert pq.read_schema(store.layout.results).equals(SCHEMA)


def test_a_changed_configuration_is_refused_and_the_difference_named(store):
    other = planned(replace(CONFIG, model=KANConfig(k=2)))
    before = (store.folder / "config.yaml").read_bytes()
    with pytest.raises(StoreError, match=r"`model\.k` \(3 → 2\).*name=") as refusal:
        opened(store.folder, other)
    assert "data" not in str(refusal.value).replace("outputs", "")
    assert (store.folder / "config.yaml").read_bytes() == before


def test_more_seeds_or_another_gpu_are_no_other_configuration(store):
    opened(store.folder, planned(replace(CONFIG, seeds=[0, 3])))
    assert store.read_config()["seeds"] == [0, 3]
    gpu = store.folder.parent / "gpu"
    for device in ("cuda", "cuda:1"):
        opened(gpu, planned(replace(CONFIG, device=device)))
    with pytest.raises(StoreError, match=r"`device` \(cuda → cpu\)"):
        opened(gpu)


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
def test_a_folder_whose_making_was_cut_off_is_made_the_next_time(tmp_path, monkeypatch, step):
    store = Store(tmp_path / "outputs" / "one")
    with monkeypatch.context() as killed:
        killed.setattr(Path, "unlink", lambda *_, **__: None)
        cut_off(killed, step, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            opened(store.folder)
    opened(store.folder)
    store.write_cell(row(), None)
    assert list(statuses(store)) == KEYS[:1]


def test_a_folder_that_is_no_sweep_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match="not a sweep"):
        opened(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("place", ["outputs", "outputs/one", "outputs/one/cells"])
def test_a_folder_that_cannot_be_made_is_refused(tmp_path, place):
    in_the_way = tmp_path / place
    if place.endswith("cells"):
        opened(tmp_path / "outputs" / "one")
        in_the_way.rmdir()
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    in_the_way.write_text("a file")
    with pytest.raises(StoreError, match=r"outputs/one cannot be (read|written): .*[a-z]\."):
        opened(tmp_path / "outputs" / "one")
    assert in_the_way.read_text() == "a file"


NO_CONFIG = [b"[1, 2]", b"a: [", b"!!python/object/apply:os.system [ls]", b"\xff", b"", b"a: 1"]


@pytest.mark.parametrize("text", NO_CONFIG)
def test_a_configuration_that_is_none_is_named_and_written_again_by_the_next_run(store, text):
    store.write_cell(row(), None)
    path = store.folder / "config.yaml"
    whole = path.read_bytes()
    path.write_bytes(text)
    with pytest.raises(StoreError, match=r"config\.yaml holds no configuration; the `kansweep run"):
        store.read_config()
    opened(store.folder)
    assert path.read_bytes() == whole
    path.unlink()
    opened(store.folder)
    assert path.read_bytes() == whole
    assert list(statuses(store)) == KEYS[:1]


def test_what_may_be_sound_but_cannot_be_read_now_is_no_damage(store, monkeypatch):
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    store.write_cell(row(), {"a": np.zeros(2)})
    with monkeypatch.context() as patched:
        patched.setattr(pq, "ParquetFile", denied)
        with pytest.raises(StoreError, match=r"one cannot be read: Permission denied\."):
            store.index()
    for owner, name in ((os, "scandir"), (Path, "open")):
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, denied)
            with pytest.raises(StoreError, match=r"one cannot be read: Permission denied\."):
                Store(store.folder).index()
    assert list(statuses(store)) == KEYS[:1]


def test_a_row_without_weights_leaves_none_of_an_earlier_one(store):
    store.write_cell(row(), {"a": np.zeros(2)})
    store.write_cell(row(status="failed"), None)
    assert store.read_state(KEYS[0]) is None
    assert statuses(store) == {KEYS[0]: "failed"}


def test_a_link_to_nothing_is_no_row(store):
    (store.folder / "cells" / f"{KEYS[0]}.parquet").symlink_to("nowhere")
    assert statuses(store) == {}


def test_the_latest_sweep_is_the_one_last_run_whatever_the_clock_says(tmp_path):
    for when, name in enumerate(["b", "c", "a"]):
        opened(tmp_path / name)
        os.utime(tmp_path / name / "config.yaml", (-when, -when))
    (tmp_path / "notes").mkdir()
    assert outputs.latest(tmp_path) == "a"
    assert outputs.latest(tmp_path / "nowhere") is None


@pytest.mark.parametrize("pointer", [None, b"gone", b"../outside", b"\xff", b""])
def test_where_nobody_knows_the_latest_sweep_it_is_asked_for(tmp_path, pointer):
    folder = tmp_path / "outputs"
    opened(tmp_path / "outside")
    opened(folder / "one")
    (folder / ".latest").unlink()
    if pointer is not None:
        (folder / ".latest").write_bytes(pointer)
    assert outputs.latest(folder) == "one"
    (folder / "one").rename(folder / "two")
    opened(folder / "one")
    (folder / ".latest").write_bytes(pointer or b"none")
    with pytest.raises(StoreError, match=r"Choose a sweep of .* with name=…; there is one, two\."):
        outputs.latest(folder)
