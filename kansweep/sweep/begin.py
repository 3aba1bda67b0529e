"""What a run needs before its first cell: everything that can be refused has been by then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kansweep import engines
from kansweep.config.run import RunConfig
from kansweep.engines import Engine
from kansweep.engines.imports import importing, require
from kansweep.sweep import shapes
from kansweep.sweep.plan import Plan, planned
from kansweep.sweep.resolution import enough, resolved
from kansweep.sweep.store import Store
from kansweep.sweep.tried import Search

Searched = Callable[[RunConfig, Store], tuple[RunConfig, Search]]


@dataclass(frozen=True)
class Begun:
    """A configuration, complete, with its plan, its folder and its engine, to be closed."""

    job: RunConfig
    plan: Plan
    store: Store
    engine: Engine


def _silently(job: RunConfig, store: Store) -> tuple[RunConfig, Search]:
    return shapes.found(job, store, lambda _: None)


def begun(job: RunConfig, searched: Searched = _silently) -> Begun:
    """``searched`` finds hidden widths where they are to be found.

    Raises ConfigError where data, a package, the engine or the device are not as asked.
    """
    job = resolved(job)
    enough(job)
    require(f"model={job.model.name}", job.model.packages, job.model.extra)
    store = Store(Path(job.outputs) / job.name)
    if job.model.is_searched:
        job, _ = searched(job, store)
    plan = planned(job)
    engine = engines.make(job.engine, store.layout.jobs)
    if job.device != "cpu" and not engine.remote:
        with importing():
            from kansweep.sweep import worker

        worker.check_device(job.device)
    return Begun(job, plan, store, engine)
