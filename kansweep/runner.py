"""A plan less what is on disk, to the engine; what becomes of it, to an observer."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from kansweep import schedule
from kansweep.config.run import RunConfig
from kansweep.engines import Engine, EngineError, WorkerDied
from kansweep.schedule import Stretch, Task
from kansweep.store import Store
from kansweep.sweep import FAILED, OK, Plan

LOOK_EVERY = 0.25  # seconds between looks at what workers elsewhere say
CONSOLIDATE_EVERY = 1000  # cells between writings of the index
STILLBORN = 4  # workers of a task that may die before they begin


class Observer(Protocol):
    """Who is told how a run goes; the command line draws its bar from this."""

    def damaged(self, paths: Sequence[Path]) -> None: ...

    def started(self, total: int, cached: int) -> None: ...

    def progress(self, now: Mapping[str, Any]) -> None: ...

    def finished(self, row: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True)
class Summary:
    """What a run did: cells in the plan, cells kept, cells trained, cells that it leaves to
    another (after a failure, or as their files were damaged since), the rows that failed, and the
    files that are damaged."""

    total: int
    cached: int
    done: int
    left: int
    failed: Sequence[Mapping[Hashable, Any]]
    damaged: Sequence[Path]
    seconds: float


class CellFailed(Exception):
    """Stops a run with ``run.fail_fast`` at the first cell that failed."""


def run(plan: Plan, store: Store, config: RunConfig, engine: Engine, observer: Observer) -> Summary:
    """Train the cells of the plan that ``run.mode`` asks for, and rebuild the results."""
    clock = time.perf_counter()
    tally = _Tally(store, observer, config.run.fail_fast)
    try:
        with engine:
            stretches = schedule.missing(plan, store, config.run.mode)
            observer.damaged(_planned(store.damaged, plan))
            wanted = sum(len(stretch.cells) for stretch in stretches)
            observer.started(len(plan.cells), len(plan.cells) - wanted)
            tasks = schedule.tasks(stretches, config, store, engine.workers)
            _perform(tasks, store, engine, tally)
    except CellFailed:
        pass
    finally:
        results = store.write_results(cell.key for cell in plan.cells)
    return Summary(
        total=len(plan.cells),
        cached=len(plan.cells) - wanted,
        done=len(tally.told),
        left=len(plan.cells) - len(results),
        failed=results[results["status"] != OK].to_dict("records"),
        damaged=_planned(store.damaged, plan),
        seconds=time.perf_counter() - clock,
    )


def _planned(paths: Sequence[Path], plan: Plan) -> list[Path]:
    """Those of the files that are of the plan's cells."""
    keys = {cell.key for cell in plan.cells} if paths else set()
    return [path for path in paths if path.stem in keys]


def _perform(tasks: Sequence[Task], store: Store, engine: Engine, tally: _Tally) -> None:
    """Have all tasks done, and done again in part where a worker died."""
    waiting = deque(tasks)
    running: dict[Future[bool], Task] = {}
    there = Store(store.folder.absolute())  # a worker may be in another folder
    while waiting or running:
        while waiting and (engine.room is None or len(running) < engine.room):
            task = waiting.popleft()
            listener = (tally,) if engine.here else ()
            running[engine.submit(perform, task, there, *listener)] = task
        ended, _ = wait(running, LOOK_EVERY, FIRST_COMPLETED)
        if not engine.here:
            tally.look()
        for future in ended:
            task = running.pop(future)
            try:
                if not future.result():
                    raise EngineError(
                        f"A worker does not find this run in {store.folder.absolute()}; all workers"
                        " must share the folder, and nobody may remove its .lock."
                    )
            except WorkerDied as death:
                waiting.extendleft(_after_death(task, store, death))
            tally.ended(task)


def perform(task: Task, store: Store, *listener: Any) -> bool:
    """Train a task; what the engine calls, where torch may not have been imported yet."""
    from kansweep.worker import work

    return work(task, store, *listener)


def _after_death(task: Task, store: Store, death: WorkerDied) -> Iterator[Task]:
    """What is left of a task whose worker died: each chain alone, to find the one that kills.

    A cell in whose progress a worker died before, and now died when it was alone, is given up.
    A worker that had not begun says nothing of the cells; that many of them die is the engine's.
    """
    words = store.last_words(task.name)
    if words is None:
        if task.stillborn == STILLBORN:
            raise EngineError(f"Workers die before they begin. {death}") from death
        yield replace(task, stillborn=task.stillborn + 1)
        return
    left = schedule.remaining(task, store)
    for stretch in left:
        first = stretch.cells[0].key
        suspects = frozenset({first} & set(words.get("running", ())))
        if len(left) == 1 and suspects & task.suspects:
            store.write_cell(_given_up(task, stretch, death), None)
            stretch, suspects = Stretch(stretch.cells[1:], None), frozenset()
        if stretch.cells:
            yield task.narrowed([stretch], suspects=suspects)


def _given_up(task: Task, stretch: Stretch, death: WorkerDied) -> dict[str, Any]:
    return {
        **schedule.described(task, stretch.cells[0]),
        "status": FAILED,
        "stop_reason": "worker died",
        "error": f"WorkerDied: {death}",
        "started_at": datetime.now(UTC),
    }


class _Tally:
    """What has been told to the observer, wherever it was trained; and the end of the run where
    one failure is enough."""

    def __init__(self, store: Store, observer: Observer, fail_fast: bool) -> None:
        self.store, self.observer, self.fail_fast = store, observer, fail_fast
        self.told: set[str] = set()

    def progress(self, now: Mapping[str, Any]) -> None:
        self.observer.progress(now)

    def finished(self, row: Mapping[str, Any]) -> None:
        self.told.add(row["key"])
        self.observer.finished(row)
        if len(self.told) % CONSOLIDATE_EVERY == 0:
            self.store.consolidate()
        if self.fail_fast and row["status"] != OK:
            raise CellFailed

    def look(self) -> None:
        """Tell what workers elsewhere say of themselves."""
        for now in self.store.running():
            for key in set(now.get("done", ())) - self.told:
                self._tell(self.store.row(key))
            if "train_rmse" in now:
                self.observer.progress(now)

    def ended(self, task: Task) -> None:
        """Tell what has not been told of a task that no worker has any more."""
        for cell in task.cells:
            if cell.key not in self.told:
                self._tell(schedule.written(cell.key, task, self.store))

    def _tell(self, row: Mapping[str, Any] | None) -> None:
        if row is not None:
            self.finished(row)
