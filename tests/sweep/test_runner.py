"""Runs on real folders: what is trained, and what is kept."""

from __future__ import annotations

import os
from dataclasses import replace

import pandas as pd
import pyarrow.parquet as pq
import pytest
from folders import times
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs import CELLS, CONFIG, Watch, assert_same, place, run, table, with_mode

from kansweep.config.models import GridConfig
from kansweep.config.run import RunModeConfig
from kansweep.config.solvers import LMConfig
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.sweep import rows, runner
from kansweep.sweep.columns import PER_OUTPUT
from kansweep.sweep.plan import planned
from kansweep.sweep.rows import SCHEMA, TRACE
from kansweep.sweep.store import Store


def test_a_run_trains_every_cell_once_and_a_second_run_none(tmp_path):
    watch = Watch()
    summary = run(tmp_path / "s", watch=watch)
    assert (summary.total, summary.cached, summary.done, len(summary.failed)) == (CELLS, 0, 12, 0)
    assert len({row["key"] for row in watch.rows}) == CELLS
    before = times(tmp_path / "s")
    again = run(tmp_path / "s")
    assert (again.cached, again.done) == (CELLS, 0)
    assert times(tmp_path / "s") == before


def test_rows_that_a_run_has_written_are_not_read_again(tmp_path, monkeypatch):
    read = []
    original = rows.read_row
    monkeypatch.setattr(rows, "read_row", lambda path, key: read.append(key) or original(path, key))
    run(tmp_path / "s")
    assert read == []
    run(tmp_path / "s")
    assert read == []


def test_results_hold_the_plan_in_order_with_every_column(tmp_path):
    run(tmp_path / "s")
    assert pq.read_schema(tmp_path / "s" / "results.parquet").equals(SCHEMA)
    results = pd.read_parquet(tmp_path / "s" / "results.parquet")
    assert results["key"].tolist() == [cell.key for cell in planned(CONFIG).cells]
    assert set(results["width"]) == {"2-1-1"}
    assert (results["n_params"] == 3 * (results["grid_size"] + 3)).all()
    empty = ["error", "outputs", *(f"{name}_each" for name in PER_OUTPUT)]
    filled = results.drop(columns=["floor_rmse", "git_revision", *empty])
    assert filled.notna().all().all()
    assert results[empty].isna().all().all()
    assert results["git_revision"].dropna().str.fullmatch("[0-9a-f]{40}").all()
    assert (results["seconds"] > 0).all()


SOME_CELLS = st.sets(st.integers(0, CELLS - 1))


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    failed=SOME_CELLS,
    lost=SOME_CELLS,
    damaged=SOME_CELLS,
    without_weights=SOME_CELLS,
    mode=st.sampled_from(["cached", "retry", "force"]),
)
def test_exactly_what_is_asked_for_is_trained_and_the_table_is_that_of_an_undisturbed_run(
    tmp_path_factory, recording, failed, lost, damaged, without_weights, mode
):
    folder, whole = tmp_path_factory.mktemp("sweep"), tmp_path_factory.getbasetemp() / "whole"
    cells = planned(CONFIG).cells
    recording.failing = set()
    if not whole.exists():
        run(whole)
    recording.failing = {place(cells[index]) for index in failed}
    run(folder)
    if mode != "cached":
        recording.failing = set()
    for index in lost:
        (folder / "cells" / f"{cells[index].key}.parquet").unlink()
    for index in damaged - failed:
        (folder / "states" / f"{cells[index].key}.npz").write_bytes(b"no weights")
    for index in without_weights - failed - damaged:
        (folder / "states" / f"{cells[index].key}.npz").unlink()

    def wanted(index: int) -> bool:
        if mode == "force" or index in lost | (damaged - failed):
            return True
        grids = len(CONFIG.grid.sizes)
        up_to_it = set(range(index - index % grids, index + 1))
        if mode == "retry" and failed & up_to_it:  # it failed, or began cold behind what did
            return True
        last_of_its_chain = index % grids == grids - 1
        is_extended = not last_of_its_chain and index not in failed and wanted(index + 1)
        return is_extended and index in without_weights

    recording.trained.clear()
    watch = Watch()
    summary = run(folder, with_mode(mode), watch)
    asked = {place(cells[index]) for index in range(CELLS) if wanted(index)}
    assert sorted(recording.trained) == sorted(asked - recording.failing)
    assert (summary.cached, summary.done) == (CELLS - len(asked), len(asked))
    named = {f"{cells[index].key}.npz" for index in damaged - failed - lost}
    assert set(watch.damage) == named
    if mode != "cached" or not failed:
        pd.testing.assert_frame_equal(table(folder), table(whole), rtol=1e-12)


def test_what_follows_a_divergence_starts_cold_also_when_it_is_made_up_for(tmp_path, recording):
    recording.diverging = {(40, 0, 5)}
    run(tmp_path)
    before = table(tmp_path)
    assert before["status"].tolist() == ["ok", "diverged", *["ok"] * 10]
    (tmp_path / "cells" / f"{before['key'][2]}.parquet").unlink()
    summary = run(tmp_path)
    assert (summary.done, len(summary.failed)) == (1, 1)
    pd.testing.assert_frame_equal(table(tmp_path), before, rtol=1e-12)
    recording.diverging = set()
    assert run(tmp_path, with_mode("retry")).failed == []


def test_who_looks_meanwhile_sees_which_cells_run(tmp_path, recording):
    seen = []

    class Looking(Watch):
        def finished(self, row):
            super().finished(row)
            here = Store(tmp_path)
            seen.append((here.marks.held(), here.overview(planned(CONFIG))))

    run(tmp_path, watch=Looking())
    for running, overview in seen:
        assert len(running) == 1
        assert running[0].pid == os.getpid()
        assert set(running[0].running) | set(running[0].done) <= set(overview["key"])
    first, third = seen[0][1]["status"], seen[2][1]["status"]
    assert first.tolist() == ["running", "waiting", "waiting"] * 2 + ["waiting"] * 6
    assert third.tolist() == ["done", "running", "waiting"] * 2 + ["waiting"] * 6
    assert Store(tmp_path).marks.held() == []


def test_rows_are_consolidated_while_a_run_lasts(tmp_path, recording, monkeypatch):
    monkeypatch.setattr(runner, "CONSOLIDATE_EVERY", 4)
    with monkeypatch.context() as dying:
        dying.setattr(Store, "write_results", lambda *_: {})
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, watch=Watch(interrupt_after=9))
    assert len(pq.read_table(tmp_path / "index.parquet")) >= 8


def test_cells_lost_in_the_middle_are_trained_again_from_the_weights_before_them(
    tmp_path, undisturbed
):
    run(tmp_path / "s")
    for index in (1, 4, 7, 8):  # both G=5 of n=40; G=5 and 8 of the first seed of n=50
        (tmp_path / "s" / "cells" / f"{undisturbed['key'][index]}.parquet").unlink()
    assert run(tmp_path / "s").done == 4
    assert_same(table(tmp_path / "s"), undisturbed)


def test_a_trace_is_a_parquet_file_of_every_cell_trained(tmp_path):
    traced = replace(CONFIG, solver=LMConfig(restarts=1, trace=True))
    run(tmp_path / "s", replace(CONFIG, seeds=[0]))
    assert not (tmp_path / "s" / "traces").exists()
    assert run(tmp_path / "s", traced).done == CELLS // 2  # a trace makes no cell another one
    rows = pd.read_parquet(tmp_path / "s" / "results.parquet")
    files = {path.stem: path for path in (tmp_path / "s" / "traces").iterdir()}
    assert set(files) == set(rows[rows["seed"] == 1]["key"])
    for key, path in files.items():
        trace = pq.read_table(path)
        assert trace.schema.equals(TRACE)
        row = rows.set_index("key").loc[key]
        assert trace["step"].to_pylist() == list(range(1, row["steps"] + 1))
        assert trace["grad_norm"].to_pylist()[-1] == row["grad_norm"]


def test_a_smaller_plan_leaves_the_rows_of_the_larger_where_they_are(tmp_path, recording):
    run(tmp_path / "s")
    before = times(tmp_path / "s")
    run(tmp_path / "s", replace(CONFIG, seeds=[1]))
    assert set(table(tmp_path / "s")["key"]) < {name.removesuffix(".parquet") for name in before}
    assert len(table(tmp_path / "s")) == CELLS // 2
    assert times(tmp_path / "s") == before
    assert run(tmp_path / "s").done == 0


def test_more_sizes_and_seeds_train_only_what_is_new(tmp_path):
    run(tmp_path / "s")
    more = replace(CONFIG, seeds=[0, 1, 2], grid=GridConfig(sizes=(3, 5, 8, 12)))
    watch = Watch()
    run(tmp_path / "s", more, watch)
    new = {(r["seed"], r["grid_size"]) for r in watch.rows}
    assert len(watch.rows) == 2 * (2 * 1 + 4)
    assert new == {(0, 12), (1, 12), (2, 3), (2, 5), (2, 8), (2, 12)}


def failing_at(monkeypatch, grid_size: int) -> None:
    solve = LM.solve

    def broken(self, net, problem, memory=None, observe=None):
        if net.grid_size == grid_size:
            raise FloatingPointError("as asked")
        return solve(self, net, problem, memory, observe)

    monkeypatch.setattr(LM, "solve", broken)


def test_failures_are_rows_and_only_a_retry_trains_them_again(tmp_path, monkeypatch):
    failing_at(monkeypatch, 5)
    summary = run(tmp_path / "s")
    assert [row["error"] for row in summary.failed] == ["FloatingPointError: as asked"] * 4
    assert summary.done == CELLS
    again = run(tmp_path / "s")
    assert (again.done, len(again.failed)) == (0, 4)
    monkeypatch.undo()
    retried = run(tmp_path / "s", with_mode("retry"))
    # What follows a failure began cold; to be what it would have been, it is trained again too.
    assert (retried.cached, retried.done, len(retried.failed)) == (CELLS - 8, 8, 0)


def test_force_trains_everything_again(tmp_path):
    run(tmp_path / "s")
    forced = run(tmp_path / "s", with_mode("force"))
    assert (forced.cached, forced.done) == (0, CELLS)


def test_fail_fast_stops_at_the_first_failure_and_keeps_its_batch(tmp_path, monkeypatch):
    failing_at(monkeypatch, 5)
    fast = replace(CONFIG, run=RunModeConfig(fail_fast=True))
    summary = run(tmp_path / "s", fast)
    assert len(summary.failed) == 2  # both seeds of the batch failed at once
    assert len(table(tmp_path / "s")) == 4
