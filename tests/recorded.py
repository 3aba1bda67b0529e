"""Sweeps whose numbers are kept in ``data``: their words, and the columns that are compared.

Run as a script, it records them anew, which is right only where numbers are meant to change (and a
revision of the method with them):

    python tests/recorded.py
"""

from __future__ import annotations

import math
import os
import random
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from pandas import DataFrame
from places import DATA

from kansweep import cli

CELLS = DATA / "recorded_cells.csv"  # of SWEEPS, one row a cell
FOLDERS = DATA / "recorded_sweeps"  # of FINISHED, as `outputs` had them
TABLE = "table.csv"

# Small, and well determined: rounding differs between processors, and many steps of L-BFGS, or a
# grid that fits the target exactly, make much of it. That is why the product is noisy.
SWEEPS = {
    "example8": "data.sizes=[100,300] grid.sizes=[5,10,20] seeds=2",
    "orders": "experiment=orders model.k=2 data.sizes=[300] grid.sizes=[5,10,20] seeds=2",
    "table": "data=table data.path=table.csv data.hidden=[2] data.sizes=[100] grid.sizes=[3,5]"
    " seeds=2",
    "mlp": "model=mlp model.activation=silu solver=lbfgs data.sizes=[100] model.widths=[3,5]"
    " model.restarts=2 solver.steps=2 seeds=2",
    "deep": "data.formula=exp((x1+x2^2)/2)*(2+sin(x1-x2)) model.hidden=[2,2] data.sizes=[300]"
    " grid.sizes=[3,5] seeds=1 solver.restarts=2",
    "example8_lbfgs": "experiment=example8_lbfgs data.sizes=[300] grid.sizes=[3,5] solver.steps=2",
    "product": "data=product model.base=silu data.noise=1% data.sizes=[300] grid.sizes=[3,5]"
    " solver.restarts=2 seeds=2",
}
FINISHED = {
    "kan": "data.sizes=[300] data.n_test=200 grid.sizes=[5,10,20] seeds=2",
    "mlp": "model=mlp model.activation=silu solver=lbfgs data.sizes=[100] data.n_test=200"
    " model.widths=[2,3,5] model.restarts=2 solver.steps=2 seeds=2",
}

EXACT = ["key", "size", "n_params", "steps", "status", "stop_reason"]
CLOSE = ["train_rmse", "test_rmse", "floor_rmse", "reg"]
LOOSE = ["test_median_error", "grad_norm"]  # one point's error, and a difference that cancels


def words(sweeps: dict[str, str], name: str) -> list[str]:
    return ["run", *sweeps[name].split(), f"name={name}"]


def write_table(path: Path) -> None:
    """A table of two inputs and an output with noise in it, the same on every machine."""
    numbers = random.Random(3)
    lines = ["a,b,y"]
    for _ in range(150):
        a, b = numbers.uniform(0, 5), numbers.uniform(-1, 1)
        y = 1e3 * math.sin(a) * math.exp(b) + numbers.gauss(0, 5)
        lines.append(f"{a:.6f},{b:.6f},{y:.6f}")
    path.write_text("\n".join(lines) + "\n")


def read(name: str) -> DataFrame:
    """The recorded cells of one sweep."""
    cells = pd.read_csv(CELLS)
    return cells[cells["sweep"] == name].reset_index(drop=True)


def trained(name: str, outputs: Path = Path("outputs")) -> DataFrame:
    """The same columns of a sweep's results."""
    results = pd.read_parquet(outputs / name / "results.parquet")
    return results[[*EXACT, *CLOSE, *LOOSE]]


def _command(*arguments: str) -> None:
    sys.argv = ["kansweep", *arguments]
    if cli.main() != 0:
        raise SystemExit(1)


def _record() -> None:
    for name in SWEEPS:
        _command(*words(SWEEPS, name))
    cells = {name: trained(name) for name in SWEEPS}
    pd.concat(cells, names=["sweep"]).droplevel(1).to_csv(CELLS)

    shutil.rmtree("outputs")
    shutil.rmtree(FOLDERS, ignore_errors=True)
    for name in FINISHED:
        _command(*words(FINISHED, name))
        _command("plot", f"name={name}")
        kept = shutil.ignore_patterns("figures", "index.parquet", "run.log", ".*")
        shutil.copytree(Path("outputs", name), FOLDERS / name, ignore=kept)


if __name__ == "__main__":
    with TemporaryDirectory() as scratch:
        os.chdir(scratch)
        write_table(Path(TABLE))
        _record()
