"""kansweep's own chains, timed: the worker of peers.py and scaling.py, in a process of its own.

One chain of grids at one data size, for every batch size in turn, on one thread, after a small one
that is not counted; again as often as asked, while the time is not up. One line of JSON a cell and
seed. ``seconds`` are a seed's share of the cell, as in the results of a sweep; ``solve_seconds``
those in the solver for the whole batch, which took ``iterations`` in lockstep; ``peak_mib`` is the
most memory that the process had held by then.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from typing import Any

import torch

from kansweep.config.run import RunConfig
from kansweep.data.sources import source
from kansweep.solvers.contract import Outcome, Solver
from kansweep.solvers.gauss_newton import race
from kansweep.sweep import chain
from kansweep.sweep.columns import Status
from kansweep.sweep.worker import make_solver, shape


class Timed:
    """A solver that counts the seconds and the iterations of its descents."""

    def __init__(self, solver: Solver) -> None:
        self.solver, self.seconds, self.iterations = solver, 0.0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.solver, name)

    def solve(self, *given: Any, **named: Any) -> Outcome:
        began = time.perf_counter()
        outcome = self.solver.solve(*given, **named)
        self.seconds += time.perf_counter() - began
        self.iterations += max(outcome.steps)
        return outcome

    def taken(self) -> dict[str, float]:
        """What was counted since this was last asked."""
        counted = {"solve_seconds": self.seconds, "iterations": self.iterations}
        self.seconds, self.iterations = 0.0, 0
        return counted


def batch(n_train: int, grids: tuple[int, ...], seeds: tuple[int, ...]) -> chain.Batch:
    """A batch of the default configuration."""
    config = RunConfig()
    return chain.Batch(
        source=source(config.data),
        n_train=n_train,
        n_test=config.data.n_test,
        seeds=seeds,
        kind=config.kind,
        shapes=tuple(shape(config, size) for size in grids),
        device=config.device,
        dtype=config.dtype,
    )


def run(work: chain.Batch) -> Iterator[dict[str, Any]]:
    solver = Timed(make_solver(RunConfig()))
    for results in chain.train(work, solver, [None] * len(work.seeds), lambda _: None):
        counted = solver.taken()
        for result in results:
            if result.status != Status.OK:  # its seconds would be those of something else
                raise RuntimeError(f"G = {result.size}: {result.status}, {result.error}")
            yield {
                "n_train": work.n_train,
                "grid_size": result.size,
                "seed": result.seed,
                "batch": len(work.seeds),
                "train_rmse": result.train_rmse,
                "test_rmse": result.test_rmse,
                "seconds": result.seconds,
                "peak_mib": peak_mib(),
                **counted,
            }


def peak_mib() -> float:
    """The most memory this process held; ``ru_maxrss`` may count what its parent held instead."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("n_train", type=int)
    parser.add_argument("--grids", type=int, nargs="+", required=True)
    parser.add_argument("--batches", type=int, nargs="+", default=[1], help="how many seeds")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--enough", type=float, default=math.inf, help="seconds; then no repeat")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for _ in run(batch(100, tuple(options.grids[:2]), (0, 1))):
        pass  # first calls fill caches
    began = time.perf_counter()
    for repeat in range(options.repeats):
        if repeat and time.perf_counter() - began > options.enough:
            break
        for size in options.batches:
            race.remembered.cache_clear()  # or only the first repeat would run one
            seeds = tuple(range(options.first_seed, options.first_seed + size))
            for cell in run(batch(options.n_train, tuple(options.grids), seeds)):
                print(json.dumps(cell), flush=True)


if __name__ == "__main__":
    main()
