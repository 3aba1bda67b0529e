"""`kansweep show`, `plot` and `report`: what they say and write of a stored sweep."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cells import mlps
from folders import files
from processes import python
from small import CELLS

from kansweep.laws import cells
from kansweep.sweep.store import Store


def test_show_tells_the_latest_sweep_or_the_one_named(kansweep: Any, sweep: Any) -> None:
    sweep("first")
    sweep()
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


def test_plot_prints_the_law_and_writes_it(kansweep: Any, sweep: Any, tmp_path: Path) -> None:
    sweep()
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


def test_plot_draws_pages_of_the_width_that_is_asked_for(
    kansweep: Any, sweep: Any, tmp_path: Path
) -> None:
    sweep()
    words = ("plot.formats=[pdf]", "plot.split=test")
    assert kansweep("plot", *words, "plot.style=paper").status == 0
    assert kansweep("plot", "edges", *words[:1], "plot.style=slides", "plot.width=5").status == 0
    for page in (tmp_path / "outputs/example8/figures").iterdir():
        (width,) = re.findall(rb"/MediaBox \[ *0 0 ([\d.]+) ", page.read_bytes())
        inches = 5.0 if page.name.startswith("edges") else 3.4
        assert float(width) / 72 == pytest.approx(inches, rel=0.01)


def test_report_writes_one_page_and_nothing_else(kansweep: Any, sweep: Any, tmp_path: Path) -> None:
    sweep("first")
    sweep("second")
    before = files(tmp_path)
    assert kansweep("report", "name=first") == (0, "outputs/first/report.html\n", "")
    assert files(tmp_path) - before == {"outputs/first/report.html"}
    text = (tmp_path / "outputs/first/report.html").read_text()
    assert text.count("<svg ") == text.count("<figure>") == 6
    assert "kansweep run name=first seeds=2 " in text
    assert kansweep("report").out == "outputs/second/report.html\n"


def test_report_of_several_writes_one_page(kansweep: Any, sweep: Any, tmp_path: Path) -> None:
    for k in (1, 3):
        sweep(f"k{k}", k)
    before = files(tmp_path)
    assert kansweep("report", "names=k*") == (0, "outputs/k+/report.html\n", "")
    assert files(tmp_path) - before == {"outputs/k+/report.html"}
    text = (tmp_path / "outputs/k+/report.html").read_text()
    assert "Two sweeps beside each other" in text
    assert text.count("<figure>") == 3  # against grid size, beside each other, orders
    assert "kansweep run name=k1 " in text
    assert "kansweep run name=k3 " in text


def test_a_report_of_nothing_is_refused(kansweep: Any, sweep: Any, tmp_path: Path) -> None:
    sweep()
    for path in (tmp_path / "outputs/example8/cells").iterdir():
        path.unlink()
    status, _, err = kansweep("report")
    assert status == 2
    assert "No cell of outputs/example8 is done yet" in err


@pytest.mark.usefixtures("sketched")
def test_plot_takes_its_axis_its_split_and_its_margin(
    kansweep: Any, sweep: Any, tmp_path: Path
) -> None:
    sweep()
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
    ("words", "times"),
    [
        (["plot", "name=kan", "plot.orders=true"], 1),
        (["plot", "names=[kan,mlp]"], 1),
        (["report", "name=kan"], 2),  # errors, and those of derivatives
    ],
)
@pytest.mark.usefixtures("of_mlps", "sketched")
def test_a_command_classifies_its_results_once(
    kansweep: Any, monkeypatch: pytest.MonkeyPatch, words: list[str], times: int
) -> None:
    classified = cells.classified
    calls = []

    def counting(*given: Any) -> Any:
        calls.append(given)
        return classified(*given)

    monkeypatch.setattr(cells, "classified", counting)
    assert kansweep(*words).status == 0
    assert len(calls) == times


@pytest.mark.usefixtures("sketched")
def test_several_sweeps_are_drawn_together(kansweep: Any, sweep: Any, tmp_path: Path) -> None:
    for k in (1, 3):
        sweep(f"k{k}", k)
    status, out, err = kansweep("plot", "names=[k1,k3]", "plot.formats=[svg]")
    assert (status, err) == (0, "")
    assert "k1: RMSE ~ grid_size^exponent, in theory -2" in out
    assert "k3: RMSE ~ grid_size^exponent, in theory -4" in out
    drawn = {Path(name).name for name in files(tmp_path) if name.startswith("outputs/k1+k3/")}
    assert drawn == {
        *("train_rmse_vs_grid_size.svg", "test_rmse_vs_grid_size.svg", "orders.svg"),
        *("test_comparison.svg", "comparison.csv"),
    }
    compared = pd.read_csv(tmp_path / "outputs/k1+k3/comparison.csv")
    assert set(compared["second"]) == {"k3"}
    assert str(Path("outputs/k1+k3/comparison.csv")) in out.split()
    assert kansweep("show").out.startswith("k3: ")  # what was drawn is no sweep


@pytest.fixture
def of_mlps(sweep: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sweeps, `kan` and `mlp`; the rows of the second are those of an MLP."""
    for name in ("kan", "mlp"):
        sweep(name)
    stored = Store.results

    def results(self: Store, keys: Any) -> pd.DataFrame:
        return mlps(-0.9, 2) if self.folder.name == "mlp" else stored(self, keys)

    monkeypatch.setattr(Store, "results", results)


@pytest.mark.usefixtures("of_mlps", "sketched")
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
    assert drawn == {"train_rmse_vs_n_params.svg", "test_rmse_vs_n_params.svg", "comparison.csv"}
    assert (
        "kan and mlp are not compared; they share no number of training points: 40, 60, and" in out
    )
    assert "kan: RMSE ~ n_params^exponent, in theory -4" in out
    assert "mlp (MLP): RMSE ~ n_params^exponent\n" in out


def test_drawing_does_not_import_torch(kansweep: Any, sweep: Any) -> None:
    sweep()
    script = """
import sys
from kansweep.cli import main

png = "plot.formats=[png]"
for words in (["plot", "plot.split=test", png], ["report"], ["plot", "edges", png]):
    sys.argv = ["kansweep", *words]
    assert main() == 0
    assert "torch" not in sys.modules, words
"""
    assert python(script) == ""


@pytest.mark.usefixtures("sketched")
def test_plot_tells_the_laws_of_derivatives_where_it_is_asked(
    kansweep: Any, sweep: Any, tmp_path: Path
) -> None:
    folder = sweep()
    assert kansweep("plot", "plot.formats=[svg]").status == 0
    assert set(pd.read_csv(folder / "laws.csv")["split"]) == {"train", "test"}
    status, out, err = kansweep("plot", "plot.formats=[svg]", "plot.derivatives=true")
    assert (status, err) == (0, "")
    assert "exp_sin: RMSE of the gradient ~ grid_size^exponent, in theory -3" in out
    assert "exp_sin: RMSE of the Hessian ~ grid_size^exponent, in theory -2" in out
    assert str(Path("outputs/example8/figures/hessian_rmse_vs_grid_size.svg")) in out.split()
    splits = pd.read_csv(folder / "laws.csv")["split"]
    assert list(splits.unique()) == ["train", "test", "gradient", "hessian"]


@pytest.mark.usefixtures("of_mlps")
def test_derivatives_that_no_cell_has_are_refused(kansweep: Any, tmp_path: Path) -> None:
    before = files(tmp_path)
    status, out, err = kansweep("plot", "name=mlp", "plot.derivatives=true")
    assert (status, out) == (2, "")
    assert "`plot.derivatives` needs cells with errors of derivatives; those of earlier" in err
    assert files(tmp_path) == before
