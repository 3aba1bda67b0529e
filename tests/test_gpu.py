"""Whole sweeps on a GPU, where there is one: the cells of a CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from machines import ON_GPU

import kansweep

BASE = ["seeds=[0,1]", "data.n_test=1000", "data.sizes=[500]"]
SHORT = [*BASE, "grid.sizes=[5,10]"]
WAVES = "data.formula='cos(4*(x1^2+x2))+sin(5*(x1-x2^2))'"
TWO = "data.formula={sum: exp(sin(pi*x1)+x2^2), product: x1*x2}"
ONE_OF_TWO_NODES = ["model.hidden=[2]", "seeds=1", "solver.restarts=4"]

pytestmark = ON_GPU


@pytest.mark.parametrize(
    ("rtol", "words"),
    [
        (1e-6, []),
        (1e-6, ["grid.spacing=adaptive"]),
        (1e-6, ["grid.spacing=quantile"]),
        (1e-6, ["model.base=silu"]),
        (1e-6, ["model.hidden=[]"]),
        (1e-4, ["data.noise=0.05", "data.sizes=[100]"]),
        (1e-2, [*ONE_OF_TWO_NODES, TWO]),
        (1e-2, [*ONE_OF_TWO_NODES, WAVES, "grid.sizes=[6,12]", "data.sizes=[1000]"]),
        (1e-2, ["data=nested", "grid.sizes=[5]", "seeds=1", "solver.restarts=1"]),
        (0.2, ["dtype=float32"]),
        (0.5, ["solver=lbfgs"]),
        (0.5, ["model=mlp", "model.widths=[3,6]"]),
    ],
)
def test_errors_are_those_of_a_cpu(rtol: float, words: list[str], tmp_path: Path) -> None:
    here, there = (
        kansweep.run(
            *(BASE if "model=mlp" in words else SHORT),
            *words,
            f"device={device}",
            f"outputs={tmp_path / device}",
            progress=False,
        ).results
        for device in ("cpu", "cuda")
    )
    assert (there["status"] == "ok").all()
    assert there["device"].str.startswith("cuda").all()
    np.testing.assert_allclose(there["test_rmse"], here["test_rmse"], rtol=rtol)


def test_what_a_gpu_has_trained_a_cpu_loads_and_a_gpu_goes_on_with(tmp_path: Path) -> None:
    where = [f"outputs={tmp_path}", "device=cuda"]
    first = kansweep.run(*SHORT, *where, progress=False)
    row = first.results.iloc[-1]
    net = kansweep.load_model(tmp_path / "example8" / "states" / f"{row['key']}.npz")
    x = np.random.default_rng(0).uniform(-1, 1, (1000, 2))
    y = np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2)
    rmse = np.sqrt(np.mean((net(x).ravel() - y) ** 2))
    assert 0.8 < rmse / row["test_rmse"] < 1.25
    longer = kansweep.run(*SHORT, *where, "grid.sizes=[5,10,20]", progress=False).results
    kept = longer[longer["grid_size"] < 20]
    assert kept["started_at"].tolist() == first.results["started_at"].tolist()
    alone = [f"outputs={tmp_path / 'cpu'}", "grid.sizes=[5,10,20]"]
    whole = kansweep.run(*SHORT, *alone, progress=False).results
    np.testing.assert_allclose(longer["test_rmse"], whole["test_rmse"], rtol=1e-6)
