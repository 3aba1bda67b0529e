"""Runs on real folders: what is trained, what is kept, and what an interruption leaves."""

from __future__ import annotations

import itertools
import json
import math
import os
import pickle
import signal
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from folders import times
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kansweep import engines
from kansweep.config.data import DataConfig
from kansweep.config.engines import DaskConfig, ProcessConfig, SubmititConfig
from kansweep.config.models import GridConfig, MLPConfig
from kansweep.config.rules import ConfigError
from kansweep.config.run import RunConfig, RunModeConfig
from kansweep.config.solvers import LBFGSConfig, LMConfig
from kansweep.engines import Engine, EngineError, WorkerDied
from kansweep.engines.serial import SerialEngine
from kansweep.solvers.contract import Outcome
from kansweep.solvers.gauss_newton import start
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.solvers.lbfgs import LBFGS
from kansweep.solvers.published import PublishedRecipe
from kansweep.sweep import provenance, runner, schedule, worker
from kansweep.sweep.events import Damaged, Finished, Started
from kansweep.sweep.plan import Cell, planned
from kansweep.sweep.refusals import StoreError
from kansweep.sweep.rows import SCHEMA, TRACE
from kansweep.sweep.store import Store

CONFIG = RunConfig(
    seeds=[0, 1],
    data=DataConfig(sizes=(40, 50), n_test=60),
    grid=GridConfig(sizes=(3, 5, 8)),
    solver=LMConfig(restarts=1),
)
CELLS = 12
NUMBERS = ["key", "train_rmse", "test_rmse", "test_median_error", "reg", "status"]


class Watch:
    """A listener that keeps what it is told, and interrupts after so many cells."""

    def __init__(self, interrupt_after: int | None = None) -> None:
        self.rows: list[dict] = []
        self.total = self.cached = None
        self.interrupt_after = interrupt_after

    def __call__(self, event):
        match event:
            case Damaged(paths):
                self.damage = [path.name for path in paths]
            case Started(total, cached):
                self.total, self.cached = total, cached
            case Finished(row):
                self.finished(row)

    def finished(self, row):
        self.rows.append(row)
        if len(self.rows) == self.interrupt_after:
            raise KeyboardInterrupt


def run(folder: Path, config: RunConfig = CONFIG, watch: Watch | None = None, engine=None):
    plan, store = planned(config), Store(folder)
    with store.open(plan):
        return runner.run(plan, store, config, engine or SerialEngine(), watch or Watch())


def table(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "results.parquet")[NUMBERS]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("undisturbed") / "sweep"
    run(folder)
    return table(folder)


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
    assert results["key"].tolist() == [cell.key for cell in planned(CONFIG).cells]
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
    # It takes longer than all the rest.
    monkeypatch.setattr(provenance, "git_revision", lambda: None)
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
    cells = planned(CONFIG).cells
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


def place(cell: Cell) -> tuple[int, int, int]:
    return cell.n_train, cell.seed, cell.size


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
    cells = planned(small).cells
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
        kept = Store(folder).index().column("status")
        diary.trained.clear()
        summary = run(folder, small)
        assert (summary.cached, len(diary.trained)) == (len(kept), len(cells) - len(kept))
        pd.testing.assert_frame_equal(table(folder), table(tmp_path / "undisturbed"), rtol=1e-12)
    assert deaths > 50


class Mortal(Engine):
    """An engine whose workers die where a cell is that kills them, ``lives`` deaths long."""

    def __init__(self, folder: Path, diary, deadly: set, lives=math.inf, workers=1):
        self.folder = folder
        self.workers, self.max_submitted, self.deaths = workers, workers, 0
        self.deadly, self.lives = deadly, lives
        solve = diary.solve

        def perish(kan, problem, memory=None, observe=None):
            cells = {(problem.x.shape[1], seed, kan.grid_size) for seed in problem.seeds}
            if self.lives > 0 and self.deadly & cells:
                marks = self.folder.glob("**/running/*.json")
                self.words = {path: path.read_text() for path in marks}
                raise Killed
            return solve(kan, problem, memory, observe)

        diary.solve = perish

    def submit(self, task, /, *args, **kwargs):
        future = Future()
        try:
            future.set_result(task(*args, **kwargs))
        except Killed:
            self.lives -= 1
            self.deaths += 1
            for path, text in self.words.items():  # a killed worker takes nothing back
                path.write_text(text)
            future.set_exception(WorkerDied("as asked"))
        return future


@pytest.mark.parametrize("workers", [1, 2, None])
def test_a_worker_that_dies_once_costs_nothing_but_the_time(tmp_path, diary, workers):
    run(tmp_path / "undisturbed")
    diary.trained.clear()
    summary = run(
        tmp_path / "s", engine=Mortal(tmp_path, diary, {(40, 1, 5)}, lives=1, workers=workers)
    )
    assert (summary.done, summary.failed) == (CELLS, [])
    assert len(diary.trained) == CELLS
    pd.testing.assert_frame_equal(
        table(tmp_path / "s"), table(tmp_path / "undisturbed"), rtol=1e-12
    )


@pytest.mark.parametrize("workers", [1, 2, None])
@pytest.mark.parametrize(
    "deadly", [{(40, 1, 3)}, {(40, 0, 5), (50, 1, 8)}, {(40, 0, 5), (40, 0, 8)}]
)
def test_a_cell_that_kills_every_worker_is_a_row_and_the_rest_is_trained(
    tmp_path, diary, workers, deadly
):
    engine = Mortal(tmp_path, diary, deadly, workers=workers)
    watch = Watch()
    summary = run(tmp_path, watch=watch, engine=engine)
    rows = pd.read_parquet(tmp_path / "results.parquet")
    died = rows[rows["status"] == "failed"]
    assert set(zip(died["n_train"], died["seed"], died["grid_size"], strict=True)) == deadly
    assert set(died["stop_reason"]) == {"worker died"}
    assert set(died["error"]) == {"WorkerDied: as asked"}
    assert engine.deaths == 2 * len(deadly)
    assert (len(rows), summary.done, len(watch.rows)) == (CELLS, CELLS, CELLS)
    assert len(diary.trained) == CELLS - len(deadly)
    ok = rows[rows["status"] == "ok"]
    cold = ok[(ok["start_grid"] == ok["grid_size"]) & (ok["grid_size"] > 3)]
    after = {(n, seed, {3: 5, 5: 8}.get(grid)) for n, seed, grid in deadly} - deadly
    assert set(zip(cold["n_train"], cold["seed"], cold["grid_size"], strict=True)) == {
        cell for cell in after if cell[2]
    }


STEP = st.one_of(
    st.tuples(st.just("killed"), st.integers(0, 120)),
    st.tuples(st.just("row lost"), st.integers(0, CELLS - 1)),
    st.tuples(st.just("row damaged"), st.integers(0, CELLS - 1)),
    st.tuples(st.just("weights damaged"), st.integers(0, CELLS - 1)),
    st.tuples(st.just("cell fails"), st.integers(0, CELLS - 1)),
    st.tuples(st.just("worker dies"), st.integers(0, CELLS - 1)),
    st.tuples(st.just("less"), st.integers(0, 1)),
    st.tuples(st.just("index lost"), st.just(0)),
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(STEP, max_size=5), st.sampled_from([1, 2, None]))
def test_whatever_happens_in_between_the_table_ends_as_that_of_an_undisturbed_run(
    tmp_path_factory, monkeypatch, diary, steps, workers
):
    folder, whole = tmp_path_factory.mktemp("sweep"), tmp_path_factory.getbasetemp() / "all"
    diary.failing = set()
    if not whole.exists():
        run(whole)
    cells = planned(CONFIG).cells
    solve = diary.solve
    for what, which in steps:
        key = cells[which % CELLS].key
        match what:
            case "killed":
                with monkeypatch.context() as mortal, suppress(Killed):
                    killed_at(mortal, which)
                    run(folder)
            case "row lost":
                (folder / "cells" / f"{key}.parquet").unlink(missing_ok=True)
            case "row damaged" | "weights damaged":
                ending = f"cells/{key}.parquet" if what[0] == "r" else f"states/{key}.npz"
                if (folder / ending).exists():
                    (folder / ending).write_bytes(b"PAR1")
            case "cell fails":
                diary.failing = {place(cells[which])}
                run(folder)
                diary.failing = set()
            case "worker dies":
                run(folder, engine=Mortal(folder, diary, {place(cells[which])}, 3, workers))
                diary.solve = solve
            case "less":
                run(folder, replace(CONFIG, seeds=[which]))
            case "index lost":
                (folder / "index.parquet").unlink(missing_ok=True)
    run(folder, with_mode("retry"), engine=Mortal(folder, diary, set(), workers=workers))
    diary.solve = solve
    pd.testing.assert_frame_equal(table(folder), table(whole), rtol=1e-12)
    diary.trained.clear()
    assert run(folder).cached == CELLS
    assert diary.trained == []


ENGINES = {
    "process": ProcessConfig(workers=2),
    "dask": DaskConfig(workers=2),
    "submitit": SubmititConfig(cluster="local", workers=2),
}


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_gives_the_same_cells(tmp_path, undisturbed, name):
    config = replace(CONFIG, engine=ENGINES[name])
    watch = Watch()
    engine = engines.make(config.engine, tmp_path / "jobs")
    summary = run(tmp_path / "s", config, watch, engine)
    assert (summary.done, summary.failed) == (CELLS, [])
    assert {row["key"] for row in watch.rows} == set(undisturbed["key"])
    _assert_same(table(tmp_path / "s"), undisturbed)
    assert run(tmp_path / "s").done == 0  # by another engine too
    assert not (tmp_path / "s" / "running").exists()


def test_who_looks_meanwhile_sees_which_cells_run(tmp_path, diary):
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


def test_an_interrupt_while_cells_are_written_waits_until_all_are_kept(
    tmp_path, diary, monkeypatch
):
    write, handler = Store.write_cell, signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupted(store, *cell):
        monkeypatch.undo()
        os.kill(os.getpid(), signal.SIGINT)
        write(store, *cell)

    monkeypatch.setattr(Store, "write_cell", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert table(tmp_path)["key"].str.contains("n40-s[01]-G3").tolist() == [True, True]


def test_a_worker_whose_run_no_longer_has_the_folder_stops_and_marks_nothing_failed(
    tmp_path, diary, monkeypatch
):
    plan, store = planned(CONFIG), Store(tmp_path)
    with store.open(plan):
        chains = schedule.missing(plan, store, "cached")
        task, *_ = schedule.tasks(chains, CONFIG, store, 1)
    monkeypatch.setattr(worker, "PATIENCE", 0.0)
    assert not worker.work(task, store)  # the run has ended
    with store.open(plan):  # and another has begun
        assert not worker.work(task, store)
        assert diary.trained == []
        mine = replace(task, run=store.holder())
        solve = diary.solve

        def lose_it(*args):
            (tmp_path / ".lock").write_text('{"run": "another"}')
            return solve(*args)

        diary.solve = lose_it
        assert not worker.work(mine, store)
    assert set(store.index().column("status").values()) == {"ok"}
    assert len(store.index().column("status")) == 2  # the first grid, of both seeds


def test_a_task_that_is_performed_again_goes_on_where_it_was(tmp_path, diary):
    """As a job that was preempted, or a task that a scheduler gives to another worker."""
    run(tmp_path)
    before = table(tmp_path)
    plan, store = planned(CONFIG), Store(tmp_path)
    with store.open(plan):
        chains = schedule.missing(plan, store, "force")
        task, *_ = schedule.tasks(chains, CONFIG, store, 1)
        diary.diverging = {(40, 0, 5)}
        solve = diary.solve

        def fall(kan, *args):
            if kan.grid_size == 8:
                raise Killed
            return solve(kan, *args)

        diary.trained.clear()
        diary.solve = fall
        with pytest.raises(Killed):
            worker.work(task, store)
        diary.solve, diary.diverging = solve, set()
        worker.work(task, store)
        worker.work(task, store)
        rows = store.results(cell.key for cell in task.cells)
    assert sorted(diary.trained) == sorted(place(cell) for cell in task.cells)
    assert rows["status"].tolist() == ["ok", "diverged", "ok", "ok", "ok", "ok"]
    assert rows["start_grid"].tolist() == [3, 3, 8, 3, 3, 3]
    assert before["key"].tolist() == table(tmp_path)["key"].tolist()


def test_a_run_whose_lock_is_lost_says_so_instead_of_having_succeeded(tmp_path, diary, monkeypatch):
    monkeypatch.setattr(worker, "PATIENCE", 0.0)
    solve = diary.solve

    def lose_it(*args):
        (tmp_path / ".lock").unlink(missing_ok=True)
        return solve(*args)

    diary.solve = lose_it
    with pytest.raises(EngineError, match=r"does not find this run in .*share the folder"):
        run(tmp_path)
    assert len(table(tmp_path)) == 2  # what was trained is kept


def test_files_damaged_while_a_run_lasts_are_left_to_the_next_and_named(tmp_path, diary):
    class Vandal(Watch):
        def finished(self, row):
            super().finished(row)
            if len(self.rows) == 3:
                (tmp_path / "cells" / f"{self.rows[0]['key']}.parquet").write_bytes(b"PAR1")

    summary = run(tmp_path, watch=Vandal())
    assert (summary.done, summary.left, len(summary.damaged)) == (CELLS, 1, 1)
    assert run(tmp_path).done == 1


def test_workers_that_die_before_they_begin_end_the_run(tmp_path, diary):
    class Stillborn(Mortal):
        def submit(self, task, /, *args, **kwargs):
            self.deaths += 1
            future = Future()
            future.set_exception(WorkerDied("No module named 'kansweep'."))
            return future

    engine = Stillborn(tmp_path, diary, set())
    with pytest.raises(EngineError, match=r"die before they begin\. No module named 'kansweep'\."):
        run(tmp_path, engine=engine)
    assert engine.deaths == 5
    assert table(tmp_path).empty


def test_batches_are_bounded_by_the_test_points_too():
    many = replace(CONFIG, seeds=list(range(300)), data=DataConfig(sizes=(10,), n_test=10_000))
    plan, store = planned(many), Store(Path("nowhere"))
    chains = [schedule.PartialChain(chain.cells, None) for chain in plan.chains]
    tasks = schedule.tasks(chains, many, store, 1)
    assert max(len(task.chains) for task in tasks) * 10_000 // 4 * 3 <= schedule.BATCH_WORK
    assert sum(len(task.chains) for task in tasks) == 300


def test_a_task_stays_small_however_many_seeds_and_sizes_the_sweep_has():
    many = replace(
        CONFIG,
        seeds=list(range(1000)),
        grid=GridConfig(sizes=tuple(range(1, 1001))),
    )
    cells = tuple(Cell(f"n40-s7-G{size}-{'0' * 16}", 40, 7, size) for size in (1, 2, 3))
    store = Store(Path("nowhere"))
    (task,) = schedule.tasks([schedule.PartialChain(cells, None)], many, store, 1)
    assert (task.n_train, task.seeds, task.sizes) == (40, (7,), (1, 2, 3))
    assert task.config is many  # nothing is rewritten
    assert len(pickle.dumps(task)) < 10_000


def test_what_is_left_after_a_death_is_said_and_not_done(tmp_path):
    """The cell that was running alone, when a second worker died over it, is given up; the rest of
    its chain is to be submitted again, from nothing."""
    plan, store = planned(CONFIG), Store(tmp_path / "s")
    with store.open(plan):
        chains = [schedule.PartialChain(plan.chains[0].cells, None)]
        (task,) = schedule.tasks(chains, CONFIG, store, 1)
        first, *rest = task.cells
        path = store.layout.running / f"{task.name}.json"
        path.parent.mkdir()
        path.write_text(json.dumps({"running": [first.key]}))
        once = runner._after_death(task, store, WorkerDied("once"))
        assert once.given_up == ()
        assert [again.suspects for again in once.tasks] == [{first.key}]
        before = {path for path in store.folder.rglob("*") if path.is_file()}
        twice = runner._after_death(once.tasks[0], store, WorkerDied("twice"))
        assert [row["key"] for row in twice.given_up] == [first.key]
        assert [again.cells for again in twice.tasks] == [tuple(rest)]
        assert twice.tasks[0].chains[0].before is None
        assert {path for path in store.folder.rglob("*") if path.is_file()} == before
        path.unlink()


def test_rows_are_consolidated_while_a_run_lasts(tmp_path, diary, monkeypatch):
    monkeypatch.setattr(runner, "CONSOLIDATE_EVERY", 4)
    with monkeypatch.context() as dying:
        dying.setattr(Store, "write_results", lambda *_: pd.DataFrame({"status": []}))
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, watch=Watch(interrupt_after=9))
    assert len(pq.read_table(tmp_path / "index.parquet")) >= 8


@pytest.mark.parametrize("words", ["process", "memory"])
def test_memory_that_runs_out_in_a_cell_is_a_row_that_says_so(tmp_path, diary, words):
    solve = diary.solve

    def greedy(kan, *args):
        if kan.grid_size == 5:
            if words == "memory":
                raise MemoryError("Unable to allocate 3 EiB")
            torch.empty(10**17)
        return solve(kan, *args)

    diary.solve = greedy
    summary = run(tmp_path)
    assert {row["stop_reason"] for row in summary.failed} == {"out of memory"}
    assert all("allocate" in row["error"] for row in summary.failed)
    assert (len(summary.failed), summary.done) == (4, CELLS)


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


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="`device` must be one that is there; got cuda:99"):
        worker.check_device("cuda:99")
