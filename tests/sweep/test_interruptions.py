"""Runs that are interrupted, and workers that die: nothing is lost, and the table is the same."""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from folders import times
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs import CELLS, CONFIG, CONFIGS, Killed, Watch, place, run, table, with_mode

from kansweep.config.data import DataConfig
from kansweep.config.models import GridConfig
from kansweep.engines import Engine, EngineError, WorkerDied
from kansweep.sweep import runner, schedule
from kansweep.sweep.plan import planned
from kansweep.sweep.store import Store


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("after", [1, 5, 11])
def test_an_interrupted_run_goes_on_to_the_same_table(tmp_path, undisturbed_of, name, after):
    config, undisturbed = undisturbed_of(name)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "s", config, watch=Watch(interrupt_after=after))
    before = times(tmp_path / "s")
    assert len(before) >= after
    assert len(table(tmp_path / "s")) == len(before)
    summary = run(tmp_path / "s", config)
    assert summary.cached == len(before)
    assert before.items() <= times(tmp_path / "s").items()
    pd.testing.assert_frame_equal(table(tmp_path / "s"), undisturbed, check_exact=True)


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
    tmp_path, monkeypatch, recording
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
        recording.trained.clear()
        summary = run(folder, small)
        assert (summary.cached, len(recording.trained)) == (len(kept), len(cells) - len(kept))
        pd.testing.assert_frame_equal(table(folder), table(tmp_path / "undisturbed"), rtol=1e-12)
    assert deaths > 50


class Mortal(Engine):
    """An engine whose workers die where a cell is that kills them, ``lives`` deaths long."""

    def __init__(self, folder: Path, recording, deadly: set, lives=math.inf, workers=1):
        self.folder = folder
        self.workers, self.max_submitted, self.deaths = workers, workers, 0
        self.deadly, self.lives = deadly, lives
        solve = recording.solve

        def perish(kan, problem, memory=None, observe=None):
            cells = {(problem.x.shape[1], seed, kan.grid_size) for seed in problem.seeds}
            if self.lives > 0 and self.deadly & cells:
                marks = self.folder.glob("**/running/*.json")
                self.words = {path: path.read_text() for path in marks}
                raise Killed
            return solve(kan, problem, memory, observe)

        recording.solve = perish

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
def test_a_worker_that_dies_once_costs_nothing_but_the_time(tmp_path, recording, workers):
    run(tmp_path / "undisturbed")
    recording.trained.clear()
    summary = run(
        tmp_path / "s", engine=Mortal(tmp_path, recording, {(40, 1, 5)}, lives=1, workers=workers)
    )
    assert (summary.done, summary.failed) == (CELLS, [])
    assert len(recording.trained) == CELLS
    pd.testing.assert_frame_equal(
        table(tmp_path / "s"), table(tmp_path / "undisturbed"), rtol=1e-12
    )


@pytest.mark.parametrize("workers", [1, 2, None])
@pytest.mark.parametrize(
    "deadly", [{(40, 1, 3)}, {(40, 0, 5), (50, 1, 8)}, {(40, 0, 5), (40, 0, 8)}]
)
def test_a_cell_that_kills_every_worker_is_a_row_and_the_rest_is_trained(
    tmp_path, recording, workers, deadly
):
    engine = Mortal(tmp_path, recording, deadly, workers=workers)
    watch = Watch()
    summary = run(tmp_path, watch=watch, engine=engine)
    rows = pd.read_parquet(tmp_path / "results.parquet")
    died = rows[rows["status"] == "failed"]
    assert set(zip(died["n_train"], died["seed"], died["grid_size"], strict=True)) == deadly
    assert set(died["stop_reason"]) == {"worker died"}
    assert set(died["error"]) == {"WorkerDied: as asked"}
    assert engine.deaths == 2 * len(deadly)
    assert (len(rows), summary.done, len(watch.rows)) == (CELLS, CELLS, CELLS)
    assert len(recording.trained) == CELLS - len(deadly)
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
    tmp_path_factory, monkeypatch, recording, steps, workers
):
    folder, whole = tmp_path_factory.mktemp("sweep"), tmp_path_factory.getbasetemp() / "all"
    recording.failing = set()
    if not whole.exists():
        run(whole)
    cells = planned(CONFIG).cells
    solve = recording.solve
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
                recording.failing = {place(cells[which])}
                run(folder)
                recording.failing = set()
            case "worker dies":
                run(folder, engine=Mortal(folder, recording, {place(cells[which])}, 3, workers))
                recording.solve = solve
            case "less":
                run(folder, replace(CONFIG, seeds=[which]))
            case "index lost":
                (folder / "index.parquet").unlink(missing_ok=True)
    run(folder, with_mode("retry"), engine=Mortal(folder, recording, set(), workers=workers))
    recording.solve = solve
    pd.testing.assert_frame_equal(table(folder), table(whole), rtol=1e-12)
    recording.trained.clear()
    assert run(folder).cached == CELLS
    assert recording.trained == []


def test_an_interrupt_while_cells_are_written_waits_until_all_are_kept(
    tmp_path, recording, monkeypatch
):
    write, handler = Store.write_cells, signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupted(store, *cell):
        monkeypatch.undo()
        os.kill(os.getpid(), signal.SIGINT)
        write(store, *cell)

    monkeypatch.setattr(Store, "write_cells", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert table(tmp_path)["key"].str.contains("n40-s[01]-G3").tolist() == [True, True]


def test_workers_that_die_before_they_begin_end_the_run(tmp_path, recording):
    class Stillborn(Mortal):
        def submit(self, task, /, *args, **kwargs):
            self.deaths += 1
            future = Future()
            future.set_exception(WorkerDied("No module named 'kansweep'."))
            return future

    engine = Stillborn(tmp_path, recording, set())
    with pytest.raises(EngineError, match=r"die before they begin\. No module named 'kansweep'\."):
        run(tmp_path, engine=engine)
    assert engine.deaths == 5
    assert table(tmp_path).empty


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
