"""Results beside published tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pandas import DataFrame

from kansweep.laws import published

TABLE = DataFrame(
    {
        "table": ["feynman", "feynman", "special"],
        "data": ["I.1", "I.2", "jv(x,y)"],
        "formula": ["a*b", "a|b", "J_x(y)"],
        "human_shape": ["2-2-1", "2-1-1", np.nan],
        "pruned_shape": ["2-2-1", "2-3-1", np.nan],
        "best_shape": [np.nan, np.nan, "2-3-1"],
        "human_rmse": [1e-3, 2e-3, np.nan],
        "pruned_rmse": [5e-4, 1e-4, np.nan],
        "best_rmse": [np.nan, np.nan, 3e-3],
        "mlp_rmse": [2e-4, 1e-2, 1e-2],
        "doubt": [np.nan, "two readings", np.nan],
    }
)


def rows(data: str, width: str, errors: dict[int, list[float]], **columns: object) -> DataFrame:
    """Of errors by size, one a seed, NaN where the cell failed."""
    cells = [
        {"size": size, "seed": seed, "test_rmse": error}
        for size, of_seeds in errors.items()
        for seed, error in enumerate(of_seeds)
    ]
    frame = DataFrame(cells).assign(data=data, width=width, model="kan", n_train=3000)
    failed = frame["test_rmse"].isna()
    frame = frame.assign(
        status=np.where(failed, "failed", "ok"),
        grid_size=frame["size"],
        n_params=10 * frame["size"],
        train_rmse=frame["test_rmse"],
        k=3,
        dtype="float64",
    )
    return frame.assign(**columns)


def beside(*parts: DataFrame) -> DataFrame:
    return published.beside(pd.concat(parts, ignore_index=True), TABLE)


def test_a_network_is_the_size_of_least_median_over_the_seeds() -> None:
    (row,) = beside(rows("I.1", "2-2-1", {3: [1e-4, 3e-4, 2e-4], 5: [1e-6, 9e-4, 9e-4]})).to_dict(
        "records"
    )
    assert (row["size"], row["rmse"], row["worst"], row["n_seeds"]) == (3, 2e-4, 3e-4, 3)
    assert (row["shape"], row["n_params"], row["table"]) == ("2-2-1", 30, "feynman")
    # Both shapes are alike: the better of the two published ones is the one to beat.
    assert (row["network"], row["shape_rmse"], row["kan_rmse"]) == ("pruned", 5e-4, 5e-4)
    assert row["mlp_rmse"] == 2e-4
    ratios = [row[f"over_{name}"] for name in ("shape", "kan", "mlp")]
    assert ratios == pytest.approx([0.4, 0.4, 1.0])


def test_a_size_with_a_failed_cell_does_not_count() -> None:
    table = beside(rows("I.1", "2-2-1", {3: [1e-4, 1e-4], 5: [1e-6, np.nan]}))
    assert table["size"].tolist() == [3]
    assert beside(rows("I.1", "2-2-1", {3: [np.nan, 1e-4]})).empty


def test_only_the_most_training_points_count() -> None:
    few = rows("I.1", "2-2-1", {3: [1e-9]}, n_train=1000)
    assert beside(few, rows("I.1", "2-2-1", {3: [1e-4]}))["rmse"].tolist() == [1e-4]


def test_sweeps_are_not_each_others_seeds() -> None:
    some = rows("uniform", "2-2-1", {3: [1e-4]}, target="I.1")
    other = rows("adaptive", "2-2-1", {3: [1e-6]}, target="I.1")
    table = beside(some, other)
    assert table[["sweep", "rmse", "n_seeds"]].to_numpy().tolist() == [
        ["uniform", 1e-4, 1],
        ["adaptive", 1e-6, 1],
    ]
    few = rows("few", "2-2-1", {3: [1e-4]}, target="I.1").assign(key=["a"])
    more = rows("more", "2-2-1", {3: [1e-4, 3e-4, 4e-4]}, target="I.1").assign(key=[*"abc"])
    for parts in ((few, more), (more, few)):  # of which the one has every cell of the other
        (row,) = beside(*parts).to_dict("records")
        assert (row["sweep"], row["n_seeds"], row["rmse"]) == ("more", 3, 3e-4)
    others = few.assign(key=["d"])
    assert beside(others, more)["sweep"].tolist() == ["more", "few"]
    assert beside(some.drop(columns="target").assign(data="I.1"))["sweep"].tolist() == [""]


def test_another_shape_is_held_against_the_best_alone() -> None:
    (row,) = beside(rows("I.2", "2-9-1", {3: [1e-4]})).to_dict("records")
    assert row["network"] == ""
    assert np.isnan(row["shape_rmse"])
    assert np.isnan(row["over_shape"])
    assert (row["kan_rmse"], row["over_kan"], row["doubt"]) == (1e-4, 1.0, "two readings")


def test_rows_come_in_the_order_of_the_table_and_unknown_functions_are_left_out() -> None:
    parts = [rows(name, "2-2-1", {3: [1e-4]}) for name in ("jv(x,y)", "exp_sin", "I.2", "I.1")]
    assert beside(*parts)["data"].tolist() == ["I.1", "I.2", "jv(x,y)"]
    nothing = beside(rows("exp_sin", "2-1-1", {3: [1.0]}))
    assert nothing.empty
    assert nothing.columns.tolist() == published.COLUMNS


def test_mlps_are_one_network_whatever_their_width() -> None:
    parts = [
        rows("I.1", f"2-{w}-{w}-1", {w: [error]}, model="mlp", grid_size=None, k=None)
        for w, error in ((5, 1e-3), (10, 1e-4))
    ]
    (row,) = beside(*parts).to_dict("records")
    assert (row["shape"], row["size"], row["rmse"]) == ("2-w-w-1", 10, 1e-4)


def test_the_summary_is_of_the_best_kan_of_each_function() -> None:
    table = beside(
        rows("I.1", "2-2-1", {3: [1e-3]}),
        rows("I.1", "2-4-1", {3: [1e-4]}),  # 5 times below the best KAN, 2 below the MLP
        rows("I.1", "2-5-5-1", {5: [1e-9]}, model="mlp"),
        rows("I.2", "2-2-1", {3: [2e-4]}),  # twice the best KAN
        rows("jv(x,y)", "2-3-1", {3: [3e-3]}),  # as good
    )
    found = published.summary(table, TABLE).set_index("table")
    assert found["n_functions"].to_dict() == {"feynman": 2, "special": 1}
    assert found["n_published"].to_dict() == {"feynman": 2, "special": 1}
    assert found["below_kan"].to_dict() == {"feynman": 1, "special": 1}
    assert found["below_mlp"].to_dict() == {"feynman": 2, "special": 1}
    assert found.loc["feynman", "median_kan"] == pytest.approx((5 + 0.5) / 2)
    assert found.loc["feynman", "median_mlp"] == pytest.approx((2 + 50) / 2)
