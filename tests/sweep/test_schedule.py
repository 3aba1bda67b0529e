"""How chains are batched into tasks."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from runs import CONFIG, assert_same, run, table

from kansweep.config.data import DataConfig
from kansweep.config.models import GridConfig
from kansweep.sweep import schedule
from kansweep.sweep.plan import Cell, planned
from kansweep.sweep.store import Store


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


@pytest.mark.parametrize("limit", ["BATCH_WORK", "BATCH_SQUARES"])
def test_batches_of_another_size_change_nothing_beyond_rounding(
    tmp_path, monkeypatch, undisturbed, limit
):
    monkeypatch.setattr(schedule, limit, 1)
    run(tmp_path / "s")
    assert_same(table(tmp_path / "s"), undisturbed)
