"""The law of all data sizes at once: known terms come back, and the interval holds them."""

from __future__ import annotations

import numpy as np
import pytest
from cells import EXP_SIN_FLOOR
from pandas import DataFrame
from scipy import stats

from kansweep.laws import cells, pooled

NUMBERS = (1000, 3000, 10_000)


def sweep(
    delta: float = 0.0, c: float = 1.2, scatter: float = 0.0, seeds: int = 5, stream: int = 0
) -> DataFrame:
    """RMSE = 1.1 floor G^delta exp(c P/n) and seeds that scatter in all three terms."""
    rng = np.random.default_rng(stream)
    rows = []
    for seed in range(seeds):
        off = scatter * rng.standard_normal(3)
        for n in NUMBERS:
            for g, floor in EXP_SIN_FLOOR.items():
                p = 3 * (g + 3)
                log = np.log(1.1) + off[0] + (delta + off[1]) * np.log(g) + (c + off[2]) * p / n
                error = floor * np.exp(log)
                rows.append((n, seed, g, p, error, error, floor))
    names = ["n_train", "seed", "grid_size", "n_params", "train_rmse", "test_rmse", "floor_rmse"]
    return DataFrame(rows, columns=names).assign(data="f", k=3, status="ok")


def laws(results: DataFrame) -> DataFrame:
    return pooled.pooled(cells.checked(results), cells.classify(results))


def test_the_terms_that_made_the_errors_come_back():
    found = laws(sweep(delta=0.02, c=1.2))
    assert found["split"].tolist() == ["train", "test"]
    assert found["n_cells"].tolist() == [15, 15]
    assert found["n_seeds"].tolist() == [5, 5]
    for column, value in {"a": np.log(1.1), "delta": 0.02, "c": 1.2, "rms": 0.0}.items():
        assert found[column].to_numpy() == pytest.approx(value, abs=1e-9)
    assert (found["delta_high"] - found["delta_low"]).max() < 1e-9


def test_it_is_student_s_t_over_the_fits_of_the_seeds():
    results = sweep(scatter=0.02)
    law = laws(results).iloc[1]
    slopes = []
    for _, rows in results.groupby("seed"):
        terms = [np.ones(15), np.log(rows["grid_size"]), rows["n_params"] / rows["n_train"]]
        logs = np.log(rows["test_rmse"] / rows["floor_rmse"])
        slopes.append(np.linalg.lstsq(np.column_stack(terms), logs, rcond=None)[0][1])
    interval = stats.ttest_1samp(slopes, 0.0).confidence_interval(0.95)
    assert law["delta"] == pytest.approx(np.mean(slopes), abs=1e-12)
    assert (law["delta_low"], law["delta_high"]) == pytest.approx(tuple(interval), abs=1e-12)


def test_its_intervals_hold_the_truth_in_95_of_100_sweeps():
    rng, truth = np.random.default_rng(0), np.array([0.1, 0.0, 1.2])
    cell = sweep(seeds=1).assign(size=lambda rows: rows["grid_size"])
    terms, held = pooled.design(cell), []
    for _ in range(500):
        of_seeds = truth[:, None] + 0.02 * rng.standard_normal((3, 5))
        values = terms @ of_seeds + 0.03 * rng.standard_normal((len(terms), 5))
        mean, half, _ = pooled.estimates(terms, values)
        held.append(np.abs(mean - truth) < half)
    assert np.mean(held, axis=0) == pytest.approx(0.95, abs=0.025)


def test_one_seed_has_the_interval_of_its_residuals():
    results = sweep(seeds=1)
    wobble = np.exp(0.01 * np.random.default_rng(0).standard_normal(len(results)))
    law = laws(results.assign(test_rmse=results["test_rmse"] * wobble)).iloc[1]
    assert law["n_seeds"] == 1
    assert law["delta_low"] < 0.0 < law["delta_high"]
    assert law["delta_high"] - law["delta_low"] < 0.05


def test_a_seed_that_went_astray_is_left_out():
    results = sweep()
    wrong = (results["seed"] == 2) & (results["grid_size"] == 20) & (results["n_train"] == 1000)
    errors = {name: results[name].where(~wrong, 0.01) for name in ("train_rmse", "test_rmse")}
    found = laws(results.assign(**errors))
    assert found["n_seeds"].tolist() == [4, 4]
    assert found["delta"].to_numpy() == pytest.approx(0.0, abs=1e-9)


def test_cells_that_do_not_count_and_seeds_that_lack_one_are_left_out():
    results = sweep()
    lost = (results["seed"] == 3) & (results["grid_size"] == 20)
    few = results.assign(status=np.where(lost, "failed", "ok"))
    assert laws(few)["n_seeds"].tolist() == [4, 4]
    crowded = results.assign(n_params=results["n_params"].where(results["grid_size"] < 100, 10**6))
    assert laws(crowded)["n_cells"].tolist() == [12, 12]


@pytest.mark.parametrize(
    "results",
    [
        sweep().query("n_train == 1000"),
        sweep().query("grid_size == 5"),
        sweep().assign(floor_rmse=np.nan),
        sweep().assign(status="failed"),
    ],
    ids=["one data size", "one size", "no floor", "all failed"],
)
def test_where_its_terms_cannot_be_told_apart_there_is_none(results):
    assert laws(results).empty
    assert list(laws(results)) == pooled.POOLED_COLUMNS
