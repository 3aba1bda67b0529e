"""From stored results to laws and figures, as a notebook does it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from pandas import DataFrame

import kansweep
from kansweep import analysis, law

FLOOR = {5: 6.62e-3, 10: 3.03e-4, 20: 1.72e-5, 50: 4.28e-7, 100: 2.66e-8}


@pytest.fixture
def published() -> DataFrame:
    table = pd.read_csv(Path(__file__).parent / "data" / "example8_published.csv")
    table = table.assign(data="exp_sin", seed=0, k=3, width="2-1-1", status="ok", dtype="float64")
    return table.assign(n_params=3 * (table["grid_size"] + 3))


def test_a_notebook_goes_from_a_file_to_a_figure(published, tmp_path):
    path = tmp_path / "results.parquet"
    published.to_parquet(path)
    for given in (path, str(path), tmp_path):
        results = kansweep.load_results(given)
        laws = kansweep.fit_laws(results)
        figure = kansweep.plot_laws(results, laws)
    assert laws.columns.tolist() == law.LAW_COLUMNS
    assert isinstance(figure, Figure)
    assert figure.axes[0].get_ylabel() == "test RMSE"
    assert figure.axes[0].get_xlabel() == "grid size G"
    by_parameters = kansweep.plot_laws(results, kansweep.fit_laws(results, "n_params"), "train")
    assert by_parameters.axes[0].get_ylabel() == "train RMSE"
    assert by_parameters.axes[0].get_xlabel() == "trainable parameters P"


def test_what_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        kansweep.load_results(tmp_path / "nothing.parquet")
    with pytest.raises(AttributeError, match="no attribute 'fit_lows'"):
        kansweep.fit_lows  # noqa: B018


def test_importing_the_package_brings_in_nothing_heavy():
    code = (
        "import sys, kansweep; print({'torch', 'pandas', 'matplotlib', 'scipy'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_floor_is_filled_in_where_it_is_known(published):
    others = [
        published.assign(width="2-5-1"),
        published.assign(data="a user's own"),
        published.assign(data="product", width="2-2-1"),
    ]
    results = analysis.with_floor(published)
    assert results.index.equals(published.index)
    assert results["floor_rmse"].to_numpy() == pytest.approx(
        published["grid_size"].map(FLOOR).to_numpy(), rel=5e-3
    )
    for other in others:
        assert analysis.with_floor(other)["floor_rmse"].isna().all()
    old = analysis.with_floor(published.assign(floor_rmse=np.nan))
    assert old["floor_rmse"].equals(results["floor_rmse"])


def test_a_target_that_splines_represent_exactly_is_told_by_its_name_and_order(published):
    assert not analysis.rules(published).exact
    product = published.assign(data="product", width="2-2-1")
    assert analysis.rules(product).exact
    assert not analysis.rules(product.assign(k=1)).exact
    assert analysis.rules(published, margin=0.1).margin == 0.1


def test_laws_are_those_against_both_axes(published):
    laws = analysis.laws(analysis.with_floor(published), law.DEFAULT)
    assert laws.groupby("x", sort=False).size().to_dict() == {"grid_size": 8, "n_params": 8}
    both = laws.pivot(index=["n_train", "split"], columns="x", values="verdict")
    assert both["grid_size"].equals(both["n_params"].rename("grid_size"))


def test_several_sweeps_keep_their_curves_apart(published):
    better = published.assign(
        test_rmse=published["test_rmse"] / 2, train_rmse=published["train_rmse"] / 2
    )
    results, laws = analysis.together({"one": published, "two": better})
    assert set(laws["data"]) == {"one", "two"}
    assert len(results) == 2 * len(published)
    mine = laws[(laws["n_train"] == 3000) & (laws["split"] == "test") & (laws["x"] == "grid_size")]
    assert mine["exponent"].round(2).tolist() == [-4.08, -4.08]
    drawn = analysis.figures_of_several(
        results, laws[laws["x"] == "grid_size"], law.DEFAULT, ["test"]
    )
    assert list(drawn) == ["test_rmse_vs_grid_size"]  # one order of splines: nothing to compare


def test_sweeps_of_several_orders_have_a_figure_of_measured_against_predicted(published):
    cubic = {"k=3": published}
    linear = published.assign(k=1, test_rmse=published["grid_size"] ** -2.0)
    results, laws = analysis.together(
        {**cubic, "k=1": linear.assign(train_rmse=linear["test_rmse"])}
    )
    laws = laws[laws["x"] == "grid_size"]
    drawn = analysis.figures_of_several(results, laws, law.DEFAULT, law.SPLITS)
    assert list(drawn) == ["train_rmse_vs_grid_size", "test_rmse_vs_grid_size", "orders"]


def test_a_sweep_whose_splines_are_exact_has_no_law_among_others_either(published):
    product = published.assign(data="product", width="2-2-1")
    results, laws = analysis.together({"one": published, "exact": product})
    assert set(laws[laws["data"] == "exact"]["verdict"]) == {"insufficient"}
    assert "consistent" in set(laws[laws["data"] == "one"]["verdict"])
    cells = law.classify(results)
    assert not cells[cells["data"] == "exact"]["counts"].any()
    assert cells[cells["data"] == "one"]["counts"].any()
