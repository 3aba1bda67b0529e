"""Studies of one sweep and of several: floors, rules, laws, and the figures that there are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cells import EXP_SIN_FLOOR, kans, mlps, published

from kansweep import study
from kansweep.data import floor
from kansweep.data.functions import from_formula
from kansweep.data.targets import TARGETS
from kansweep.figures import sets
from kansweep.laws import findings, fits
from kansweep.laws.cells import SPLITS
from kansweep.report import terminal


def of_several(sweeps, x=None) -> findings.Study:
    return findings.study(study.together(sweeps), x=x)


def names(drawn) -> list[str]:
    return [each.name for each in drawn]


def test_the_floor_is_filled_in_where_it_is_known():
    others = [
        published().assign(width="2-5-1"),
        published().assign(data="a user's own"),
        published().assign(data="product", width="2-2-1"),
    ]
    results = study.with_floor(published())
    assert results.index.equals(published().index)
    assert results["floor_rmse"].to_numpy() == pytest.approx(
        published()["grid_size"].map(EXP_SIN_FLOOR).to_numpy(), rel=5e-3
    )
    for other in others:
        assert study.with_floor(other)["floor_rmse"].isna().all()
    fine = published().query("grid_size == 20 and n_train == 1000").assign(spacing="adaptive")
    own = floor.floor(TARGETS["exp_sin"], (1,), 3, 20, "adaptive")
    assert study.with_floor(fine)["floor_rmse"].unique() == pytest.approx(own)
    assert own < 0.9 * EXP_SIN_FLOOR[20]
    old = study.with_floor(published().assign(floor_rmse=np.nan))
    assert old["floor_rmse"].equals(results["floor_rmse"])


def test_a_target_that_splines_represent_exactly_is_told_by_its_name_and_order():
    assert not study.rules(published()).exact
    product = published().assign(data="product", width="2-2-1")
    assert study.rules(product).exact
    assert not study.rules(product.assign(k=1)).exact
    assert study.rules(published(), margin=0.1).margin == 0.1


def test_laws_are_those_against_both_axes():
    laws = study.of_one(published()).laws
    assert laws.groupby("x", sort=False).size().to_dict() == {"grid_size": 8, "n_params": 8}
    both = laws.pivot(index=["n_train", "split"], columns="x", values="verdict")
    assert both["grid_size"].equals(both["n_params"].rename("grid_size"))


def test_several_sweeps_keep_their_curves_apart():
    better = published().assign(
        test_rmse=published()["test_rmse"] / 2, train_rmse=published()["train_rmse"] / 2
    )
    both = of_several({"one": published(), "two": better})
    laws = both.laws
    assert set(laws["data"]) == {"one", "two"}
    assert len(both.results) == 2 * len(published())
    mine = laws[(laws["n_train"] == 3000) & (laws["split"] == "test") & (laws["x"] == "grid_size")]
    assert mine["exponent"].round(2).tolist() == [-4.08, -4.08]
    drawn = sets.of_several(both, ["test"])
    assert names(drawn) == ["test_rmse_vs_grid_size", "test_comparison"]  # and no orders


def test_sweeps_of_several_orders_have_a_figure_of_measured_against_predicted():
    cubic = {"k=3": published()}
    linear = published().assign(k=1, test_rmse=published()["grid_size"] ** -2.0)
    both = of_several({**cubic, "k=1": linear.assign(train_rmse=linear["test_rmse"])})
    drawn = sets.of_several(both, SPLITS)
    assert names(drawn) == [
        "train_rmse_vs_grid_size",
        "test_rmse_vs_grid_size",
        "test_comparison",
        "orders",
    ]


def test_a_sweep_whose_splines_are_exact_has_no_law_among_others_either():
    product = published().assign(data="product", width="2-2-1")
    both = of_several({"one": published(), "exact": product})
    laws = both.laws
    assert set(laws[laws["data"] == "exact"]["verdict"]) == {"insufficient"}
    assert "descriptive" in set(laws[laws["data"] == "one"]["verdict"])
    counts = both.cells.groupby("data")["counts"].any()
    assert counts.to_dict() == {"exact": False, "one": True}


# --------------------------------------------------------------- MLPs, users' targets, noise


def test_the_floor_of_a_users_own_target_stays_as_its_rows_have_it():
    own = published().assign(data="a user's own", floor_rmse=0.25)
    assert set(study.with_floor(own)["floor_rmse"]) == {0.25}
    known = study.with_floor(published().assign(floor_rmse=0.25))["floor_rmse"]
    assert known.to_numpy() == pytest.approx(
        published()["grid_size"].map(EXP_SIN_FLOOR).to_numpy(), rel=5e-3
    )
    both = pd.concat([own, published()], ignore_index=True)
    floors = study.with_floor(both).groupby("data")["floor_rmse"].max()
    assert floors.to_dict() == pytest.approx({"a user's own": 0.25, "exp_sin": 6.62e-3}, rel=5e-3)


def formula(text, domain=None):
    return {"mine": from_formula((("", text),), "mine", domain, None)}


def test_rows_of_a_formula_without_a_floor_are_given_theirs():
    old = published().assign(data="mine", floor_rmse=np.nan)
    filled = study.with_floor(old, formula("exp(sin(pi*x1)+x2^2)"))
    assert filled["floor_rmse"].tolist() == study.with_floor(published())["floor_rmse"].tolist()
    assert study.with_floor(old)["floor_rmse"].isna().all()  # nothing says what it is
    both = study.of_several({"a": old, "b": old}, targets={"a": formula("exp(sin(pi*x1)+x2^2)")})
    assert both.cells.groupby("data")["floor_rmse"].count().gt(0).to_dict() == {
        "a": True,
        "b": False,
    }


def test_why_a_formula_has_no_floor_is_kept_with_the_study():
    rows = published().assign(data="mine")
    of_product = study.of_one(rows, targets=formula("x1*x2"))
    assert of_product.without_floor == {"mine": "its structure is that of a KAN 2-2-1"}
    assert "  No floor: its structure is that of a KAN 2-2-1." in terminal.summary(of_product)
    of_sum = study.of_one(rows, targets=formula("exp(sin(pi*x1)+x2^2)"))
    assert of_sum.without_floor == {}
    assert "No floor" not in terminal.summary(of_sum)
    several = study.of_several({"one": rows}, targets={"one": formula("x1*x2")})
    assert list(several.without_floor) == ["one"]
    assert study.of_one(mlps(data="mine"), targets=formula("x1*x2")).without_floor == {}


def test_a_formula_that_splines_represent_exactly_has_no_law():
    rows = published().assign(data="mine", width="2-2-1")
    of_product = study.of_one(rows, targets=formula("x1*x2"))
    assert set(of_product.cells["reason"]) == {"exactly represented"}
    assert of_product.without_floor == {"mine": "splines of order 3 represent it exactly"}
    several = study.of_several({"one": rows}, targets={"one": formula("x1*x2")})
    assert set(several.cells["reason"]) == {"exactly represented"}
    linear = study.of_one(rows.assign(k=1), targets=formula("x1*x2"))
    assert "exactly represented" not in set(linear.cells["reason"])


def test_noise_leaves_the_floor_and_an_mlp_has_none():
    clean = study.with_floor(published())["floor_rmse"]
    assert study.with_floor(published().assign(noise=0.1))["floor_rmse"].equals(clean)
    assert study.with_floor(mlps())["floor_rmse"].isna().all()
    assert study.with_floor(mlps(floor_rmse=1e-3))["floor_rmse"].isna().all()
    both = study.with_floor(pd.concat([kans(), mlps()], ignore_index=True))
    assert both.groupby("model")["floor_rmse"].count().to_dict() == {"kan": 5, "mlp": 0}


def test_an_mlp_represents_nothing_exactly():
    assert not study.rules(mlps(data="product")).exact
    assert study.rules(kans(data="product", width="2-2-1")).exact


def test_laws_of_an_mlp_are_those_against_parameters_alone():
    laws = study.of_one(mlps()).laws
    assert laws.groupby("x").size().to_dict() == {"n_params": 2}
    assert laws.columns.tolist() == fits.LAW_COLUMNS
    assert laws["exponent"].dtype == laws["theory"].dtype == float
    assert laws["n_points"].dtype == int


def test_figures_of_an_mlp_are_its_laws_its_data_and_its_map():
    results = mlps(-0.9, 3, numbers=(30_000, 100_000))
    assert names(sets.of_one(findings.study(results), ["test"])) == [
        *("test_rmse_vs_n_params", "test_rmse_vs_data_size", "test_rmse_map")
    ]


def test_sweeps_of_both_kinds_stand_together_against_parameters():
    both = of_several({"one": kans(3), "two": mlps(-0.9, 3)})
    assert both.results.groupby("data")["target"].unique().map(list).to_dict() == {
        "one": ["exp_sin"],
        "two": ["exp_sin"],
    }
    assert both.laws.groupby("data")["x"].unique().map(list).to_dict() == {
        "one": ["grid_size", "n_params"],
        "two": ["n_params"],
    }
    assert names(sets.of_several(both, ["test"])) == ["test_rmse_vs_n_params"]


def test_measured_orders_are_drawn_against_the_grid_size_alone():
    sweeps = {"k=1": kans(3, k=1), "k=3": kans(3)}
    for x, expected in (
        ("grid_size", ["test_rmse_vs_grid_size", "test_comparison", "orders"]),
        ("n_params", ["test_rmse_vs_n_params", "test_comparison"]),
    ):
        assert names(sets.of_several(of_several(sweeps, x), ["test"])) == expected
