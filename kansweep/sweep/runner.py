"""A plan less what is on disk, to the engine; what becomes of it, to a listener."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kansweep.config.run import RunConfig
from kansweep.engines import Engine, EngineError, WorkerDied
from kansweep.engines.imports import importing
from kansweep.solvers.reasons import StopReason
from kansweep.sweep import schedule
from kansweep.sweep.columns import Status
from kansweep.sweep.events import Damaged, Event, Finished, Listener, Started, to_all
from kansweep.sweep.log import RunLog
from kansweep.sweep.plan import Plan
from kansweep.sweep.schedule import PartialChain, Task
from kansweep.sweep.store import Store

LOOK_EVERY = 0.25  # seconds between looks at what remote workers say
CONSOLIDATE_EVERY = 1000  # cells between writings of the index
STILLBORN = 4  # workers of a task that may die before they begin


@dataclass(frozen=True)
class Summary:
    """What a run did: cells in the plan, cells kept, cells trained, cells that it leaves to
    another (after a failure, or as their files were damaged since), the rows that failed, and the
    files that are damaged."""

    total: int
    cached: int
    done: int
    left: int
    failed: Sequence[Mapping[str, Any]]
    damaged: Sequence[Path]
    seconds: float


class CellFailed(Exception):
    """Stops a run with ``run.fail_fast`` at the first cell that failed."""


def run(plan: Plan, store: Store, config: RunConfig, engine: Engine, listener: Listener) -> Summary:
    """Train the cells of the plan that ``run.mode`` asks for, and rebuild the results."""
    clock = time.perf_counter()
    try:
        with RunLog(store.layout.log) as log, engine:
            listener = to_all(log, listener)
            tracker = _Tracker(store, listener, config.run.fail_fast)
            chains = schedule.missing(plan, store, config.run.mode)
            listener(Damaged(_planned(store.damaged, plan)))
            wanted = sum(len(chain.cells) for chain in chains)
            listener(Started(len(plan.cells), len(plan.cells) - wanted))
            tasks = schedule.tasks(chains, config, store, engine.workers)
            _perform(tasks, store, engine, tracker)
    except CellFailed:
        pass
    finally:
        statuses = store.write_results(cell.key for cell in plan.cells)
    return Summary(
        total=len(plan.cells),
        cached=len(plan.cells) - wanted,
        done=len(tracker.reported),
        left=len(plan.cells) - len(statuses),
        failed=store.rows(key for key, status in statuses.items() if status != Status.OK),
        damaged=_planned(store.damaged, plan),
        seconds=time.perf_counter() - clock,
    )


def _planned(paths: Sequence[Path], plan: Plan) -> tuple[Path, ...]:
    """Those of the files that are of the plan's cells."""
    keys = {cell.key for cell in plan.cells} if paths else set()
    return tuple(path for path in paths if path.stem in keys)


def _perform(tasks: Sequence[Task], store: Store, engine: Engine, tracker: _Tracker) -> None:
    """Have all tasks done, and done again in part where a worker died."""
    waiting = deque(tasks)
    submitted: dict[Future[bool], Task] = {}
    # A worker may be in another folder; one in this process shares what is read and written here.
    anywhere = store if engine.inline else Store(store.folder.absolute())
    while waiting or submitted:
        while waiting and (engine.max_submitted is None or len(submitted) < engine.max_submitted):
            task = waiting.popleft()
            listener = (tracker.hear,) if engine.inline else ()
            submitted[engine.submit(perform, task, anywhere, *listener)] = task
        ended, _ = wait(submitted, LOOK_EVERY, FIRST_COMPLETED)
        if not engine.inline:
            tracker.look()
        for future in ended:
            task = submitted.pop(future)
            waiting.extendleft(_left_by(future, task, store))
            tracker.report(task)


def perform(task: Task, store: Store, *listener: Listener) -> bool:
    """Train a task; what the engine calls, where torch may not have been imported yet."""
    with importing():
        from kansweep.sweep.worker import work

    return work(task, store, *listener)


def _left_by(future: Future[bool], task: Task, store: Store) -> Sequence[Task]:
    """What is to be submitted again of a task that ended; cells that are given up are written."""
    try:
        if future.result():
            return ()
    except WorkerDied as death:
        remains = _after_death(task, store, death)
        for row in remains.given_up:
            store.write_cell(row, None)
        return remains.tasks
    raise EngineError(
        f"A worker does not find this run in {store.folder.absolute()}; all workers must share the"
        " folder, and nobody may remove its .lock."
    )


@dataclass(frozen=True)
class _Remains:
    """Of a task whose worker died: what to submit again, and rows of the cells given up."""

    tasks: tuple[Task, ...]
    given_up: tuple[Mapping[str, Any], ...] = ()


def _after_death(task: Task, store: Store, death: WorkerDied) -> _Remains:
    """What is left of a task whose worker died: each chain alone, to find the one that kills.

    A cell in whose progress a worker died before, and now died when it was alone, is given up.
    A worker that had not begun says nothing of the cells; that many of them die is the engine's.
    """
    mark = store.marks.of_dead_worker(task.name)
    if mark is None:
        if task.stillborn == STILLBORN:
            raise EngineError(f"Workers die before they begin. {death}") from death
        return _Remains((replace(task, stillborn=task.stillborn + 1),))
    left = schedule.remaining(task, store)
    if len(left) == 1 and left[0].cells[0].key in task.suspects.intersection(mark.running):
        (chain,) = left
        row = _given_up(task, chain, death)
        rest = PartialChain(chain.cells[1:], None)
        tasks = (replace(task, chains=(rest,), suspects=frozenset()),) if rest.cells else ()
        return _Remains(tasks, (row,))
    return _Remains(tuple(_alone(task, chain, mark.running) for chain in left))


def _alone(task: Task, chain: PartialChain, running: Sequence[str]) -> Task:
    """One chain of a task, whose first cell is suspected where it was running."""
    suspects = frozenset({chain.cells[0].key}.intersection(running))
    return replace(task, chains=(chain,), suspects=suspects)


def _given_up(task: Task, chain: PartialChain, death: WorkerDied) -> dict[str, Any]:
    return {
        **schedule.described(task, chain.cells[0]),
        "status": Status.FAILED,
        "stop_reason": StopReason.WORKER_DIED,
        "error": f"WorkerDied: {death}",
        "started_at": datetime.now(UTC),
    }


class _Tracker:
    """Reports every cell once, wherever it was trained; and ends the run where one failure is
    enough."""

    def __init__(self, store: Store, listener: Listener, fail_fast: bool) -> None:
        self.store, self.listener, self.fail_fast = store, listener, fail_fast
        self.reported: set[str] = set()

    def hear(self, event: Event) -> None:
        """Pass an event on; a worker in this process calls it itself."""
        if not isinstance(event, Finished):
            self.listener(event)
            return
        self.reported.add(event.row["key"])
        self.listener(event)
        if len(self.reported) % CONSOLIDATE_EVERY == 0:
            self.store.consolidate()
        if self.fail_fast and event.row["status"] != Status.OK:
            raise CellFailed

    def look(self) -> None:
        """Report what remote workers say of themselves."""
        for mark in self.store.marks.held():
            for key in set(mark.done) - self.reported:
                self._finished(self.store.row(key))
            if mark.progress is not None:
                self.listener(mark.progress)

    def report(self, task: Task) -> None:
        """Report what is written, and was not reported, of a task that no worker has any more."""
        for cell in task.cells:
            if cell.key not in self.reported:
                self._finished(schedule.written(cell.key, task, self.store))

    def _finished(self, row: Mapping[str, Any] | None) -> None:
        if row is not None:
            self.hear(Finished(row))
