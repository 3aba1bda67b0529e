"""What a task does where its run, its memory, its disk or its device is lost."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from processes import python
from runs import CELLS, CONFIG, Killed, Watch, place, run, table

from kansweep.config.data import DataConfig
from kansweep.config.models import GridConfig, MLPConfig
from kansweep.config.rules import ConfigError
from kansweep.config.run import RunConfig
from kansweep.config.solvers import LBFGSConfig, LMConfig
from kansweep.data import floor
from kansweep.data.targets import TARGETS
from kansweep.engines import EngineError
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.solvers.lbfgs import LBFGS
from kansweep.solvers.published import PublishedRecipe
from kansweep.sweep import schedule, worker
from kansweep.sweep.plan import planned
from kansweep.sweep.refusals import StoreError
from kansweep.sweep.store import Store, read_results


def test_a_worker_whose_run_no_longer_has_the_folder_stops_and_marks_nothing_failed(
    tmp_path, recording, monkeypatch
):
    plan, store = planned(CONFIG), Store(tmp_path)
    with store.open(plan):
        chains = schedule.missing(plan, store, "cached")
        task, *_ = schedule.tasks(chains, CONFIG, store, 1)
    monkeypatch.setattr(worker, "PATIENCE", 0.0)
    assert not worker.work(task, store)  # the run has ended
    with store.open(plan):  # and another has begun
        assert not worker.work(task, store)
        assert recording.trained == []
        mine = replace(task, run=store.holder())
        solve = recording.solve

        def lose_it(*args):
            (tmp_path / ".lock").write_text('{"run": "another"}')
            return solve(*args)

        recording.solve = lose_it
        assert not worker.work(mine, store)
    assert set(store.index().column("status").values()) == {"ok"}
    assert len(store.index().column("status")) == 2  # the first grid, of both seeds


def test_a_task_that_is_performed_again_goes_on_where_it_was(tmp_path, recording):
    """As a job that was preempted, or a task that a scheduler gives to another worker."""
    run(tmp_path)
    before = table(tmp_path)
    plan, store = planned(CONFIG), Store(tmp_path)
    with store.open(plan):
        chains = schedule.missing(plan, store, "force")
        task, *_ = schedule.tasks(chains, CONFIG, store, 1)
        recording.diverging = {(40, 0, 5)}
        solve = recording.solve

        def fall(kan, *args):
            if kan.grid_size == 8:
                raise Killed
            return solve(kan, *args)

        recording.trained.clear()
        recording.solve = fall
        with pytest.raises(Killed):
            worker.work(task, store)
        recording.solve, recording.diverging = solve, set()
        worker.work(task, store)
        worker.work(task, store)
        rows = store.results(cell.key for cell in task.cells)
    assert sorted(recording.trained) == sorted(place(cell) for cell in task.cells)
    assert rows["status"].tolist() == ["ok", "diverged", "ok", "ok", "ok", "ok"]
    assert rows["start_grid"].tolist() == [3, 3, 8, 3, 3, 3]
    assert before["key"].tolist() == table(tmp_path)["key"].tolist()


def test_a_run_whose_lock_is_lost_says_so_instead_of_having_succeeded(
    tmp_path, recording, monkeypatch
):
    monkeypatch.setattr(worker, "PATIENCE", 0.0)
    solve = recording.solve

    def lose_it(*args):
        (tmp_path / ".lock").unlink(missing_ok=True)
        return solve(*args)

    recording.solve = lose_it
    with pytest.raises(EngineError, match=r"does not find this run in .*share the folder"):
        run(tmp_path)
    assert len(table(tmp_path)) == 2  # what was trained is kept


def test_files_damaged_while_a_run_lasts_are_left_to_the_next_and_named(tmp_path, recording):
    class Vandal(Watch):
        def finished(self, row):
            super().finished(row)
            if len(self.rows) == 3:
                (tmp_path / "cells" / f"{self.rows[0]['key']}.parquet").write_bytes(b"PAR1")

    summary = run(tmp_path, watch=Vandal())
    assert (summary.done, summary.left, len(summary.damaged)) == (CELLS, 1, 1)
    assert run(tmp_path).done == 1


@pytest.mark.parametrize("words", ["process", "memory"])
def test_memory_that_runs_out_in_a_cell_is_a_row_that_says_so(tmp_path, recording, words):
    solve = recording.solve

    def greedy(kan, *args):
        if kan.grid_size == 5:
            if words == "memory":
                raise MemoryError("Unable to allocate 3 EiB")
            torch.empty(10**17)
        return solve(kan, *args)

    recording.solve = greedy
    summary = run(tmp_path)
    assert {row["stop_reason"] for row in summary.failed} == {"out of memory"}
    assert all("allocate" in row["error"] for row in summary.failed)
    assert (len(summary.failed), summary.done) == (4, CELLS)


def test_a_disk_that_is_full_ends_the_run_in_one_sentence_and_what_is_done_stays(
    tmp_path, monkeypatch, recording
):
    class Filling(Watch):
        def finished(self, row):
            super().finished(row)
            if len(self.rows) == 4:
                monkeypatch.setattr(os, "fsync", full)

    def full(*_):
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match=r"cannot be written: No space left on device\.$"):
        run(tmp_path / "s", watch=Filling())
    monkeypatch.undo()
    monkeypatch.setattr(worker, "make_solver", lambda _: recording)
    assert run(tmp_path / "s").cached == 4


def test_training_uses_one_thread_and_leaves_the_number_as_it_was(tmp_path, recording, monkeypatch):
    seen = []
    solve = recording.solve
    monkeypatch.setattr(
        recording, "solve", lambda *a: seen.append(torch.get_num_threads()) or solve(*a)
    )
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run(tmp_path / "s")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {1}


def test_a_solver_is_made_with_every_setting():
    lm = LMConfig(start="random", restarts=3, max_steps=7, penalty=0.5, tolerance=1e-4)
    made = worker.make_solver(RunConfig(solver=lm))
    assert isinstance(made, LM)
    assert made.settings == lm
    lbfgs = LBFGSConfig(steps=9)
    made = worker.make_solver(RunConfig(solver=lbfgs))
    assert isinstance(made, PublishedRecipe)
    assert made.settings == lbfgs
    made = worker.make_solver(RunConfig(model=MLPConfig(restarts=4), solver=lbfgs))
    assert isinstance(made, LBFGS)
    assert (made.settings, made.restarts) == (lbfgs, 4)


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="`device` must be one that is there; got cuda:99"):
        worker.check_device("cuda:99")


@pytest.mark.parametrize("spacing", ["adaptive", "quantile"])
def test_a_chain_with_knots_of_its_own_goes_on_from_what_is_stored(tmp_path, spacing):
    """Rows have the floor of such knots, weights have the breaks, and larger grids extend them."""
    data = DataConfig(sizes=(60,), n_test=200)
    small = RunConfig(seeds=[0], data=data, grid=GridConfig((4, 6), spacing))
    run(tmp_path, small)
    run(tmp_path, replace(small, grid=GridConfig((4, 6, 9), spacing)))
    rows = read_results(tmp_path)
    assert set(rows["spacing"]) == {spacing}
    for row in rows.to_dict("records"):
        own = floor.floor(TARGETS["exp_sin"], (1,), 3, row["grid_size"], spacing)
        assert row["floor_rmse"] == pytest.approx(own)
        state = np.load(tmp_path / "states" / f"{row['key']}.npz")
        assert str(state["spacing"]) == spacing
        assert state["start_grid"] == 4


LOADING = """
import sys
import kansweep
from kansweep.networks import compiling
from kansweep.sweep import worker

def called():
    return {each.py_func.__qualname__ for each in compiling._loops if each.signatures}

ahead, seen = worker.compile_ahead, []
def noted(config, batch):
    ahead(config, batch)
    seen.append(called())

worker.compile_ahead = noted
kansweep.run("data.formula=x1*x2+x3", "model.hidden=[3]", "data.sizes=[200]", "data.n_test=50",
    "grid.sizes=[3,5]", "solver.restarts=2", seeds=1, outputs=sys.argv[1], name="few")
assert seen[0] and seen[0] == called(), (seen[0], called())
"""


def test_a_small_network_loads_every_loop_that_a_larger_one_calls(tmp_path):
    pytest.importorskip("numba")
    assert python(LOADING, str(tmp_path)) == ""
