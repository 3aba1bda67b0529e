"""The benchmark of a GPU beside the CPU, as far as it computes."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmarks import gpu


def test_medians_of_runs_in_turn_and_how_far_errors_are_apart(monkeypatch: pytest.MonkeyPatch):
    ran = []

    def run(workload: gpu.Workload, device: str) -> pd.DataFrame:
        ran.append(device)
        on_gpu, seconds = device == "cuda", len(ran) if device == "cuda" else 40.0
        cells = {"n_train": 10, "grid_size": [5, 10], "seed": 0, "seconds": seconds / 2}
        return pd.DataFrame({**cells, "test_rmse": [1.0, 1.0 + 0.02 * on_gpu]})

    monkeypatch.setattr(gpu, "_run", run)
    table = gpu.measure([gpu.Workload("any", ())], 3)
    assert ran == ["cpu", "cuda"] * 4  # the first on each is not counted
    assert table.splitlines()[-1] == "| any | 40.0 | 6.00 | 6.67 | 1e-02 | 2e-02 |"


def test_every_sweep_that_is_compared_has_a_name_of_its_own():
    names = [one.name for one in gpu.SWEEPS]
    assert len(set(names)) == len(names) == 5
