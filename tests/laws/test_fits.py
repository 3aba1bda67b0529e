"""Laws against closed forms, exact power laws and the published table of Example 8."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cells import EXP_SIN_FLOOR, GRIDS, kans, mlps, power_law, published
from pandas import DataFrame
from scipy import stats
from studies import at, envelope, fit_laws, observed_orders, only, reasons

from kansweep.laws import findings
from kansweep.laws.cells import DEFAULT, Rules, classify
from kansweep.laws.fits import LAW_COLUMNS
from kansweep.laws.verdicts import equivalence, fit, verdict
from kansweep.report import terminal

# ------------------------------------------------------------------------ the published table


@pytest.mark.parametrize(
    ("n_train", "exponent", "low", "high", "n_points", "verdict"),
    [
        (3000, -4.08, -4.23, -3.92, 5, "descriptive"),
        (300, -4.08, -6.51, -1.65, 3, "descriptive"),
    ],
)
def test_published_table_gives_the_known_slopes(n_train, exponent, low, high, n_points, verdict):
    law = only(fit_laws(published()), n_train=n_train, split="test")
    found = [round(law[column], 2) for column in ("exponent", "ci_low", "ci_high")]
    assert found == [exponent, low, high]
    assert (law["n_points"], law["n_seeds"], law["theory"]) == (n_points, 1, -4)
    assert law["verdict"] == verdict


def test_published_table_is_insufficient_at_100_points():
    law = only(fit_laws(published()), n_train=100, split="test")
    assert law["verdict"] == "insufficient"
    assert np.isnan([law["exponent"], law["ci_low"], law["ci_high"], law["amplitude"]]).all()


def test_published_table_is_steeper_against_parameters():
    law = only(fit_laws(published(), x="n_params"), n_train=3000, split="test")
    assert round(law["exponent"], 2) == -4.73
    assert law["x"] == "n_params"
    assert "asymptotic in the grid size" in law["note"]


def test_span_is_measured_in_grid_sizes_whatever_the_axis():
    assert 69 / 24 < 4  # n_params of G = 5 and 20
    laws = fit_laws(power_law([-4.0] * 2, [1.0] * 2, sizes=[5, 10, 20]), x="n_params")
    assert set(laws["verdict"]) == {"consistent"}  # as against the grid size


# -------------------------------------------------------------------------------- the interval


def test_interval_is_student_t_over_the_slopes_of_the_seeds():
    slopes, amplitudes = [-3.8, -4.1, -4.0, -4.3], [1.0, 2.0, 0.5, 3.0]
    law = only(fit_laws(power_law(slopes, amplitudes)), split="test")
    known = stats.ttest_1samp(slopes, 0).confidence_interval(0.95)
    assert law["exponent"] == pytest.approx(np.mean(slopes), rel=1e-12)
    assert [law["ci_low"], law["ci_high"]] == pytest.approx([known.low, known.high], rel=1e-11)
    assert law["amplitude"] == pytest.approx(stats.gmean(amplitudes), rel=1e-11)
    assert (law["n_points"], law["n_seeds"]) == (5, 4)


def test_lone_seed_has_the_interval_of_least_squares_and_says_so():
    results = power_law()
    noise = np.random.default_rng(0).normal(0, 0.2, len(results))
    results["test_rmse"] = results["rmse"] * np.exp(noise)
    law = only(fit_laws(results), split="test")
    design = np.column_stack([np.log(GRIDS), np.ones(5)])  # the normal equations, by hand
    coef, squares, *_ = np.linalg.lstsq(design, np.log(results["test_rmse"]), rcond=None)
    error = np.sqrt(squares[0] / 3 * np.linalg.inv(design.T @ design)[0, 0])
    half = stats.t(df=3).ppf(0.975) * error
    assert law["exponent"] == pytest.approx(coef[0], rel=1e-10)
    assert law["amplitude"] == pytest.approx(np.exp(coef[1]), rel=1e-10)
    assert law["ci_high"] - law["ci_low"] == pytest.approx(2 * half, rel=1e-9)
    assert "one seed" in law["note"]


def test_exact_power_law_has_an_interval_of_no_width():
    law = only(fit_laws(power_law([-4, -4, -4], [1, 2, 3])), split="train")
    assert law["ci_high"] - law["ci_low"] < 1e-12
    assert law["note"] == ""


def test_laws_have_the_columns_of_the_contract_and_leave_the_floor_where_none_is_known():
    laws = fit_laws(power_law())
    assert laws.columns.tolist() == LAW_COLUMNS == [
        *("data", "n_train", "x", "split", "exponent", "ci_low", "ci_high"),
        *("exponent_vs_floor", "vs_floor_low", "vs_floor_high", "amplitude"),
        *("n_points", "n_seeds", "theory", "verdict", "note", "model", "k"),
        *("exponent_finest", "finest_low", "finest_high", "primary", "output"),
    ]  # fmt: skip
    assert laws["split"].tolist() == ["train", "test"]
    assert laws[["exponent_vs_floor", "vs_floor_low", "vs_floor_high"]].isna().all(axis=None)


# --------------------------------------------------------------------------------- verdicts


def test_published_table_beside_the_floor_is_hardly_steeper():
    results = published()
    results = results.assign(floor_rmse=results["grid_size"].map(EXP_SIN_FLOOR))
    law = only(fit_laws(results), n_train=3000, split="test")
    assert round(law["exponent"], 2) == -4.08  # whatever the floor
    mine = results[at(results, n_train=3000)].sort_values("grid_size")
    ratio = mine["test_rmse"] / mine["floor_rmse"]
    slope = stats.linregress(np.log(GRIDS), np.log(ratio)).slope
    assert law["exponent_vs_floor"] == pytest.approx(slope)
    assert law["vs_floor_low"] < slope < law["vs_floor_high"]


def test_curve_is_judged_by_its_floor_or_its_finest_sizes_and_not_by_its_slope():
    floor = {5: 3.0e-3, 10: 6.0e-5, 20: 1.4e-6, 50: 1.3e-8, 100: 4.0e-10}  # k = 4, about -5.3
    results = power_law([0.0, 0.0, 0.0], [1.0] * 3).assign(k=4)
    results["floor_rmse"] = results["grid_size"].map(floor)
    results["test_rmse"] = results["floor_rmse"] * ([1.01, 1.02, 1.0] * 5)
    results["train_rmse"] = results["test_rmse"]
    alone = only(fit_laws(results.assign(floor_rmse=np.nan)), split="test")
    beside = only(fit_laws(results), split="test")
    assert alone["exponent"] < -5.25
    assert alone["verdict"] == "consistent"  # by the finest two sizes
    assert alone["exponent_finest"] == pytest.approx(np.log(4.0e-10 / 1.3e-8) / np.log(2), abs=1e-3)
    assert np.isnan(alone["exponent_vs_floor"])
    assert beside["verdict"] == "consistent"
    assert beside["exponent_vs_floor"] == pytest.approx(0.0, abs=0.01)
    assert np.isnan(beside["exponent_finest"])


def test_floor_at_round_off_is_not_compared_with():
    results = power_law([-4.0, -4.0], [1.0, 1.0]).assign(floor_rmse=1e-16)
    law = only(fit_laws(results), split="test")
    assert np.isnan(law["exponent_vs_floor"])
    assert law["verdict"] == "consistent"


@pytest.mark.parametrize(
    ("slopes", "margin", "verdict"),
    [
        ((-4.1, -4.0, -3.9), 0.25, "consistent"),
        ((-4.1, -4.0, -3.9), 0.1, "inconclusive"),
        ((-3.5, -3.4, -3.3), 0.25, "inconsistent"),
        ((-3.5, -3.4, -3.3), 1.0, "consistent"),
        ((-4.8, -4.0, -3.2), 0.25, "inconclusive"),
        ((-4.6, -4.6, -4.5), 0.25, "pre-asymptotic"),
    ],
)
def test_verdict_is_by_equivalence_within_the_margin(slopes, margin, verdict):
    laws = fit_laws(power_law(slopes, [1.0] * 3), rules=Rules(margin=margin))
    assert set(laws["verdict"]) == {verdict}


@pytest.mark.parametrize("x", ["grid_size", "n_params"])
def test_verdict_is_that_against_the_grid_size_whatever_the_axis(x):
    laws = fit_laws(power_law([-4.02, -4.0, -3.98], [1.0] * 3), x=x)
    assert set(laws["verdict"]) == {"consistent"}


# ------------------------------------------------------------------------ many sweeps at once


DRAWS = 5000


def sweeps(slope: float, n_seeds: int, cell_noise: float) -> np.ndarray:
    """Errors of many sweeps (DRAWS, seeds, sizes): each seed has its level, each cell its noise."""
    rng = np.random.default_rng(n_seeds)
    level = rng.normal(0.0, 0.2, (DRAWS, n_seeds, 1))
    noise = rng.normal(0.0, cell_noise, (DRAWS, n_seeds, len(GRIDS)))
    return np.exp(slope * np.log(GRIDS) + level + noise)


def framed(errors: np.ndarray, **columns) -> DataFrame:
    """The errors (seeds, sizes) of one sweep as results."""
    frame = power_law([0.0] * len(errors), [1.0] * len(errors))
    return frame.assign(test_rmse=errors.ravel(), train_rmse=errors.ravel(), **columns)


def test_fit_of_many_sweeps_is_that_of_each():
    errors = sweeps(-4.0, 3, 0.1)
    together = fit(GRIDS, errors)
    for draw in (0, 17, 4999):
        law = only(fit_laws(framed(errors[draw])), split="test")
        low, high = (bound[draw] for bound in together.interval(0.95))
        found = law[["exponent", "ci_low", "ci_high"]].tolist()
        assert found == pytest.approx([together.slope[draw], low, high])


@pytest.mark.parametrize("n_seeds", [3, 5, 10])
@pytest.mark.parametrize("cell_noise", [0.02, 0.3])
def test_interval_covers_the_true_exponent_in_95_of_100(n_seeds, cell_noise):
    low, high = fit(GRIDS, sweeps(-4.0, n_seeds, cell_noise)).interval(0.95)
    assert 0.93 <= np.mean((low <= -4.0) & (high >= -4.0)) <= 0.97


@pytest.mark.parametrize("n_seeds", [3, 5, 10])
@pytest.mark.parametrize("cell_noise", [0.02, 0.1, 0.3])
def test_another_law_is_hardly_ever_called_consistent(n_seeds, cell_noise):
    errors, floor = sweeps(-3.5, n_seeds, cell_noise), np.array(GRIDS) ** -4.0
    beside = verdict(GRIDS, errors, floor, -4.0, DEFAULT.margin)
    alone = verdict(GRIDS, errors, None, -4.0, DEFAULT.margin)
    assert np.mean(beside == "consistent") < 0.01
    assert np.mean(alone == "consistent") < 0.02
    if cell_noise < 0.1:
        assert np.mean(beside == "inconsistent") > 0.95
        assert np.mean(alone == "inconsistent") > 0.9  # 5% seem to come nearer


@pytest.mark.parametrize("n_seeds", [1, 3, 10])
@pytest.mark.parametrize("amplitude", [0.1, 1.0, 4.0, 30.0])
def test_errors_that_end_at_the_floor_of_float32_are_never_called_inconsistent(n_seeds, amplitude):
    errors = np.hypot(amplitude * sweeps(-4.0, n_seeds, 0.05), 4e-7)
    # The rule for round-off, for all sweeps at once; errors fall, so what counts comes first.
    counting = np.exp(np.log(errors).mean(1)) >= 10 * np.finfo(np.float32).eps
    n_counting = np.where(counting.all(1), len(GRIDS), counting.argmin(1))
    for count in np.unique(n_counting):
        if count >= 3 and GRIDS[count - 1] >= 4 * GRIDS[0]:
            mine = fit(GRIDS[:count], errors[n_counting == count][..., :count])
            assert not np.any(equivalence(mine, -4.0, DEFAULT.margin) == "inconsistent")
    for draw in range(3):  # the rule is the same
        laws = fit_laws(framed(errors[draw], dtype="float32"))
        assert laws["n_points"].tolist() == [n_counting[draw]] * 2


@pytest.mark.parametrize("n_seeds", [1, 3, 5, 10])
def test_theory_over_a_preasymptotic_range_is_not_called_inconsistent_beside_its_floor(n_seeds):
    floor = np.array(list(EXP_SIN_FLOOR.values()))
    beside = verdict(GRIDS, sweeps(0.0, n_seeds, 0.1) * floor, floor, -4.0, DEFAULT.margin)
    assert np.mean(beside == "inconsistent") < 0.02


# ------------------------------------------------------------------------- which cells are fitted


def test_fit_takes_the_whole_run_that_ends_at_the_largest_size_that_counts():
    results = power_law(sizes=[3, 5, 7, 10, 20, 50, 100, 200])
    for size in (5, 7, 200):
        results.loc[at(results, grid_size=size), "test_rmse"] *= 3
    cells = classify(results)
    assert cells.loc[cells["used"], "size"].tolist() == [10, 20, 50, 100]
    assert cells.loc[cells["counts"], "size"].tolist() == [3, 10, 20, 50, 100]
    law = only(fit_laws(results), split="test")
    assert law["exponent"] == pytest.approx(-4, rel=1e-12)
    assert "G = 5, 7, 200 over-fitted" in law["note"]
    assert "G = 3 coarser than a gap" in law["note"]


@pytest.mark.parametrize(
    ("lost", "used"),
    [
        ([10], [3, 5, 20, 50, 100]),
        ([5], [3, 10, 20, 50, 100]),
        ([50], [3, 5, 10, 20, 100]),
        ([10, 20], [50, 100]),
        ([5, 20], [50, 100]),  # three would remain of the last two runs
        ([10, 50], [100]),
        ([10, 100], [3, 5, 20, 50]),
    ],
)
def test_one_size_may_be_left_out_between_four_that_count(lost, used):
    results = power_law([-4.0, -4.0], [1.0, 2.0], sizes=[3, 5, 10, 20, 50, 100])
    for size in lost:
        results.loc[at(results, grid_size=size), "test_rmse"] *= 3
    curve = findings.study(results).curves[0]
    assert list(curve.errors["test"]) == used
    law = only(fit_laws(results), split="test")
    gaps = [size for size in lost if used[0] < size < used[-1]]
    told = f"fitted across the gap at G = {gaps[0]}" if gaps else "the gap"
    assert (told in law["note"]) == bool(gaps)


def test_window_does_not_follow_the_fit():
    """Coarse cells that miss the law, as those of a fast oscillation, stay in it."""
    results = power_law(sizes=[3, 5, 10, 20, 50, 100])
    error = np.minimum(results["rmse"] * 1e3, 0.35)  # flat to G = 5
    results = results.assign(train_rmse=error, test_rmse=error)
    law = only(fit_laws(results), split="test")
    assert law["n_points"] == 6
    assert law["exponent"] > -3.6


@pytest.mark.parametrize(
    ("sizes", "verdict"),
    [
        ([5, 20], "insufficient"),
        ([5, 10, 19], "insufficient"),
        ([5, 10, 20], "consistent"),
        ([5], "insufficient"),
    ],
)
def test_fit_wants_three_sizes_and_a_factor_of_four(sizes, verdict):
    laws = fit_laws(power_law([-4.0] * 2, [1.0] * 2, sizes=sizes))
    assert (laws["verdict"] == verdict).all()
    assert laws["exponent"].notna().all() == (verdict != "insufficient")
    assert (laws["n_points"] == len(sizes)).all()
    assert classify(power_law(sizes=sizes))["used"].all() == (verdict != "insufficient")


# --------------------------------------------------------------------- what failed or is missing


@pytest.mark.parametrize("status", ["failed", "diverged", "ok"])
def test_seed_that_lost_a_cell_leaves_the_fit_and_is_named(status):
    results = power_law([-3.9, -4.0, -4.1], [1.0] * 3)
    lost = at(results, seed=1, grid_size=50)
    results.loc[lost, "status"] = status
    results.loc[lost, ["train_rmse", "test_rmse"]] = np.nan if status == "ok" else 1e3
    law = only(fit_laws(results), split="test")
    assert (law["n_points"], law["n_seeds"]) == (5, 2)
    assert law["exponent"] == pytest.approx(np.mean([-3.9, -4.1]), rel=1e-12)
    assert "without seed 1: no sound cell at G = 50" in law["note"]
    cell = classify(results).set_index("size").loc[50]
    assert (cell["n_seeds"], cell["n_failed"], cell["counts"]) == (2, 1, True)


def test_cell_that_most_seeds_failed_does_not_count():
    results = power_law([-4.0] * 3, [1.0] * 3)
    results.loc[at(results, grid_size=100) & (results["seed"] > 0), "status"] = "diverged"
    assert reasons(results) == dict.fromkeys(GRIDS, "") | {100: "failed"}
    law = only(fit_laws(results), split="test")
    assert (law["n_points"], law["n_seeds"]) == (4, 3)
    assert "G = 100 failed" in law["note"]


def test_interrupted_sweep_is_fitted_from_the_seeds_that_have_ended():
    results = power_law([-3.9, -4.1, -5.0], [1.0] * 3)
    results = results[~((results["seed"] == 2) & (results["grid_size"] > 10))]
    law = only(fit_laws(results), split="test")
    assert law["n_seeds"] == 2
    assert law["exponent"] == pytest.approx(-4.0, rel=1e-12)
    unfinished = results.assign(status=results["status"].where(results["grid_size"] < 50))
    assert classify(unfinished)["size"].tolist() == [5, 10, 20]


def test_curve_that_no_seed_covers_is_insufficient_and_says_why():
    results = power_law([-4.0, -4.0], [1.0, 1.0], sizes=[5, 10, 20])
    results = results[~(at(results, seed=0, grid_size=5) | at(results, seed=1, grid_size=20))]
    law = only(fit_laws(results), split="test")
    assert (law["verdict"], law["n_points"], law["n_seeds"]) == ("insufficient", 3, 0)
    assert "no seed has every cell of G = 5, 10, 20" in law["note"]
    assert not classify(results)["used"].any()


def test_sweep_that_failed_throughout_has_no_law_and_no_error():
    results = power_law([-4.0] * 3, [1.0] * 3, status="failed", error="boom")
    results[["train_rmse", "test_rmse"]] = np.nan
    laws = fit_laws(results)
    assert (laws["verdict"] == "insufficient").all()
    assert (laws["n_points"] == 0).all()
    assert "G = 5, 10, 20, 50, 100 failed" in terminal.summary(findings.study(results))
    assert envelope(results, "test").empty


def test_no_cells_give_no_laws():
    empty = power_law().iloc[:0]
    assert fit_laws(empty).columns.tolist() == LAW_COLUMNS
    frames = [fit_laws(empty), classify(empty), observed_orders(empty), envelope(empty, "test")]
    assert all(frame.empty for frame in frames)
    assert terminal.summary(findings.study(empty)) == ""


def test_error_of_exactly_zero_is_round_off():
    results = power_law([-4.0] * 3, [1.0] * 3)
    results.loc[at(results, grid_size=100), ["train_rmse", "test_rmse"]] = 0.0
    assert reasons(results) == dict.fromkeys(GRIDS, "") | {100: "round-off"}
    assert fit_laws(results)["exponent"].tolist() == pytest.approx([-4, -4], rel=1e-12)


# --------------------------------------------------------------------------- many in one frame


def test_targets_and_orders_in_one_frame_are_fitted_apart():
    frames = [power_law([-(k + 1.0)]).assign(k=k, data=data) for k in (1, 2) for data in "ab"]
    results = pd.concat(frames, ignore_index=True).sample(frac=1, random_state=0)
    laws = fit_laws(results)
    assert len(laws) == 8
    assert laws["exponent"].to_numpy() == pytest.approx(laws["theory"].to_numpy(), rel=1e-12)
    assert sorted(set(zip(laws["data"], laws["theory"], strict=True))) == [
        *(("a", -3), ("a", -2), ("b", -3), ("b", -2))
    ]
    text = terminal.summary(findings.study(results))
    assert text.count("in theory -2") == text.count("in theory -3") == 2


def test_results_are_left_as_they_were():
    results = published()
    before = results.copy(deep=True)
    classify(results), fit_laws(results), observed_orders(results), envelope(results, "train")
    pd.testing.assert_frame_equal(results, before)


# -------------------------------------------------------------------------------- misuse, words


def test_misuse_is_named():
    results = published()
    with pytest.raises(ValueError, match=r"`x` must be 'grid_size' or 'n_params'; got 'reg'"):
        fit_laws(results, x="reg")
    with pytest.raises(ValueError, match=r"lacks \['n_params'\]"):
        classify(results.drop(columns="n_params"))
    with pytest.raises(ValueError, match=r"a cell once; got .*'size': 5.* twice"):
        classify(pd.concat([results, results]))


def test_a_target_that_splines_represent_exactly_has_no_law() -> None:
    """Round-off of a solver may happen to fall like G^-4; nothing is measured by it."""
    results = published()
    laws = fit_laws(results, rules=Rules(exact=True))
    assert set(laws["verdict"]) == {"insufficient"}
    assert laws["exponent"].isna().all()
    assert laws["note"].str.contains("exactly represented").all()


# --------------------------------------------------------------------------- MLPs beside KANs


def test_an_mlp_has_a_description_against_its_parameters_and_no_theory():
    laws = fit_laws(mlps(-1.25, seeds=3))
    assert laws.columns.tolist() == LAW_COLUMNS
    assert laws["split"].tolist() == ["train", "test"]
    assert set(laws["x"]) == {"n_params"}
    assert laws["exponent"].to_numpy() == pytest.approx(-1.25, rel=1e-12)
    assert laws["amplitude"].to_numpy() == pytest.approx(2.0, rel=1e-10)  # of 1, 2 and 4
    assert set(laws["verdict"]) == {"descriptive"}
    assert (
        laws[["theory", "exponent_vs_floor", "vs_floor_low", "vs_floor_high"]].isna().all(axis=None)
    )
    assert set(laws["note"]) == {"a description: no theory of its exponent is claimed"}


def test_a_floor_that_stands_in_an_mlps_rows_is_compared_with_nothing():
    results = mlps(-1.25, seeds=3)
    laws = fit_laws(results.assign(floor_rmse=results["test_rmse"]))
    assert laws["exponent_vs_floor"].isna().all()
    assert set(laws["verdict"]) == {"descriptive"}


def test_an_mlp_has_no_law_against_the_grid_size_and_no_orders():
    assert fit_laws(mlps(), "grid_size").empty
    assert observed_orders(mlps()).empty
    both = pd.concat([mlps(), kans()], ignore_index=True)
    assert set(fit_laws(both, "grid_size")["theory"]) == {-4}
    assert set(observed_orders(both)["model"]) == {"kan"}


def test_the_axis_is_the_one_that_all_models_have():
    assert set(fit_laws(kans())["x"]) == {"grid_size"}
    assert set(fit_laws(pd.concat([mlps(), kans()]))["x"]) == {"n_params"}


def test_models_in_one_frame_are_curves_of_their_own_and_no_null_drops_a_row():
    both = pd.concat([kans(2, numbers=(100_000,)), mlps()], ignore_index=True)
    cells = classify(both)
    assert cells.groupby("model")["used"].sum().to_dict() == {"kan": 5, "mlp": 5}
    assert cells.groupby("model")["k"].first().isna().to_dict() == {"kan": False, "mlp": True}
    laws = fit_laws(both)
    assert laws.groupby("verdict").size().to_dict() == {"consistent": 2, "descriptive": 2}
    assert len(envelope(both, "test")) == 2


def test_what_an_mlp_lacks_is_said_of_its_width():
    few = fit_laws(mlps(sizes=(5, 10)))
    assert set(few["verdict"]) == {"insufficient"}
    assert few["note"].str.startswith("too few widths in a row count: 2, a fit takes 3; ").all()
    narrow = fit_laws(mlps(sizes=(5, 10, 19)))
    assert narrow["note"].str.startswith("w = 5 to 19 spans less than a factor of 4").all()
    wide = fit_laws(mlps(numbers=(6000,)))  # 2,751 parameters at w = 50, 10,501 at w = 100
    assert wide["n_points"].tolist() == [4, 4]
    assert wide["note"].str.startswith("w = 100 over-parameterised; ").all()
    gap = mlps(sizes=(2, 5, 10, 20, 50, 100))
    gap.loc[at(gap, size=5) | at(gap, size=10), "test_rmse"] *= 3
    assert "w = 5, 10 over-fitted; w = 2 narrower than a gap" in fit_laws(gap)["note"].iloc[0]


def test_an_mlp_is_fitted_alike_whatever_its_nulls_are():
    as_nan = mlps().assign(k=np.nan, grid_size=np.nan, floor_rmse=np.nan)
    as_na = mlps().astype({"k": "Int64", "grid_size": "Int64"})
    for results in (as_nan, as_na):
        pd.testing.assert_frame_equal(fit_laws(results), fit_laws(mlps()))


# ------------------------------------------------------------------ what a verdict hangs on


def test_a_seed_or_a_size_that_a_verdict_hangs_on_is_named():
    results = power_law([-4.0, -4.01, -3.99, -4.0, -4.02], [1.0] * 5)
    assert only(fit_laws(results), split="test")["note"] == ""
    results.loc[at(results, seed=3, grid_size=100), "test_rmse"] *= 1.5
    law = only(fit_laws(results), split="test")
    assert law["verdict"] == "inconclusive"
    assert "without seed 3 or G = 50 or G = 100 it would be consistent" in law["note"]
    few = only(fit_laws(results[results["seed"] > 2]), split="test")
    assert "without seed" not in few["note"]


def test_the_primary_law_is_of_the_test_error_at_the_most_data():
    results = pd.concat([kans(3, numbers=(300, 1000, 3000)), mlps(seeds=3)], ignore_index=True)
    for x, models in (("grid_size", {"kan"}), ("n_params", {"kan", "mlp"})):
        laws = fit_laws(results, x=x)
        primary = laws[laws["primary"]]
        assert set(primary["model"]) == models
        assert (primary["split"] == "test").all()
        assert primary[primary["model"] == "kan"]["n_train"].tolist() == [3000]


def test_laws_of_older_versions_get_the_columns_they_lack():
    results = kans(3)
    laws = fit_laws(results)
    old = laws.drop(columns=LAW_COLUMNS[-6:])
    completed = findings.study(results, laws=old).laws
    pd.testing.assert_series_equal(completed["primary"], laws["primary"])
    assert completed["exponent_finest"].isna().all()
    assert set(completed["model"]) == {"kan"}
