"""Cells that were not trained: what is said of them, and from what."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cells import kans, mlps
from pandas import DataFrame

from kansweep import kinds, notebook, study
from kansweep.data.floor import floor
from kansweep.data.targets import TARGETS
from kansweep.report import predicted as words

SIZES, NUMBERS = (5, 10, 20, 50), (300, 1000, 3000)


def above_floor(delta: float = 0.0) -> DataFrame:
    """On the floor of exp_sin, but for exp(P/n) and seeds that scatter."""
    rng = np.random.default_rng(0)
    results = kans(5, NUMBERS, SIZES)
    floors = {size: floor(TARGETS["exp_sin"], (1,), 3, size) for size in SIZES}
    scatter = np.exp(0.01 * rng.standard_normal(len(results)))
    error = results["size"].map(floors) * results["size"] ** delta * scatter
    error *= np.exp(results["n_params"] / results["n_train"])
    return results.assign(train_rmse=error, test_rmse=error)


def without_floor(stream: int = 0) -> DataFrame:
    """A G^-alpha exp(c P/(P+n)) of a target that states no structure, with seeds that scatter."""
    rng = np.random.default_rng(stream)
    results = kans(5, NUMBERS, SIZES, data="ellipj")
    share = results["n_params"] / (results["n_params"] + results["n_train"])
    scatter = np.exp(0.03 * rng.standard_normal(len(results)))
    error = 2.0 * results["size"] ** -3.0 * np.exp(1.5 * share) * scatter
    return results.assign(train_rmse=error, test_rmse=error)


def test_the_floor_carries_the_prediction_to_a_size_that_was_not_trained():
    found = study.predicted(above_floor(), 200, 10_000)
    truth = floor(TARGETS["exp_sin"], (1,), 3, 200) * np.exp(609 / 10_000)
    assert found.formula == "floor exp(a + c P/n)"
    assert found.place.n_params == 609
    assert found.low < truth < found.high
    assert found.rmse == pytest.approx(truth, rel=0.01)
    assert found.beyond == {"size": 4.0, "n_train": pytest.approx(10 / 3)}
    assert found.measured.empty


def test_it_rests_on_what_it_is_told_to_and_says_how_far_it_goes_beyond():
    results = above_floor()
    found = study.predicted(results, 50, 3000, sizes=[5, 10, 20], n_trains=[1000, 3000])
    assert set(found.cells["size"]) == {5, 10, 20}
    assert set(found.cells["n_train"]) == {1000, 3000}
    assert found.beyond == {"size": 2.5}
    assert len(found.measured) == 5
    assert found.low < found.measured.min() < found.measured.max() < found.high
    assert study.predicted(results).place.size == 50  # the largest, at the most data
    assert study.predicted(results, 5, 100).beyond["n_train"] == pytest.approx(1 / 3)


def test_beside_it_stands_the_power_law_of_the_nearest_data_size():
    results = above_floor()
    found = study.predicted(results, 100, 900, sizes=[5, 10, 20])
    part = results[(results["n_train"] == 1000) & (results["size"] <= 20)]
    slope, level = np.polyfit(np.log(part["size"]), np.log(part["test_rmse"]), 1)
    assert found.power_law_of == 1000
    assert found.power_law == pytest.approx(np.exp(level + slope * np.log(100)))


def test_a_sweep_that_leaves_its_floor_is_predicted_with_the_departure():
    found = study.predicted(above_floor(delta=0.1), 100, 3000)
    truth = floor(TARGETS["exp_sin"], (1,), 3, 100) * 100**0.1 * np.exp(309 / 3000)
    assert found.formula.endswith("delta ln G)")
    assert found.parameters["delta"] == pytest.approx(0.1, abs=0.02)
    assert found.low < truth < found.high


def test_without_a_floor_it_is_the_joint_form_s():
    held = []
    for stream in range(6):
        found = study.predicted(without_floor(stream), 100, 3000, spread=1e3)
        assert found.formula.startswith("A G^-alpha exp(c P/(P+n))")
        truth = 2.0 * 100**-3.0 * np.exp(1.5 * 309 / 3309)
        held.append(found.low < truth < found.high)
        assert found.high / found.low < 3.0
    assert all(held)


def test_what_the_form_missed_when_it_was_not_shown_it_widens_the_interval():
    results = without_floor()
    broken = np.where((results["size"] == 50), 3.0, 1.0)  # a level that the form cannot have
    wide = study.predicted(results.assign(test_rmse=results["test_rmse"] * broken), 100, 3000)
    narrow = study.predicted(results, 100, 3000)
    assert wide.high / wide.low > 5 * narrow.high / narrow.low


@pytest.mark.parametrize(
    ("results", "given", "message"),
    [
        (mlps(seeds=2, numbers=NUMBERS), {}, "MLPs have no grid"),
        (above_floor(), {"sizes": [7]}, "`sizes` must be out of the sweep's 5, 10, 20, 50; got 7"),
        (above_floor(), {"n_trains": [1, 300]}, "`n_trains` must be out of the sweep's 300, 1000"),
        (above_floor(), {"sizes": [5]}, "there are 3"),
        (above_floor().query("size == 5"), {}, "a prediction takes three sizes"),
        (above_floor().assign(dtype="float32"), {"size": 100}, "below round-off"),
    ],
)
def test_what_cannot_be_predicted_is_refused_in_a_sentence(results, given, message):
    with pytest.raises(ValueError, match=message):
        study.predicted(results, **given)


def test_rows_without_widths_are_rows_without_a_floor():
    found = study.predicted(above_floor().drop(columns="width"), 100, 3000)
    assert found.formula.startswith("A G^-alpha")


def test_a_notebook_has_it_with_the_target_s_own_spread():
    results = above_floor()
    mine, ours = notebook.predict(results, 100, 3000), study.predicted(results, 100, 3000)
    assert (mine.rmse, mine.low, mine.high) == (ours.rmse, ours.low, ours.high)


def test_its_words_tell_what_it_rests_on():
    found = study.predicted(above_floor(), 100, 3000, sizes=[5, 10, 20])
    text = words.text(found, "table", "mine", kinds.KINDS["kan"])
    assert text.startswith("mine at G = 100, n = 3000 (P = 309, P/n = 0.1):\n  test RMSE ")
    assert "from nine cells of five seeds: G = 5 10 20, n = 300 1000 3000\n" in text
    assert "extrapolated: G is 5 times the largest that the prediction rests on" in text
    assert "measured there" not in text
    alone = study.predicted(above_floor().query("seed == 0"), 20, 3000)
    text = words.text(alone, "table", "mine", kinds.KINDS["kan"])
    assert "how seeds differ one seed does not tell" in text
    assert "extrapolated" not in text
    assert "measured there" in text


def test_a_sweep_in_any_order_is_predicted_the_same():
    results = above_floor()
    shuffled = results.sample(frac=1, random_state=0)
    before = shuffled.copy(deep=True)
    found = [study.predicted(part, 100, 3000).rmse for part in (results, shuffled)]
    assert found[0] == pytest.approx(found[1], rel=1e-9)
    pd.testing.assert_frame_equal(shuffled, before)
