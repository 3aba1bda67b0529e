"""`kansweep apply`: the predictions of one trained network for the rows of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from folders import files
from small import SMALL

from kansweep import KANRegressor, load_model
from kansweep.cli.applying import _columns


@pytest.fixture
def points(tmp_path: Path) -> pd.DataFrame:
    """A table of points in ``new.csv``, its columns in another order and one too many."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x2": rng.uniform(-1, 1, 20), "other": 1.0, "x1": 0.5})
    table.to_csv(tmp_path / "new.csv", index=False)
    return table


WORDS = ("apply", "data.path=new.csv")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_rows_get_predictions_and_intervals(
    kansweep: Any, sweep: Any, points: pd.DataFrame, ending: str
) -> None:
    folder = sweep("mine")
    output = f"p.{ending}"
    status, out, err = kansweep(*WORDS, f"output={output}", "n_train=60", "seed=1", "size=6")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "outputs/mine, n_train=60 seed=1 size=6: 20 predictions with 95% intervals",
        output,
    ]
    found = pd.read_csv(output) if ending == "csv" else pd.read_parquet(output)
    assert list(found) == ["prediction", "low", "high"]
    x = points[["x1", "x2"]].to_numpy()
    which = {"n_train": 60, "seed": 1, "size": 6}
    np.testing.assert_allclose(found["prediction"], load_model(folder, **which)(x)[:, 0])
    low, high = KANRegressor.from_cell(folder, **which).predict_interval(x)
    np.testing.assert_allclose(found[["low", "high"]], np.column_stack([low, high]))
    assert (low < high).all()


def test_of_a_table_the_inputs_are_its_columns_and_intervals_hold(
    kansweep: Any, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"a": rng.uniform(-1, 1, 400), "b": rng.uniform(-1, 1, 400)})
    table["y"] = 100 * (np.sin(3 * table["a"]) + 0.3 * rng.standard_normal(400))
    table[:200].to_csv("old.csv", index=False)
    table[200:].to_csv("new.csv", index=False)
    words = ("data=table", "data.path=old.csv", "data.sizes=[150]", "model.hidden=[]")
    assert kansweep("run", *words, "grid.sizes=[5]", "seeds=1").status == 0
    assert kansweep(*WORDS, "output=p.csv").status == 0
    found, truth = pd.read_csv("p.csv"), table["y"][200:].to_numpy()
    assert 0.9 < np.mean((found["low"] < truth) & (truth < found["high"])) < 0.99
    assert found["high"].sub(found["low"]).median() == pytest.approx(2 * 1.96 * 30, rel=0.2)
    (tmp_path / "old.csv").unlink()
    status, out, _ = kansweep(*WORDS, "output=q.csv")
    assert status == 0
    assert "200 predictions without intervals: what it was trained on is not to be had: " in out
    pd.testing.assert_frame_equal(pd.read_csv("q.csv"), found[["prediction"]])


def test_other_networks_have_predictions_alone(kansweep: Any, points: pd.DataFrame) -> None:
    small = ("model=mlp", "model.widths=[2]", *SMALL[0:1], "seeds=1", "data.n_test=100")
    assert kansweep("run", *small, "solver.max_steps=2").status == 0
    status, out, err = kansweep(*WORDS, "output=p.csv")
    assert (status, err) == (0, "")
    assert "20 predictions without intervals: they are known for model=kan with solver=lm" in out
    assert list(pd.read_csv("p.csv")) == ["prediction"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("data.path=new.csv",), "`output` must be given: a file for the predictions."),
        (("output=p.csv",), "`data.path` must be given: a table with the inputs."),
        (("data.path=new.csv", "output=p.xlsx"), "`output` must be a file that ends in .csv or"),
        (("data.path=new.csv", "output=./new.csv"), "`output` must be another file than"),
        (("data.path=new.csv", "output=no/p.csv"), "no/p.csv cannot be written: No such file"),
        (("data.path=none.csv", "output=p.csv"), "`data.path` must be a file that is there: No"),
        (("data.path=new.txt", "output=p.csv"), "`data.path` must end in .csv, .parquet, .npz; "),
        (("data.path=wrong.parquet", "output=p.csv"), "`data.path` must be a parquet file that"),
        (("data.path=one.npz", "output=p.csv"), "`data.path` must be a npz file that can be read:"),
        (("data.path=no.npz", "output=p.csv"), "`data.path` must be a npz file that can be read:"),
        (("data.path=text.csv", "output=p.csv"), "column 'x2' holds others, such as 'b'; got"),
        (("data.path=gap.csv", "output=p.csv"), "column 'x2' lacks 1, first in row 2; got"),
        (("data.path=less.csv", "output=p.csv"), "the columns x1, x2; it lacks 'x2', and has x1,"),
        (("data.path=empty.csv", "output=p.csv"), "`data.path` must have a row at least; got"),
        (("data.path=new.csv", "output=p.csv", "size=5"), "`size` may be 3, 6, 12."),
        (("data.path=new.csv", "output=p.csv", "name=x"), "There is no sweep in outputs/x."),
        (("data.path=new.csv", "output=p.csv", "seed=-1"), "`seed` must be an integer, 0 or more"),
        (("data.path=new.csv", "output=p.csv", "level=1"), "There is no key `level`."),
        (("data.inputs=[a]", "output=p.csv"), "There is no key `data.inputs`."),
    ],
)
def test_what_cannot_be_applied_is_refused(
    kansweep: Any, sweep: Any, points: pd.DataFrame, tmp_path: Path, words: Any, told: str
) -> None:
    sweep()
    for name, text in {
        "new.txt": "x1,x2\n1,2\n",
        "no.npz": "",
        "wrong.parquet": "x1,x2\n1,2\n",
        "text.csv": "x1,x2\n1,b\n",
        "gap.csv": "x1,x2\n1,2\n1,\n",
        "less.csv": "x1,x3\n1,2\n",
        "empty.csv": "x1,x2\n",
    }.items():
        (tmp_path / name).write_text(text)
    with (tmp_path / "one.npz").open("wb") as file:
        np.save(file, np.ones((3, 2)))  # an array, and no archive of such
    before = files(tmp_path)
    status, out, err = kansweep("apply", *words)
    assert (status, out) == (2, "")
    assert told in err
    assert len(err.splitlines()) == 1
    assert files(tmp_path) == before


def test_several_outputs_without_names_are_numbered() -> None:
    """As rows of versions before the names have them."""
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    found = _columns(values, values, "unknown", None)
    assert {name: list(column) for name, column in found.items()} == {
        "prediction1": [1.0, 3.0],
        "prediction2": [2.0, 4.0],
    }
    assert list(_columns(values, values, "unknown", ("a", "b"))) == ["prediction_a", "prediction_b"]
    assert list(_columns(values[:, :1], values, "unknown", None)) == ["prediction"]
