"""Runs on real folders: what is trained, what is kept, and what an interruption leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kansweep import runner, sweep
from kansweep.checks import ConfigError
from kansweep.config import DataConfig, GridConfig, LMConfig, RunConfig, RunModeConfig
from kansweep.store import SCHEMA, Store

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

    def started(self, total, cached):
        self.total, self.cached = total, cached

    def progress(self, now):
        pass

    def finished(self, row):
        self.rows.append(row)
        if len(self.rows) == self.interrupt_after:
            raise KeyboardInterrupt


def run(folder: Path, config: RunConfig = CONFIG, watch: Watch | None = None):
    plan, store = sweep.plan(config), Store(folder)
    store.open(plan)
    return runner.run(plan, store, config, watch or Watch())


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
    results = pd.read_parquet(tmp_path / "s" / "results.parquet")
    assert list(results.columns) == SCHEMA.names
    assert results["key"].tolist() == [cell.key for cell in sweep.plan(CONFIG).cells]
    assert set(results["width"]) == {"2-1-1"}
    assert (results["n_params"] == 3 * (results["grid_size"] + 3)).all()
    filled = results.drop(columns=["floor_rmse", "error", "git_revision"])
    assert filled.notna().all().all()


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
    _assert_same(table(tmp_path / "s"), undisturbed)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lost=st.sets(st.integers(0, CELLS - 1)), weights=st.sets(st.integers(0, CELLS - 1)))
def test_whatever_is_lost_a_run_restores_the_same_table(
    tmp_path_factory, undisturbed, lost, weights
):
    folder = tmp_path_factory.mktemp("lost") / "s"
    run(folder)
    keys = undisturbed["key"]
    for index in lost:
        (folder / "cells" / f"{keys[index]}.parquet").unlink()
    for index in weights:
        (folder / "states" / f"{keys[index]}.npz").unlink()
    summary = run(folder)
    assert summary.done >= len(lost)
    if not weights:
        assert summary.done == len(lost)
    _assert_same(table(folder), undisturbed)


def _assert_same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """To rounding: a batch of other seeds sums in another order."""
    pd.testing.assert_frame_equal(one, other, rtol=1e-6)


def test_more_sizes_and_seeds_train_only_what_is_new(tmp_path):
    run(tmp_path / "s")
    more = replace(CONFIG, seeds=[0, 1, 2], grid=GridConfig(sizes=(3, 5, 8, 12)))
    watch = Watch()
    run(tmp_path / "s", more, watch)
    new = {(r["seed"], r["grid_size"]) for r in watch.rows}
    assert len(watch.rows) == 2 * (2 * 1 + 4)
    assert new == {(0, 12), (1, 12), (2, 3), (2, 5), (2, 8), (2, 12)}


def failing_at(monkeypatch, grid_size: int) -> None:
    solve = runner.LM.solve

    def broken(self, kan, problem, observe=None):
        if kan.grid_size == grid_size:
            raise FloatingPointError("as asked")
        return solve(self, kan, problem, observe)

    monkeypatch.setattr(runner.LM, "solve", broken)


def test_failures_are_rows_and_only_a_retry_trains_them_again(tmp_path, monkeypatch):
    failing_at(monkeypatch, 5)
    summary = run(tmp_path / "s")
    assert [row["error"] for row in summary.failed] == ["FloatingPointError: as asked"] * 4
    assert summary.done == CELLS
    again = run(tmp_path / "s")
    assert (again.done, len(again.failed)) == (0, 4)
    monkeypatch.undo()
    retried = run(tmp_path / "s", replace(CONFIG, run=RunModeConfig(mode="retry")))
    assert (retried.cached, retried.done, len(retried.failed)) == (CELLS - 4, 4, 0)


def test_force_trains_everything_again(tmp_path):
    run(tmp_path / "s")
    forced = run(tmp_path / "s", replace(CONFIG, run=RunModeConfig(mode="force")))
    assert (forced.cached, forced.done) == (0, CELLS)


def test_fail_fast_stops_at_the_first_failure_and_keeps_its_batch(tmp_path, monkeypatch):
    failing_at(monkeypatch, 5)
    fast = replace(CONFIG, run=RunModeConfig(fail_fast=True))
    summary = run(tmp_path / "s", fast)
    assert len(summary.failed) == 2  # both seeds of the batch failed at once
    assert len(table(tmp_path / "s")) == 4


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="`device` must be one that is there; got cuda:99"):
        runner.check_device(replace(CONFIG, device="cuda:99"))


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
