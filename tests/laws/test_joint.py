"""One formula for a whole matrix: known parameters come back, and the better form is seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cells import mlps
from pandas import DataFrame

from kansweep.laws import cells, joint

GRIDS, DATA = (5, 10, 20, 50, 100), (100, 300, 1000, 3000)


def matrix(rmse, seeds: int = 2) -> DataFrame:
    rows = [
        {"n_train": n, "grid_size": g, "n_params": 3 * (g + 3), "seed": seed}
        for n in DATA
        for g in GRIDS
        for seed in range(seeds)
    ]
    frame = DataFrame(rows).assign(data="f", k=3, status="ok")
    error = rmse(frame["grid_size"], frame["n_train"], frame["n_params"])
    return frame.assign(test_rmse=error, train_rmse=error)


def costly(g, n, p):
    m = 4.0 * g**-4.0 * np.exp(2.0 * p / (p + n)) + 50.0 * n**-3.0
    return m / (1 + m / 1.5)


def over_fitting(g, n, p):
    m = 4.0 * g**-4.0 + 1e-5 * (p / n) ** 5.0
    return m / (1 + m / 1.5)


def sum_of_powers(g, n, p):
    m = 4.0 * g**-4.0 + 50.0 * n**-3.0 + 1e-9
    return m / (1 + m / 1.5)


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch):
    """No test but that of the intervals says what they are."""
    monkeypatch.setattr(joint, "RESAMPLES", 10)


def describe(results: DataFrame) -> DataFrame:
    return joint.describe(cells.checked(results), spread=1.5)


def described(results: DataFrame) -> DataFrame:
    return describe(results).set_index("form")


@pytest.mark.parametrize(
    ("rmse", "form", "parameters"),
    [
        (
            costly,
            "A G^-alpha exp(c P/(P+n)) + B n^-beta",
            {"A": 4.0, "alpha": 4.0, "c": 2.0, "B": 50.0, "beta": 3.0},
        ),
        (
            over_fitting,
            "A G^-alpha + C (P/n)^gamma",
            {"A": 4.0, "alpha": 4.0, "C": 1e-5, "gamma": 5.0},
        ),
        (
            sum_of_powers,
            "A G^-alpha + B n^-beta + E",
            {"A": 4.0, "alpha": 4.0, "B": 50.0, "beta": 3.0, "E": 1e-9},
        ),
    ],
)
def test_the_form_that_made_the_matrix_is_found_with_its_parameters(rmse, form, parameters):
    found = described(matrix(rmse))
    mine = found.loc[form]
    assert found["aicc"].idxmin() == form
    assert mine["parameters"] == pytest.approx(parameters, rel=1e-3)
    assert mine["rms_log"] < 1e-4
    assert mine["held_out_grid"] < 1e-2
    assert mine["held_out_data"] < 1e-2
    assert mine["at_bound"] == []
    assert set(found["n_cells"]) == {20}


@pytest.mark.parametrize(
    ("rmse", "form"),
    [
        (lambda g, n, p: 4.0 * g**-4.0, "A G^-alpha"),
        (lambda g, n, p: 4.0 * g**-4.0 + 1e-6, "A G^-alpha + B"),
        (lambda g, n, p: 4.0 * g**-4.0 * np.exp(2.0 * p / (p + n)), "A G^-alpha exp(c P/(P+n))"),
    ],
)
def test_terms_that_do_not_earn_their_place_are_left_out(rmse, form):
    results = matrix(rmse)
    scatter = np.exp(0.05 * np.random.default_rng(1).standard_normal(len(results)))
    assert describe(results.assign(test_rmse=results["test_rmse"] * scatter))["form"][0] == form


def test_the_bootstrap_s_intervals_hold_the_exponent_as_often_as_they_say(monkeypatch):
    monkeypatch.setattr(joint, "RESAMPLES", 40)
    held, form = [], joint.JOINT[3]
    for stream in range(25):
        rng = np.random.default_rng(stream)
        results = matrix(lambda g, n, p: 4.0 * g**-4.0 * np.exp(2.0 * p / (p + n)), seeds=5)
        slopes = 0.02 * rng.standard_normal(5)
        factor = results["grid_size"] ** slopes[results["seed"]]
        results = results.assign(test_rmse=results["test_rmse"] * factor)
        logs = joint.by_seed(cells.checked(results))
        fitted = joint.fit(form, joint.cells_of(logs), 1e3)
        low, high = joint._intervals(fitted, logs, 1e3)["alpha"]
        held.append(low < 4.0 < high)
    assert 0.85 <= np.mean(held) < 1.0


def test_the_intervals_are_those_of_the_joint_form_where_there_are_seeds():
    first, *others = describe(matrix(costly)).to_dict("records")
    assert set(first["intervals"]) == set(first["parameters"])
    assert [row["intervals"] for row in others] == [{}] * 3
    assert describe(matrix(costly, seeds=1)).iloc[0]["intervals"] == {}


def test_what_no_data_ask_for_ends_at_a_bound_and_is_told():
    found = described(matrix(lambda g, n, p: 1e-14 * g**-0.0 + 0.0 * n))
    assert "A" in found.loc["A G^-alpha", "at_bound"]


def test_the_error_ends_at_the_targets_spread():
    form = joint.OTHERS[1]
    results = matrix(costly).assign(size=lambda rows: rows["grid_size"])
    model = joint.Model(form.designs(results), 1.5)
    predicted = model.log_rmse(np.array([0.0, 4.0, np.log(1e12), 6.0]))
    assert predicted.max() == pytest.approx(np.log(1.5), abs=1e-6)
    assert predicted.max() <= np.log(1.5) + 1e-12


@pytest.mark.parametrize("form", [*joint.JOINT, *joint.OTHERS], ids=lambda form: form.name)
def test_the_jacobian_is_that_of_finite_differences(form):
    results = matrix(costly, seeds=1).assign(size=lambda rows: rows["grid_size"])
    model = joint.Model(form.designs(results), 1.5)
    values = np.linspace(0.3, 1.7, len(form.parameters))
    steps = 1e-6 * np.eye(len(values))
    differences = [model.log_rmse(values + s) - model.log_rmse(values - s) for s in steps]
    assert model.jacobian(values) == pytest.approx(np.array(differences).T / 2e-6, abs=1e-8)


def test_it_is_the_same_every_time_and_changes_nothing():
    results = matrix(over_fitting)
    before = results.copy(deep=True)
    pd.testing.assert_frame_equal(
        describe(results), describe(results.sample(frac=1, random_state=0))
    )
    pd.testing.assert_frame_equal(results, before)


def test_failed_cells_are_left_out_and_few_cells_are_not_described():
    results = matrix(over_fitting)
    lost = results["grid_size"] == 100
    failed = results.assign(
        status=np.where(lost, "failed", "ok"), test_rmse=results["test_rmse"].mask(lost)
    )
    assert set(describe(failed)["n_cells"]) == {16}
    assert describe(results[results["n_train"] == 100]).empty


def test_mlps_are_not_described_and_change_nothing_about_kans():
    alone = matrix(over_fitting)
    both = pd.concat([alone, mlps(numbers=DATA)], ignore_index=True)
    assert describe(mlps(seeds=2, numbers=DATA)).empty
    assert set(describe(both)["n_cells"]) == {20}
