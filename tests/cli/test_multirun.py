"""Several sweeps from one command."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from small import SMALL

from kansweep import cli
from kansweep.cli import training
from kansweep.config.run import RunConfig

pytestmark = pytest.mark.usefixtures("sketched")


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """The jobs that `kansweep run` is given, none of which trains; k is the exit status."""
    seen: list[RunConfig] = []

    def note(job: RunConfig) -> int:
        seen.append(job)
        return (job.model.order or 1) - 1

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


def test_a_choice_in_a_folder_and_an_axis_of_an_experiment_name_a_sweep(
    kansweep: Any, jobs: list[RunConfig]
) -> None:
    kansweep("run", "experiment=feynman", "model=kan,pruned", "data=feynman/I.6.2,feynman/I.30.5")
    names = [job.name for job in jobs]
    assert names[0] == "feynman,model=kan,data=I.6.2"
    assert names[3] == "feynman,model=pruned,data=I.30.5"
    assert [job.model.hidden for job in jobs] == [None, None, (2, 1), (1, 1, 1, 1)]
    jobs.clear()
    kansweep("run", "experiment=feynman", "model=pruned", "data=feynman/I.30.5")
    assert [job.name for job in jobs] == names[3:]  # so that what is trained is found


@pytest.mark.parametrize("name", ["paper_fig_3_1", "variants", "special"])
def test_parts_of_an_experiment_by_kind_have_folders_of_their_own(
    kansweep: Any, jobs: list[RunConfig], name: str
) -> None:
    data = "special/jv" if name == "special" else "nested"
    for model in ("kan", "mlp"):
        kansweep("run", f"experiment={name}", f"model={model}", f"data={data}")
    chosen = data.partition("/")[2] or data
    names = [f"{name},model=kan,data={chosen}", f"{name},model=mlp,data={chosen}"]
    axes = [set(job.name.split(",")) for job in jobs]  # in the order of the experiment's axes
    assert axes == [set(each.split(",")) for each in names]


def test_a_shape_that_the_data_do_not_have_is_refused(kansweep: Any, tmp_path: Path) -> None:
    status, _, err = kansweep("run", "model=pruned")
    assert status == 2
    assert "`model.hidden` must be a shape that the data have, in `data.shapes`" in err
    status, _, err = kansweep("run", "data=special/jv", "model=pruned")
    assert status == 2
    assert "`data.shapes.pruned`" in err
    status, _, err = kansweep("run", "data.shapes={mine: [2,0]}")
    assert status == 2
    assert "`data.shapes` must be names with a list of positive integers each" in err
    assert list(tmp_path.iterdir()) == []


def test_sweeps_of_a_multirun_are_counted_with_the_time_to_go(
    kansweep: Any, jobs: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 100.0, 100.0, 100.2, 100.2, 120.0])  # one of them was kept
    monkeypatch.setattr(training, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    _, out, err = kansweep("run", "-m", "seeds=1,2,3")
    assert err.splitlines() == [
        "Sweep 1 of 3",
        "Sweep 2 of 3, about 4 min to go",
        "Sweep 3 of 3, about 2 min to go",
    ]
    assert "Sweep" not in out
    assert kansweep("run", "model.k=1").err == ""


def test_sweeps_that_repeat_a_table_are_held_against_it(kansweep: Any, tmp_path: Path) -> None:
    words = ("data.sizes=[100]", "grid.sizes=[3,5]", "seeds=1", "data.n_test=100")
    kansweep("run", "experiment=special", "data=special/sph_harm01", "model=kan,smallest", *words)
    status, out, _ = kansweep("plot", "names=special*", "plot.formats=[svg]")
    assert status == 0
    assert "| sph_harm(0,1,x,y): `Y_1^0` | KAN 2-1-1 (best) | G = 5 |" in out
    assert "Special functions: the best of our KANs is at or below the best published KAN in" in out
    folder = tmp_path / "outputs/special+"
    assert {path.name for path in folder.glob("published.*")} == {
        *("published.md", "published.csv", "published.tex")
    }
    assert (folder / "published.md").read_text() in out
    folder = tmp_path / "outputs/special,model=kan,data=sph_harm01"
    kansweep("report", f"name='{folder.name}'")
    kansweep("report", "names=special*")
    for page in (folder / "report.html", tmp_path / "outputs/special+/report.html"):
        assert "Beside published errors" in page.read_text()


def test_sweeps_are_chosen_by_a_pattern(kansweep: Any, tmp_path: Path) -> None:
    kansweep("run", "-m", "model.k=2,3", *SMALL, "seeds=1", "name=orders")
    status, out, _ = kansweep("plot", "names=orders*", "plot.formats=[svg]")
    assert status == 0
    assert all(f"orders,model.k={k}: RMSE" in out for k in (2, 3))
    assert (tmp_path / "outputs/orders+/figures/orders.svg").exists()
