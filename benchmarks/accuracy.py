"""How near to the floor kansweep comes on targets that it was not made for.

Every target of ``accuracy_targets.py`` is trained on several numbers of points, its grids as one
chain and its seeds as one batch, each chain on one thread. The floor is that of uniform knots,
whatever the spacing, beside that of knots of the spacing's own; where none is known, the seeds of a
cell are compared with each other.
`make bench-accuracy` writes the report to benchmarks/ACCURACY.md, and ARGS narrows it down; an
earlier run's rows, kept by ``--rows``, are what ``--against`` compares with.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch

from benchmarks import accuracy_report
from benchmarks.accuracy_targets import DEEP, SHALLOW, TARGETS
from benchmarks.report import ONE_THREAD, measured_on, say
from kansweep.config.data import N_TEST, DataConfig
from kansweep.config.models import GridConfig, KANConfig
from kansweep.config.run import RunConfig
from kansweep.data.floor import floor
from kansweep.data.knots import Spacing
from kansweep.data.sources import source
from kansweep.data.targets import Target, spread
from kansweep.sweep import chain
from kansweep.sweep.worker import make_solver, shape

GROUPS = {"shallow": SHALLOW, "deep": DEEP}
POINTS = {"shallow": (300, 2000, 10_000), "deep": (2000,)}  # deep ones are dear
GRIDS = {"shallow": (6, 12, 24, 48, 96), "deep": (6, 12, 24, 48)}
ROUND_OFF = 1e-12  # of the spread: a floor below is none


@dataclass(frozen=True)
class Task:
    """A chain of grids for one target at one number of points, its seeds in one batch."""

    group: str
    target: str
    n_train: int
    grids: tuple[int, ...]
    seeds: tuple[int, ...]
    spacing: str | None

    @property
    def cost(self) -> float:
        """What it may take, in units of its own: the long ones go first."""
        target = TARGETS[self.target]
        width = (target.n_inputs, *target.hidden, 1)
        edges = sum(a * b for a, b in itertools.pairwise(width))
        deep = 10 if self.group == "deep" else 1
        return deep * edges * self.n_train * len(self.seeds)

    @property
    def config(self) -> RunConfig:
        """As on the command line; without a spacing, what is the default."""
        target = TARGETS[self.target]
        spacing = {} if self.spacing is None else {"spacing": self.spacing}
        return RunConfig(
            data=DataConfig(
                name=target.name,
                formula=target.formula,
                domain=target.intervals,
                hidden=target.hidden,
            ),
            grid=GridConfig(sizes=self.grids, **spacing),
            model=KANConfig(hidden=target.hidden),
        )


def rows(task: Task) -> list[dict[str, Any]]:
    """Train a chain: a row a cell and seed; ``seconds`` are a seed's share."""
    target, config = TARGETS[task.target], task.config
    batch = chain.Batch(
        source=source(config.data),
        n_train=task.n_train,
        n_test=config.data.n_test or N_TEST,
        seeds=task.seeds,
        kind=config.kind,
        shapes=tuple(shape(config, size) for size in task.grids),
        device=config.device,
        dtype=config.dtype,
    )
    results = chain.train(batch, make_solver(config), [None] * len(task.seeds), lambda _: None)
    return [_row(task, target, config, result) for cell in results for result in cell]


def _row(task: Task, target: Target, config: RunConfig, result: chain.Result) -> dict[str, Any]:
    least = floor(target, target.hidden, config.model.order or 0, result.size)
    known = least is not None and least > ROUND_OFF * spread(target)
    own = least
    if known and task.spacing is not None:
        spacing = cast(Spacing, task.spacing)
        own = floor(target, target.hidden, config.model.order or 0, result.size, spacing)
    return {
        "group": task.group,
        "target": target.name,
        "n_train": task.n_train,
        "grid_size": result.size,
        "seed": result.seed,
        "n_params": result.n_params,
        "train_rmse": result.train_rmse,
        "test_rmse": result.test_rmse,
        "floor_rmse": least if known else np.nan,
        "own_floor_rmse": own if known else np.nan,
        "spread": spread(target),
        "status": str(result.status),
        "stop_reason": str(result.stop_reason),
        "steps": result.steps,
        "seconds": result.seconds,
    }


# --------------------------------------------------------------------------------- all of them


def tasks(options: argparse.Namespace) -> list[Task]:
    """What was asked for, the longest first."""
    asked = [
        Task(
            group,
            target.name,
            n,
            tuple(options.grids or GRIDS[group]),
            tuple(options.seeds),
            options.spacing,
        )
        for group in options.groups
        for target in GROUPS[group]
        if options.targets is None or target.name in options.targets
        for n in options.n or POINTS[group]
    ]
    return sorted(asked, key=lambda task: task.cost, reverse=True)


def trained(asked: Sequence[Task], processes: int) -> Iterator[list[dict[str, Any]]]:
    """The rows of every task, as they come."""
    os.environ.update(ONE_THREAD)  # for the processes that are spawned
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, spawning, torch.set_num_threads, (1,)) as pool:
        waiting = {pool.submit(rows, task): task for task in asked}
        for done, future in enumerate(as_completed(waiting), 1):
            task, cells = waiting[future], future.result()
            seconds = sum(row["seconds"] for row in cells)
            say(f"{done}/{len(asked)} {task.target}, n = {task.n_train}: {seconds:.1f} s")
            yield cells


def measured(options: argparse.Namespace) -> pd.DataFrame:
    """Train what was asked for; rows are written after every task, so that a run can be watched."""
    collected: list[dict[str, Any]] = []
    for more in trained(tasks(options), options.processes):
        collected += more
        if options.rows:
            ordered(pd.DataFrame(collected)).to_csv(options.rows, index=False)
    return ordered(pd.DataFrame(collected))


def ordered(table: pd.DataFrame) -> pd.DataFrame:
    """In the order of the targets, whichever came first."""
    place = {name: index for index, name in enumerate(TARGETS)}
    by = ["target", "n_train", "grid_size", "seed"]
    return table.sort_values(
        by, key=lambda column: column.map(place) if column.name == "target" else column
    ).reset_index(drop=True)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.accuracy", description=__doc__)
    parser.add_argument("--targets", nargs="+", choices=list(TARGETS), metavar="NAME")
    parser.add_argument("--groups", nargs="+", choices=list(GROUPS), default=list(GROUPS))
    parser.add_argument("--n", nargs="+", type=int, help=f"training points; default {POINTS}")
    parser.add_argument("--grids", nargs="+", type=int, help=f"default {GRIDS}")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--spacing", help="grid.spacing; default: kansweep's own")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rows", type=Path, help="write a row a cell and seed, as CSV")
    parser.add_argument("--read", type=Path, nargs="+", help="report such rows, and train nothing")
    parser.add_argument("--against", type=Path, help="compare with earlier rows")
    parser.add_argument("--report", type=Path, help="write the tables; default: print them")
    return parser.parse_args(arguments)


def main() -> None:
    options = parsed(sys.argv[1:])
    began = time.perf_counter()
    if options.read:
        table = ordered(pd.concat([pd.read_csv(path) for path in options.read]))
    else:
        table = measured(options)
        say(f"{len(table)} cells in {(time.perf_counter() - began) / 60:.1f} minutes")
    before = None if options.against is None else pd.read_csv(options.against)
    made_by = shlex.join(["python", "-m", "benchmarks.accuracy", *sys.argv[1:]])
    machine = measured_on({"PyTorch": torch.__version__})
    text = accuracy_report.report(table, before, made_by, machine)
    if options.report:
        options.report.write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
