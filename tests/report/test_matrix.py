"""A sweep's matrix as text."""

from __future__ import annotations

import csv
import io
import json

import pytest
from pandas import DataFrame

from kansweep.report import matrix
from kansweep.sweep.columns import State

NAN = float("nan")
CELL = ["n_train", "grid_size"]


@pytest.fixture
def cells() -> DataFrame:
    """Two data sizes, two grid sizes, three seeds; one cell has no seed that is done."""
    rows = [
        *[(100, 5, "done", 1e-3 * s, 2e-3 * s, 2.0) for s in (1, 2, 4)],
        *[(100, 10, "done", 1e-5, 3e-12, 4.0), (100, 10, "failed", NAN, NAN, NAN)],
        *[(100, 10, "running", NAN, NAN, NAN)],
        *[(300, 5, "waiting", NAN, NAN, NAN)] * 3,
        *[(300, 10, "failed", 9.0, 9.0, 20.0)] * 3,
    ]
    return DataFrame(rows, columns=[*CELL, "status", "train_rmse", "test_rmse", "seconds"])


def test_medians_are_over_the_seeds_that_are_done(cells: DataFrame) -> None:
    swept = matrix.matrix(cells)
    assert swept[["n_train", "grid_size"]].to_numpy().tolist() == [
        [100, 5],
        [100, 10],
        [300, 5],
        [300, 10],
    ]
    assert swept["test_rmse"].tolist()[:2] == [4e-3, 3e-12]
    assert swept["test_rmse"].isna().tolist() == [False, False, True, True]
    assert swept[list(State)].to_numpy().tolist() == [
        [3, 0, 0, 0],
        [1, 1, 1, 0],
        [0, 0, 0, 3],
        [0, 3, 0, 0],
    ]
    assert swept["seconds"].tolist() == [6.0, 4.0, 0.0, 60.0]


def test_what_is_left_takes_what_its_like_took_or_what_the_others_make_likely(
    cells: DataFrame,
) -> None:
    left = matrix.matrix(cells)["seconds_left"].to_numpy()
    assert left[[0, 1, 3]].tolist() == [0.0, 4.0, 0.0]
    # 2 s and 4 s at n = 100, 20 s at n = 300 and G = 10: 10 s at G = 5, as a power law has it.
    assert left[2] == pytest.approx(3 * 10.0)


def power_law(n: int, grid_size: int) -> float:
    return 1e-4 * n * grid_size**0.5


@pytest.mark.parametrize("known", [1, 2, 4, 12])
def test_time_to_go_is_a_power_law_as_far_as_it_is_known(known: int) -> None:
    sizes = [(n, grid) for n in (100, 300, 1000, 3000) for grid in (5, 10, 20)]
    rows = [
        (n, grid, "done", 1.0, 1.0, power_law(n, grid))
        if i < known
        else (n, grid, "waiting", NAN, NAN, NAN)
        for i, (n, grid) in enumerate(sizes)
    ]
    cells = DataFrame(rows, columns=[*CELL, "status", "train_rmse", "test_rmse", "seconds"])
    left = matrix.matrix(cells)["seconds_left"].sum()
    if known == 12:
        assert left == 0.0
    elif known >= 4:  # both exponents show
        assert left == pytest.approx(sum(power_law(*size) for size in sizes[known:]))
    else:
        assert 0 < left < sum(power_law(*size) for size in sizes)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_read_as_one_says_them(cells: DataFrame, seconds: float, words: str) -> None:
    spent = cells.assign(seconds=[seconds] + [0.0] * (len(cells) - 1))
    assert f" {words} spent, " in matrix.text(matrix.matrix(spent), "table", "trial")


def test_the_table_is_aligned_and_tells_what_is_missing(cells: DataFrame) -> None:
    assert matrix.text(matrix.matrix(cells), "table", "trial").splitlines() == [
        "trial: median test RMSE over seeds (4 done, 4 failed, 1 running, 3 waiting)",
        "",
        "n_train            G=5                             G=10",
        "    100       4.00e-03  3.00e-12 (1 failed) (1 running)",
        "    300  - (3 waiting)                     - (3 failed)",
        "",
        "Time in cells: 1 min 10 s spent, some 34 s to go.",
    ]
    together = matrix.text(matrix.matrix(cells), "table", "trial", at_work=2).splitlines()[-1]
    assert together == "Time in cells: 1 min 10 s spent, some 34 s to go, 17 s with 2 at work."


def test_markdown_is_a_table_of_it(cells: DataFrame) -> None:
    assert matrix.text(matrix.matrix(cells), "markdown", "trial").splitlines()[2:-2] == [
        "| n_train | G=5 | G=10 |",
        "| ---: | ---: | ---: |",
        "| 100 | 4.00e-03 | 3.00e-12 (1 failed) (1 running) |",
        "| 300 | - (3 waiting) | - (3 failed) |",
    ]


def test_csv_and_json_keep_every_digit(cells: DataFrame) -> None:
    swept = matrix.matrix(cells)
    rows = json.loads(matrix.text(swept, "json", "trial"))
    assert rows[1] == {
        "n_train": 100,
        "grid_size": 10,
        "done": 1,
        "failed": 1,
        "running": 1,
        "waiting": 0,
        "train_rmse": 1e-5,
        "test_rmse": 3e-12,
        "seconds": 4.0,
        "seconds_left": 4.0,
        "size": 10,
        "model": "kan",
    }
    assert rows[2]["test_rmse"] is None
    lines = list(csv.DictReader(io.StringIO(matrix.text(swept, "csv", "trial"))))
    assert [list(line) for line in lines] == [list(row) for row in rows]
    assert [float(line["test_rmse"] or "nan") for line in lines[:2]] == [4e-3, 3e-12]


def test_a_sweep_of_which_nothing_is_done_has_a_table(cells: DataFrame) -> None:
    waiting = cells.assign(status="waiting", train_rmse=NAN, test_rmse=NAN, seconds=NAN)
    text = matrix.text(matrix.matrix(waiting), "table", "trial")
    assert "- (3 waiting)" in text
    assert text.endswith("Time in cells: 0.0 s spent, what is left is not known.")
    assert '"test_rmse": null' in matrix.text(matrix.matrix(waiting), "json", "trial")


# ------------------------------------------------------------------------------------- MLPs


@pytest.fixture
def mlps(cells: DataFrame) -> DataFrame:
    """As the store gives them: with a size and a model, and no grid size."""
    return cells.rename(columns={"grid_size": "size"}).assign(model="mlp")


def test_the_sizes_of_an_mlp_are_widths(cells: DataFrame, mlps: DataFrame) -> None:
    header, *rows = matrix.texts(matrix.matrix(mlps))
    assert header == ["n_train", "w=5", "w=10"]
    kans = matrix.matrix(mlps.assign(model="kan"))
    assert matrix.texts(kans) == matrix.texts(matrix.matrix(cells))
    assert rows == matrix.texts(kans)[1:]


def test_an_mlp_has_no_grid_size_in_csv_and_json(mlps: DataFrame) -> None:
    swept = matrix.matrix(mlps)
    rows = json.loads(matrix.text(swept, "json", "trial"))
    assert [row["grid_size"] for row in rows] == [None] * 4
    assert [row["size"] for row in rows] == [5, 10, 5, 10]
    assert [list(row) for row in rows] == [
        [
            *CELL,
            *list(State),
            "train_rmse",
            "test_rmse",
            "seconds",
            "seconds_left",
            "size",
            "model",
        ]
    ] * 4
    lines = list(csv.DictReader(io.StringIO(matrix.text(swept, "csv", "trial"))))
    assert [(line["grid_size"], line["size"]) for line in lines[:2]] == [("", "5"), ("", "10")]
    kans = json.loads(matrix.text(matrix.matrix(mlps.assign(model="kan")), "json", "trial"))
    assert [row["grid_size"] for row in kans] == [row["size"] for row in kans] == [5, 10, 5, 10]


def test_time_to_go_is_told_by_the_width(cells: DataFrame, mlps: DataFrame) -> None:
    left = matrix.matrix(mlps)["seconds_left"]
    assert left.to_numpy() == pytest.approx(matrix.matrix(cells)["seconds_left"].to_numpy())
