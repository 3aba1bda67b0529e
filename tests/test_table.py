"""A sweep's matrix as text."""

from __future__ import annotations

import csv
import io
import json

import pytest
from pandas import DataFrame

from kansweep import table

NAN = float("nan")


@pytest.fixture
def cells() -> DataFrame:
    """Two data sizes, two grid sizes, three seeds; one cell has no seed that is done."""
    rows = [
        *[(100, 5, "done", 1e-3 * s, 2e-3 * s) for s in (1, 2, 4)],
        *[(100, 10, "done", 1e-5, 3e-12), (100, 10, "failed", NAN, NAN)],
        *[(100, 10, "waiting", NAN, NAN)],
        *[(300, 5, "waiting", NAN, NAN)] * 3,
        *[(300, 10, "failed", 9.0, 9.0)] * 3,
    ]
    return DataFrame(rows, columns=["n_train", "grid_size", "status", "train_rmse", "test_rmse"])


def test_medians_are_over_the_seeds_that_are_done(cells: DataFrame) -> None:
    matrix = table.matrix(cells)
    assert matrix[["n_train", "grid_size"]].to_numpy().tolist() == [
        [100, 5],
        [100, 10],
        [300, 5],
        [300, 10],
    ]
    assert matrix["test_rmse"].tolist()[:2] == [4e-3, 3e-12]
    assert matrix["test_rmse"].isna().tolist() == [False, False, True, True]
    assert matrix[table.STATES].to_numpy().tolist() == [[3, 0, 0], [1, 1, 1], [0, 0, 3], [0, 3, 0]]


def test_the_table_is_aligned_and_tells_what_is_missing(cells: DataFrame) -> None:
    assert table.text(table.matrix(cells), "table", "trial").splitlines() == [
        "trial: median test RMSE over seeds (4 done, 4 failed, 4 waiting)",
        "",
        "n_train            G=5                             G=10",
        "    100       4.00e-03  3.00e-12 (1 failed) (1 waiting)",
        "    300  - (3 waiting)                     - (3 failed)",
    ]


def test_markdown_is_a_table_of_it(cells: DataFrame) -> None:
    assert table.text(table.matrix(cells), "markdown", "trial").splitlines()[2:] == [
        "| n_train | G=5 | G=10 |",
        "| ---: | ---: | ---: |",
        "| 100 | 4.00e-03 | 3.00e-12 (1 failed) (1 waiting) |",
        "| 300 | - (3 waiting) | - (3 failed) |",
    ]


def test_csv_and_json_keep_every_digit(cells: DataFrame) -> None:
    matrix = table.matrix(cells)
    rows = json.loads(table.text(matrix, "json", "trial"))
    assert rows[1] == {
        "n_train": 100,
        "grid_size": 10,
        "done": 1,
        "failed": 1,
        "waiting": 1,
        "train_rmse": 1e-5,
        "test_rmse": 3e-12,
    }
    assert rows[2]["test_rmse"] is None
    lines = list(csv.DictReader(io.StringIO(table.text(matrix, "csv", "trial"))))
    assert [list(line) for line in lines] == [list(row) for row in rows]
    assert [float(line["test_rmse"] or "nan") for line in lines[:2]] == [4e-3, 3e-12]


def test_a_sweep_of_which_nothing_is_done_has_a_table(cells: DataFrame) -> None:
    waiting = cells.assign(status="waiting", train_rmse=NAN, test_rmse=NAN)
    assert "- (3 waiting)" in table.text(table.matrix(waiting), "table", "trial")
    assert '"test_rmse": null' in table.text(table.matrix(waiting), "json", "trial")
