"""The best size for each data size: known ones come back, and the edge of the list is seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cells import kans, mlps
from pandas import DataFrame

from kansweep.laws import cells, frontier

SIZES = [4, 6, 9, 13, 20, 30, 45, 68, 100, 150, 225, 340, 500, 750]
NUMBERS = (60, 100, 150, 300)
PER_POINT = 2.0  # the number of parameters a point from which on the error is level


def levelling(
    seeds: int = 5, power: float = 1.0, scatter: float = 0.0, stream: int = 0, **columns
) -> DataFrame:
    """G^-4 until P reaches 2 n (n / 100)^(power - 1), and level from there on; of each seed with a
    factor of its own on both."""
    rng = np.random.default_rng(stream)
    results = kans(seeds, NUMBERS, SIZES)
    own = pd.DataFrame(
        [(n, s, *np.exp(scatter * rng.standard_normal(2))) for n in NUMBERS for s in range(seeds)],
        columns=["n_train", "seed", "limit", "level"],
    )
    rows = results.merge(own, on=["n_train", "seed"])
    limit = PER_POINT * rows["n_train"] * (rows["n_train"] / 100) ** (power - 1) * rows["limit"]
    grid = np.minimum(rows["n_params"], limit) / 3 - 3
    error = rows["level"] * grid**-4.0
    return results.assign(train_rmse=error, test_rmse=error, **columns)


def found(results: DataFrame) -> frontier.Frontier:
    return frontier.frontier(cells.checked(results))


def exponents(laws: DataFrame) -> dict[tuple[str, str], float]:
    return {(law["of"], law["x"]): law["exponent"] for _, law in laws.iterrows()}


def test_the_best_size_is_the_smallest_as_good_as_the_least():
    best = found(levelling()).best
    by_hand = {
        n: min(size for size in SIZES if 3 * (size + 3) >= 0.98 * PER_POINT * n) for n in NUMBERS
    }
    assert dict(zip(best["n_train"], best["size"].round(9), strict=True)) == by_hand
    assert (best["edge"] == "").all()
    assert best["n_seeds"].tolist() == [5] * 4


def test_its_law_and_that_of_the_error_come_back():
    laws = exponents(found(levelling(seeds=40, scatter=0.3)).laws)
    assert laws["n_params", "n_train"] == pytest.approx(1.0, abs=0.12)
    assert laws["rmse", "n_train"] == pytest.approx(-4.1, abs=0.35)  # G is P/3 - 3
    assert laws["rmse", "cost"] == pytest.approx(-2.05, abs=0.3)
    slower = exponents(found(levelling(seeds=40, scatter=0.3, power=0.5)).laws)
    assert slower["n_params", "n_train"] == pytest.approx(0.5, abs=0.12)


def test_its_intervals_hold_the_law_in_95_of_100_sweeps():
    x = np.log(np.array([NUMBERS] * 5, float))
    rng, held = np.random.default_rng(0), []
    for _ in range(1000):
        y = 0.9 * x + 0.3 * rng.standard_normal(x.shape) + rng.standard_normal((5, 1))
        slope, half = frontier._slope(x, y)
        held.append(abs(slope - 0.9) < half)
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)


def test_of_one_seed_the_interval_is_that_of_its_residuals():
    x, rng, held = np.log(np.array([NUMBERS], float)), np.random.default_rng(0), []
    for _ in range(1000):
        slope, half = frontier._slope(x, 0.9 * x + 0.3 * rng.standard_normal(x.shape))
        held.append(abs(slope - 0.9) < half)
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)


def test_where_the_best_is_the_largest_or_smallest_tried_it_enters_no_law():
    short = levelling().query("size <= 100")
    best = found(short).best.set_index("n_train")
    assert best["edge"].to_dict() == {60: "", 100: "", 150: "largest", 300: "largest"}
    assert found(short).laws.empty
    late = found(levelling().query("size >= 68"))
    assert late.best["edge"].tolist() == ["smallest", "smallest", "", ""]


def test_one_seed_of_five_at_the_edge_does_not_put_its_data_size_there():
    results = levelling()
    last = (results["size"] == SIZES[-1]) & (results["n_train"] == 100)
    for seeds, edge in ((1, ""), (2, "largest")):
        better = last & (results["seed"] < seeds)
        factor = np.where(better, 0.5, 1.0)
        best = found(results.assign(test_rmse=results["test_rmse"] * factor)).best
        assert best.set_index("n_train").loc[100, "edge"] == edge


def test_seconds_are_those_of_all_smaller_sizes_where_these_are_extended():
    costs = found(levelling(seconds=1.0)).costs
    assert costs[costs["n_train"] == 60]["seconds"].tolist() == pytest.approx(range(1, 15))
    modules = levelling(seconds=1.0).assign(model="module", start_grid=1)  # that are extended
    assert found(modules).costs["seconds"].max() == pytest.approx(14)
    for results in (mlps(seeds=2, numbers=NUMBERS), modules.assign(start_grid=None)):
        assert set(found(results).costs["seconds"].round(9)) == {1.0}


def test_the_envelope_is_what_nothing_cheaper_is_better_than():
    costs = found(levelling()).costs
    lowest = costs[costs["envelope_cost"]].sort_values("cost")
    assert lowest["rmse"].is_monotonic_decreasing
    for _, cell in costs[~costs["envelope_cost"]].iterrows():
        assert (lowest.loc[lowest["cost"] <= cell["cost"], "rmse"] <= cell["rmse"]).any()


@pytest.mark.parametrize(
    "results",
    [
        levelling().query("n_train <= 100"),
        levelling().query("size <= 6"),
        levelling().assign(status="failed"),
    ],
    ids=["two data sizes", "two sizes", "all failed"],
)
def test_too_few_of_either_have_no_frontier(results):
    empty = found(results)
    assert empty.best.empty
    assert empty.laws.empty
    assert list(empty.best) == frontier.BEST_COLUMNS


def test_the_order_of_rows_and_their_index_change_nothing():
    results = levelling(scatter=0.2)
    shuffled = results.sample(frac=1, random_state=0).set_index(np.zeros(len(results), int))
    for table in ("best", "laws", "costs"):
        a, b = getattr(found(results), table), getattr(found(shuffled), table)
        pd.testing.assert_frame_equal(a, b)


def test_what_a_larger_size_gains_within_a_tenth_is_chance():
    results = levelling()
    falling = 1.0 - 0.005 * results["size"].map(SIZES.index)
    best, plain = (
        found(results.assign(test_rmse=results["test_rmse"] * falling)).best,
        found(results),
    )
    assert best["size"].tolist() == plain.best["size"].tolist()
