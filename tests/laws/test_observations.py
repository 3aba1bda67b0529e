"""The example's observations, on its published table and on matrices made for them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cells import kans, mlps, published
from pandas import DataFrame

from kansweep.laws import cells
from kansweep.laws.observations import best_sizes, observed


def check(results: DataFrame) -> DataFrame:
    return observed(cells.checked(results))


def matrix(errors: dict[int, list[float]], n_seeds: int = 1, noise: float = 0.0) -> DataFrame:
    """Test RMSE by n_train and grid size (5, 10, 20), the same for every seed but for noise."""
    rng = np.random.default_rng(0)
    rows = [
        {"n_train": n, "grid_size": g, "seed": seed, "test_rmse": e * np.exp(noise * rng.normal())}
        for n, line in errors.items()
        for g, e in zip((5, 10, 20), line, strict=True)
        for seed in range(n_seeds)
    ]
    frame = DataFrame(rows).assign(data="f", k=3, n_params=1, status="ok")
    return frame.assign(train_rmse=frame["test_rmse"])


def test_published_table_gains_from_larger_grids_but_more_data_did_harm_once():
    found = check(published()).set_index("observation")
    assert found["of"].tolist() == [15, 5]
    harm = found.loc["more data does no harm"]
    assert not harm["holds"]
    assert "G = 20, n = 300 to 1000: 2 times the error" in harm["detail"]
    gain = found.loc["larger grids gain more from data"]
    assert gain["holds"]
    assert "1.1 times at G = 5, 2.4 times at G = 10, 17 times at G = 20" in gain["detail"]


@pytest.mark.parametrize(
    ("more", "n_seeds", "noise", "holds"),
    [
        ([1.05, 0.5, 0.1], 1, 0.0, True),
        ([1.2, 0.5, 0.1], 1, 0.0, False),
        ([1.2, 0.5, 0.1], 10, 0.01, False),
        ([1.2, 0.5, 0.1], 3, 0.5, True),  # within what seeds differ by
    ],
)
def test_harm_is_growth_beyond_a_tenth_and_beyond_the_seeds(more, n_seeds, noise, holds):
    found = check(matrix({100: [1.0, 1.0, 1.0], 1000: more}, n_seeds, noise))
    assert found["holds"].tolist() == [holds, True]


def test_gains_that_shrink_with_the_grid_are_told():
    found = check(matrix({100: [1.0, 1.0, 1.0], 1000: [0.5, 0.1, 0.2]}))
    assert found["holds"].tolist() == [True, False]


def test_one_data_size_has_nothing_to_observe():
    assert check(matrix({100: [1.0, 0.5, 0.1]})).empty


def test_best_grid_is_that_of_least_error_whether_it_counts_or_not():
    best = best_sizes(cells.classify(published()))
    assert best["n_train"].tolist() == [100, 300, 1000, 3000]
    assert best["size"].tolist() == [20, 50, 100, 100]
    over = "over-parameterised"
    assert best["reason"].tolist() == [over, over, "over-fitted", ""]


def test_an_mlp_is_observed_by_its_widths_beside_a_kan():
    few, many = mlps(numbers=(1000,)), mlps(numbers=(10_000,))
    gained = many.assign(test_rmse=many["test_rmse"] / many["size"])
    results = pd.concat([few, gained, kans(numbers=(1000, 10_000))], ignore_index=True)
    found = check(results).set_index(["model", "observation"])
    gain = found.loc[("mlp", "wider networks gain more from data")]
    assert gain["holds"]
    assert gain["detail"].startswith("n = 1000 to 10000: 5 times at w = 5, 10 times at w = 10, ")
    assert found.loc[("mlp", "more data does no harm"), "of"] == 5
    assert found.loc[("kan", "larger grids gain more from data"), "of"] == 5
    worse = pd.concat([gained.assign(n_train=1000), few.assign(n_train=10_000)])
    assert "w = 100, n = 1000 to 10000: 1e+02 times" in check(worse)["detail"].iloc[0]
    best = best_sizes(cells.classify(results))
    assert best.groupby("model")["size"].unique().map(list).to_dict() == {
        "kan": [100],
        "mlp": [100],
    }
