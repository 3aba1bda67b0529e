"""Train a task: its batches of chains are drained into the store, a cell as soon as it ends."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import torch

from kansweep import chain, floor, schedule
from kansweep.checks import ConfigError
from kansweep.config import LBFGSConfig, LMConfig, SolverConfig
from kansweep.schedule import Task
from kansweep.signals import interrupts_later
from kansweep.solvers import Solver, Trained
from kansweep.solvers.lbfgs import LBFGS
from kansweep.solvers.lm import LM
from kansweep.store import PATIENCE, Note, Store
from kansweep.sweep import Cell
from kansweep.targets import TARGETS


class Listener(Protocol):
    """Who is told, where the task is trained, how it goes."""

    def progress(self, now: Mapping[str, Any]) -> None: ...

    def finished(self, row: Mapping[str, Any]) -> None: ...


class Superseded(BaseException):
    """The folder is no longer the run's: it ended, or another has begun. No failure of a cell."""


def work(task: Task, store: Store, listener: Listener | None = None) -> bool:
    """Train what is left of a task, as long as its run holds the folder; whether it did."""
    deadline = time.monotonic() + PATIENCE  # another machine may see the folder a little later
    while not store.is_held_by(task.run):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    try:
        with store.mark(task.name) as note, _one_thread():
            diary = _Diary(task, store, note, listener)
            for stretches in schedule.batches(schedule.remaining(task, store)):
                _train(task.narrowed(stretches), store, diary)
    except Superseded:
        return False
    return True


class _Diary:
    """Says in the task's mark, and to whoever listens here, which cells run and which are done.

    Raises Superseded instead where nobody is there any more who wants to know: a worker on
    another machine may outlive the run that it works for.
    """

    def __init__(self, task: Task, store: Store, note: Note, listener: Listener | None) -> None:
        self.task, self.store, self.note, self.listener = task, store, note, listener
        self.running: list[str] = []
        self.done: list[str] = []

    def begun(self, cells: Sequence[Cell]) -> None:
        self.running = [cell.key for cell in cells]
        self._say({"n_train": cells[0].n_train, "grid_size": cells[0].grid_size})

    def progress(self, now: chain.Progress) -> None:
        self._say(vars(now))
        if self.listener is not None:
            self.listener.progress(vars(now))

    def finished(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.done += [row["key"] for row in rows]
        if self.listener is not None:
            for row in rows:
                self.listener.finished(row)

    def _say(self, facts: Mapping[str, Any]) -> None:
        if not self.store.is_held_by(self.task.run):
            raise Superseded
        self.note({**facts, "running": self.running, "done": self.done})


def _train(task: Task, store: Store, diary: _Diary) -> None:
    """Train stretches that are alike in lockstep."""
    batch = _batch(task)
    nets = [_load(store, stretch.before, batch.device) for stretch in task.stretches]
    ends = chain.train(batch, make_solver(task.config.solver), nets, diary.progress)
    for cells in zip(*(stretch.cells for stretch in task.stretches), strict=True):  # of one grid
        diary.begun(cells)
        results, rows = next(ends), []
        with interrupts_later():
            for cell, result in zip(cells, results, strict=True):
                measured = {n: v for n, v in vars(result).items() if n not in ("net", "trace")}
                known = {**schedule.described(task, cell), "floor_rmse": _floor(task, cell)}
                rows.append({**known, **_here(), **measured})
                if batch.trace:
                    store.write_trace(cell.key, result.trace)
                store.write_cell(rows[-1], None if result.net is None else result.net.to_arrays())
        diary.finished(rows)  # who is told may stop the run, but not lose what is done


def _floor(task: Task, cell: Cell) -> float | None:
    target = TARGETS[task.config.data.name]
    return floor.floor(target, task.width[1:-1], task.config.model.k, cell.grid_size)


def _batch(task: Task) -> chain.Batch:
    config = task.config
    n_train, *grid_sizes = task.stretches[0].alike
    return chain.Batch(
        target=TARGETS[config.data.name],
        n_train=n_train,
        n_test=config.data.n_test,
        seeds=config.seeds,
        grid_sizes=tuple(grid_sizes),
        width=task.width,
        k=config.model.k,
        base=config.model.base == "silu",
        device=config.device,
        dtype=config.dtype,
        trace=config.solver.trace,
    )


def check_device(device: str) -> None:
    """Refuse a device that this machine does not have."""
    chosen = torch.device(device)
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise ConfigError(f"`device` must be one that is there; got {device} and {found} GPUs.")


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


def _load(store: Store, key: str | None, device: str) -> Trained | None:
    arrays = None if key is None else store.read_state(key)
    try:
        return None if arrays is None else Trained.from_arrays(arrays, device=device)
    except KeyError:  # weights of another format: the next grid starts cold
        return None


@cache
def _here() -> dict[str, Any]:
    """The columns that say where and with what a cell was trained."""
    return {
        "torch_version": torch.__version__,
        "git_revision": _git_revision(),
        "host": socket.gethostname(),
    }


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
