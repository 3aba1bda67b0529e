"""KANRegressor: scikit-learn's conventions, weights, intervals, what it does beyond the data."""

from __future__ import annotations

import pickle
import re
import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from processes import python
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.inspection import partial_dependence
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import kansweep
from kansweep import ConfigError, KANRegressor, load_model

Arrays = tuple[np.ndarray, np.ndarray]


def sample(n: int = 150, noise: float = 0.2, seed: int = 0) -> Arrays:
    """y = sin(3 x1) + x2^2 with noise, on [-1, 1]^2."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 2))
    return x, truth(x) + noise * rng.standard_normal(n)


def truth(x: np.ndarray) -> np.ndarray:
    values: np.ndarray = np.sin(3 * x[:, 0]) + x[:, 1] ** 2
    return values


def truth_of_sweep(x: np.ndarray) -> np.ndarray:
    """What the small sweep learns."""
    values: np.ndarray = np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2)
    return values


def small(**options: Any) -> KANRegressor:
    """An additive model on one grid, which takes no time."""
    return KANRegressor(**{"hidden": [], "grid_size": 6, "random_state": 0} | options)


def _name(check: Any) -> str:
    inner = getattr(check, "func", check)
    return str(getattr(inner, "func", inner).__name__)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("hidden", [[], None])
def test_scikit_learns_checks_pass_whole(hidden: list[int] | None) -> None:
    """All of them for additive models; with a hidden node those that are about numbers."""
    made = KANRegressor(hidden, grid_size=2)
    passed = 0
    for estimator, check in estimator_checks_generator(made):
        chosen = hidden == [] or "equivalence" in _name(check) or "idempotent" in _name(check)
        if chosen and _name(check) != "check_array_api_input":  # skips itself where not enabled
            check(estimator)
            passed += 1
    assert passed > (50 if hidden == [] else 1)


def test_a_sum_is_found_behind_a_hidden_node_and_the_network_is_given() -> None:
    x, y = sample(300, noise=0.0)
    model = KANRegressor(grid_size=[5, 10], random_state=0).fit(x, np.exp(y))
    fresh = sample(100, seed=9)[0]
    errors = model.predict(fresh) - np.exp(truth(fresh))
    assert np.sqrt(np.mean(errors**2)) < 1e-3
    assert (model.network_.width, model.network_.grid_size) == ((2, 1, 1), 10)
    np.testing.assert_allclose(model.network_(fresh)[:, 0], model.predict(fresh), rtol=1e-10)
    assert isinstance(model.plot_edges(), Figure)
    assert model.stop_reason_ == "converged"


def test_weights_are_repetitions_to_the_last_digit_and_fractions_are_between() -> None:
    x, y = sample(60)
    rng = np.random.default_rng(1)
    often = rng.integers(0, 4, 60)
    for hidden in ([], [1]):
        weighed = small(hidden=hidden, grid_size=4).fit(x, y, often)
        order = rng.permutation(often.sum())
        again = small(hidden=hidden, grid_size=4).fit(
            np.repeat(x, often, 0)[order], np.repeat(y, often)[order]
        )
        np.testing.assert_array_equal(weighed.predict(x), again.predict(x))
        for a, b in zip(weighed.predict_interval(x), again.predict_interval(x), strict=True):
            np.testing.assert_array_equal(a, b)
    assert weighed.n_samples_ == often.sum()
    half = small().fit(x, y, np.full(60, 0.5))
    assert half.n_samples_ == 30
    assert np.isfinite(half.predict(x)).all()


def test_a_sample_that_counts_little_hardly_moves_the_fit() -> None:
    x, y = sample(100)
    wrong = y.copy()
    wrong[:5] += 10
    weight = np.ones(100)
    weight[:5] = 1e-6
    kept, plain = small().fit(x, wrong, weight), small().fit(x[5:], y[5:])
    np.testing.assert_allclose(kept.predict(x), plain.predict(x), atol=1e-3)


def test_intervals_cover_as_often_as_they_say() -> None:
    held: dict[str, list[float]] = {"function": [], "observation": []}
    for seed in range(40):
        x, y = sample(150, 0.5, seed)
        model = small().fit(x, y)
        fresh, seen = sample(200, 0.5, 1000 + seed)
        for of, there in (("function", truth(fresh)), ("observation", seen)):
            low, high = model.predict_interval(fresh, of=of)
            held[of].append(float(np.mean((low < there) & (there < high))))
    for of, shares in held.items():
        assert 0.93 <= np.mean(shares) <= 0.97, of
    mean, deviation = model.predict(fresh, return_std=True)
    assert np.mean(np.abs(seen - mean) < deviation) == pytest.approx(0.68, abs=0.1)
    assert (deviation > model.noise_).all()
    assert model.noise_ == pytest.approx(0.5, rel=0.2)


def test_beyond_the_data_edges_are_straight_and_the_intervals_widen() -> None:
    x, y = sample(200)
    model = small().fit(x, y)
    beyond = np.linspace(2, 4, 5)[:, None] * np.ones(2)
    values = model.predict(beyond)
    np.testing.assert_allclose(np.diff(values, 2), 0, atol=1e-9)
    low, high = model.predict_interval(beyond, of="function")
    assert (np.diff(high - low) > 0).all()


def test_several_outputs_keep_their_shape_units_and_noise() -> None:
    x, y = sample(200)
    both = np.column_stack([y, 1000 * x[:, 0] + 50 * np.random.default_rng(3).normal(size=200)])
    model = small().fit(x, both)
    assert model.predict(x).shape == (200, 2)
    assert model.noise_ == pytest.approx([0.2, 50], rel=0.25)
    mean, deviation = model.predict(x[:7], return_std=True)
    low, _ = model.predict_interval(x[:7])
    assert mean.shape == deviation.shape == low.shape == (7, 2)
    column = small().fit(x, y[:, None])
    assert column.predict(x).shape == (200, 1)
    assert KANRegressor(grid_size=3, random_state=0).fit(x, both).network_.width == (2, 2, 2)


def test_it_works_where_scikit_learn_puts_it() -> None:
    x, y = sample(90)
    model = small().fit(x, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    np.testing.assert_array_equal(again.predict_interval(x)[0], model.predict_interval(x)[0])
    assert not hasattr(clone(model), "network_")
    piped = make_pipeline(StandardScaler(), small())
    found = GridSearchCV(piped, {"kanregressor__grid_size": [2, [2, 6]]}, cv=3).fit(x, y)
    assert found.best_score_ > 0.8
    along = partial_dependence(model, x, [0], grid_resolution=20)
    errors = along["average"][0] - np.sin(3 * along["grid_values"][0])
    assert np.std(errors) < 0.15
    table = pd.DataFrame(x, columns=["a", "b"])
    named = small().fit(table, y)
    assert named.feature_names_in_.tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="unseen at fit time:\n- c"):
        named.predict(table.rename(columns={"b": "c"}))


def test_threads_change_no_more_than_rounding() -> None:
    x, y = sample(9000, 0.5)
    one, two = (small(n_jobs=jobs).fit(x, y) for jobs in (None, 2))
    more = np.tile(x, (3, 1))
    np.testing.assert_allclose(two.predict(more), one.predict(more), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        two.predict_interval(more[:20_001])[0], one.predict_interval(more[:20_001])[0], rtol=1e-6
    )


def test_very_many_points_settle_what_a_part_of_them_found(monkeypatch: Any) -> None:
    x, y = sample(4000, 0.5)
    whole = small().fit(x, y)
    monkeypatch.setattr("kansweep.estimator.training.ENOUGH", 500)
    part = small().fit(x, y)
    assert part.edf_ != whole.edf_
    np.testing.assert_allclose(part.predict(x), whole.predict(x), atol=0.02)
    assert part.noise_ == pytest.approx(whole.noise_, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"hidden": [0]}, "`hidden` must be a list of positive integers or auto, or null; got [0]"),
        ({"hidden": 3}, "`hidden` must be a list of positive integers or auto, or null; got 3."),
        ({"hidden": "aut"}, "`hidden` must be a list of positive integers or auto, or null; got"),
        ({"k": 0}, "`k` must be an integer from 1 to 10; got 0."),
        ({"grid_size": [5, 3]}, "`grid_size` must be a positive integer, or a list of positive"),
        ({"grid_size": 2.5}, "`grid_size` must be a positive integer, or a list of positive"),
        ({"random_state": -1}, "`random_state` must be an integer, 0 or more"),
        ({"n_jobs": 0}, "`n_jobs` must be a positive integer, -1 or None; got 0."),
    ],
)
def test_a_parameter_that_cannot_be_is_told_in_a_sentence(
    options: dict[str, Any], told: str
) -> None:
    x, y = sample(20)
    with pytest.raises(ConfigError) as refused:
        small(**options).fit(x, y)
    assert str(refused.value).startswith(told)


@pytest.mark.parametrize(
    ("x", "y", "weight", "told"),
    [
        (np.ones((3, 2)), [1, 2], None, "`y` must have a row for each of 3 samples; got 2."),
        (np.ones((3, 2)), np.ones((3, 2, 1)), None, "`y` must be (n_samples,) or"),
        (np.ones((3, 2)), [1, 2, 3], [1, -1, 1], "`sample_weight` must be 0 or more everywhere"),
        (np.ones((3, 2)), [1, 2, 3], [1, 1], "`sample_weight` must be (3,), a number a sample"),
        ([[1, 2], [3, np.nan]], [1, 2], None, "`X` must be finite; it has NaN or inf"),
        ([[1, 2], [3, 4]], [1, 2], [1, 0], "`X` must have 2 samples that count"),
    ],
)
def test_data_that_cannot_be_are_told_in_a_sentence(x: Any, y: Any, weight: Any, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        small().fit(x, y, weight)


def test_what_does_not_vary_does_no_harm() -> None:
    x, y = sample(60)
    still = np.column_stack([x, np.full(60, 7.0)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = small().fit(still, y)
        constant = small(hidden=[1]).fit(x, np.full(60, 3.0))
        few = small(hidden=[1]).fit(x[:2], y[:2])
    np.testing.assert_allclose(model.predict(still), small().fit(x, y).predict(x), atol=0.05)
    np.testing.assert_allclose(constant.predict(x), 3.0)
    low, high = constant.predict_interval(x)
    assert np.abs(high - low).max() < 1e-6
    assert np.isfinite(few.predict(x)).all()


def test_without_scikit_learn_its_base_classes_have_stand_ins() -> None:
    script = """
import sys
sys.modules["sklearn"] = None
import numpy as np
from kansweep.estimator.base import BaseEstimator, NotFittedError, RegressorMixin

class Mean(RegressorMixin, BaseEstimator):
    def __init__(self, times=1):
        self.times = times

    def predict(self, x):
        return self.times * np.asarray(x)[:, 0]

model = Mean(2)
assert model.get_params() == {"times": 2} and repr(model) == "Mean(times=2)"
assert repr(model.set_params(times=1)) == "Mean()"
assert model.score([[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0]) == 1.0
assert model.score([[2.0], [2.0], [2.0]], [1.0, 2.0, 3.0]) == 0.0
assert issubclass(NotFittedError, ValueError) and issubclass(NotFittedError, AttributeError)
try:
    model.set_params(time=1)
except ValueError as error:
    assert str(error) == "There is no parameter `time`; there is times."
else:
    raise SystemExit(1)
"""
    assert python(script) == ""
    assert "sklearn" in sys.modules


def test_importing_kansweep_brings_in_no_scikit_learn() -> None:
    assert python("import sys, kansweep; assert 'sklearn' not in sys.modules") == ""


def test_a_cell_predicts_and_goes_on(sweep: Any) -> None:
    folder = sweep()
    model = KANRegressor.from_cell(folder, n_train=60, seed=0, size=6)
    fresh = sample(40, seed=5)[0]
    stored = load_model(folder, n_train=60, seed=0, size=6)
    np.testing.assert_allclose(model.predict(fresh), stored(fresh)[:, 0], rtol=1e-12)
    assert model.get_params()["hidden"] == [1]
    low, high = model.predict_interval(fresh, of="function")
    assert np.mean((low < truth_of_sweep(fresh)) & (truth_of_sweep(fresh) < high)) > 0.8
    (state,) = folder.glob("states/n60-s0-G6-*")
    alone = KANRegressor.from_cell(state)
    np.testing.assert_array_equal(alone.predict(fresh), model.predict(fresh))
    with pytest.raises(NotFittedError, match="No intervals: of a file of weights the data are"):
        alone.predict_interval(fresh)
    x = sample(500, seed=6)[0]
    y = truth_of_sweep(x)
    before = np.sqrt(np.mean((model.predict(x) - y) ** 2))
    after = model.set_params(grid_size=[6, 12]).fit(x, y)
    assert after.network_.grid_size == 12
    assert np.sqrt(np.mean((after.predict(x) - y) ** 2)) < 0.2 * before
    assert np.isfinite(after.predict_interval(x)[0]).all()
    with pytest.raises(ValueError, match="`warm_start` goes on with a KAN 2-1-1 of order 3"):
        after.set_params(hidden=[2]).fit(x, y)


def test_how_well_a_cell_is_known_has_the_units_of_its_table(
    tmp_path: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    x, y = sample(300, noise=0.05)
    y = np.exp(y)  # for which a hidden node is kept
    widths = []
    for name, output in (("one", y), ("other", 1000 * y + 7000)):
        pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": output}).to_csv(f"{name}.csv", index=False)
        words = ("data=table", f"data.path={name}.csv", f"name={name}", "seeds=1")
        keys = {"grid__sizes": [4], "data__sizes": [220], "progress": False}
        folder = kansweep.run(*words, **keys).folder
        low, high = KANRegressor.from_cell(folder).predict_interval(x, of="function")
        widths.append(high - low)
    np.testing.assert_allclose(widths[1], 1000 * widths[0], rtol=1e-4)


def test_a_warm_start_is_a_start() -> None:
    x, y = sample(200)
    model = small(grid_size=3, warm_start=True).fit(x, y)
    finer = model.set_params(grid_size=12).fit(x, y)
    assert finer.network_.grid_size == 12
    cold = small(grid_size=12).fit(x, y)
    np.testing.assert_allclose(finer.predict(x), cold.predict(x), atol=0.05)
    assert finer.set_params(grid_size=5).fit(x, y).network_.grid_size == 12  # grids only grow
