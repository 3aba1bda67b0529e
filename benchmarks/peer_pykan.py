"""pykan 0.2.8 on given data: chains of grids, as its own examples train them; a worker of peers.py.

Runs in the peers' environment, in a folder of its own (pykan may leave files). Each .npz is one
chain: a KAN [2, 1, 1] at the first grid, then ``refine`` to the next, each fitted by 50 steps of
L-BFGS with the grid updated until step 30, as in Example 8, in float64, and without a penalty.
pykan tests at every step: it gets the example's 1,000 test points for that, and what is reported
is evaluated once, on all of them. One line of JSON a cell; the seconds are those of the extension,
the fit and that evaluation.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from kan import KAN

STEPS, GRID_UPDATES_END, TESTED_WHILE_TRAINING = 50, 30, 1000


def chain(path: Path, grids: list[int], seed: int) -> Iterator[dict[str, float]]:
    arrays = np.load(path)
    data = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    dataset = {
        "train_input": data["x_train"],
        "train_label": data["y_train"],
        "test_input": data["x_test"][:TESTED_WHILE_TRAINING],
        "test_label": data["y_test"][:TESTED_WHILE_TRAINING],
    }
    model = None
    for grid in grids:
        began = time.perf_counter()
        if model is None:
            model = KAN(width=[2, 1, 1], grid=grid, k=3, seed=seed, auto_save=False)
        else:
            model = model.refine(grid)
            model.auto_save = False  # `refine` turns it on, and there is no folder to save to
        model.fit(
            dataset, opt="LBFGS", steps=STEPS, lamb=0.0, stop_grid_update_step=GRID_UPDATES_END
        )
        used = model.cache_data  # the points that `refine` uses, as `fit` left them
        errors = {split: rmse(model, data, split) for split in ("train", "test")}
        model.cache_data = used
        yield {
            "n_train": len(data["x_train"]),
            "grid_size": grid,
            "train_rmse": errors["train"],
            "test_rmse": errors["test"],
            "seconds": time.perf_counter() - began,
        }


def rmse(model: KAN, data: dict[str, torch.Tensor], split: str) -> float:
    with torch.no_grad():
        error = model(data[f"x_{split}"]) - data[f"y_{split}"]
    return float(error.square().mean().sqrt())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--grids", type=int, nargs="+", required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    for path in options.data:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            cells = list(chain(path, options.grids, options.seed))  # pykan prints as it goes
        for cell in cells:
            print(json.dumps(cell), flush=True)


if __name__ == "__main__":
    main()
