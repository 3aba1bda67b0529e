"""Which cells count, by rules fixed before any fit; and rows of older versions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cells import EXP_SIN_FLOOR, GRIDS, kans, mlps, power_law, published
from scipy import stats
from studies import at, fit_laws, only, reasons

from kansweep.laws.cells import Rules, classify

# ------------------------------------------------------------------------ the published table


def test_published_table_has_eleven_cells_in_fits():
    cells = classify(published())
    assert cells.groupby("n_train")["used"].sum().to_dict() == {100: 0, 300: 3, 1000: 3, 3000: 5}


def test_published_table_has_the_same_cells_in_fits_where_the_floor_is_known():
    table = published()
    cells = classify(table.assign(floor_rmse=table["grid_size"].map(EXP_SIN_FLOOR)))
    assert cells.groupby("n_train")["counts"].sum().to_dict() == {100: 1, 300: 3, 1000: 3, 3000: 5}


def test_published_table_names_what_it_leaves_out():
    cells = classify(published()).set_index(["n_train", "size"])["reason"]
    assert cells.loc[100].tolist() == ["", "over-fitted", *["over-parameterised"] * 3]
    assert cells.loc[300].tolist() == ["", "", "", *["over-parameterised"] * 2]
    assert cells.loc[1000].tolist() == ["", "", "", *["over-fitted"] * 2]
    assert cells.loc[3000].tolist() == [""] * 5


# -------------------------------------------------------------------------------- the interval


def test_band_of_a_cell_is_student_t_of_its_log_errors():
    cells = classify(power_law([-4, -3.9, -4.2], [1, 2, 1.5]))
    logs = np.log([5.0**-4, 2 * 5.0**-3.9, 1.5 * 5.0**-4.2])
    known = np.exp(stats.ttest_1samp(logs, 0).confidence_interval(0.95))
    assert cells.loc[0, ["test_low", "test_high"]].tolist() == pytest.approx(known, rel=1e-12)
    assert cells.loc[0, "test_rmse"] == pytest.approx(np.exp(logs.mean()), rel=1e-12)
    assert classify(power_law([-4, -4], [1, 2]))["test_low"].isna().all()


# ------------------------------------------------------------------------- which cells count


def test_cells_beyond_half_a_parameter_a_point_are_over_parameterised():
    results = power_law().assign(n_train=2 * 309)
    assert reasons(results) == dict.fromkeys(GRIDS, "")
    assert reasons(results.assign(n_train=2 * 309 - 1))[100] == "over-parameterised"


@pytest.mark.parametrize(("ratio", "reason"), [(1.99, ""), (2.01, "over-fitted")])
def test_cells_whose_test_error_doubles_the_training_error_are_over_fitted(ratio, reason):
    results = power_law()
    results.loc[at(results, grid_size=50), "test_rmse"] *= ratio
    assert reasons(results) == dict.fromkeys(GRIDS, "") | {50: reason}


def test_cell_counts_by_the_geometric_mean_of_its_seeds():
    results = power_law([-4.0] * 3, [1.0] * 3)
    results.loc[at(results, seed=1, grid_size=100), "test_rmse"] *= 7.9  # 7.9^(1/3) < 2
    assert reasons(results)[100] == ""
    results.loc[at(results, seed=1, grid_size=100), "test_rmse"] *= 8.1 / 7.9
    assert reasons(results)[100] == "over-fitted"


@pytest.mark.parametrize("above", [0.5, 2.1, 100.0])
def test_no_error_however_far_above_the_floor_leaves_a_cell_out(above):
    results = power_law([-4.0] * 3, [1.0, 1.1, 0.9])
    results = results.assign(floor_rmse=results["grid_size"] ** -4.0 / above)
    assert reasons(results) == dict.fromkeys(GRIDS, "")
    law = only(fit_laws(results), split="test")
    assert law["verdict"] == "consistent"
    assert ("times the floor" in law["note"]) == (above > 2)


def test_the_gradient_of_the_solver_says_what_is_not_converged_also_beside_a_floor():
    results = power_law().assign(grad_norm=1e-3)
    results.loc[at(results, grid_size=20), "grad_norm"] = 0.5
    for floored in (results, results.assign(floor_rmse=results["rmse"])):
        assert reasons(floored)[20] == "not converged"
        assert reasons(floored, Rules(gradient=1.0))[20] == ""


def test_a_seed_that_did_not_converge_leaves_as_a_seed_and_its_cell_stays():
    results = power_law([-4.0] * 5, [1.0] * 5).assign(grad_norm=1e-3, stop_reason="converged")
    results.loc[at(results, grid_size=50, seed=1), "grad_norm"] = 0.5
    results.loc[at(results, grid_size=20, seed=3), "stop_reason"] = "poor fit"
    results.loc[at(results, grid_size=50, seed=1) | at(results, seed=3), "test_rmse"] *= 1.9
    assert reasons(results) == dict.fromkeys(GRIDS, "")
    law = only(fit_laws(results), split="test")
    assert (law["n_points"], law["n_seeds"]) == (5, 3)
    assert law["exponent"] == pytest.approx(-4, rel=1e-12)
    assert "without seed 1: not converged at G = 50" in law["note"]
    assert "without seed 3: poor fit at G = 20" in law["note"]
    cell = classify(results).set_index("size").loc[50]
    assert (cell["n_seeds"], cell["n_failed"]) == (4, 1)


def test_a_poor_fit_that_is_at_its_floor_is_what_splines_can_do():
    results = power_law([-4.0] * 3, [1.0] * 3).assign(stop_reason="poor fit")
    assert set(reasons(results).values()) == {"poor fit"}
    assert set(reasons(results.assign(floor_rmse=results["rmse"])).values()) == {""}


@pytest.mark.parametrize(("ratio", "stays"), [(2.9, True), (3.1, False)])
def test_a_seed_far_from_the_median_of_all_is_astray(ratio, stays):
    results = power_law([-4.0] * 5, [1.0] * 5)
    lost = at(results, grid_size=20, seed=2)
    results.loc[lost, ["train_rmse", "test_rmse"]] *= ratio
    law = only(fit_laws(results), split="test")
    assert law["n_seeds"] == (5 if stays else 4)
    assert ("without seed 2: astray at G = 20" in law["note"]) == (not stays)
    assert only(fit_laws(results[results["seed"].isin([1, 2])]), split="test")["n_seeds"] == 2


def test_an_error_that_all_seeds_share_is_no_ones_fault():
    results = power_law([-1.0] * 5, [1.0] * 5).assign(floor_rmse=lambda cells: cells["rmse"] ** 4)
    assert only(fit_laws(results), split="test")["n_seeds"] == 5


def test_no_rule_compares_with_a_floor_below_round_off():
    results = power_law().assign(floor_rmse=1e-17)
    assert reasons(results) == dict.fromkeys(GRIDS, "")


def test_errors_at_round_off_have_no_law():
    noise = np.random.default_rng(1).uniform(0.5, 2, 5) * 1e-15
    results = power_law().assign(train_rmse=noise, test_rmse=noise)
    assert reasons(results) == dict.fromkeys(GRIDS, "round-off")
    assert (fit_laws(results)["verdict"] == "insufficient").all()


def test_round_off_scales_with_the_precision_and_with_the_target():
    results = power_law(dtype="float32")  # 5^-4 … 100^-4 = 1e-8; 10 eps = 1.2e-6
    assert reasons(results) == {5: "", 10: "", 20: "", 50: "round-off", 100: "round-off"}
    eps = float(np.finfo(np.float64).eps)
    results = power_law()
    assert reasons(results, Rules(scale=0.99e-8 / (10 * eps)))[100] == ""
    assert reasons(results, Rules(scale=1.01e-8 / (10 * eps)))[100] == "round-off"


def test_float32_floor_leaves_the_slope_alone():
    results = power_law(sizes=[3, 5, 10, 15, 20, 50, 100], dtype="float32")
    results["test_rmse"] = results["train_rmse"] = np.hypot(results["rmse"], 6e-8)
    law = only(fit_laws(results), split="test")
    assert law["exponent"] == pytest.approx(-4, abs=1e-3)
    assert law["n_points"] == 5


# --------------------------------------------------------------------------- MLPs beside KANs


def test_rows_of_older_versions_are_of_kans_with_their_grid_as_size_and_no_noise():
    old = kans(seeds=2).drop(columns=["size", "model", "noise"])
    nulls = kans(seeds=2).assign(size=None, model=None, noise=None)
    for results in (old, nulls):
        pd.testing.assert_frame_equal(fit_laws(results), fit_laws(kans(seeds=2)))
        cells = classify(results)
        assert cells["size"].tolist() == GRIDS
        assert set(cells["model"]) == {"kan"}
        assert set(cells["noise"]) == {0.0}
    assert classify(kans().drop(columns="grid_size"))["size"].tolist() == GRIDS
    with pytest.raises(ValueError, match=r"lacks \['grid_size'\]"):
        classify(kans().drop(columns=["grid_size", "size"]))


# ----------------------------------------------------------------------------------- noise


@pytest.mark.parametrize("models", [kans, mlps])
@pytest.mark.parametrize(("ratio", "reason"), [(1.99, "noise-limited"), (2.01, "")])
def test_a_cell_whose_training_error_is_that_of_the_noise_does_not_count(models, ratio, reason):
    results = models(noise=1e-9)
    mine = at(results, size=50)
    results.loc[mine, ["train_rmse", "test_rmse"]] = ratio * 1e-9
    assert reasons(results) == dict.fromkeys(GRIDS, "") | {50: reason}
    assert reasons(results, Rules(above_noise=3.0))[50] == "noise-limited"
    assert set(reasons(results.assign(noise=0.0)).values()) == {""}


def test_noise_is_looked_at_in_the_mean_of_the_seeds():
    results = kans(seeds=2, noise=1e-9)  # the second seed has twice the errors of the first
    mean = 2.0**0.5
    for ratio, reason in ((1.99, "noise-limited"), (2.01, "")):
        errors = ratio * 1e-9 / mean * 2.0 ** results["seed"]
        told = results.assign(train_rmse=errors, test_rmse=errors)
        assert set(reasons(told).values()) == {reason}


def test_too_many_parameters_are_named_before_the_noise():
    results = kans(numbers=(300,), noise=1.0)
    assert reasons(results) == {
        **dict.fromkeys(GRIDS[:3], "noise-limited"),
        **dict.fromkeys(GRIDS[3:], "over-parameterised"),
    }


def test_noise_is_named_where_it_keeps_a_cell_from_its_floor():
    results = kans(noise=1e-5)  # 5^-4 = 1.6e-3, 10^-4 = 1e-4, 20^-4 = 6.2e-6
    noisy = np.hypot(results["test_rmse"], 1e-5)
    results = results.assign(floor_rmse=results["test_rmse"], train_rmse=noisy)
    assert reasons(results) == {5: "", 10: ""} | dict.fromkeys(GRIDS[2:], "noise-limited")
    law = only(fit_laws(results), split="test")
    assert (law["verdict"], law["n_points"]) == ("insufficient", 2)
    assert "G = 20, 50, 100 noise-limited" in law["note"]
