"""Several sweeps from one command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small import SMALL

from kansweep import cli
from kansweep.config.run import RunConfig


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """The jobs that `kansweep run` is given, none of which trains; k is the exit status."""
    seen: list[RunConfig] = []

    def note(job: RunConfig) -> int:
        seen.append(job)
        return job.model.k - 1

    monkeypatch.setitem(cli.COMMANDS, "run", note)
    return seen


def test_every_job_of_a_multirun_has_a_name_of_its_own(
    kansweep: Any, jobs: list[RunConfig]
) -> None:
    kansweep("run", "seeds=2", "--multirun", "model.k=1,2", "model.hidden=[2],[2,1]")
    assert [job.name for job in jobs] == [
        "example8,model.k=1,model.hidden=2",
        "example8,model.k=1,model.hidden=2,1",
        "example8,model.k=2,model.hidden=2",
        "example8,model.k=2,model.hidden=2,1",
    ]
    assert [(job.model.k, job.model.hidden) for job in jobs[1:3]] == [(1, (2, 1)), (2, (2,))]


def test_each_model_of_a_multirun_brings_its_solver_and_its_knots(
    kansweep: Any, jobs: list[RunConfig]
) -> None:
    kansweep("run", "-m", "model=kan,pykan", "grid.sizes=[3,6]")
    chosen = [(job.model.name, job.solver.name, job.grid.spacing) for job in jobs]
    assert chosen == [("kan", "lm", "uniform"), ("pykan", "lbfgs", "quantile")]
    assert {job.grid.sizes for job in jobs} == {(3, 6)}
    jobs.clear()
    kansweep("run", "model=pykan", "grid.spacing=uniform", "solver.steps=7")
    assert [(job.grid.spacing, job.solver.steps) for job in jobs] == [("uniform", 7)]


def test_names_that_are_swept_are_the_names(kansweep: Any, jobs: list[RunConfig]) -> None:
    kansweep("run", "-m", "name=first,second")
    assert [job.name for job in jobs] == ["first", "second"]


def test_a_single_run_keeps_its_name(kansweep: Any, jobs: list[RunConfig]) -> None:
    kansweep("run", "model.k=1", "name=mine")
    assert [job.name for job in jobs] == ["mine"]


def test_a_multirun_returns_the_worst_status(
    kansweep: Any, jobs: list[RunConfig], tmp_path: Path
) -> None:
    assert kansweep("run", "-m", "model.k=1,3,2").status == 2
    assert kansweep("run", "-m", "model.k=1,2,1").status == 1
    assert list(tmp_path.iterdir()) == []


def test_no_job_starts_before_all_are_checked(kansweep: Any, jobs: list[RunConfig]) -> None:
    assert kansweep("run", "-m", "model.k=1,0").status == 2
    assert jobs == []


def test_sweeps_are_chosen_by_a_pattern(kansweep: Any, tmp_path: Path) -> None:
    kansweep("run", "-m", "model.k=2,3", *SMALL, "seeds=1", "name=orders")
    status, out, _ = kansweep("plot", "names=orders*", "plot.formats=[svg]")
    assert status == 0
    assert all(f"orders,model.k={k}: RMSE" in out for k in (2, 3))
    assert (tmp_path / "outputs/orders+/figures/orders.svg").exists()
