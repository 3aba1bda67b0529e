"""`kansweep run`: what it trains, says and leaves behind, to the report of it."""

from __future__ import annotations

import html
import io
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from folders import files
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from processes import python
from small import CELLS, SMALL
from statsmodels.datasets import engel

from kansweep import load_results
from kansweep.cli.training import Progress
from kansweep.config.run import RunConfig
from kansweep.sweep.events import Event, Finished, Progressed, Started
from kansweep.sweep.tried import Search

pytestmark = pytest.mark.usefixtures("sketched")


def test_a_second_run_trains_nothing(kansweep: Any, tmp_path: Path) -> None:
    status, out, err = kansweep("run", *SMALL)
    assert (status, err) == (0, "")
    assert f"example8: {CELLS} cells, 0 of them kept, {CELLS} trained, 0 failed; " in out
    assert "Next: kansweep plot\n" in out
    assert len(pd.read_parquet(tmp_path / "outputs/example8/results.parquet")) == CELLS

    status, out, err = kansweep("run", *SMALL)
    assert (status, err) == (0, "")
    assert f"example8: {CELLS} cells, {CELLS} of them kept, 0 trained, 0 failed; " in out


def test_a_run_imports_what_it_needs_and_one_that_trains_nothing_even_less(tmp_path: Path) -> None:
    script = """
import sys
from kansweep.cli import main

main()
assert not {"pandas", "matplotlib", "distributed", "submitit"} & set(sys.modules)
main()
"""
    words = ("run", *SMALL, f"outputs={tmp_path}")
    assert python(script, *words) == ""
    kept = script.replace('{"pandas"', '{"torch", "numba", "scipy", "pandas"')
    assert python(kept, *words) == ""


def test_a_configuration_is_composed_once(kansweep: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    compositions = []
    compose = ConfigLoaderImpl.load_configuration

    def counted(*args: Any, **kwargs: Any) -> Any:
        compositions.append(args)
        return compose(*args, **kwargs)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", counted)
    assert kansweep("run", *SMALL).status == 0
    assert kansweep("show").status == 0
    assert len(compositions) == 2


def test_a_changed_configuration_is_refused_under_a_used_name(
    kansweep: Any, sweep: Any, tmp_path: Path
) -> None:
    sweep()
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
    typed = shlex.join(["kansweep", "run", *SMALL])
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


def test_a_quiet_run_tells_its_failures_alone(
    kansweep: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def found(job: RunConfig, store: object, tell: Callable[[str], None]) -> Any:
        tell("2-1")
        return replace(job, model=job.model.with_hidden((1,))), Search((), (2, 1, 1))

    words = ("run", *SMALL, "seeds=1", "-q")
    assert kansweep(*words, "run.report=true") == (0, "", "")
    assert (tmp_path / "outputs/example8/report.html").exists()
    monkeypatch.setattr("kansweep.sweep.shapes.found", found)
    assert kansweep(*words, "-m", "data.noise=0,0.1", "model.hidden=auto") == (0, "", "")

    def fails(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("kansweep.sweep.chain._sample", fails)
    status, out, err = kansweep(*words, "name=fails")
    assert (status, out) == (1, "")
    assert err.startswith("Failed: n_train=40 seed=0 grid_size=3: failed, RuntimeError: broken\n")
    assert "Try them again with: kansweep run 'data.sizes=[40,60]'" in err
    assert " -q name=fails run.mode=retry\n" in err


def test_a_verbose_run_tells_every_cell_as_its_log_does(kansweep: Any, tmp_path: Path) -> None:
    status, out, err = kansweep("run", *SMALL, "seeds=1", "-v")
    assert status == 0
    assert "Next: kansweep plot\n" in out
    logged = (tmp_path / "outputs/example8/run.log").read_text().splitlines()[1:-1]
    assert err.splitlines() == [line.partition(" ")[2] for line in logged]
    assert err.startswith("1/6 n=40 seed=0 G=3 status=ok stop=")
    assert kansweep("run", *SMALL, "seeds=1", "-v").err == ""  # all is kept


@pytest.mark.parametrize("word", ["data.formula='exp(x1) + x2^2'", "data.formula=exp(x1) + x2^2"])
def test_a_formula_may_have_quotes_of_its_own_or_only_those_of_the_shell(
    kansweep: Any, tmp_path: Path, word: str
) -> None:
    status, _, err = kansweep("run", word, *SMALL, "seeds=1")
    assert (status, err) == (0, "")
    results = pd.read_parquet(tmp_path / "outputs/example8/results.parquet")
    assert set(results["data"]) == {"exp(x1) + x2^2"}
    assert set(results["width"]) == {"2-1-1"}


def test_a_formula_has_a_floor_or_the_output_says_why(kansweep: Any, tmp_path: Path) -> None:
    words = (*SMALL, "seeds=1", "data.formula=x1*x2")
    status, out, _ = kansweep("run", *words, "data.domain=[1,2]", "name=positive")
    assert status == 0
    assert "No floor" not in out
    rows = pd.read_parquet(tmp_path / "outputs/positive/results.parquet")
    assert (rows["floor_rmse"] > 0).all()
    status, out, _ = kansweep("run", *words, "run.report=true", "name=signed")
    assert "\nNo floor: its structure is that of a KAN 2-2-1.\n" in out
    assert "  No floor: its structure is that of a KAN 2-2-1.\n" in kansweep("plot").out
    page = (tmp_path / "outputs/signed/report.html").read_text()
    assert "There is no floor to hold the errors against: its structure is that of a KAN" in page
    assert load_results(tmp_path / "outputs/signed")["floor_rmse"].isna().all()


def test_a_folder_from_before_formulas_had_floors_has_them_now(
    kansweep: Any, tmp_path: Path
) -> None:
    """Its rows hold none, and nothing is trained again: a floor is no part of a cell's identity."""
    words = ("run", *SMALL, "seeds=1", "data.formula=x1*x2", "data.domain=[1,2]", "name=old")
    kansweep(*words)
    folder = tmp_path / "outputs/old"
    expected = load_results(folder)["floor_rmse"]
    for path in folder.glob("cells/*.parquet"):
        pq.write_table(pa.Table.from_pandas(pd.read_parquet(path).assign(floor_rmse=np.nan)), path)
    (folder / "index.parquet").unlink()
    assert kansweep(*words).out.startswith("old: 6 cells, 6 of them kept")
    assert pd.read_parquet(folder / "results.parquet")["floor_rmse"].isna().all()
    assert load_results(folder)["floor_rmse"].equals(expected)
    assert "\nfloor " in kansweep("plot", "name=old").out


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
    run = (
        "run",
        "model=mlp",
        "solver.max_steps=3",
        "model.restarts=2",
        *words,
        "name=mlp",
    )
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
    assert "only edges of model=kan" in err
