"""Train a task: its batches of chains are drained into the store, a cell as soon as it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch

from kansweep import kinds
from kansweep.config.data import N_TEST
from kansweep.config.rules import ConfigError
from kansweep.config.run import RunConfig
from kansweep.data import floor, functions, sampling, sources
from kansweep.data.knots import Spacing
from kansweep.data.targets import Array
from kansweep.engines.imports import importing
from kansweep.engines.signals import interrupts_later
from kansweep.kinds import Kind
from kansweep.networks import compiling
from kansweep.networks.protocol import Network, Shape
from kansweep.solvers.contract import Checkpoint, Solver
from kansweep.sweep import chain, schedule
from kansweep.sweep.events import Event, Finished, Listener, Progressed
from kansweep.sweep.marks import PATIENCE, Mark
from kansweep.sweep.plan import Cell, layer_widths
from kansweep.sweep.provenance import provenance
from kansweep.sweep.resolution import with_code
from kansweep.sweep.schedule import Task
from kansweep.sweep.store import Store

FEW = 30  # points, with which training comes upon every loop
ENOUGH = 100  # with which it is over soonest
AT_ONCE = 32  # cells that are written together; each has two files open


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
        with store.marks.hold(task.name) as write, one_thread():
            with_code(task.config)  # it may have been changed since the sweep was planned
            compile_ahead(task.config, _batch(task))
            reporter = _TaskReporter(task, store, write, listener)
            for chains in schedule.batches(schedule.remaining(task, store)):
                _train(replace(task, chains=tuple(chains)), store, reporter)
    except Superseded:
        return False
    return True


def compile_ahead(config: RunConfig, batch: chain.Batch) -> None:
    """Train a few points where loops were not compiled yet, or not loaded by this process, so that
    no cell's time holds theirs: two inputs and at most two nodes of each layer, whose loops are
    those of all."""
    solver = make_solver(config)  # which brings in its loops
    with importing(), compiling.filling() as empty:  # a compiler imports, and makes much to stay
        if empty or compiling.unused():
            points = FEW if empty else min(ENOUGH, batch.n_train)
            widths = (layer_widths(config, size) for size in (2, 3))
            small = [(*(min(nodes, 2) for nodes in width[:-1]), width[-1]) for width in widths]
            few = replace(
                batch,
                source=_easy(n_inputs=small[0][0], n_outputs=small[0][-1]),
                n_train=points,
                n_test=FEW,
                seeds=batch.seeds[:1],
                shapes=tuple(_shape(config, *sized) for sized in zip(small, (2, 3), strict=True)),
            )
            for _ in chain.train(few, solver, [None], lambda _: None):
                pass


def _easy(n_inputs: int, n_outputs: int) -> sampling.Source:
    """Something to learn."""
    text = " + ".join(f"sin(x{i + 1})" for i in range(n_inputs))
    return sampling.Sampled(functions.from_formula((("", text),) * n_outputs, "easy", None, None))


class _TaskReporter:
    """Says in the task's mark, and to whoever listens in this process, which cells run and which
    are done.

    Raises Superseded instead where nobody is there any more who wants to know: a worker on
    another machine may outlive the run that it works for.
    """

    def __init__(
        self,
        task: Task,
        store: Store,
        write: Callable[[Mark], None],
        listener: Listener | None,
    ) -> None:
        self.task, self.store, self.write, self.listener = task, store, write, listener
        self.mark = Mark()

    def begin(self, cells: Sequence[Cell]) -> None:
        self._say(replace(self.mark, running=tuple(cell.key for cell in cells), progress=None))

    def hear(self, event: Event) -> None:
        """Write a progress into the mark, and pass every event on."""
        if isinstance(event, Progressed):
            self._say(replace(self.mark, progress=event))
        if self.listener is not None:
            self.listener(event)

    def finish(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.mark = replace(self.mark, done=(*self.mark.done, *(row["key"] for row in rows)))
        for row in rows:
            self.hear(Finished(row))

    def _say(self, mark: Mark) -> None:
        if not self.store.is_held_by(self.task.run):
            raise Superseded
        self.mark = mark
        self.write(mark)


def _train(task: Task, store: Store, reporter: _TaskReporter) -> None:
    """Train the chains of a task in lockstep."""
    batch = _batch(task)
    nets = [_load(store, part.before, batch) for part in task.chains]
    of_each_size = chain.train(batch, make_solver(task.config), nets, reporter.hear)
    for cells in zip(*(part.cells for part in task.chains), strict=True):  # of one size
        reporter.begin(cells)
        results = next(of_each_size)
        with interrupts_later():
            rows = _kept(task, cells, results, store)
        reporter.finish(rows)  # who is told may stop the run, but not lose what is done
    store.settle()


def _kept(
    task: Task, cells: Sequence[Cell], results: Sequence[chain.Result], store: Store
) -> list[dict[str, Any]]:
    """Write all that there is of cells, their rows last; the rows."""
    finished = []
    for cell, result in zip(cells, results, strict=True):
        before = schedule.described(task, cell) | _facts(task.config, cell) | provenance()
        row = before | result.columns  # the device that trained it, where both say one
        if task.config.solver.trace:
            store.write_trace(cell.key, result.trace)
        finished.append((row, None if result.net is None else result.net.to_arrays()))
    for some in (finished[i : i + AT_ONCE] for i in range(0, len(finished), AT_ONCE)):
        store.write_cells(some)
    return [row for row, _ in finished]


def _facts(config: RunConfig, cell: Cell) -> dict[str, Any]:
    """What is known of a cell without training it, as far as it takes the target to know it."""
    source = sources.source(config.data)
    outputs = source.outputs
    noise = np.broadcast_to(source.noise, len(outputs.names))
    each = {"noise": noise, "floor_rmse": _floors(config, cell)}
    told: dict[str, Any] = {
        name: None if values is None else outputs.together(values) for name, values in each.items()
    }
    if len(outputs.names) > 1:
        told |= {"outputs": outputs.names, "spread_each": outputs.scale.tolist()}
        lists = {name: values.tolist() for name, values in each.items() if values is not None}
        told |= {f"{name}_each": values for name, values in lists.items()}
    return told


def _floors(config: RunConfig, cell: Cell) -> Array | None:
    """The floor of each output, where there is one."""
    order = config.model.order
    if config.data.is_table or not config.kind.has_theory or order is None:
        return None
    hidden = layer_widths(config, cell.size)[1:-1]
    spacing = cast(Spacing, config.grid.spacing)
    return floor.of_each(sources.target(config.data), hidden, order, cell.size, spacing)


def _batch(task: Task) -> chain.Batch:
    config = task.config
    return chain.Batch(
        source=sources.source(config.data),
        n_train=task.n_train,
        n_test=config.data.n_test or N_TEST,
        seeds=task.seeds,
        kind=config.kind,
        shapes=tuple(shape(config, size) for size in task.sizes),
        device=config.device,
        dtype=config.dtype,
        trace=config.solver.trace,
        chained=config.extended,
    )


def shape(config: RunConfig, size: int) -> Shape:
    """What a configuration's network of one size is to be."""
    return _shape(config, layer_widths(config, size), size)


def _shape(config: RunConfig, width: tuple[int, ...], size: int) -> Shape:
    knots = {"spacing": config.grid.spacing} if config.kind.spaced else {}
    return network(config.kind).shape_of(config.model, width, size, **knots)


def network(kind: Kind) -> type[Network]:
    """The class of a kind's networks."""
    loaded: type[Network] = kinds.load(kind.network)
    return loaded


def check_device(device: str) -> None:
    """Refuse a device that this machine does not have."""
    chosen = torch.device(device)
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ConfigError(f"`device` must be one that is there; got {device} and {count} GPUs.")


def make_solver(config: RunConfig) -> Solver[Any, Any]:
    """The training method that a configuration describes."""
    method: Solver[Any, Any] = kinds.load(config.method.address)(config.solver, config.model)
    return method


@contextmanager
def one_thread() -> Iterator[None]:
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
