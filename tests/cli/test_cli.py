"""What the command line says, writes and returns."""

from __future__ import annotations

import html
import io
import json
import os
import re
import shlex
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cells import mlps
from folders import files
from processes import python
from statsmodels.datasets import engel

from kansweep import cli
from kansweep.cli.composing import HELP, SUBCOMMANDS
from kansweep.cli.training import Progress
from kansweep.config.commands import SCHEMAS
from kansweep.config.keys import keys
from kansweep.config.run import RunConfig
from kansweep.laws import cells
from kansweep.sweep.events import Event, Finished, Progressed, Started
from kansweep.sweep.store import Store
from kansweep.trained.mlp import TrainedMLP

SMALL = ("data.sizes=[40,60]", "grid.sizes=[3,6,12]", "seeds=2", "data.n_test=100")
CELLS = 12


# ------------------------------------------------------------------------------ help and refusals


def test_help_version_completion_and_refusals_do_not_import_torch() -> None:
    script = """
import os, sys
from kansweep.cli import main

os.environ["COMP_LINE"] = "kansweep run solver="
for words in (
    ["--help"], ["--version"], ["run", "--help"], ["show", "--help"], ["plot", "--help"],
    ["report", "--help"], ["plot", "edges", "--help"],
    ["run", "--cfg", "job"], ["-sc", "query=bash"], ["run", "model.k=0"], ["run", "solvr=lm"],
):
    sys.argv = ["kansweep", *words]
    try:
        main()
    except SystemExit:
        pass
    assert not {"torch", "pandas", "matplotlib"} & set(sys.modules), words
"""
    assert python(script) == ""


def test_help_names_every_command_and_every_key(kansweep: Any) -> None:
    assert all(f"\n  {command} " in kansweep("--help").out for command in cli.COMMANDS)
    for command, schema in SCHEMAS.items():
        words = ["plot", command] if command in SUBCOMMANDS else [command]
        assert " ".join(words) in kansweep("--help").out
        status, out, err = kansweep(*words, "--help")
        assert (status, err) == (0, "")
        assert out.startswith(f"Usage: kansweep {' '.join(words)} [key=value ...]")
        shown = [key for key in keys(schema) if "." not in key or not key.endswith(".name")]
        assert [key for key in shown if f"\n  {key}=" not in out] == []
        assert max(map(len, out.splitlines())) <= 100
    assert "solver: lbfgs, lbfgs_mlp, lm" in kansweep("run", "--help").out


def test_without_a_command_the_help_is_the_refusal(kansweep: Any) -> None:
    assert kansweep() == (2, "", HELP)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("rum", "There is no command `rum`; there is run, show, plot, report. Did you mean `run`?"),
        ("run data.size=[1]", "There is no key `data.size`. Did you mean `data.sizes`?"),
        ("run data.noise=-1", "`data.noise` must be a number, 0 or more, or a share"),
        ("run data.noise=1%%", "such as 1%; got '1%%'."),
        ("run data.sampling=sobel", "Did you mean `sobol`?"),
        ("run data.sampling=grid", "such as 289 or 324; got 300."),
        ("run data.formula=__import__(1)", "`data.formula` must use functions out of sin, cos"),
        ("run data.formula=log(x1)", "`data.formula` must be finite on its domain; log(x1) is not"),
        ("run data.formula=x1 data.domain=[1,0]", "`data.domain` must be as [low,high]"),
        ("run data.formula=x1 data.target=os:getcwd", "give one of the two."),
        ("run data.target=os:nosuch", "cannot be imported: AttributeError"),
        ("run data=table", "`data.path` must name a file for data=table"),
        ("run data=table data.path=none.csv", "`data.path` must be a file that is there"),
        ("run data.path=t.csv", "`data.path` is a key of data=table, which is not the data"),
        ("run model=mlp solver=lm", "`solver` must be lbfgs for model=mlp; got lm."),
        ("run model=mlp model.k=2", "`model.k` is a key of model=kan, which is not the model"),
        ("run model=mlp model.widths=[5,4]", "`model.widths` must be a list of positive integers"),
        ("run model=mlp model.activation=sigmoid", "`model.activation` must be tanh, silu, relu"),
        ("run -m model=kan,mlp model.k=2", "`model.k` is a key of model=kan, which is not"),
        ("run +foo=1", "There is no key `foo`."),
        ("run ++model.q=1", "There is no key `model.q`. Did you mean `model.k`?"),
        ("run solver.steps=3", "`solver.steps` is a key of solver=lbfgs, which is not the solver"),
        (
            "run solver=lmm",
            "There is no solver=lmm; there is lbfgs, lbfgs_mlp, lm. Did you mean `lm`?",
        ),
        ("run data=bassel", "Did you mean `bessel`?"),
        ("run data.sizes=[100,-1]", "without repeats, or null; got [100, -1]."),
        ("run data.sizes=3", "`data.sizes` must be a list of integers, 2 or more, without repeats"),
        ("run data.n_test=2.5", "`data.n_test` must be an integer, 1 or more, or null; got 2.5."),
        ("run data.sizes=null", "`data.sizes` may be null for data=table alone."),
        ("run model.hidden=[1,a]", "`model.hidden` must be a list of positive integers, or null"),
        ("run seeds=true", "`seeds` must be an integer from 1 to 1000000, or a list"),
        ("run name=../elsewhere", "`name` must be 1 to 200 letters"),
        ("run run=force", "`run` holds other keys; set one of those, such as `run.mode`."),
        ("run ~solver", "`solver` has no value."),
        ("run name=${nothing}", "Interpolation key 'nothing' not found"),
        ("run force", "`force` cannot be read; write key=value, as in data.sizes=[100,300]."),
        ("run model.k=1,2", "To sweep over it, add --multirun"),
        ("run -m model.k=1,2,0", "`model.k` must be an integer from 1 to 10; got 0."),
        ("run -m solver=lm,foo", "There is no solver=foo; there is lbfgs, lbfgs_mlp, lm."),
        ("run --config-dir nowhere", "nowhere' not found"),
        ("run --cfg job -p nothing", "package 'nothing' not found"),
        ("run --faster", "unrecognized arguments: --faster"),
        ("run device=cuda:99", "`device` must be"),
        ("run model.k=100", "`model.k` must be an integer from 1 to 10; got 100."),
        ("run seeds=99999999999", "`seeds` must be an integer from 1 to 1000000, or a list"),
        ("run grid.sizes=[99999999999]", "`grid.sizes` must be a list of positive integers"),
        ("run device=cuda:99999999999", "`device` must be cpu, cuda or cuda:N"),
        ("run data=product solver.start=additive", "one hidden node; the width is 2-2-1."),
        ("run grid.sizes=[]", "`grid.sizes` must be a list of positive integers, in ascending"),
        ("run grid.sizes=[5,5]", "in ascending order without repeats; got [5, 5]."),
        ("run grid.sizes=[10,5]", "in ascending order without repeats; got [10, 5]."),
        ("run grid.sizes=[0,5]", "`grid.sizes` must be a list of positive integers"),
        ("run data.sizes=[-1]", "`data.sizes` must be a list of integers, 2 or more"),
        ("run data.sizes=[100,100]", "without repeats, or null; got [100, 100]."),
        ("run model.k=2.5", "`model.k` must be an integer from 1 to 10; got 2.5."),
        ("run seeds=0", "`seeds` must be an integer from 1 to 1000000, or a list"),
        ("run seeds=[1,1]", "distinct integers, 0 or more; got [1, 1]."),
        ("run data=nosuch", "There is no data=nosuch; there is bessel, ellipeinc, ellipj,"),
        ("run name=../../x", "`name` must be 1 to 200 letters"),
        ("run name=..", "`name` must be 1 to 200 letters"),
        ("run name=/x", "`name` must be 1 to 200 letters"),
        ("run device=tpu", "`device` must be cpu, cuda or cuda:N; got 'tpu'."),
        ("run dtype=float16", "`dtype` must be float64 or float32; got 'float16'."),
        ("run engine=ray", "There is no engine=ray; there is dask, process, serial, submitit."),
        ("run engine.workers=0", "a key of engine=process, engine=dask and engine=submitit, which"),
        ("run engine=process engine.workers=0", "`engine.workers` must be an integer, 1 or more"),
        ("run engine=process engine.workers=two", "`engine.workers` must be an integer, 1 or more"),
        ("run engine=process engine.address=a", "`engine.address` is a key of engine=dask, which"),
        ("run engine=dask engine.address=here", "`engine.address` must be as tcp://host:port"),
        ("run engine=dask engine.address=ucx://a:1", "`engine.address` must be as tcp://host:port"),
        ("run engine=dask engine.address=tls://127.0.0.1:1", "must be that of a running scheduler"),
        ("run seeds=1000000", "may make 2,000,000 cells; got 20,000,000."),
        ("run name=.latest", "`name` must be 1 to 200 letters"),
        ("run engine=submitit engine.cluster=pbs", "`engine.cluster` must be slurm or local"),
        ("run engine=submitit engine.timeout_min=0", "`engine.timeout_min` must be an integer"),
        ("run engine=submitit engine.parameters=3", "`engine.parameters` must be names with a"),
        (
            "run engine=submitit engine.cluster=local engine.parameters={lanes:3}",
            "`engine.parameters` must be submitit's own: ",
        ),
        ("run run.mode=again", "`run.mode` must be cached, retry or force; got 'again'."),
        ("run run.fail_fast=maybe", "`run.fail_fast` must be true or false; got 'maybe'."),
        ("run outputs=", "`outputs` must be a text that is not empty; got ''."),
        ("run solver.penalty=-1", "`solver.penalty` must be a positive number, or null; got -1"),
        ("run -m engine=serial,dusk", "There is no engine=dusk; there is dask, process"),
        (
            "frobnicate name=x",
            "There is no command `frobnicate`; there is run, show, plot, report.",
        ),
        ("plot name=nosuch", "There is no sweep in outputs/nosuch."),
        ("plot name=../x", "`name` must be 1 to 200 letters"),
        ("show", "There is no sweep in outputs; `kansweep run` makes one."),
        ("show name=nothing", "There is no sweep in outputs/nothing."),
        ("show format=xml", "`format` must be table, markdown, csv or json; got 'xml'."),
        ("plot", "There is no sweep in outputs; `kansweep run` makes one."),
        ("report", "There is no sweep in outputs; `kansweep run` makes one."),
        ("report name=nothing", "There is no sweep in outputs/nothing."),
        ("report format=pdf", "There is no key `format`."),
        ("plot names=[a]", "`names` must be a list of two or more names of sweeps"),
        ("plot names=[a,../b]", "`names` must be a list of two or more names of sweeps"),
        ("plot name=a names=[a,b]", "`name` is one sweep and `names` are several; give one"),
        ("plot names=[nosuch,other]", "There is no sweep in outputs/nosuch."),
        ("plot names=x*", "`names` must match two sweeps or more; x* matches 0 of outputs."),
        ("plot plot.x=width", "`plot.x` must be grid_size or n_params, or null; got 'width'."),
        ("plot plot.margin=0", "`plot.margin` must be a positive number; got 0"),
        ("plot edges", "There is no sweep in outputs; `kansweep run` makes one."),
        ("plot edges name=nothing", "There is no sweep in outputs/nothing."),
        ("plot edges edges.sed=0", "There is no key `edges.sed`. Did you mean `edges.seed`?"),
        ("plot edges edges.seed=-1", "`edges.seed` must be an integer, 0 or more, or null; got -1"),
        ("plot edges edges.size=[5]", "`edges.size` must be an integer, 1 or more, or null"),
        ("plot edges edges.n_train=all", "`edges.n_train` must be an integer, 1 or more, or null"),
        ("plot edges plot.x=n_params", "There is no key `plot.x`."),
        ("plot edges plot.formats=[gif]", "`plot.formats` must be a list of one or more of png"),
        ("edges", "There is no command `edges`; there is run, show, plot, report."),
        ("plot plot.formats=[gif]", "`plot.formats` must be a list of one or more of png, svg"),
    ],
)
def test_a_refusal_is_short_and_writes_nothing(
    kansweep: Any, tmp_path: Path, words: str, message: str
) -> None:
    status, out, err = kansweep(*words.split())
    assert (status, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) <= 8
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense: 3", "Key 'nonsense' not in 'RunConfig'"),
        ("data: {sizes: [a]}", "Value 'a' of type 'str' could not be converted to Integer"),
        ("name: [", "while parsing"),
        ("defaults: [override /solvr: lm]", "Could not override 'solvr'"),
    ],
)
def test_a_mistake_in_a_file_of_ones_own_is_named_with_the_file(
    kansweep: Any, tmp_path: Path, text: str, message: str
) -> None:
    mine = tmp_path / "mine" / "experiment" / "trial.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text(f"# @package _global_\n{text}\n")
    status, _, err = kansweep("run", "--config-dir", "mine", "experiment=trial")
    assert status == 2
    assert "experiment/trial" in err
    assert message in err
    assert len(err.splitlines()) <= 8


def test_a_yaml_file_runs_no_code(kansweep: Any, tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "experiment" / "trial.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("# @package _global_\nname: !!python/object/apply:os.mkdir [owned]\n")
    status, _, err = kansweep("run", "--config-dir", "mine", "experiment=trial")
    assert status == 2
    assert "could not determine a constructor" in err
    assert len(err.splitlines()) <= 8
    assert not (tmp_path / "owned").exists()


def test_hydras_own_variable_brings_the_traceback_back(
    kansweep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(Exception, match="Could not override 'solvr'"):
        kansweep("run", "solvr=lm")


# -------------------------------------------------------------------------------------- completion


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("kansweep ", {"run", "show", "plot", "report"}),
        ("kansweep sh", {"run", "show", "plot", "report"}),
        ("kansweep run solver=", {"solver=lm", "solver=lbfgs", "solver=lbfgs_mlp"}),
        ("kansweep run solver=lbfgs solver.s", {"solver.steps="}),
        ("kansweep run data.n", {"data.name=", "data.n_test=", "data.noise="}),
        ("kansweep plot plot.s", {"plot.split="}),
        ("kansweep plot plot.f", {"plot.formats."}),
        ("kansweep report na", {"name="}),
        ("kansweep rum solver=", set()),
    ],
)
def test_the_shell_is_offered_what_fits(
    kansweep: Any, monkeypatch: pytest.MonkeyPatch, line: str, offers: set[str]
) -> None:
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    status, out, err = kansweep("-sc", "query=bash")
    assert (status, set(out.split()), err) == (0, offers, "")


def test_hydra_is_asked_about_the_line_without_the_command(
    kansweep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(command: str, arguments: list[str]) -> list[object]:
        seen.append((command, os.environ["COMP_LINE"], int(os.environ["COMP_POINT"])))
        return []

    seen: list[tuple[str, str, int]] = []
    monkeypatch.setattr("kansweep.cli.composing.compose", look)
    for line in ("kansweep show form", "kansweep  show  "):
        monkeypatch.setenv("COMP_LINE", line)
        monkeypatch.setenv("COMP_POINT", str(len(line)))
        kansweep("-sc", "query=bash")
    assert seen == [("show", "kansweep form", 13), ("show", "kansweep   ", 11)]


def test_the_completion_installs(kansweep: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMP_LINE", raising=False)
    status, out, _ = kansweep("-sc", "install=bash")
    assert status == 0
    assert out.rstrip().endswith("hydra_bash_completion kansweep")


# ---------------------------------------------------------------------------------------- multirun


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


# ------------------------------------------------------------------------- run, show, plot, report


def test_a_second_run_trains_nothing(kansweep: Any, tmp_path: Path) -> None:
    status, out, err = kansweep("run", *SMALL)
    assert (status, err) == (0, "")
    assert f"example8: {CELLS} cells, 0 of them kept, {CELLS} trained, 0 failed; " in out
    assert "Next: kansweep plot\n" in out
    assert len(pd.read_parquet(tmp_path / "outputs/example8/results.parquet")) == CELLS

    status, out, err = kansweep("run", *SMALL)
    assert (status, err) == (0, "")
    assert f"example8: {CELLS} cells, {CELLS} of them kept, 0 trained, 0 failed; " in out


def test_show_tells_the_latest_sweep_or_the_one_named(kansweep: Any) -> None:
    kansweep("run", *SMALL, "name=first")
    kansweep("run", *SMALL)
    few = kansweep("show", "name=first")
    assert few.out.startswith(f"first: median test RMSE over seeds ({CELLS} done, 0 failed, ")
    header, *rows, _, spent = few.out.splitlines()[2:]
    assert spent.startswith("Time in cells: ")
    assert header.split() == ["n_train", "G=3", "G=6", "G=12"]
    assert [row.split()[0] for row in rows] == ["40", "60"]

    matrix = json.loads(kansweep("show", "format=json").out)
    table = pd.read_csv(io.StringIO(kansweep("show", "format=csv").out))
    assert [row["done"] for row in matrix] == [2] * 6
    assert table["test_rmse"].tolist() == [row["test_rmse"] for row in matrix]
    assert "| 40 | " in kansweep("show", "format=markdown").out


def test_plot_prints_the_law_and_writes_it(kansweep: Any, tmp_path: Path) -> None:
    kansweep("run", *SMALL)
    status, out, err = kansweep("plot", "plot.formats=[svg]")
    assert (status, err) == (0, "")
    folder = tmp_path / "outputs/example8"
    figures = {name for name in files(folder) if name.startswith("figures/")}
    kinds = ("rmse_vs_grid_size", "rmse_vs_data_size")
    expected = {f"{split}_{kind}" for split in ("train", "test") for kind in kinds}
    expected |= {"test_rmse_map", "test_local_orders"}
    assert figures == {f"figures/{name}.svg" for name in expected}
    assert "exponent" in pd.read_csv(folder / "laws.csv")
    assert {str(Path("outputs/example8", name)) for name in figures} <= set(out.split())


def test_report_writes_one_page_and_nothing_else(kansweep: Any, tmp_path: Path) -> None:
    kansweep("run", *SMALL, "name=first")
    kansweep("run", *SMALL, "name=second", "seeds=1")
    before = files(tmp_path)
    assert kansweep("report", "name=first") == (0, "outputs/first/report.html\n", "")
    assert files(tmp_path) - before == {"outputs/first/report.html"}
    text = (tmp_path / "outputs/first/report.html").read_text()
    assert text.count("<svg ") == text.count("<figure>") == 6
    assert "kansweep run name=first seeds=2 " in text
    assert kansweep("report").out == "outputs/second/report.html\n"


def test_a_report_of_nothing_is_refused(kansweep: Any, tmp_path: Path) -> None:
    kansweep("run", *SMALL)
    for path in (tmp_path / "outputs/example8/cells").iterdir():
        path.unlink()
    status, _, err = kansweep("report")
    assert status == 2
    assert "No cell of outputs/example8 is done yet" in err


def test_plot_takes_its_axis_its_split_and_its_margin(kansweep: Any, tmp_path: Path) -> None:
    kansweep("run", *SMALL)
    words = ("plot.x=n_params", "plot.split=test", "plot.formats=[svg]", "plot.margin=9")
    status, out, err = kansweep("plot", *words, "plot.orders=true")
    assert (status, err) == (0, "")
    assert "exp_sin: RMSE ~ n_params^exponent, in theory -4" in out
    assert "| data | k | RMSE | n | 3 to 6 | 6 to 12 |" in out
    drawn = {name for name in files(tmp_path) if "/figures/" in name}
    assert {Path(name).stem for name in drawn} == {
        *("test_rmse_vs_n_params", "test_rmse_vs_data_size", "test_rmse_map", "test_local_orders")
    }
    laws = pd.read_csv(tmp_path / "outputs/example8/laws.csv")
    assert set(laws["x"]) == {"grid_size", "n_params"}  # whatever is drawn


@pytest.mark.parametrize(
    "words",
    [["plot", "name=kan", "plot.orders=true"], ["plot", "names=[kan,mlp]"], ["report", "name=kan"]],
)
@pytest.mark.usefixtures("of_mlps")
def test_a_command_classifies_its_results_once(
    kansweep: Any, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    classified = cells.classified
    calls = []

    def counting(*given: Any) -> Any:
        calls.append(given)
        return classified(*given)

    monkeypatch.setattr(cells, "classified", counting)
    assert kansweep(*words).status == 0
    assert len(calls) == 1


def test_several_sweeps_are_drawn_together(kansweep: Any, tmp_path: Path) -> None:
    for k in (1, 3):
        kansweep("run", *SMALL, f"model.k={k}", f"name=k{k}")
    status, out, err = kansweep("plot", "names=[k1,k3]", "plot.formats=[svg]")
    assert (status, err) == (0, "")
    assert "k1: RMSE ~ grid_size^exponent, in theory -2" in out
    assert "k3: RMSE ~ grid_size^exponent, in theory -4" in out
    drawn = {Path(name).name for name in files(tmp_path) if name.startswith("outputs/k1+k3/")}
    assert drawn == {"train_rmse_vs_grid_size.svg", "test_rmse_vs_grid_size.svg", "orders.svg"}
    assert kansweep("show").out.startswith("k3: ")  # what was drawn is no sweep


@pytest.fixture
def of_mlps(kansweep: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sweeps, `kan` and `mlp`; the rows of the second are those of an MLP."""
    for name in ("kan", "mlp"):
        kansweep("run", *SMALL, f"name={name}")
    stored = Store.results

    def results(self: Store, keys: Any) -> pd.DataFrame:
        return mlps(-0.9, 2) if self.folder.name == "mlp" else stored(self, keys)

    monkeypatch.setattr(Store, "results", results)


@pytest.mark.usefixtures("of_mlps")
def test_mlps_are_plotted_against_parameters_alone_and_beside_kans(
    kansweep: Any, tmp_path: Path
) -> None:
    before = files(tmp_path)
    for words in (["name=mlp"], ["names=[kan,mlp]"]):
        status, out, err = kansweep("plot", *words, "plot.x=grid_size")
        assert (status, out) == (2, "")
        assert err == "kansweep: `plot.x` must be n_params or null for MLPs; got 'grid_size'.\n"
    assert files(tmp_path) == before

    status, out, err = kansweep("plot", "name=mlp", "plot.formats=[svg]", "plot.orders=true")
    assert (status, err) == (0, "")
    assert "exp_sin (MLP): RMSE ~ n_params^exponent\n" in out
    drawn = {Path(name).stem for name in files(tmp_path) if name.startswith("outputs/mlp/figures")}
    kinds = ("rmse_vs_n_params", "rmse_vs_data_size")
    expected = {f"{split}_{kind}" for split in ("train", "test") for kind in kinds}
    assert drawn == expected | {"test_rmse_map"}
    laws = pd.read_csv(tmp_path / "outputs/mlp/laws.csv")
    assert set(laws["x"]) == {"n_params"}
    assert laws["theory"].isna().all()

    status, out, err = kansweep("plot", "names=[kan,mlp]", "plot.formats=[svg]")
    assert (status, err) == (0, "")
    drawn = {Path(name).name for name in files(tmp_path) if name.startswith("outputs/kan+mlp/")}
    assert drawn == {"train_rmse_vs_n_params.svg", "test_rmse_vs_n_params.svg"}
    assert "kan: RMSE ~ n_params^exponent, in theory -4" in out
    assert "mlp (MLP): RMSE ~ n_params^exponent\n" in out


@pytest.mark.parametrize("command", ["plot", "report", "plot edges"])
def test_drawing_does_not_import_torch(kansweep: Any, command: str) -> None:
    kansweep("run", *SMALL)
    script = "import sys; from kansweep.cli import main; main(); assert 'torch' not in sys.modules"
    assert python(script, *command.split()) == ""


def test_the_edges_of_one_cell_are_drawn(kansweep: Any, tmp_path: Path) -> None:
    kansweep("run", *SMALL, "name=trial")
    before = files(tmp_path)
    words = ("edges.n_train=40", "edges.seed=1", "edges.size=6")
    status, out, err = kansweep("plot", "edges", "name=trial", *words)
    assert (status, err) == (0, "")
    stem = "outputs/trial/figures/edges_n40-s1-G6"
    assert out.split() == [f"{stem}.png", f"{stem}.svg"]
    assert files(tmp_path) - before == set(out.split())


def test_of_a_sweep_the_best_network_is_drawn(kansweep: Any, tmp_path: Path) -> None:
    kansweep("run", *SMALL)
    results = pd.read_parquet(tmp_path / "outputs/example8/results.parquet")
    mine = results[(results["n_train"] == 60) & (results["seed"] == 0)].sort_values("test_rmse")
    status, out, err = kansweep("plot", "edges", "plot.formats=[svg]")
    assert (status, err) == (0, "")
    assert out.endswith(f"/edges_n60-s0-G{mine['grid_size'].iloc[0]}.svg\n")


def test_edges_that_are_not_there_are_refused(kansweep: Any, tmp_path: Path) -> None:
    kansweep("run", *SMALL)
    before = files(tmp_path)
    sweep = "kansweep: outputs/example8"
    words = ("plot", "edges", "edges.n_train=40")
    assert kansweep(*words, "edges.size=5") == (
        2,
        "",
        f"{sweep} has no cell of n_train=40, size=5 with status ok; `size` may be 3, 6, 12.\n",
    )
    (state,) = (tmp_path / "outputs/example8/states").glob("n40-s0-G6-*")
    state.unlink()
    assert kansweep(*words, "edges.size=6") == (
        2,
        "",
        f"kansweep: The weights of {state.stem} are not in outputs/example8.\n",
    )
    assert files(tmp_path) == before - {str(state.relative_to(tmp_path))}


def test_a_perceptron_has_no_edges_to_draw(
    kansweep: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kansweep("run", *SMALL)
    one = np.ones((1, 1))
    perceptron = TrainedMLP((np.ones((1, 2)), one), (np.ones(1), np.ones(1)), "tanh")
    stored = Store.results
    monkeypatch.setattr("kansweep.trained.weights.of_cell", lambda *_: perceptron)
    monkeypatch.setattr(Store, "results", lambda self, keys: stored(self, keys).assign(model="mlp"))
    assert kansweep("plot", "edges") == (
        2,
        "",
        "kansweep: outputs/example8 holds MLPs; only KANs have edges that can be drawn.\n",
    )


def test_a_sweep_of_which_nothing_is_done_has_no_edges(kansweep: Any, tmp_path: Path) -> None:
    kansweep("run", *SMALL)
    for path in (tmp_path / "outputs/example8/cells").iterdir():
        path.unlink()
    status, _, err = kansweep("plot", "edges")
    assert (status, err) == (2, "kansweep: outputs/example8 has no cell with status ok.\n")


def test_a_changed_configuration_is_refused_under_a_used_name(
    kansweep: Any, tmp_path: Path
) -> None:
    kansweep("run", *SMALL)
    before = files(tmp_path)
    status, out, err = kansweep("run", *SMALL, "model.k=2")
    assert (status, out) == (2, "")
    assert "model.k" in err
    assert "name=" in err
    assert files(tmp_path) == before


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_keeps_its_cells_and_goes_on(
    kansweep: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int, status: int
) -> None:
    class Impatient(Progress):
        def __call__(self, event: Event) -> None:
            super().__call__(event)
            if self.done == 2:
                os.kill(os.getpid(), number)

    with monkeypatch.context() as patched:
        patched.setattr("kansweep.cli.training.Progress", Impatient)
        stopped = kansweep("run", *SMALL, "name=trial")
    assert (stopped.status, stopped.out) == (status, "")
    kept = [name for name in files(tmp_path) if "/cells/" in name]
    assert len(kept) >= 2
    typed = "kansweep run 'data.sizes=[40,60]' 'grid.sizes=[3,6,12]' seeds=2 data.n_test=100"
    assert f"2 of {CELLS} cells are done and kept. Go on with: {typed} name=trial\n" in stopped.err

    with monkeypatch.context() as patched:
        patched.setattr("kansweep.cli.training.Progress", Impatient)
        anew = kansweep("run", *SMALL, "name=trial", "run.mode=force")
    assert "2 of 12 cells were trained again; the others are as they were. To train" in anew.err
    assert anew.err.endswith(f": {typed} name=trial run.mode=force\n")

    resumed = kansweep("run", *SMALL, "name=trial")
    assert resumed.status == 0
    assert f"{len(kept)} of them kept, {CELLS - len(kept)} trained" in resumed.out
    assert "Next: kansweep plot name=trial\n" in resumed.out


def test_failed_cells_are_named_with_the_way_to_retry(
    kansweep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"n_train": 40, "model": "kan", "size": 6, "status": "failed"}
    row["error"] = "out of memory\nat ..."
    rows = [{**row, "seed": seed} for seed in range(12)]
    summary = SimpleNamespace(
        total=20, cached=0, done=8, left=0, failed=rows, damaged=[], seconds=1.0
    )
    monkeypatch.setattr("kansweep.sweep.runner.run", lambda *_: summary)
    status, out, err = kansweep("run", *SMALL, 'name="example8,k=2"', "run.mode=force")
    assert status == 1
    assert "12 failed" in out
    assert "Failed: n_train=40 seed=9 grid_size=6: failed, out of memory\n" in err
    assert "seed=10" not in err
    assert "Failed: 2 more\n" in err
    assert err.endswith(" 'name=\"example8,k=2\"' run.mode=retry\n")
    assert "Next: kansweep plot 'name=\"example8,k=2\"'\n" in out


def test_the_bar_tells_the_running_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    now = Progressed(300, 20, 5, 1, train_rmse=1e-5, test_rmse=2e-5, reg=8.125)

    def watch(screen: io.StringIO, row: dict[str, Any]) -> str:
        monkeypatch.setattr(sys, "stderr", screen)
        progress = Progress()
        progress(Started(total=20, cached=5))
        progress(now)
        progress(Finished(row))
        progress.close()
        assert progress.done == 6
        return screen.getvalue()

    shown = watch(Terminal(), vars(now))
    assert " 6/20 " in shown
    assert "n=300 G=20 train 1.00e-05 test 2.00e-05 reg 8.12]" in shown
    failed = dict.fromkeys(vars(now)) | {"n_train": 100, "size": 50}
    assert "n=100 G=50]" in watch(Terminal(), failed)
    assert watch(io.StringIO(), vars(now)) == ""


@pytest.mark.parametrize("word", ["data.formula='exp(x1) + x2^2'", "data.formula=exp(x1) + x2^2"])
def test_a_formula_may_have_quotes_of_its_own_or_only_those_of_the_shell(
    kansweep: Any, tmp_path: Path, word: str
) -> None:
    status, _, err = kansweep("run", word, *SMALL, "seeds=1")
    assert (status, err) == (0, "")
    results = pd.read_parquet(tmp_path / "outputs/example8/results.parquet")
    assert set(results["data"]) == {"exp(x1) + x2^2"}
    assert set(results["width"]) == {"2-1-1"}


def test_a_target_of_ones_own_is_one_yaml_file(kansweep: Any, tmp_path: Path) -> None:
    """And the report tells how to repeat it without that file."""
    (tmp_path / "mine/data").mkdir(parents=True)
    text = "name: gauss\nformula: exp(-x1^2 - x2^2)\ndomain: [0, 2]\nhidden: [2]\n"
    (tmp_path / "mine/data/gauss.yaml").write_text(text)
    words = ("--config-dir", "mine", "data=gauss", "run.report=true")
    status, out, err = kansweep("run", *words, *SMALL, "seeds=1", "name=gauss")
    assert (status, err) == (0, "")
    assert out.endswith("outputs/gauss/report.html\n")
    results = pd.read_parquet(tmp_path / "outputs/gauss/results.parquet")
    assert set(results["data"]) == {"gauss"}
    assert set(results["width"]) == {"2-2-1"}
    assert (results["status"] == "ok").all()
    page = (tmp_path / "outputs/gauss/report.html").read_text()
    command = html.unescape(re.search(r"kansweep run [^<]+", page)[0])
    assert kansweep(*shlex.split(command)[1:]).out.startswith("gauss: 6 cells, 6 of them kept")


def test_a_table_goes_from_file_to_report_in_one_command(kansweep: Any, tmp_path: Path) -> None:
    """A table that others made: Engel's food expenditure of 235 households."""
    frame = engel.load_pandas().data
    frame.to_csv(tmp_path / "engel.csv", index=False)
    words = ("data=table", "data.path=engel.csv", "data.output=foodexp", "run.report=true")
    status, _, err = kansweep("run", *words, "grid.sizes=[3,6]", "seeds=2", "name=engel")
    assert (status, err) == (0, "")
    assert "Scaling law" in (tmp_path / "outputs/engel/report.html").read_text()
    results = pd.read_parquet(tmp_path / "outputs/engel/results.parquet")
    assert set(results["data"]) == {"engel"}
    assert set(results["n_train"]) == {59, 188}
    assert set(results["width"]) == {"1-1"}
    whole = results[(results["n_train"] == 188) & (results["size"] == 3)]
    # In the table's units: better than a straight line through all of it does.
    line = np.polynomial.Polynomial.fit(frame["income"], frame["foodexp"], 1)
    residual = float(np.std(frame["foodexp"] - line(frame["income"])))
    assert whole["test_rmse"].mean() < 1.2 * residual
    (tmp_path / "engel.csv").unlink()
    assert kansweep("show").status == kansweep("plot").status == kansweep("report").status == 0
    assert kansweep("run", *words, "name=engel").status == 2


def test_mlps_are_trained_shown_and_drawn_like_kans(kansweep: Any, tmp_path: Path) -> None:
    words = ("data.sizes=[40]", "data.n_test=50", "seeds=1", "model.widths=[2,3,9]")
    run = ("run", "model=mlp", "solver.steps=2", "model.restarts=2", *words, "name=mlp")
    status, out, err = kansweep(*run)
    assert (status, err) == (0, "")
    assert out.startswith("mlp: 3 cells, 0 of them kept, 3 trained, 0 failed")
    assert kansweep(*run).out.startswith("mlp: 3 cells, 3 of them kept")
    results = pd.read_parquet(tmp_path / "outputs/mlp/results.parquet")
    assert results["size"].tolist() == [2, 3, 9]
    assert results["width"].tolist() == ["2-2-2-1", "2-3-3-1", "2-9-9-1"]
    assert results["n_params"].tolist() == [15, 25, 127]
    for column in ("grid_size", "k", "reg", "floor_rmse", "start_grid"):
        assert results[column].isna().all()
    assert "w=9" in kansweep("show").out
    assert kansweep("run", *words[:3], "grid.sizes=[3,6,12]", "name=kan").status == 0
    assert kansweep("plot", "names=[kan,mlp]", "plot.formats=[svg]").status == 0
    assert (tmp_path / "outputs/kan+mlp/figures/test_rmse_vs_n_params.svg").exists()
    status, _, err = kansweep("plot", "edges", "name=mlp")
    assert status == 2
    assert "only KANs have edges" in err


def test_sweeps_are_chosen_by_a_pattern(kansweep: Any, tmp_path: Path) -> None:
    kansweep("run", "-m", "model.k=2,3", *SMALL, "seeds=1", "name=orders")
    status, out, _ = kansweep("plot", "names=orders*", "plot.formats=[svg]")
    assert status == 0
    assert all(f"orders,model.k={k}: RMSE" in out for k in (2, 3))
    assert (tmp_path / "outputs/orders+/figures/orders.svg").exists()
