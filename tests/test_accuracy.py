"""The accuracy benchmark: its targets' structures are their formulas, and its report is right."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pandas as pd
import pytest

from benchmarks import accuracy, accuracy_report
from benchmarks.accuracy_targets import DEEP, SHALLOW, TARGETS
from kansweep.data.floor import floor

STRUCTURED = [name for name, target in TARGETS.items() if target.structure is not None]


def cells(*columns):
    """Rows of one target with floor 1e-3 and spread 1: (n, G, seed, train, test, n_params)."""
    names = ["n_train", "grid_size", "seed", "train_rmse", "test_rmse", "n_params"]
    return pd.DataFrame(columns, columns=names).assign(
        group="shallow",
        target="a",
        floor_rmse=1e-3,
        spread=1.0,
        status="ok",
        stop_reason="converged",
        steps=5,
        seconds=1.0,
    )


def judged(**columns):
    return accuracy_report.judged(cells((2000, 6, 0, 1e-3, 1e-3, 30)).assign(**columns)).iloc[0]


@pytest.mark.parametrize("name", STRUCTURED)
def test_a_structure_composes_to_its_formula_within_the_ranges_of_its_edges(name: str) -> None:
    target = TARGETS[name]
    x = np.random.default_rng(0).uniform(*target.bounds, (20_000, target.n_inputs))
    nodes = dict(enumerate(x.T))
    for layer in target.structure:
        sums = defaultdict(float)
        for edge in layer:
            values, (lower, upper) = edge.function(nodes[edge.source]), edge.values
            width = upper - lower
            assert lower - 1e-12 * width <= values.min() < lower + 0.2 * width
            assert upper - 0.2 * width < values.max() <= upper + 1e-12 * width
            sums[edge.sink] += values
        nodes = sums
    wanted = target.function(x)[:, 0]
    assert np.abs(nodes[0] - wanted).max() < 1e-13 * np.abs(wanted).max()


@pytest.mark.parametrize("name", STRUCTURED)
def test_no_node_of_a_structure_feeds_two_edges_and_its_floor_falls(name: str) -> None:
    target = TARGETS[name]
    for layer in target.structure:
        assert len({edge.source for edge in layer}) == len(layer)
    assert floor(target, target.hidden, 3, 24) < floor(target, target.hidden, 3, 6)


def test_there_are_as_many_targets_as_the_benchmark_asks_for() -> None:
    assert len(SHALLOW) >= 26
    assert {target.n_inputs for target in SHALLOW} == {1, 2, 3, 4, 5}
    assert len(DEEP) == 13
    assert len(TARGETS) == len(SHALLOW) + len(DEEP)


def test_the_table_of_errors_over_floors_counts_determined_cells_only() -> None:
    rows = cells(
        *[(2000, 6, seed, 1e-3, error, 30) for seed, error in enumerate((1e-3, 1.3e-3, 4e-3))],
        (2000, 96, 0, 1e-3, 9.0, 297),
        (300, 6, 0, 1e-3, 9.0, 10),
    )
    judged = accuracy_report.judged(rows)
    chosen = accuracy_report.determined(judged)
    assert chosen.tolist() == [True, True, True, False, False]
    table = accuracy_report.by_cell(judged[chosen])
    assert table.iloc[0].tolist() == [
        *("2,000", "6", 3, "1.30", "4.00", "4.00", "66.7%", "33.3%", "33.3%")
    ]


def test_a_cell_of_few_points_is_held_against_the_best_coarser_one_of_its_seed() -> None:
    rows = cells(
        *((300, grid, 0, 1e-4, error, 30) for grid, error in ((6, 3e-3), (12, 1e-3), (24, 2.5e-3))),
        *((300, grid, 1, 1e-4, error, 30) for grid, error in ((6, 1e-3), (12, 1e-3), (24, np.nan))),
    )
    rows.loc[5, "status"] = "diverged"
    judged = accuracy_report.judged(rows)
    np.testing.assert_allclose(judged["over_coarser"], [np.nan, 1 / 3, 2.5, np.nan, 1, np.inf])
    table = accuracy_report.coarser(judged)
    assert table["worse"].tolist() == ["0.0%", "100.0%", "50.0%"]
    assert table["which"].iloc[1] == "a, seed 1"


@pytest.mark.parametrize(
    ("columns", "word"),
    [
        ({}, ""),
        ({"train_rmse": 0.01, "test_rmse": 0.01}, "lost basin"),
        ({"train_rmse": 0.8, "test_rmse": 1.1}, "lost basin"),
        ({"test_rmse": 0.01}, "gaps"),
        ({"train_rmse": 2e-3, "test_rmse": 2e-3}, "bias"),
        ({"test_rmse": 1.1}, "blow-up"),
        ({"test_rmse": np.nan, "status": "diverged"}, "diverged"),
    ],
)
def test_a_word_says_what_failed(columns, word: str) -> None:
    assert judged(**columns)["what"] == word


def test_seeds_of_a_cell_without_a_floor_are_held_against_the_best() -> None:
    rows = cells(*((2000, 6, seed, error, error, 30) for seed, error in enumerate((1e-3, 5e-3))))
    judged = accuracy_report.judged(rows.assign(group="deep", floor_rmse=np.nan))
    assert judged["what"].tolist() == ["", "lost basin"]
    line = accuracy_report.seeds(judged).iloc[0]
    assert (line["worst"], line["seeds within 3 times"], line["blow-ups"]) == ("5.00", "50.0%", 0)


def test_runs_are_compared_cell_by_cell() -> None:
    before = cells(*((2000, 6, seed, 1e-3, 1e-3, 30) for seed in range(3)))
    now = before.assign(test_rmse=[0.5e-3, 2e-3, 4e-3]).iloc[::-1]
    line = accuracy_report.against(accuracy_report.judged(now), before).iloc[0]
    assert line[["cells", "geometric mean", "worst", "which"]].tolist() == [
        *(3, "1.59", "4.00", "a, seed 2")
    ]


def test_a_chain_is_trained_and_reported() -> None:
    words = ["--targets", "smooth exp", "--n", "100", "--grids", "6", "12", "--seeds", "0"]
    options = accuracy.parsed(words)
    (task,) = accuracy.tasks(options)
    rows = pd.DataFrame(accuracy.rows(task))
    assert rows["grid_size"].tolist() == [6, 12]
    assert (rows["test_rmse"] < 3 * rows["floor_rmse"]).all()
    text = accuracy_report.report(rows, rows, "a command", "a machine")
    assert "## Against earlier rows" in text
    assert "| smooth exp | 100 |" in text


def test_a_spacing_that_the_grid_does_not_have_is_refused() -> None:
    (task, *_) = accuracy.tasks(accuracy.parsed(["--spacing", "no such spacing"]))
    with pytest.raises((TypeError, ValueError)):
        _ = task.config
