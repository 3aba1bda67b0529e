"""Numbers and folders of earlier versions: what was trained then is what is trained now.

Keys, steps and reasons are the same, and errors are to within rounding. With other vector
instructions (PyTorch's and MKL's, four combinations) these sweeps moved by at most 1.4e-7 in their
errors and 1.3e-6 in what cancels; the tolerances are some seven times that.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal
from recorded import (
    CLOSE,
    EXACT,
    FINISHED,
    FOLDERS,
    LOOSE,
    SWEEPS,
    TABLE,
    read,
    trained,
    words,
    write_table,
)

from kansweep import load_model
from kansweep.sweep.store import Store, read_results

pytestmark = pytest.mark.usefixtures("sketched")

POINTS = np.array([[0.5, -0.25], [-0.3, 0.8]])
VALUES = {  # there, of the best network of seed 1
    "kan": [[2.8936411290213], [0.8444889544203277]],
    "mlp": [[2.799040490307574], [0.7040290265576655]],
}


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_has_the_keys_and_the_numbers_that_it_had(
    kansweep: Any, tmp_path: Path, name: str
) -> None:
    write_table(tmp_path / TABLE)
    status, _, err = kansweep(*words(SWEEPS, name))
    assert (status, err) == (0, "")
    now, before = trained(name), read(name)
    assert_frame_equal(now[EXACT], before[EXACT], check_dtype=False)
    assert_frame_equal(now[CLOSE], before[CLOSE], rtol=1e-6, atol=0, check_dtype=False)
    assert_frame_equal(now[LOOSE], before[LOOSE], rtol=1e-5, atol=0, check_dtype=False)


@pytest.fixture(params=FINISHED)
def finished(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The name of a sweep that an earlier version trained and drew."""
    shutil.copytree(FOLDERS / request.param, tmp_path / "outputs" / request.param)
    return str(request.param)


def contents(folder: Path) -> dict[Path, bytes]:
    paths = [path for part in ("cells", "states") for path in (folder / part).iterdir()]
    return {path: path.read_bytes() for path in paths}


def test_a_folder_of_before_is_complete_and_nothing_in_it_is_trained_again(
    kansweep: Any, finished: str
) -> None:
    folder = Path("outputs", finished)
    before, results = contents(folder), pd.read_parquet(folder / "results.parquet")
    status, out, err = kansweep(*words(FINISHED, finished))
    assert (status, err) == (0, "")
    assert out.startswith(f"{finished}: 6 cells, 6 of them kept, 0 trained, 0 failed")
    assert contents(folder) == before
    now = pd.read_parquet(folder / "results.parquet")
    assert list(now)[: results.shape[1]] == list(results)
    assert_frame_equal(now[list(results)], results)


def test_a_folder_of_before_has_the_laws_that_it_had(kansweep: Any, finished: str) -> None:
    path = Path("outputs", finished, "laws.csv")
    before = pd.read_csv(path)
    path.unlink()
    status, _, err = kansweep("plot", f"name={finished}", "plot.split=test", "plot.formats=[svg]")
    assert (status, err) == (0, "")
    now = pd.read_csv(path)
    assert list(now)[: before.shape[1]] == list(before)
    # Seeds have since left one by one, which is counted and noted where there is no law too.
    for laws in (now, before):
        without = laws["verdict"] == "insufficient"
        laws[["n_seeds", "note"]] = laws[["n_seeds", "note"]].mask(without)
    assert_frame_equal(now[list(before)], before, rtol=1e-9)


def test_a_folder_of_before_is_shown_and_its_networks_load(kansweep: Any, finished: str) -> None:
    status, out, err = kansweep("show", f"name={finished}")
    assert (status, err) == (0, "")
    assert "(6 done, 0 failed, 0 running, 0 waiting)" in out
    values = load_model(Path("outputs", finished), seed=1)(POINTS)
    np.testing.assert_allclose(values, VALUES[finished], rtol=1e-12)


def test_errors_of_derivatives_are_unknown_of_cells_that_were_trained_without(
    kansweep: Any, finished: str
) -> None:
    results = read_results(Path("outputs") / finished)
    for path in Path("outputs", finished).rglob("*.parquet"):
        table = pq.read_table(path)
        absent = [name for name in ("gradient_rmse", "hessian_rmse") if name in table.column_names]
        pq.write_table(table.drop_columns(absent), path)
    rows = Store(Path("outputs") / finished).results(results["key"])
    assert len(rows) == len(results)
    assert rows[["gradient_rmse", "hessian_rmse"]].isna().all(axis=None)
    asked = kansweep("plot", f"name={finished}", "plot.derivatives=true")
    assert asked.status == 2
    assert "those of earlier versions have none" in asked.err
