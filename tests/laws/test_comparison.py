"""Sweeps beside the first of their target, against SciPy's paired t."""

from __future__ import annotations

import numpy as np
import pytest
from cells import kans, mlps, power_law
from pandas import DataFrame
from scipy import stats

import kansweep
from kansweep import study
from kansweep.laws import comparison
from kansweep.report import compared

SLOPES = np.array([-4.05, -3.92, -4.02, -4.12])
GAINS = np.array([-0.31, -0.28, -0.33, -0.30])
LEVELS = np.array([1.0, 0.9, 0.8, 1.2])


def law(slopes, levels=LEVELS, **columns) -> DataFrame:
    return power_law(slopes, levels, **{"width": "2-1-1", **columns})


def beside(first: DataFrame, second: DataFrame, x: str | None = None) -> DataFrame:
    both = study.of_several({"a": first, "b": second}, x).comparison
    return both[both["split"] == "test"]


def words(first: DataFrame, second: DataFrame) -> list[str]:
    return compared.sentences(study.of_several({"a": first, "b": second}).comparison)


def exponent(both: DataFrame):
    (row,) = [row for _, row in both.iterrows() if row["quantity"] == "exponent"]
    return row


def test_exponents_are_paired_by_seed() -> None:
    row = exponent(beside(law(SLOPES), law(SLOPES + GAINS)))
    known = stats.ttest_rel(SLOPES + GAINS, SLOPES).confidence_interval(0.95)
    assert row["estimate"] == pytest.approx(GAINS.mean(), rel=1e-9)
    assert [row["low"], row["high"]] == pytest.approx([known.low, known.high], rel=1e-9)
    assert (row["n_seeds"], row["sizes"]) == (4, [5, 10, 20, 50, 100])
    unpaired = stats.ttest_ind(SLOPES + GAINS, SLOPES).confidence_interval(0.95)
    assert unpaired.high - unpaired.low > 2 * (known.high - known.low)  # what pairing is for


def test_errors_are_ratios_at_every_size_that_both_have() -> None:
    both = beside(law(SLOPES), law(SLOPES + GAINS, 2 * LEVELS, sizes=[10, 20, 50, 100, 200]))
    rows = both[both["quantity"] == "rmse"]
    assert rows["at"].tolist() == [10, 20, 50, 100]
    for _, row in rows.iterrows():
        logs = np.log(2) + GAINS * np.log(row["at"])
        known = stats.ttest_1samp(logs, 0).confidence_interval(0.95)
        assert row["estimate"] == pytest.approx(np.exp(logs.mean()), rel=1e-9)
        assert np.log([row["low"], row["high"]]) == pytest.approx([known.low, known.high])
    assert exponent(both)["sizes"] == [10, 20, 50, 100]


def test_seeds_that_only_one_has_are_left_out() -> None:
    second = law(SLOPES + GAINS)
    second = second[second["seed"] != 1]
    both = beside(law(SLOPES), second.assign(seed=second["seed"].replace(3, 7)))
    assert exponent(both)["estimate"] == pytest.approx(GAINS[[0, 2]].mean())
    assert set(both["n_seeds"]) == {2}


def test_a_cell_that_does_not_count_is_compared_but_bears_no_exponent() -> None:
    coarse = law(SLOPES).assign(n_params=lambda rows: np.where(rows["grid_size"] < 10, 9e9, 30))
    both = beside(coarse, law(SLOPES + GAINS))
    assert exponent(both)["sizes"] == [10, 20, 50, 100]
    assert 5 in both["at"].tolist()


def test_one_shared_seed_has_no_interval() -> None:
    row = exponent(beside(law(SLOPES[:1], LEVELS[:1]), law(SLOPES + GAINS)))
    assert row["estimate"] == pytest.approx(GAINS[0])
    assert np.isnan([row["low"], row["high"]]).all()
    told = words(law(SLOPES[:1], LEVELS[:1]), law(SLOPES + GAINS))
    assert "one seed has no spread to tell a difference by" in told[0]
    assert "is -0.31 over sizes 5 to 100, one shared seed." in told[0]


def test_kinds_of_one_axis_and_no_theory_are_compared_at_their_sizes() -> None:
    first, second = mlps(-0.9, 3), mlps(-1.2, 3)
    both = beside(first, second)
    of_sizes = both[both["symbol"] == "w"]
    assert of_sizes["at"].tolist() == first["size"].unique().tolist()
    assert set(both["symbol"].dropna()) == {"w", "s"}  # equal widths are equal parameters
    assert exponent(both)["estimate"] == pytest.approx(-0.3)
    assert exponent(both)["x"] == "n_params"


def test_a_kan_and_an_mlp_are_compared_at_numbers_of_parameters() -> None:
    first, second = kans(3, [100_000]), mlps(-1.0, 3)
    both = beside(first, second)
    low, high = second["n_params"].min(), first["n_params"].max()
    assert low > first["n_params"].min()
    assert high < second["n_params"].max()
    rows = both[both["symbol"] == "P"]
    assert rows["at"].tolist() == pytest.approx([low, np.sqrt(low * high), high])
    # Of the MLP the law is exact, 2^seed / P; of the KAN it is not, and its cells are what counts.
    of_kan = first[first["seed"] == 0]
    logs = np.interp(np.log(rows["at"]), *(np.log(of_kan[c]) for c in ("n_params", "test_rmse")))
    assert rows["estimate"].tolist() == pytest.approx(1.0 / rows["at"] / np.exp(logs), rel=1e-9)
    one = study.of_one(first, "n_params").shown.query("split == 'test'").iloc[0]
    row = exponent(both)
    assert row["estimate"] == pytest.approx(-1.0 - one["exponent"], rel=1e-9)
    assert row["first_low":"second_high"].tolist() == [24, 309, 51, 10501]


def test_equal_seconds_are_those_to_get_there_where_a_network_is_extended() -> None:
    first = kans(3, [100_000]).assign(seconds=lambda rows: rows["size"] / 5)
    second = mlps(-1.0, 3).assign(seconds=lambda rows: rows["size"] / 5 * 2.0 ** rows["seed"])
    rows = beside(first, second).query("symbol == 's'")
    # Cells of the KAN take 1, 2, 4, 10 and 20 s, hence 1, 3, 7, 17 and 37 to get there; those of
    # the MLP are each its own: up to 20 s where it is fastest, from 4 s where it is slowest.
    assert rows["at"].tolist() == pytest.approx([4, np.sqrt(80), 20])
    one, other = first[first["seed"] == 0], second[second["seed"] == 2]
    at = np.log(4), np.log([1, 3, 7, 17, 37]), np.log(one["test_rmse"])
    kan, mlp = np.interp(*at), np.log(other["test_rmse"].iloc[0])
    of_seeds = []
    for seed in range(3):
        rows_of = second[second["seed"] == seed]
        logs = np.log(rows_of["seconds"]), np.log(rows_of["test_rmse"])
        of_seeds.append(np.interp(np.log(4), *logs) - kan - seed * np.log(2))
    assert of_seeds[2] == pytest.approx(mlp - kan - 2 * np.log(2))
    known = stats.ttest_1samp(of_seeds, 0).confidence_interval(0.95)
    found = np.log(rows[["estimate", "low", "high"]].iloc[0].astype(float))
    assert found.tolist() == pytest.approx([np.mean(of_seeds), known.low, known.high])


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"seconds": 9e9}, "they have no seconds in common: 1 to 5, and 9e+09 to 9e+09"),
        ({"host": "far"}, "they were trained on different hosts: near, and far"),
        ({"seconds": np.nan}, None),
    ],
)
def test_seconds_that_cannot_be_compared_are_not(changes: dict, why: str | None) -> None:
    first = kans(3, [100_000]).assign(host="near")
    rows = beside(first, mlps(-1.0, 3).assign(**{"host": "near", **changes}))
    told = [row["note"] for _, row in rows.iterrows() if row["symbol"] == "s"]
    assert len(told) == (why is not None)
    assert all(why in note for note in told)


def test_what_hinders_a_comparison_is_said() -> None:
    short = law(SLOPES, sizes=[5, 10])
    assert exponent(beside(short, law(SLOPES)))["note"] == "no law of a"
    assert exponent(beside(short, short))["note"] == "no law of a nor of b"
    apart = law(SLOPES, sizes=[7, 14, 50, 100])
    assert exponent(beside(law(SLOPES), apart))["note"] == "the laws share too few sizes"
    others = law(SLOPES).assign(seed=lambda rows: rows["seed"] + 10)
    both = beside(law(SLOPES), others)
    assert (both["quantity"].tolist(), both["note"].iloc[0]) == (
        *(["exponent"], "the laws share no seed"),
    )
    (told,) = words(law(SLOPES), others)
    assert told == (
        "n = 10000, test RMSE: the exponents of a and b are not compared; the laws share no seed."
    )


def test_sentences_say_which_falls_faster_or_that_it_is_not_shown() -> None:
    faster, errors = words(law(SLOPES), law(SLOPES + GAINS))
    assert faster.startswith("n = 10000, test RMSE: b falls faster than a; the exponent of b less")
    assert faster.endswith("is -0.31 [-0.34, -0.27] over sizes 5 to 100, four shared seeds.")
    assert errors.startswith("  RMSE of b over that of a: 0.612 [0.58, 0.646] at G = 5, ")
    assert "a falls faster than b" in words(law(SLOPES + GAINS), law(SLOPES))[0]
    unlike = law(SLOPES + np.array([0.2, -0.2, 0.1, -0.15]))
    assert "neither a nor b is shown to fall faster" in words(law(SLOPES), unlike)[0]


def test_each_is_compared_with_the_first_of_its_target_and_no_other() -> None:
    assert study.of_one(law(SLOPES)).comparison.empty
    noise = np.array([[0.2, -0.2, 0.1, -0.1], [0.13, -0.17, 0.17, -0.13]])
    found = {"b": law(SLOPES), "a": law(SLOPES + GAINS), "c": law(SLOPES + noise[0])}
    of_other = {"v": law(SLOPES), "u": law(SLOPES + GAINS + noise[1])}
    of_other = {name: rows.assign(data="g") for name, rows in of_other.items()}
    alone = {"w": law(SLOPES).assign(data="h")}
    compared_ = study.of_several({**found, **of_other, **alone}).comparison
    rows = compared_.query("quantity == 'exponent' and split == 'test'")
    assert rows[["target", "first", "second"]].to_numpy().tolist() == [
        *(["f", "b", "a"], ["f", "b", "c"], ["g", "v", "u"])
    ]
    differences = [GAINS, noise[0], GAINS + noise[1]]
    known = [stats.ttest_rel(SLOPES + each, SLOPES).pvalue for each in differences]
    assert rows["p"].tolist() == pytest.approx(known, rel=1e-6)
    assert rows["p_holm"].tolist() == pytest.approx([3 * known[0], known[1], 2 * known[2]])
    assert set(rows["n_tests"]) == {3}
    told = compared.sentences(compared_)
    assert any("a falls faster than b" in line and "Holm over 3 tests" in line for line in told)
    assert "neither v nor u is shown to fall faster" in "".join(told)  # 0.03 by itself
    assert "three tests of exponents" in told[-1]


def test_fewer_points_are_described_and_not_tested() -> None:
    first, second = (
        law(slopes).loc[lambda rows: rows.index.repeat(2)] for slopes in (SLOPES, SLOPES + GAINS)
    )
    first, second = (
        each.assign(n_train=np.tile([5000, 10_000], len(each) // 2)) for each in (first, second)
    )
    both = beside(first, second)
    rows = both[both["quantity"] == "exponent"]
    assert rows["p_holm"].notna().tolist() == (rows["n_train"] == 10_000).tolist()
    assert set(rows["n_tests"].dropna()) == {1}
    told = words(first, second)
    assert told[0].startswith("n = 10000, test RMSE: b falls faster than a")
    assert told[2].startswith("n = 5000, test RMSE: the exponent of b less that of a is -0.31 [")


def test_holm_is_that_of_the_books_and_keeps_its_level() -> None:
    known = [0.03, 0.06, 0.06, 0.02]
    assert comparison.holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx(known)
    rng = np.random.default_rng(0)
    first = rng.standard_normal((4000, 5, 1))  # shared by all tests, as the first sweep is
    others = first + rng.standard_normal((4000, 5, 4))
    p = stats.ttest_1samp(others - rng.standard_normal((4000, 5, 1)), 0, axis=1).pvalue
    wrong = np.mean([comparison.holm(each).min() <= 0.05 for each in p])
    assert wrong < 0.055
    assert np.mean(p.min(axis=1) <= 0.05) > 0.1  # what it is for


def test_sweeps_of_other_points_are_not_compared() -> None:
    assert exponent(beside(law(SLOPES), law(SLOPES, n_train=5000)))["note"] == (
        "they share no number of training points: 10000, and 5000"
    )
    points = {"a": {"data.n_test": 1000}, "b": {"data.n_test": 100, "data.domain": [0, 1]}}
    apart = study.of_several({"a": law(SLOPES), "b": law(SLOPES)}, points=points)
    (told,) = compared.sentences(apart.comparison)
    assert told == (
        "a and b are not compared; their points are not the same: `data.n_test` is 1000 and 100,"
        " `data.domain` is unset and [0, 1]."
    )
    assert apart.beside.results.empty
    alike = study.of_several({"a": law(SLOPES), "b": law(SLOPES)}, points={"a": {}, "b": {}})
    assert alike.beside.results["data"].unique().tolist() == ["a", "b"]


def test_a_notebook_compares_two_sweeps() -> None:
    both = kansweep.compare_laws({"a": law(SLOPES), "b": law(SLOPES + GAINS)}, x="n_params")
    assert set(both["x"]) == {"n_params"}
    assert set(both["split"]) == {"train", "test"}
    with pytest.raises(ValueError, match="`sweeps` must be two or more; got 1"):
        kansweep.compare_laws({"a": law(SLOPES)})
