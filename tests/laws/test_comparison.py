"""Two sweeps beside each other, against SciPy's paired t."""

from __future__ import annotations

import numpy as np
import pytest
from cells import kans, mlps, power_law
from pandas import DataFrame
from scipy import stats

import kansweep
from kansweep import study
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
    assert set(both["symbol"].dropna()) == {"w"}
    assert both["at"].dropna().tolist() == first["size"].unique().tolist()
    assert exponent(both)["estimate"] == pytest.approx(-0.3)
    assert exponent(both)["x"] == "n_params"


def test_a_kan_and_an_mlp_are_compared_at_numbers_of_parameters() -> None:
    first, second = kans(3, [100_000]), mlps(-1.0, 3)
    both = beside(first, second)
    low, high = second["n_params"].min(), first["n_params"].max()
    assert low > first["n_params"].min()
    assert high < second["n_params"].max()
    rows = both[both["quantity"] == "rmse"]
    assert rows["at"].tolist() == [low, high]
    assert set(rows["symbol"]) == {"P"}
    one = study.of_one(first, "n_params").shown.query("split == 'test'").iloc[0]
    fitted = one["amplitude"] * rows["at"].to_numpy(float) ** one["exponent"]
    # Of the MLP the law is exact: 2 to the mean seed over P.
    assert rows["estimate"].tolist() == pytest.approx(2.0 / rows["at"] / fitted, rel=1e-9)
    assert exponent(both)["estimate"] == pytest.approx(-1.0 - one["exponent"], rel=1e-9)


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


def test_only_two_sweeps_and_shared_data_sizes_are_compared() -> None:
    assert study.of_one(law(SLOPES)).comparison.empty
    three = {name: law(SLOPES) for name in "abc"}
    assert study.of_several(three).comparison.empty
    assert beside(law(SLOPES), law(SLOPES, n_train=5000)).empty


def test_a_notebook_compares_two_sweeps() -> None:
    both = kansweep.compare_laws({"a": law(SLOPES), "b": law(SLOPES + GAINS)}, x="n_params")
    assert set(both["x"]) == {"n_params"}
    assert set(both["split"]) == {"train", "test"}
    with pytest.raises(ValueError, match="`sweeps` must be two; got 1"):
        kansweep.compare_laws({"a": law(SLOPES)})
