"""Each of several outputs as a target of its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kansweep import study
from kansweep.laws import findings, outputs
from kansweep.report import latex, terminal

SIZES, ORDERS = (5, 10, 20, 40), {"a": 4.0, "b": 2.0}
SPREAD = np.array([1.0, 100.0])


def results(floor: list[float] | None = None, **columns: object) -> pd.DataFrame:
    """Of two outputs that fall as G^-4 and G^-2, three seeds that differ a little."""
    rows = []
    for seed in range(3):
        for size in SIZES:
            noise = 1 + 0.01 * np.sin(seed + size)
            each = noise * np.array([float(size) ** -order for order in ORDERS.values()])
            together = np.sqrt(np.mean((each / SPREAD) ** 2))
            row = {"data": "both", "n_train": 10_000, "seed": seed, "grid_size": size, "k": 3}
            row |= {
                "width": "2-2-2",
                "n_params": 3 * size,
                "train_rmse": together,
                "test_rmse": together,
            }
            row |= {"outputs": [*ORDERS], "spread_each": SPREAD, "noise_each": np.zeros(2)}
            row |= {"train_rmse_each": each, "test_rmse_each": each, "floor_rmse_each": floor}
            rows.append(row | columns)
    return pd.DataFrame(rows)


def test_each_output_has_its_own_law_behind_that_of_all() -> None:
    found = study.of_one(results())
    laws = found.laws_of_all()
    own = laws[(laws["split"] == "test") & (laws["x"] == "grid_size")].set_index("output")
    assert own.index.tolist() == [None, "a", "b"]
    primary = laws[laws["primary"]]
    assert primary["output"].isna().all()
    assert primary["x"].tolist() == ["grid_size", "n_params"]  # one for each axis
    assert primary["verdict"].nunique() == 1
    assert terminal.laws(found).count("Primary: test RMSE") == 1
    assert "Primary" not in terminal.outputs(found)
    assert set(own["data"]) == {"both"}
    for name, order in ORDERS.items():
        assert own["exponent"][name] == pytest.approx(-order, abs=0.02)
        of_one = found.of_output(name)
        assert of_one.laws["exponent"].iloc[1] == own["exponent"][name]
    assert found.laws["output"].isna().all()
    assert terminal.outputs(found).count(": RMSE ~ grid_size^exponent, in theory -4") == 2
    assert latex.laws(found.outputs).count("& test &") == 2


def test_of_a_single_output_nothing_is_told_twice() -> None:
    single = results().drop(columns=["outputs"])
    for rows in (single, single.assign(outputs=None)):
        found = study.of_one(rows)
        assert found.outputs is None
        assert terminal.outputs(found) == ""
        pd.testing.assert_frame_equal(found.laws_of_all(), found.laws)
        with pytest.raises(ValueError, match="none, for there is one output; got 'a'"):
            found.of_output("a")


def test_what_has_no_number_of_an_output_is_null() -> None:
    rows = results()
    rows.loc[rows["seed"] == 2, "status"] = "failed"
    failed = rows["status"].notna()
    for column in ("train_rmse_each", "test_rmse_each"):
        rows[column] = rows[column].where(~failed, None)
    each = outputs.of_each(rows.assign(status=rows["status"].fillna("ok")))
    assert len(each) == 24
    assert each.loc[each["status"] == "failed", "test_rmse"].isna().all()
    assert each["floor_rmse"].isna().all()
    cells = study.of_one(rows.assign(status=rows["status"].fillna("ok"))).outputs.cells
    assert (cells["n_failed"] == 1).all()


def test_an_output_that_splines_represent_has_no_law_and_the_other_has() -> None:
    found = study.of_one(results(floor=[1e-9, 0.0]))
    cells = found.outputs.cells
    assert set(cells.loc[cells["data"] == "b", "reason"]) == {"exactly represented"}
    assert set(cells.loc[cells["data"] == "a", "reason"]) == {""}


def test_laws_that_are_read_again_are_those_of_all() -> None:
    """A stored file has those of each output too."""
    rows = study.with_floor(results())
    kept = study.of_one(rows).laws_of_all()
    again = findings.study(rows, laws=kept)
    assert len(again.laws) == len(kept) / 3


def test_of_several_sweeps_only_what_all_outputs_are_together_is_told() -> None:
    found = study.of_several({"one": results(), "other": results()})
    assert found.outputs is None
    assert set(found.laws_of_all()["data"]) == {"one", "other"}
