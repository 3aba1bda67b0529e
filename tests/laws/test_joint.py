"""One formula for a whole matrix: known parameters come back, and the better form is seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cells import mlps
from pandas import DataFrame

from kansweep.laws import cells, joint

GRIDS, DATA = (5, 10, 20, 50, 100), (100, 300, 1000, 3000)


def matrix(rmse) -> DataFrame:
    rows = [
        {"n_train": n, "grid_size": g, "n_params": 3 * (g + 3), "seed": seed}
        for n in DATA
        for g in GRIDS
        for seed in (0, 1)
    ]
    frame = DataFrame(rows).assign(data="f", k=3, status="ok")
    error = rmse(frame["grid_size"], frame["n_train"], frame["n_params"])
    return frame.assign(test_rmse=error, train_rmse=error)


def over_fitting(g, n, p):
    m = 4.0 * g**-4.0 + 1e-5 * (p / n) ** 5.0
    return m / (1 + m / 1.5)


def sum_of_powers(g, n, p):
    m = 4.0 * g**-4.0 + 50.0 * n**-3.0 + 1e-9
    return m / (1 + m / 1.5)


def describe(results: DataFrame) -> DataFrame:
    return joint.describe(cells.classify(results), spread=1.5)


def described(results: DataFrame) -> DataFrame:
    return describe(results).set_index("form")


@pytest.mark.parametrize(
    ("rmse", "form", "parameters"),
    [
        (over_fitting, 0, {"A": 4.0, "alpha": 4.0, "C or B": 1e-5, "gamma": 5.0}),
        (sum_of_powers, 2, {"A": 4.0, "alpha": 4.0, "C or B": 50.0, "beta": 3.0, "E": 1e-9}),
    ],
)
def test_the_form_that_made_the_matrix_is_found_with_its_parameters(rmse, form, parameters):
    found = described(matrix(rmse))
    mine = found.iloc[form]
    assert found["aicc"].idxmin() == joint.FORMS[form].name
    assert mine["parameters"] == pytest.approx(parameters, rel=1e-3)
    assert mine["rms_log"] < 1e-4
    assert mine["held_out_grid"] < 1e-2
    assert mine["held_out_data"] < 1e-2
    assert mine["at_bound"] == []
    assert found["n_cells"].tolist() == [20, 20, 20]


def test_what_no_data_ask_for_ends_at_a_bound_and_is_told():
    found = described(matrix(lambda g, n, p: 1e-14 * g**-0.0 + 0.0 * n))
    assert "A" in found.iloc[1]["at_bound"]


def test_the_error_ends_at_the_targets_spread():
    results = matrix(lambda g, n, p: np.minimum(1e3 * (p / n) ** 6.0 + g**-4.0, 1.5))
    model = joint.FORMS[0]
    parameters = np.array([0.0, 4.0, np.log(1e12), 6.0])
    predicted = joint._residuals(
        parameters, model, joint.Logs.of(results.assign(size=results["grid_size"])), 1.5
    )
    assert (predicted + np.log(results["test_rmse"])).max() <= np.log(1.5) + 1e-12


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
    assert describe(failed)["n_cells"].tolist() == [16, 16, 16]
    assert describe(results[results["n_train"] == 100]).empty


def test_mlps_are_not_described_and_change_nothing_about_kans():
    alone = matrix(over_fitting)
    both = pd.concat([alone, mlps(numbers=DATA)], ignore_index=True)
    assert describe(mlps(seeds=2, numbers=DATA)).empty
    assert describe(both)["n_cells"].tolist() == [20, 20, 20]
