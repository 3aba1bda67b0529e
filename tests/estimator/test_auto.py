"""``KANRegressor(hidden="auto")``: hidden widths that are found on samples held out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from kansweep import KANRegressor
from kansweep.data.folds import parts
from kansweep.estimator import shapes
from kansweep.solvers.contract import Problem
from kansweep.sweep.tried import Trial


def auto(**options: Any) -> KANRegressor:
    return KANRegressor("auto", **{"grid_size": [5, 10, 20], "random_state": 0} | options)


def points(n: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (n, 2))


def test_a_hidden_node_is_found_where_it_is_needed_and_none_where_not() -> None:
    x = points(150)
    added = np.sin(3 * x[:, 0]) + x[:, 1] ** 2
    assert auto().fit(x, added).hidden_ == ()
    composed = auto().fit(x, np.exp(added))
    assert composed.hidden_ == (1,)
    assert composed.network_.grid_size == 20
    assert composed.network_.width == (2, 1, 1)
    assert auto().get_params()["hidden"] == "auto"


def test_a_warm_start_goes_on_with_what_was_found_on_the_grid_that_was() -> None:
    x = points(100)
    y = x[:, 0] + x[:, 1] ** 2 + 0.1 * np.random.default_rng(1).normal(size=100)
    model = auto(warm_start=True).fit(x, y)
    found = model.network_.grid_size
    assert found < 20
    assert model.fit(x, y).network_.grid_size == found
    assert model.set_params(grid_size=20).fit(x, y).network_.grid_size == 20


def test_grids_end_where_finer_ones_are_no_better_on_samples_held_out() -> None:
    x, grids = torch.from_numpy(points(300)), [5, 10, 20]
    noise = 0.1 * torch.from_numpy(np.random.default_rng(2).normal(size=(300, 1)))
    smooth, bump = x[:, :1] + x[:, 1:] ** 2, torch.exp(-50 * (x[:, :1] - 0.3) ** 2)
    for y, last in ((smooth + noise, 5), (bump + noise, 20)):
        problem = Problem(x[None], y[None], (-1.0, 1.0), (0,))
        held = list(shapes._held_out(problem, parts(300, 0), (2, 1), 3, grids))
        assert shapes._simplest(held).size == last


@pytest.mark.parametrize(
    ("times", "spread", "chosen"), [(1.0, 0.1, (2, 2, 1)), (1.0, 10.0, (2, 1)), (1e-5, 0.1, (2, 1))]
)
def test_a_larger_shape_is_better_by_more_than_chance_or_where_nothing_is_noise_by_far(
    times: float, spread: float, chosen: tuple[int, ...]
) -> None:
    noise = torch.from_numpy(np.random.default_rng(0).exponential(size=200))
    more = torch.linspace(-spread, spread, 200).double() + 0.3  # the smaller shape's, in squares
    held = []
    for width, squares in (((2, 2, 1), noise), ((2, 1), noise + more)):
        squares = times**2 * squares
        rmse = float(squares.mean()) ** 0.5
        trial = Trial(width, 5, 10, rmse=rmse, standard_error=0.0, seconds=0.0)
        held.append(shapes.HeldOut(trial, squares, torch.ones(200).double()))
    assert shapes._simplest(held).width == chosen


def test_weights_are_repetitions_in_the_search_too(monkeypatch: pytest.MonkeyPatch) -> None:
    x = points(60)
    noise = 0.3 * np.random.default_rng(2).standard_normal(60)
    y, often = np.exp(x[:, 0] + x[:, 1] ** 2) + noise, np.arange(60) % 3
    tried: list[Any] = []
    measured = shapes._measured

    def heard(*given: Any) -> Any:
        tried.append(measured(*given))
        return tried[-1]

    monkeypatch.setattr(shapes, "_measured", heard)
    found = [
        auto(grid_size=3).fit(x, y, often),
        auto(grid_size=3).fit(np.repeat(x, often, 0), np.repeat(y, often)),
    ]
    assert found[0].hidden_ == found[1].hidden_
    np.testing.assert_array_equal(found[0].predict(x), found[1].predict(x))
    half = len(tried) // 2
    errors = [held.trial.rmse for held in tried]
    assert errors[:half] == errors[half:]


def test_a_row_that_is_held_out_counts_by_its_weight() -> None:
    x = torch.from_numpy(points(60))
    y = torch.exp(x[:, :1]) + 0.3 * torch.from_numpy(np.random.default_rng(2).normal(size=(60, 1)))
    of_part = parts(60, 0)
    often = np.empty(60, int)
    for part in range(5):  # of one sum in every fold, so that repetitions can be stacked
        often[of_part == part] = 1 + np.arange(12) % 3
    again = np.repeat(np.arange(60), often)
    counts = torch.from_numpy(often).double()[None]
    weighed = Problem(x[None], y[None], (-1.0, 1.0), (0,), counts)
    repeated = Problem(x[None, again], y[None, again], (-1.0, 1.0), (0,))
    plain = Problem(x[None], y[None], (-1.0, 1.0), (0,))
    one, other, third = (
        next(shapes._held_out(problem, of, (2, 1), 3, [3])).trial
        for problem, of in ((weighed, of_part), (repeated, of_part[again]), (plain, of_part))
    )
    assert one.rmse == pytest.approx(other.rmse, rel=1e-4)
    assert one.standard_error == pytest.approx(other.standard_error, rel=1e-3)
    assert third.rmse != pytest.approx(one.rmse, rel=1e-3)


def test_few_samples_get_an_additive_model_and_a_warm_start_needs_no_search() -> None:
    x = points(40)
    y = x[:, 0] + np.sin(3 * x[:, 1])
    few = np.tile(x[:12], (3, 1)), np.tile(y[:12], 3)
    additive = KANRegressor([], grid_size=[5, 10, 20], random_state=0).fit(*few)
    np.testing.assert_array_equal(auto().fit(*few).predict(x), additive.predict(x))
    model = KANRegressor([2], grid_size=3, random_state=0, warm_start=True).fit(x, y)
    assert model.hidden_ == (2,)
    model.set_params(hidden="auto").fit(x[:12], y[:12])  # goes on with the shape that there is
    assert model.hidden_ == (2,)
