"""`kansweep plot edges`: which network is drawn, and when none is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from folders import files

from kansweep.sweep.store import Store
from kansweep.trained.mlp import TrainedMLP


def test_the_edges_of_one_cell_are_drawn(kansweep: Any, sweep: Any, tmp_path: Path) -> None:
    sweep("trial")
    before = files(tmp_path)
    words = ("edges.n_train=40", "edges.seed=1", "edges.size=6")
    status, out, err = kansweep("plot", "edges", "name=trial", *words)
    assert (status, err) == (0, "")
    stem = "outputs/trial/figures/edges_n40-s1-G6"
    assert out.split() == [f"{stem}.png", f"{stem}.svg"]
    assert files(tmp_path) - before == set(out.split())


def test_of_a_sweep_the_best_network_is_drawn(kansweep: Any, sweep: Any, tmp_path: Path) -> None:
    sweep()
    results = pd.read_parquet(tmp_path / "outputs/example8/results.parquet")
    mine = results[(results["n_train"] == 60) & (results["seed"] == 0)].sort_values("test_rmse")
    status, out, err = kansweep("plot", "edges", "plot.formats=[svg]")
    assert (status, err) == (0, "")
    assert out.endswith(f"/edges_n60-s0-G{mine['grid_size'].iloc[0]}.svg\n")


def test_edges_that_are_not_there_are_refused(kansweep: Any, sweep: Any, tmp_path: Path) -> None:
    sweep()
    before = files(tmp_path)
    sweep = "kansweep: outputs/example8"
    words = ("plot", "edges", "edges.n_train=40")
    assert kansweep(*words, "edges.size=5") == (
        2,
        "",
        f"{sweep} has no cell of n_train=40, size=5 with status ok; `size` may be 3, 6, 12.\n",
    )
    (state,) = (tmp_path / "outputs/example8/states").glob("n40-s0-G6-*")
    state.unlink()
    assert kansweep(*words, "edges.size=6") == (
        2,
        "",
        f"kansweep: The weights of {state.stem} are not in outputs/example8.\n",
    )
    assert files(tmp_path) == before - {str(state.relative_to(tmp_path))}


def test_a_perceptron_has_no_edges_to_draw(
    kansweep: Any, sweep: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sweep()
    one = np.ones((1, 1))
    perceptron = TrainedMLP((np.ones((1, 2)), one), (np.ones(1), np.ones(1)), "tanh")
    stored = Store.results
    monkeypatch.setattr("kansweep.trained.weights.of_cell", lambda *_: perceptron)
    monkeypatch.setattr(Store, "results", lambda self, keys: stored(self, keys).assign(model="mlp"))
    assert kansweep("plot", "edges") == (
        2,
        "",
        "kansweep: outputs/example8 holds MLPs; only edges of model=kan can be drawn.\n",
    )


def test_a_sweep_of_which_nothing_is_done_has_no_edges(
    kansweep: Any, sweep: Any, tmp_path: Path
) -> None:
    sweep()
    for path in (tmp_path / "outputs/example8/cells").iterdir():
        path.unlink()
    status, _, err = kansweep("plot", "edges")
    assert (status, err) == (2, "kansweep: outputs/example8 has no cell with status ok.\n")
