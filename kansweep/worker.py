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

from kansweep import chain, floor, kinds, schedule, sources
from kansweep.config.data import N_TEST
from kansweep.config.rules import ConfigError
from kansweep.config.run import RunConfig
from kansweep.kinds import Kind
from kansweep.protocol import Network, Shape
from kansweep.schedule import Task
from kansweep.signals import interrupts_later
from kansweep.solvers.contract import Checkpoint, Solver
from kansweep.store import PATIENCE, Note, Store
from kansweep.sweep import Cell, layer_widths


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
        self._say({"n_train": cells[0].n_train, "size": cells[0].size})

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
    nets = [_load(store, stretch.before, batch) for stretch in task.stretches]
    ends = chain.train(batch, make_solver(task.config), nets, diary.progress)
    for cells in zip(*(stretch.cells for stretch in task.stretches), strict=True):  # of one size
        diary.begun(cells)
        results, rows = next(ends), []
        with interrupts_later():
            for cell, result in zip(cells, results, strict=True):
                measured = {n: v for n, v in vars(result).items() if n not in ("net", "trace")}
                known = schedule.described(task, cell) | _facts(task.config, cell)
                rows.append({**known, **_here(), **measured})
                if batch.trace:
                    store.write_trace(cell.key, result.trace)
                store.write_cell(rows[-1], None if result.net is None else result.net.to_arrays())
        diary.finished(rows)  # who is told may stop the run, but not lose what is done


def _facts(config: RunConfig, cell: Cell) -> dict[str, Any]:
    """What is known of a cell without training it, as far as it takes the target to know it."""
    if config.data.is_table:
        return {"floor_rmse": None, "noise": 0.0}
    target = sources.target(config.data)
    facts: dict[str, Any] = {"floor_rmse": None, "noise": sources.noise(config.data, target)}
    order = config.model.order
    if config.kind.has_theory and order is not None:
        hidden = layer_widths(config, cell.size)[1:-1]
        facts["floor_rmse"] = floor.floor(target, hidden, order, cell.size)
    return facts


def _batch(task: Task) -> chain.Batch:
    config, (n_train, *sizes) = task.config, task.stretches[0].alike
    return chain.Batch(
        source=sources.source(config.data),
        n_train=n_train,
        n_test=config.data.n_test or N_TEST,
        seeds=config.seeds,
        kind=config.kind,
        shapes=tuple(shape(config, size) for size in sizes),
        device=config.device,
        dtype=config.dtype,
        trace=config.solver.trace,
    )


def shape(config: RunConfig, size: int) -> Shape:
    """What a configuration's network of one size is to be."""
    return network(config.kind).shape_of(config.model, layer_widths(config, size), size)


def network(kind: Kind) -> type[Network]:
    """The class of a kind's networks."""
    loaded: type[Network] = kinds.load(kind.network)
    return loaded


def check_device(device: str) -> None:
    """Refuse a device that this machine does not have."""
    chosen = torch.device(device)
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise ConfigError(f"`device` must be one that is there; got {device} and {found} GPUs.")


def make_solver(config: RunConfig) -> Solver[Any, Any]:
    """The training method that a configuration describes."""
    method: Solver[Any, Any] = kinds.load(config.method.address)(config.solver, config.model)
    return method


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


def _load(store: Store, key: str | None, batch: chain.Batch) -> Checkpoint | None:
    arrays = None if key is None else store.read_state(key)
    if arrays is None:
        return None
    try:
        return Checkpoint.from_arrays(arrays, network(batch.kind), device=batch.device)
    except KeyError:  # weights of another format: the next size starts cold
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
