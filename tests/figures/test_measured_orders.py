"""Measured and predicted orders, read back from their artists."""

from __future__ import annotations

import numpy as np
import pytest
from artists import legend
from pandas import DataFrame

from kansweep.figures import measured_orders
from kansweep.laws import findings


def study_of(orders: dict[int, float]) -> findings.Study:
    rows = [
        {
            "seed": seed,
            "grid_size": size,
            "k": k,
            "rmse": size ** -(order + 0.02 * seed),
        }
        for k, order in orders.items()
        for seed in range(3)
        for size in (5, 10, 20, 50)
    ]
    frame = DataFrame(rows).assign(n_train=10_000, n_params=1, status="ok")
    frame = frame.assign(data=[f"k={k}" for k in frame["k"]])
    return findings.study(frame.assign(train_rmse=frame["rmse"], test_rmse=frame["rmse"]))


def test_measured_orders_stand_over_the_predicted_with_their_intervals():
    study = study_of({1: 2.0, 2: 3.1, 3: 3.5})
    figure = measured_orders.measured_orders(study).figure
    laws = study.shown
    axes = figure.axes[0]
    assert axes.get_xticks().tolist() == [2, 3, 4]
    test = axes.containers[1]
    assert test[0].get_ydata().tolist() == pytest.approx([2.02, 3.12, 3.52])
    mine = laws[laws["split"] == "test"]
    ends = np.array([segment[:, 1] for segment in test[2][0].get_segments()])
    assert ends[:, 0] == pytest.approx(-mine["ci_high"].to_numpy())
    assert ends[:, 1] == pytest.approx(-mine["ci_low"].to_numpy())
    assert legend(figure) == ["theory: k + 1", "theory ± 0.25", "train RMSE", "test RMSE"]
