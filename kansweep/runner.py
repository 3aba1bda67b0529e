"""A plan less what is on disk, to the engine; each batch of chains is drained into the store."""

from __future__ import annotations

import itertools
import socket
import subprocess
import time
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from kansweep import __version__, chain
from kansweep.checks import ConfigError
from kansweep.config import LBFGSConfig, LMConfig, RunConfig, SolverConfig
from kansweep.engine import ENGINES
from kansweep.solvers import Solver, Trained
from kansweep.solvers.lbfgs import LBFGS
from kansweep.solvers.lm import LM
from kansweep.solvers.systems import DIRECT_LIMIT
from kansweep.store import Store
from kansweep.sweep import Cell, Plan
from kansweep.targets import TARGETS

# What one batch may hold: points times edges, which the Jacobian grows with, and squared
# parameters, which normal equations do where they are formed; a few hundred megabytes either way.
BATCH_WORK, BATCH_SQUARES = 400_000, 4_000_000


class Observer(Protocol):
    """Who is told how a run goes; the command line draws its bar from this."""

    def started(self, total: int, cached: int) -> None: ...

    def progress(self, now: chain.Progress) -> None: ...

    def finished(self, row: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True)
class Summary:
    """What a run did: cells in the plan, cells kept, cells trained, and the rows that failed."""

    total: int
    cached: int
    done: int
    failed: Sequence[Mapping[Hashable, Any]]
    seconds: float


@dataclass(frozen=True)
class Stretch:
    """Consecutive cells of a chain to train, and the cell before them if its grid is extended."""

    cells: tuple[Cell, ...]
    before: str | None


@dataclass(frozen=True)
class Task:
    """One batch with what its rows and its resumption need; all of it can be pickled."""

    batch: chain.Batch
    solver: SolverConfig
    keys: Mapping[tuple[int, int], str]  # (seed, grid_size) -> key
    resume: tuple[str | None, ...]  # of each seed, the cell whose grid is extended
    facts: Mapping[str, Any]  # columns that all rows of the sweep share


class CellFailed(Exception):
    """Stops a run with ``run.fail_fast`` at the first cell that failed."""


def check_device(config: RunConfig) -> None:
    """Refuse a device that this machine does not have."""
    device = torch.device(config.device)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise ConfigError(
            f"`device` must be one that is there; got {config.device} and {found} GPUs."
        )


def run(plan: Plan, store: Store, config: RunConfig, observer: Observer) -> Summary:
    """Train the cells of the plan that ``run.mode`` asks for, and rebuild the results."""
    clock = time.perf_counter()
    tally = _Tally(observer, config.run.fail_fast)
    try:
        stretches = list(_missing(plan, store, config.run.mode))
        wanted = sum(len(stretch.cells) for stretch in stretches)
        tally.started(len(plan.cells), len(plan.cells) - wanted)
        with ENGINES[config.engine.name]() as engine:
            futures = []
            for task in _tasks(stretches, plan, config):
                future = engine.submit(work, task, store, tally)
                if future.done():  # trained in this process: what ends the run ends it here
                    future.result()
                futures.append(future)
            for future in as_completed(futures):
                future.result()
    except CellFailed:
        pass
    finally:
        store.write_results(cell.key for cell in plan.cells)
    rows = store.results(cell.key for cell in plan.cells).to_dict("records")
    failed = [row for row in rows if row["status"] != chain.OK]
    return Summary(len(plan.cells), tally.cached, tally.done, failed, time.perf_counter() - clock)


def work(task: Task, store: Store, observer: Observer) -> None:
    """Train a batch and keep every cell as soon as it ends."""
    nets = [_load(store, key, task.batch.device) for key in task.resume]
    solver = make_solver(task.solver)
    with _one_thread():
        _drain(chain.train(task.batch, solver, nets, observer.progress), task, store, observer)


def _drain(
    cells: Iterator[list[chain.Result]], task: Task, store: Store, observer: Observer
) -> None:
    for results in cells:
        rows = [_row(task, result) for result in results]
        for row, result in zip(rows, results, strict=True):
            if task.batch.trace:
                store.write_trace(row["key"], result.trace)
            store.write_cell(row, None if result.net is None else result.net.to_arrays())
        for row in rows:  # who is told may stop the run, but not lose what is done
            observer.finished(row)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Tensors of this size gain nothing from threads and lose much where a core is busy; and
    numbers must not depend on how many cores there are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def make_solver(config: SolverConfig) -> Solver:
    """The training method that a configuration describes."""
    match config:
        case LMConfig():
            return LM(
                config.start, config.restarts, config.max_steps, config.penalty, config.tolerance
            )
        case LBFGSConfig():
            return LBFGS(config.steps)
    raise TypeError(f"no solver is configured by {type(config).__name__}")


class _Tally:
    """The observer, with a count beside it, and the end of the run where one failure is enough."""

    def __init__(self, observer: Observer, fail_fast: bool) -> None:
        self.observer, self.fail_fast = observer, fail_fast
        self.cached = self.done = 0

    def started(self, total: int, cached: int) -> None:
        self.cached = cached
        self.observer.started(total, cached)

    def progress(self, now: chain.Progress) -> None:
        self.observer.progress(now)

    def finished(self, row: Mapping[str, Any]) -> None:
        self.done += 1
        self.observer.finished(row)
        if self.fail_fast and row["status"] != chain.OK:
            raise CellFailed


def _missing(plan: Plan, store: Store, mode: str) -> Iterator[Stretch]:
    """What ``run.mode`` asks for and is not on disk."""
    statuses = {} if mode == "force" else store.statuses(cell.key for cell in plan.cells)
    sound = {key for key, status in statuses.items() if status == chain.OK}
    kept = set(statuses) if mode == "cached" else sound
    for one in plan.chains:
        wanted = _wanted(one.cells, kept, sound, store)
        yield from _stretches(one.cells, wanted, sound)


def _wanted(cells: tuple[Cell, ...], kept: set[str], sound: set[str], store: Store) -> set[str]:
    """Cells that are not kept, and those that the next one extends but whose weights are gone."""
    wanted: set[str] = set()
    after = ""
    for cell in reversed(cells):
        extended = after in wanted and cell.key in sound
        if cell.key not in kept or (extended and store.read_state(cell.key) is None):
            wanted.add(cell.key)
        after = cell.key
    return wanted


def _stretches(cells: tuple[Cell, ...], wanted: set[str], sound: set[str]) -> Iterator[Stretch]:
    before: str | None = None
    for is_wanted, group in itertools.groupby(cells, lambda cell: cell.key in wanted):
        part = tuple(group)
        if is_wanted:
            yield Stretch(part, before)
        before = part[-1].key if part[-1].key in sound else None


def _tasks(stretches: list[Stretch], plan: Plan, config: RunConfig) -> Iterator[Task]:
    """Batches of the stretches that differ only in the seed."""
    alike: dict[tuple[int, ...], list[Stretch]] = defaultdict(list)
    for stretch in stretches:
        sizes = (cell.grid_size for cell in stretch.cells)
        alike[stretch.cells[0].n_train, *sizes].append(stretch)
    edges = sum(a * b for a, b in itertools.pairwise(plan.width))
    facts = _facts(plan, config)
    for (n_train, *grid_sizes), members in alike.items():
        n_params = min(edges * (grid_sizes[-1] + config.model.k + 1), DIRECT_LIMIT)
        size = max(1, min(BATCH_WORK // (n_train * edges), BATCH_SQUARES // n_params**2))
        for part in (members[i : i + size] for i in range(0, len(members), size)):
            yield Task(
                chain.Batch(
                    TARGETS[config.data.name],
                    n_train,
                    config.data.n_test,
                    tuple(stretch.cells[0].seed for stretch in part),
                    tuple(grid_sizes),
                    plan.width,
                    config.model.k,
                    config.model.base == "silu",
                    config.device,
                    config.dtype,
                    config.solver.trace,
                ),
                config.solver,
                {(cell.seed, cell.grid_size): cell.key for one in part for cell in one.cells},
                tuple(stretch.before for stretch in part),
                facts,
            )


def _facts(plan: Plan, config: RunConfig) -> dict[str, Any]:
    return {
        "data": config.data.name,
        "k": config.model.k,
        "width": "-".join(map(str, plan.width)),
        "model": config.model.name,
        "solver": config.solver.name,
        "dtype": config.dtype,
        "version": __version__,
        "torch_version": torch.__version__,
        "git_revision": _git_revision(),
        "host": socket.gethostname(),
    }


def _row(task: Task, result: chain.Result) -> dict[str, Any]:
    measured = {n: value for n, value in vars(result).items() if n not in ("net", "trace")}
    key = task.keys[result.seed, result.grid_size]
    return {"key": key, "n_train": task.batch.n_train, **task.facts, **measured}


def _load(store: Store, key: str | None, device: str) -> Trained | None:
    arrays = None if key is None else store.read_state(key)
    try:
        return None if arrays is None else Trained.from_arrays(arrays, device=device)
    except KeyError:  # weights of another format: the next grid starts cold
        return None


def _git_revision() -> str | None:
    """Commit of the checkout that this package runs from, None where it is installed."""
    package = Path(__file__).parent
    command = ["git", "-C", str(package), "ls-files", "--error-unmatch", __file__]
    try:
        subprocess.run(command, capture_output=True, check=True, timeout=5)
        head = ["git", "-C", str(package), "rev-parse", "HEAD"]
        done = subprocess.run(head, capture_output=True, check=True, text=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
