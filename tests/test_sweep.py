"""Plans and keys: what identifies a cell, and what does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kansweep import sweep
from kansweep.config import (
    DataConfig,
    GridConfig,
    LBFGSConfig,
    LMConfig,
    ModelConfig,
    RunConfig,
    RunModeConfig,
    from_record,
)

SMALL = RunConfig(seeds=[0, 1], data=DataConfig(sizes=(30, 60)), grid=GridConfig(sizes=(3, 5)))


def keys(config: RunConfig) -> list[str]:
    return [cell.key for cell in sweep.plan(config).cells]


def test_the_default_plan_is_the_examples_matrix():
    plan = sweep.plan(RunConfig())
    assert len(plan.cells) == 100
    assert len(plan.chains) == 20
    assert plan.width == (2, 1, 1)
    assert [cell.grid_size for cell in plan.chains[0].cells] == [5, 10, 20, 50, 100]
    assert {cell.n_train for cell in plan.cells} == {100, 300, 1000, 3000}


def test_keys_are_all_different_and_the_same_again():
    assert len(set(keys(SMALL))) == 8
    assert keys(SMALL) == keys(replace(SMALL))


@pytest.mark.parametrize(
    "changed",
    [
        replace(SMALL, data=replace(SMALL.data, name="product")),
        replace(SMALL, data=replace(SMALL.data, n_test=99)),
        replace(SMALL, model=ModelConfig(k=2)),
        replace(SMALL, model=ModelConfig(hidden=(2,))),
        replace(SMALL, model=ModelConfig(base="silu")),
        replace(SMALL, solver=LMConfig(restarts=3)),
        replace(SMALL, solver=LMConfig(tolerance=1e-5)),
        replace(SMALL, solver=LBFGSConfig()),
        replace(SMALL, dtype="float32"),
        replace(SMALL, device="cuda"),
        replace(SMALL, grid=GridConfig(sizes=(2, 3, 5))),
    ],
)
def test_what_changes_the_numbers_changes_every_key(changed):
    assert not set(keys(changed)) & set(keys(SMALL))


@pytest.mark.parametrize(
    "changed",
    [
        replace(SMALL, name="other"),
        replace(SMALL, outputs="elsewhere"),
        replace(SMALL, run=RunModeConfig(mode="force", fail_fast=True)),
        replace(SMALL, model=ModelConfig(hidden=(1,))),  # the target's own suggestion
    ],
)
def test_what_does_not_change_the_numbers_changes_no_key(changed):
    assert keys(changed) == keys(SMALL)


def test_which_gpu_it_is_does_not_matter():
    assert keys(replace(SMALL, device="cuda:0")) == keys(replace(SMALL, device="cuda:1"))


@pytest.mark.parametrize(
    "larger",
    [
        replace(SMALL, seeds=[0, 1, 2]),
        replace(SMALL, data=DataConfig(sizes=(30, 45, 60))),
        replace(SMALL, grid=GridConfig(sizes=(3, 5, 9))),
    ],
)
def test_more_of_the_same_keeps_the_cells_there_are(larger):
    assert set(keys(SMALL)) < set(keys(larger))
    assert sweep.identity(sweep.plan(larger).config_record) == sweep.identity(
        sweep.plan(SMALL).config_record
    )


def test_a_changed_revision_of_a_solver_changes_its_keys_alone(monkeypatch):
    lm, lbfgs = keys(SMALL), keys(replace(SMALL, solver=LBFGSConfig()))
    monkeypatch.setitem(sweep.REVISIONS, "lm", 99)
    assert not set(keys(SMALL)) & set(lm)
    assert keys(replace(SMALL, solver=LBFGSConfig())) == lbfgs


def test_the_record_gives_the_same_plan_again():
    config = replace(SMALL, solver=LBFGSConfig(steps=3), model=ModelConfig(k=2, base="silu"))
    record = sweep.plan(config).config_record
    assert keys(from_record(record)) == keys(config)
