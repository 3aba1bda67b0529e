"""Runs on real folders: what is trained, what is kept, and what an interruption leaves."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kansweep import runner, schedule, sweep, worker
from kansweep.checks import ConfigError
from kansweep.config import (
    DataConfig,
    GridConfig,
    LBFGSConfig,
    LMConfig,
    RunConfig,
    RunModeConfig,
)
from kansweep.engines.serial import SerialEngine
from kansweep.rows import SCHEMA, TRACE
from kansweep.solvers import Outcome, start
from kansweep.store import Store, StoreError

CONFIG = RunConfig(
    seeds=[0, 1],
    data=DataConfig(sizes=(40, 50), n_test=60),
    grid=GridConfig(sizes=(3, 5, 8)),
    solver=LMConfig(restarts=1),
)
CELLS = 12
NUMBERS = ["key", "train_rmse", "test_rmse", "test_median_error", "reg", "status"]


class Watch:
    """An observer that keeps what it is told, and interrupts after so many cells."""

    def __init__(self, interrupt_after: int | None = None) -> None:
        self.rows: list[dict] = []
        self.total = self.cached = None
        self.interrupt_after = interrupt_after

    def damaged(self, paths):
        self.damage = [path.name for path in paths]

    def started(self, total, cached):
        self.total, self.cached = total, cached

    def progress(self, now):
        pass

    def finished(self, row):
        self.rows.append(row)
        if len(self.rows) == self.interrupt_after:
            raise KeyboardInterrupt


def run(folder: Path, config: RunConfig = CONFIG, watch: Watch | None = None, engine=None):
    plan, store = sweep.plan(config), Store(folder)
    with store.open(plan):
        return runner.run(plan, store, config, engine or SerialEngine(), watch or Watch())


def table(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "results.parquet")[NUMBERS]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("undisturbed") / "sweep"
    run(folder)
    return table(folder)


def times(folder: Path) -> dict[str, int]:
    return {p.name: p.stat().st_mtime_ns for p in (folder / "cells").iterdir()}


def test_a_run_trains_every_cell_once_and_a_second_run_none(tmp_path):
    watch = Watch()
    summary = run(tmp_path / "s", watch=watch)
    assert (summary.total, summary.cached, summary.done, len(summary.failed)) == (CELLS, 0, 12, 0)
    assert len({row["key"] for row in watch.rows}) == CELLS
    before = times(tmp_path / "s")
    again = run(tmp_path / "s")
    assert (again.cached, again.done) == (CELLS, 0)
    assert times(tmp_path / "s") == before


def test_results_hold_the_plan_in_order_with_every_column(tmp_path):
    run(tmp_path / "s")
    assert pq.read_schema(tmp_path / "s" / "results.parquet").equals(SCHEMA)
    results = pd.read_parquet(tmp_path / "s" / "results.parquet")
    assert results["key"].tolist() == [cell.key for cell in sweep.plan(CONFIG).cells]
    assert set(results["width"]) == {"2-1-1"}
    assert (results["n_params"] == 3 * (results["grid_size"] + 3)).all()
    filled = results.drop(columns=["floor_rmse", "error", "git_revision"])
    assert filled.notna().all().all()
    assert results["error"].isna().all()
    assert results["git_revision"].dropna().str.fullmatch("[0-9a-f]{40}").all()
    assert (results["seconds"] > 0).all()


@pytest.mark.parametrize("after", [1, 5, 11])
def test_an_interrupted_run_goes_on_to_the_same_table(tmp_path, undisturbed, after):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "s", watch=Watch(interrupt_after=after))
    before = times(tmp_path / "s")
    assert len(before) >= after
    assert len(table(tmp_path / "s")) == len(before)
    summary = run(tmp_path / "s")
    assert summary.cached == len(before)
    assert before.items() <= times(tmp_path / "s").items()
    pd.testing.assert_frame_equal(table(tmp_path / "s"), undisturbed, check_exact=True)


class Diary:
    """A solver that costs nothing: its weights tell how a KAN came about, and it can fail."""

    def __init__(self) -> None:
        self.trained: list[tuple[int, int, int]] = []
        self.failing: set[tuple[int, int, int]] = set()
        self.diverging: set[tuple[int, int, int]] = set()

    def start(self, shape, problem):
        blank = start.blank(shape, problem)
        return blank.with_theta(blank.theta() + 1.0)

    def solve(self, kan, problem, memory=None, observe=None):
        cells = [(problem.x.shape[1], seed, kan.grid_size) for seed in problem.seeds]
        if self.failing.intersection(cells):
            raise FloatingPointError("as asked")
        self.trained += cells
        n = len(cells)
        chapter = torch.tensor(cells).sum(1, dtype=kan.theta().dtype)
        theta = kan.theta() * (1 + chapter[:, None] / 1000)
        theta[[cell in self.diverging for cell in cells]] = torch.nan
        return Outcome(
            kan.with_theta(theta), (1,) * n, ("converged",) * n, torch.zeros(n), torch.zeros(n, 0)
        )


@pytest.fixture
def diary(monkeypatch) -> Diary:
    diary = Diary()
    monkeypatch.setattr(worker, "make_solver", lambda _: diary)
    monkeypatch.setattr(worker, "_git_revision", lambda: None)  # it takes longer than all the rest
    return diary


def with_mode(mode: str, config: RunConfig = CONFIG) -> RunConfig:
    return replace(config, run=RunModeConfig(mode=mode))


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
    tmp_path_factory, diary, failed, lost, damaged, without_weights, mode
):
    folder, whole = tmp_path_factory.mktemp("sweep"), tmp_path_factory.getbasetemp() / "whole"
    cells = sweep.plan(CONFIG).cells
    diary.failing = set()
    if not whole.exists():
        run(whole)
    diary.failing = {place(cells[index]) for index in failed}
    run(folder)
    if mode != "cached":
        diary.failing = set()
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

    diary.trained.clear()
    watch = Watch()
    summary = run(folder, with_mode(mode), watch)
    asked = {place(cells[index]) for index in range(CELLS) if wanted(index)}
    assert sorted(diary.trained) == sorted(asked - diary.failing)
    assert (summary.cached, summary.done) == (CELLS - len(asked), len(asked))
    named = {f"{cells[index].key}.npz" for index in damaged - failed - lost}
    assert set(watch.damage) == named
    if mode != "cached" or not failed:
        pd.testing.assert_frame_equal(table(folder), table(whole), rtol=1e-12)


def place(cell: sweep.Cell) -> tuple[int, int, int]:
    return cell.n_train, cell.seed, cell.grid_size


def test_what_follows_a_divergence_starts_cold_also_when_it_is_made_up_for(tmp_path, diary):
    diary.diverging = {(40, 0, 5)}
    run(tmp_path)
    before = table(tmp_path)
    assert before["status"].tolist() == ["ok", "diverged", *["ok"] * 10]
    (tmp_path / "cells" / f"{before['key'][2]}.parquet").unlink()
    summary = run(tmp_path)
    assert (summary.done, len(summary.failed)) == (1, 1)
    pd.testing.assert_frame_equal(table(tmp_path), before, rtol=1e-12)
    diary.diverging = set()
    assert run(tmp_path, with_mode("retry")).failed == []


class Killed(BaseException):
    """What no program can answer: nothing more is written or removed."""


def killed_at(monkeypatch, beat: int) -> None:
    """Let the process end before or after one of the calls by which it touches files."""
    beats = itertools.count()

    def pulse() -> None:
        if next(beats) >= beat:
            raise Killed

    def mortal(function):
        def call(*args, **kwargs):
            pulse()
            value = function(*args, **kwargs)
            if not hasattr(value, "fileno"):  # nobody would close that file
                pulse()
            return value

        return call

    monkeypatch.setattr(os, "fsync", mortal(os.fsync))
    for name in ("open", "replace", "unlink", "mkdir"):
        monkeypatch.setattr(Path, name, mortal(getattr(Path, name)))


def test_killed_at_any_moment_it_loses_no_cell_and_goes_on_to_the_same_table(
    tmp_path, monkeypatch, diary
):
    small = replace(CONFIG, data=DataConfig(sizes=(20,), n_test=10), grid=GridConfig(sizes=(3, 5)))
    run(tmp_path / "undisturbed", small)
    cells = sweep.plan(small).cells
    deaths = 0
    for beat in itertools.count():
        folder = tmp_path / str(beat)
        with monkeypatch.context() as mortal:
            killed_at(mortal, beat)
            try:
                run(folder, small)
                break
            except Killed:
                deaths += 1
        kept = Store(folder).census().column("status")
        diary.trained.clear()
        summary = run(folder, small)
        assert (summary.cached, len(diary.trained)) == (len(kept), len(cells) - len(kept))
        pd.testing.assert_frame_equal(table(folder), table(tmp_path / "undisturbed"), rtol=1e-12)
    assert deaths > 50


def test_a_disk_that_is_full_ends_the_run_in_one_sentence_and_what_is_done_stays(
    tmp_path, monkeypatch, diary
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
    monkeypatch.setattr(worker, "make_solver", lambda _: diary)
    assert run(tmp_path / "s").cached == 4


def _assert_same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """To rounding: a batch of other seeds sums in another order."""
    pd.testing.assert_frame_equal(one, other, rtol=1e-6)


@pytest.mark.parametrize("limit", ["BATCH_WORK", "BATCH_SQUARES"])
def test_batches_of_another_size_change_nothing_beyond_rounding(
    tmp_path, monkeypatch, undisturbed, limit
):
    monkeypatch.setattr(schedule, limit, 1)
    run(tmp_path / "s")
    _assert_same(table(tmp_path / "s"), undisturbed)


def test_cells_lost_in_the_middle_are_trained_again_from_the_weights_before_them(
    tmp_path, undisturbed
):
    run(tmp_path / "s")
    for index in (1, 4, 7, 8):  # both G=5 of n=40; G=5 and 8 of the first seed of n=50
        (tmp_path / "s" / "cells" / f"{undisturbed['key'][index]}.parquet").unlink()
    assert run(tmp_path / "s").done == 4
    _assert_same(table(tmp_path / "s"), undisturbed)


def test_training_uses_one_thread_and_leaves_the_number_as_it_was(tmp_path, diary, monkeypatch):
    seen = []
    solve = diary.solve
    monkeypatch.setattr(
        diary, "solve", lambda *a: seen.append(torch.get_num_threads()) or solve(*a)
    )
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run(tmp_path / "s")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {1}


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


def test_a_solver_is_made_with_every_setting():
    lm = LMConfig(start="random", restarts=3, max_steps=7, penalty=0.5, tolerance=1e-4)
    settings = {name: value for name, value in vars(lm).items() if name not in ("name", "trace")}
    made = vars(worker.make_solver(lm)) | {"start": lm.start}
    assert made.pop("start_from") == "random"
    assert made == settings
    assert worker.make_solver(LBFGSConfig(steps=9)).steps == 9


def test_a_smaller_plan_leaves_the_rows_of_the_larger_where_they_are(tmp_path, diary):
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
    solve = worker.LM.solve

    def broken(self, kan, problem, memory=None, observe=None):
        if kan.grid_size == grid_size:
            raise FloatingPointError("as asked")
        return solve(self, kan, problem, memory, observe)

    monkeypatch.setattr(worker.LM, "solve", broken)


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


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="`device` must be one that is there; got cuda:99"):
        worker.check_device("cuda:99")


def test_a_run_killed_with_9_loses_nothing_that_was_finished(tmp_path):
    words = ["name=s", "seeds=3", "data.sizes=[100,200,300,400]", "data.n_test=2000"]
    command = [sys.executable, "-m", "kansweep", "run", *words]
    here = {**os.environ, "PYTHONPATH": str(Path(runner.__file__).parents[1])}
    process = subprocess.Popen(command, cwd=tmp_path, env=here, stdout=subprocess.DEVNULL)
    cells = tmp_path / "outputs" / "s" / "cells"
    while process.poll() is None and len(list(cells.glob("n*.parquet"))) < 9:
        time.sleep(0.001)  # waits for what happens, not for how long it takes
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = times(tmp_path / "outputs" / "s")
    done = subprocess.run(
        command, cwd=tmp_path, env=here, check=True, capture_output=True, text=True
    )
    finished = [name for name in before if not name.startswith(".")]
    assert f"{len(finished)} of them kept" in done.stdout
    after = times(tmp_path / "outputs" / "s")
    assert all(after[name] == before[name] for name in finished)
    assert len(pd.read_parquet(tmp_path / "outputs" / "s" / "results.parquet")) == 60
