"""From stored results to laws and figures, as a notebook does it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from models import kans, mlps
from pandas import DataFrame

import kansweep
from kansweep import cells as law
from kansweep import study as analysis

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


# --------------------------------------------------------------- MLPs, users' targets, noise


def test_the_floor_of_a_users_own_target_stays_as_its_rows_have_it(published):
    own = published.assign(data="a user's own", floor_rmse=0.25)
    assert set(analysis.with_floor(own)["floor_rmse"]) == {0.25}
    known = analysis.with_floor(published.assign(floor_rmse=0.25))["floor_rmse"]
    assert known.to_numpy() == pytest.approx(published["grid_size"].map(FLOOR).to_numpy(), rel=5e-3)
    both = pd.concat([own, published], ignore_index=True)
    floors = analysis.with_floor(both).groupby("data")["floor_rmse"].max()
    assert floors.to_dict() == pytest.approx({"a user's own": 0.25, "exp_sin": 6.62e-3}, rel=5e-3)


def test_noise_leaves_the_floor_and_an_mlp_has_none(published):
    clean = analysis.with_floor(published)["floor_rmse"]
    assert analysis.with_floor(published.assign(noise=0.1))["floor_rmse"].equals(clean)
    assert analysis.with_floor(mlps())["floor_rmse"].isna().all()
    assert analysis.with_floor(mlps(floor_rmse=1e-3))["floor_rmse"].isna().all()
    both = analysis.with_floor(pd.concat([kans(), mlps()], ignore_index=True))
    assert both.groupby("model")["floor_rmse"].count().to_dict() == {"kan": 5, "mlp": 0}


def test_an_mlp_represents_nothing_exactly():
    assert not analysis.rules(mlps(data="product")).exact
    assert analysis.rules(kans(data="product", width="2-2-1")).exact


def test_a_notebook_draws_an_mlp_from_a_file(tmp_path):
    path = tmp_path / "results.parquet"
    mlps(-0.9, 3).to_parquet(path)
    results = kansweep.load_results(path)
    laws = kansweep.fit_laws(results)
    assert set(laws["x"]) == {"n_params"}
    assert laws["exponent"].to_numpy() == pytest.approx(-0.9)
    figure = kansweep.plot_laws(results, laws)
    assert figure.axes[0].get_xlabel() == "trainable parameters P"
    assert kansweep.fit_laws(results, "grid_size").empty
    assert kansweep.plot_laws(results, laws.iloc[:0]).axes[0].get_ylabel() == "test RMSE"


def test_laws_of_an_mlp_are_those_against_parameters_alone():
    laws = analysis.laws(mlps(), law.DEFAULT)
    assert laws.groupby("x").size().to_dict() == {"n_params": 2}
    assert laws.columns.tolist() == law.LAW_COLUMNS
    assert laws["exponent"].dtype == laws["theory"].dtype == float
    assert laws["n_points"].dtype == int


def test_figures_of_an_mlp_are_its_laws_its_data_and_its_map():
    results = mlps(-0.9, 3, numbers=(30_000, 100_000))
    laws = law.fit_laws(results)
    assert list(analysis.figures_of_one(results, laws, law.DEFAULT, ["test"])) == [
        *("test_rmse_vs_n_params", "test_rmse_vs_data_size", "test_rmse_map")
    ]


def test_sweeps_of_both_kinds_stand_together_against_parameters():
    results, laws = analysis.together({"one": kans(3), "two": mlps(-0.9, 3)})
    assert results.groupby("data")["target"].unique().map(list).to_dict() == {
        "one": ["exp_sin"],
        "two": ["exp_sin"],
    }
    assert laws.groupby("data")["x"].unique().map(list).to_dict() == {
        "one": ["grid_size", "n_params"],
        "two": ["n_params"],
    }
    drawn = analysis.figures_of_several(
        results, laws[laws["x"] == "n_params"], law.DEFAULT, ["test"]
    )
    assert list(drawn) == ["test_rmse_vs_n_params"]
    assert isinstance(kansweep.plot_laws(results, laws[laws["x"] == "n_params"]), Figure)


def test_measured_orders_are_drawn_against_the_grid_size_alone():
    results, laws = analysis.together({"k=1": kans(3, k=1), "k=3": kans(3)})
    for x, names in (
        ("grid_size", ["test_rmse_vs_grid_size", "orders"]),
        ("n_params", ["test_rmse_vs_n_params"]),
    ):
        mine = laws[laws["x"] == x]
        assert list(analysis.figures_of_several(results, mine, law.DEFAULT, ["test"])) == names
