"""What a sweep costs, cell by cell: the Example 8 matrix for one seed and for a batch of ten.

Runs the default configuration's chains in this process on one thread, one seed and ten in turn,
and prints the medians over the repeats: `make bench`, or `make bench ARGS="--repeats 5"`.
"""

from __future__ import annotations

import argparse
import platform
import resource
import time
from statistics import median

import numpy as np
import torch

from kansweep import __version__, chain
from kansweep.config import RunConfig
from kansweep.runner import make_solver
from kansweep.sweep import layer_widths
from kansweep.targets import TARGETS

BATCHES = (1, 10)


def matrix_seconds(config: RunConfig, n_seeds: int) -> np.ndarray:
    """Seconds a cell and seed, (data sizes, grid sizes), as the results' column has them."""
    seconds = np.zeros((len(config.data.sizes), len(config.grid.sizes)))
    solver, seeds = make_solver(config.solver), tuple(range(n_seeds))
    for row, n_train in enumerate(config.data.sizes):
        batch = chain.Batch(
            target=TARGETS[config.data.name],
            n_train=n_train,
            n_test=config.data.n_test,
            seeds=seeds,
            grid_sizes=config.grid.sizes,
            width=layer_widths(config),
            k=config.model.k,
            base=config.model.base == "silu",
            device=config.device,
            dtype=config.dtype,
        )
        cells = chain.train(batch, solver, [None] * n_seeds, lambda _: None)
        for column, results in enumerate(cells):
            seconds[row, column] = median(result.seconds for result in results)
    return seconds


def table(config: RunConfig, seconds: np.ndarray) -> str:
    head = "n_train" + "".join(f"{f'G={g}':>9}" for g in config.grid.sizes) + "      sum"
    rows = [
        f"{n:>7}" + "".join(f"{1e3 * value:9.1f}" for value in row) + f"{1e3 * row.sum():9.1f}"
        for n, row in zip(config.data.sizes, seconds, strict=True)
    ]
    return "\n".join([head, *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each batch (default 3)")
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    config = RunConfig()
    matrix_seconds(config, 1)  # first calls fill caches
    runs: dict[int, list[np.ndarray]] = {n_seeds: [] for n_seeds in BATCHES}
    started = time.perf_counter()
    for _ in range(repeats):
        for n_seeds in BATCHES:
            runs[n_seeds].append(matrix_seconds(config, n_seeds))
    medians = {n_seeds: np.median(many, axis=0) for n_seeds, many in runs.items()}

    print(f"kansweep {__version__}, torch {torch.__version__}, Python {platform.python_version()}")
    print(f"{platform.machine()}, one thread, median of {repeats} runs in turn\n")
    for n_seeds, seconds in medians.items():
        print(f"milliseconds a cell and seed, {n_seeds} at once")
        print(table(config, seconds), end="\n\n")
    one, ten = (medians[n_seeds].sum() for n_seeds in BATCHES)
    print(f"the 20 cells: {one:.2f} s for one seed, {ten:.2f} s a seed for ten at once;")
    print(f"a batch of ten is {one / ten:.1f} times as fast a seed")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MiB; {time.perf_counter() - started:.0f} s in all")


if __name__ == "__main__":
    main()
