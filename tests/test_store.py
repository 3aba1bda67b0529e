"""The folder of a sweep: schema, atomic writes, and what is not believed."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kansweep import store as stores
from kansweep import sweep
from kansweep.config import DataConfig, GridConfig, ModelConfig, RunConfig
from kansweep.store import SCHEMA, Store, StoreError

CONFIG = RunConfig(seeds=[0], data=DataConfig(sizes=(30,)), grid=GridConfig(sizes=(3, 5)))
PLAN = sweep.plan(CONFIG)
KEYS = [cell.key for cell in PLAN.cells]
COLUMNS = (
    "key, data, n_train, seed, grid_size, k, width, model, solver, n_params, train_rmse, "
    "test_rmse, test_median_error, floor_rmse, reg, status, stop_reason, steps, grad_norm, "
    "seconds, dtype, device, error, version, torch_version, git_revision, host, started_at"
)


def row(key: str = KEYS[0], **values: object) -> dict[str, object]:
    return {"key": key, "status": "ok", "n_train": 30, "seed": 0, "train_rmse": 0.25, **values}


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "outputs" / "one")
    store.open(PLAN)
    return store


def files(store: Store) -> set[str]:
    return {str(p.relative_to(store.folder)) for p in store.folder.rglob("*") if p.is_file()}


def test_the_columns_are_those_of_the_contract():
    assert ", ".join(SCHEMA.names) == COLUMNS


def test_a_cell_comes_back_as_it_was_written(store):
    when = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    store.write_cell(row(started_at=when, width="2-1-1"), {"a": np.arange(3.0)})
    store.write_results(KEYS)
    table = pq.read_table(store.results_path)
    assert table.schema.equals(SCHEMA)
    results = pd.read_parquet(store.results_path)
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


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_is_cut_off_leaves_the_old_file_and_nothing_else(store, monkeypatch, step):
    store.write_cell(row(train_rmse=1.0), None)
    before = files(store)

    def cut(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync", cut) if step == "fsync" else (stores.Path, "replace", cut)))
    with pytest.raises(OSError, match="No space"):
        store.write_cell(row(train_rmse=2.0), None)
    monkeypatch.undo()
    assert files(store) == before
    assert store.results(KEYS)["train_rmse"].tolist() == [1.0]


def test_what_a_killed_process_leaves_behind_is_not_read(store):
    store.write_cell(row(), {"a": np.zeros(2)})
    (store.folder / "cells" / f".{KEYS[1]}.parquet.123.tmp").write_bytes(b"half a file")
    assert list(store.statuses(KEYS)) == KEYS[:1]


@pytest.mark.parametrize("damage", ["empty", "truncated", "garbage", "of another cell"])
def test_a_damaged_row_counts_as_not_done(store, damage):
    store.write_cell(row(), None)
    path = store.folder / "cells" / f"{KEYS[0]}.parquet"
    whole = path.read_bytes()
    if damage == "of another cell":
        store.write_cell(row(KEYS[1]), None)
        whole = (store.folder / "cells" / f"{KEYS[1]}.parquet").read_bytes()
    content = {"empty": b"", "truncated": whole[:-20], "garbage": b"x" * 500}
    path.write_bytes(content.get(damage, whole))
    assert KEYS[0] not in store.statuses(KEYS)


@pytest.mark.parametrize("content", [None, b"", b"PK garbage"])
def test_damaged_weights_are_none(store, content):
    store.write_cell(row(), {"a": np.zeros(200)})
    path = store.folder / "states" / f"{KEYS[0]}.npz"
    path.write_bytes(path.read_bytes()[:-30] if content is None else content)
    assert store.read_state(KEYS[0]) is None


def test_weights_cannot_run_code(store):
    path = store.folder / "states" / f"{KEYS[0]}.npz"
    np.savez(path, a=np.array([print], dtype=object))
    assert store.read_state(KEYS[0]) is None


def test_rows_of_a_newer_version_with_more_columns_are_read(store):
    table = pa.Table.from_pylist([row()], schema=SCHEMA).append_column("size", pa.array([5]))
    pq.write_table(table, store.folder / "cells" / f"{KEYS[0]}.parquet")
    store.write_cell(row(KEYS[1]), None)
    assert store.results(KEYS)["key"].tolist() == KEYS


def test_a_changed_configuration_is_refused_and_the_difference_named(store):
    other = sweep.plan(replace(CONFIG, model=ModelConfig(k=2)))
    before = (store.folder / "config.yaml").read_bytes()
    with pytest.raises(StoreError, match=r"`model\.k` \(3 → 2\).*name=") as refusal:
        store.open(other)
    assert "data" not in str(refusal.value).replace("outputs", "")
    assert (store.folder / "config.yaml").read_bytes() == before


def test_more_seeds_are_no_other_configuration(store):
    more = sweep.plan(replace(CONFIG, seeds=[0, 1]))
    store.open(more)
    assert store.read_config()["seeds"] == [0, 1]


def test_a_folder_that_is_no_sweep_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match="not a sweep"):
        Store(tmp_path).open(PLAN)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "outputs").write_text("a file")
    with pytest.raises(StoreError, match="cannot be written"):
        Store(tmp_path / "outputs" / "one").open(PLAN)


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "!!python/object/apply:os.system [ls]"])
def test_a_configuration_that_is_none_is_refused(store, text):
    (store.folder / "config.yaml").write_text(text)
    with pytest.raises(StoreError, match=r"config\.yaml"):
        store.read_config()


def test_the_latest_sweep_is_the_one_last_run(tmp_path):
    for when, name in enumerate(["b", "a", "c"]):
        Store(tmp_path / name).open(PLAN)
        os.utime(tmp_path / name / "config.yaml", (when, when))
    (tmp_path / "notes").mkdir()
    assert stores.latest(tmp_path) == "c"
    assert stores.latest(tmp_path / "nowhere") is None
