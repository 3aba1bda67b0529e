"""What is expected of laws and errors: what holds, what does not, and what cannot be checked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cells import GRIDS, kans, mlps, power_law
from pandas import DataFrame

from kansweep import study
from kansweep.config.commands import ExpectedConfig
from kansweep.config.rules import ConfigError
from kansweep.laws import cells, checks

SIZES = [100, 3000]


def results(slope: float = -4.0, numbers: list[int] = SIZES) -> DataFrame:
    """Three seeds' curves of that exponent, at enough points and at too few."""
    slopes = (slope - 0.01, slope, slope + 0.01)
    return pd.concat([power_law(slopes, (1, 1.1, 1.2), n_train=n, width="2-1-1") for n in numbers])


def made(rows: DataFrame, stored: DataFrame | None = None, **expected) -> list[checks.Check]:
    if stored is not None:
        expected["against"] = "FILE"
        stored = stored if "exponent" in stored else cells.checked(stored)
    asked = ExpectedConfig(**expected)
    return checks.perform(study.of_one(rows, margin=asked.margin), asked, stored)


def one(rows: DataFrame, stored: DataFrame | None = None, **expected) -> tuple[bool, str]:
    (check,) = made(rows, stored, **expected)
    return check.holds, check.detail


def laws(rows: DataFrame) -> DataFrame:
    return study.of_one(rows).laws


def test_a_verdict_is_held_against_those_that_are_expected() -> None:
    held, detail = one(results(), verdict="consistent")
    assert held
    assert detail.startswith("consistent: -4.00 [-4.02, -3.98]")
    held, detail = one(results(-3.4), verdict="consistent")
    assert not held
    assert detail.startswith("inconsistent, not consistent: -3.40 [-3.42, -3.38], over the finest")
    assert one(results(-3.4), verdict=["inconclusive", "inconsistent"])[0]
    assert one(results(-3.4), verdict="inconsistent", margin=0.25)[0]
    assert one(results(-3.4), verdict="consistent", margin=0.7)[0]
    held, detail = one(results(), verdict="consistent", n_train=[100])
    assert not held
    assert detail.startswith("insufficient, not consistent: no law (too few grid sizes in a row")


@pytest.mark.parametrize(
    ("low", "high", "holds"), [(-4.1, -3.9, True), (-3.99, -3.9, False), (-5.0, -4.01, False)]
)
def test_an_exponent_lies_between_its_bounds(low: float, high: float, holds: bool) -> None:
    held, detail = one(results(), exponent=[low, high])
    assert held is holds
    assert detail.endswith(f"{'' if holds else 'not '}within [{low:g}, {high:g}]")
    assert not one(results(), exponent=[-9, 9], n_train=[100])[0]  # there is no law


def test_a_law_without_a_theory_has_an_exponent_to_be_checked() -> None:
    (check,) = made(mlps(-0.9, 3), exponent=[-1.0, -0.8])
    assert check.holds
    assert check.of == "exp_sin (MLP), n = 100000, test"
    assert one(mlps(-0.9, 3), verdict="descriptive")[0]


def test_the_worst_seed_is_held_against_a_bound() -> None:
    rows = results()
    largest = float(rows.loc[rows["grid_size"] == 5, "test_rmse"].max())
    assert one(rows, worst=1.001 * largest)[0]
    held, detail = one(rows, worst=0.999 * largest)
    assert not held
    assert detail.startswith(f"{largest:.2e} at G = 5, seed 2, above ")
    bounds = made(rows, worst={10: 1e-3, 50: 1e-9})
    assert [check.holds for check in bounds] == [True, False]
    assert "at G = 50, seed 2, above 1e-09" in bounds[1].detail


def test_a_cell_that_failed_is_worse_than_any_bound() -> None:
    rows = results(numbers=[3000])
    lost = (rows["grid_size"] == 20) & (rows["seed"] == 1)
    rows.loc[lost, ["train_rmse", "test_rmse", "status"]] = [np.nan, np.nan, "failed"]
    assert one(rows, worst=1e9) == (False, "G = 20, seed 1 failed")
    assert one(rows, worst={50: 1e9})[0]
    assert one(rows, results()) == (False, "G = 20, seed 1 failed")


def test_cells_are_held_against_stored_ones_seed_by_seed() -> None:
    stored = results()
    assert one(stored, stored) == (
        True,
        "1 times FILE at G = 100, the worst of five grid sizes, at most 1.1",
    )
    worse = stored.assign(test_rmse=stored["test_rmse"].where(stored["grid_size"] != 20, 1e-3))
    held, detail = one(worse, stored)
    assert not held
    assert "at G = 20, the worst of five grid sizes, above 1.1" in detail
    assert one(worse, stored, split="train")[0]
    assert one(stored, worse)[0]  # better is not worse
    doubled = stored.assign(test_rmse=2 * stored["test_rmse"])
    assert not one(doubled, stored, factor=1.99)[0]
    assert one(doubled, stored, factor=2.01)[0]


def test_only_seeds_and_sizes_that_both_have_are_compared() -> None:
    rows = results(numbers=[3000])
    other = rows[(rows["seed"] != 2) & (rows["grid_size"] < 100)]
    harder = rows.assign(test_rmse=rows["test_rmse"] * np.where(rows["seed"] == 2, 9.0, 1.0))
    assert one(harder, other)[0]
    assert "four grid sizes" in one(harder, other)[1]


@pytest.mark.parametrize("factor", [0.5, 1.05, 1.2])
def test_laws_are_held_against_stored_ones(factor: float) -> None:
    stored = laws(results())
    now = results()
    now["test_rmse"] *= factor
    held, detail = one(now, stored)
    assert held is (factor < 1.1)
    assert detail.startswith(f"{factor:.3g} times the law of FILE at G = ")


def test_a_flatter_law_is_worse_at_its_finest_grid() -> None:
    held, detail = one(results(-3.9), laws(results()), factor=1.5)
    assert not held
    assert detail.startswith(f"{100**0.1:.3g} times the law of FILE at G = 100")
    held, detail = one(results(), laws(results(-3.9)), factor=1.5)
    assert held
    assert "at G = 5," in detail


def test_a_law_that_is_no_more_is_worse() -> None:
    coarse = results()[lambda rows: rows["grid_size"] < 20]
    held, detail = one(coarse, laws(results()))
    assert not held
    assert detail.startswith("no law (")
    assert detail.endswith("where FILE has one")


def test_stored_laws_of_older_versions_serve() -> None:
    stored = laws(results()).drop(columns=["model", "k"])
    assert one(results(), stored)[0]
    assert one(mlps(-0.9, 3), laws(mlps(-0.9, 3)))[0]


def test_several_sweeps_are_held_against_the_target_of_each() -> None:
    both = study.of_several({"a": results(), "b": results(-3.9)})
    for stored in (cells.checked(results()), laws(results())):
        expected = ExpectedConfig(against="FILE", factor=1.5)
        told = [(check.of, check.holds) for check in checks.perform(both, expected, stored)]
        assert told == [("a, n = 3000, test", True), ("b, n = 3000, test", False)]


def test_what_is_checked_can_be_chosen() -> None:
    def names(**chosen) -> list[str]:
        return [check.of for check in made(results(), worst=9.0, **chosen)]

    assert names() == ["f, n = 3000, test"]
    assert names(n_train="all", split="both") == [
        *("f, n = 100, train", "f, n = 100, test", "f, n = 3000, train", "f, n = 3000, test")
    ]
    assert names(n_train=[100], data="f", split="train") == ["f, n = 100, train"]


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"worst": 1.0, "n_train": [100, 7]}, "`check.n_train` must be out of 100, 3000; got 7."),
        ({"worst": 1.0, "data": ["f", "g"]}, "`check.data` must be out of f; got g."),
        (
            {"worst": {5: 1.0, 6: 1.0}},
            f"`check.worst` must be out of {', '.join(map(str, GRIDS))}; got 6.",
        ),
    ],
)
def test_what_is_not_there_cannot_be_checked(expected: dict, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        made(results(), **expected)
    assert str(refused.value) == message


@pytest.mark.parametrize("stored", [kans(), laws(kans()), laws(results(numbers=[100, 200]))])
def test_what_a_file_does_not_hold_cannot_be_compared(stored: DataFrame) -> None:
    with pytest.raises(ConfigError, match=r"FILE has nothing of f, n = 3000, test\.$"):
        made(results(), stored)


def test_a_stored_law_that_was_insufficient_is_none() -> None:
    with pytest.raises(ConfigError, match="FILE has nothing of f, n = 100, test"):
        made(results(), laws(results()), n_train="all")


def test_derivatives_are_checked_where_there_are_errors_of_them() -> None:
    rows = results().assign(hessian_rmse=lambda rows: rows["grid_size"] ** -2.0)
    assert one(rows, exponent=[-2.01, -1.99], split="hessian")[0]
    assert one(rows, verdict="consistent", split="hessian")[0]
    assert one(rows, worst={100: 1.01e-4}, split="hessian")[0]
    assert one(rows, rows, split="hessian")[0]
    doubled = rows.assign(hessian_rmse=2 * rows["hessian_rmse"])
    assert not one(doubled, rows, split="hessian")[0]
    with pytest.raises(ConfigError, match="of the gradient some of these cells have none"):
        made(rows, worst=1.0, split="gradient")
    with pytest.raises(ConfigError, match="FILE has nothing of f, n = 3000, hessian"):
        made(rows, results(), split="hessian")
