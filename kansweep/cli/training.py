"""``kansweep run``: train what is missing, show how it goes, and say what came of it."""

from __future__ import annotations

import itertools
import math
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from kansweep.cli.ending import on_end
from kansweep.cli.found import searched
from kansweep.cli.output import FAILED, MOST_NAMED, OK, again, say, tell_damage
from kansweep.cli.reporting import written
from kansweep.config.commands import ReportConfig
from kansweep.config.overrides import override
from kansweep.config.run import RunConfig
from kansweep.engines.imports import importing
from kansweep.kinds import KINDS
from kansweep.sweep.columns import Status
from kansweep.sweep.events import Damaged, Event
from kansweep.sweep.progress import Bar

if TYPE_CHECKING:  # imported where it is needed, so that help and refusals come at once
    from kansweep.engines import Engine
    from kansweep.sweep.plan import Plan
    from kansweep.sweep.runner import Summary
    from kansweep.sweep.store import Store

KEPT = 1.0  # seconds; a sweep that took less had nothing to train, or as good as nothing


class Progress(Bar):
    """The bar, and what is damaged in words."""

    def __call__(self, event: Event) -> None:
        if isinstance(event, Damaged):
            tell_damage(event.paths, "trained again")
        super().__call__(event)


def run(job: RunConfig) -> int:
    with importing():
        from kansweep.sweep.begin import begun

    begin = begun(job, searched)
    job, plan, store, engine = begin.job, begin.plan, begin.store, begin.engine
    with on_end(job, store, plan) as ended:
        return ended(_trained(job, store, plan, engine))


def _trained(job: RunConfig, store: Store, plan: Plan, engine: Engine) -> int:
    """Train what is missing and say what came of it; the exit status."""
    from kansweep.engines import EngineError
    from kansweep.sweep import runner
    from kansweep.sweep.refusals import StoreError

    shown, lines = not job.run.is_quiet, job.run.is_verbose
    bar = Progress(job.kind.symbol, shown=shown, lines=lines)
    with closing(engine), closing(bar) as progress, store.open(plan):
        try:
            summary = runner.run(plan, store, job, engine, progress)
        except (StoreError, EngineError, KeyboardInterrupt) as error:
            progress.close()
            interrupted = isinstance(error, KeyboardInterrupt)
            standing = _standing(job, store, plan, progress)
            print("Interrupted:" if interrupted else error, standing, file=sys.stderr)
            if interrupted:
                raise
            return FAILED
    if not job.run.is_quiet:
        _tell(summary, job, store)
    tell_damage(summary.damaged, "to be trained again by the next run")
    if summary.failed:
        return _tell_failures(summary.failed)
    if summary.left:
        print(f"{summary.left} cells are left. Go on with: {again()}", file=sys.stderr)
        return FAILED
    if job.run.report:
        page = written(ReportConfig(job.name, job.outputs))
        if not job.run.is_quiet:
            say(str(page))
    return OK


def _tell(summary: Summary, job: RunConfig, store: Store) -> None:
    stopped = f", {summary.left} left" if summary.left else ""
    say(
        f"{job.name}: {summary.total} cells, {summary.cached} of them kept, {summary.done} trained,"
        f" {len(summary.failed)} failed{stopped}; {summary.seconds:.1f} s",
        f"Results: {store.layout.results}",
        *_without_floor(job),
        f"Next: kansweep plot{_selection(job)}",
    )


def counted(jobs: Sequence[Any]) -> Iterator[Any]:
    """The jobs of a multirun, each told of when its turn comes, with the time that all of what is
    left may take: as the mean of those that were not kept already."""
    spent: list[float] = []
    for number, job in enumerate(jobs, 1):
        trained = [seconds for seconds in spent if seconds > KEPT]
        left = (len(jobs) - number + 1) * sum(trained) / max(1, len(trained))
        to_go = f", about {math.ceil(left / 60)} min to go" if trained else ""
        if not job.run.is_quiet:
            print(f"Sweep {number} of {len(jobs)}{to_go}", file=sys.stderr)
        clock = time.perf_counter()
        yield job
        spent.append(time.perf_counter() - clock)


def _without_floor(job: RunConfig) -> list[str]:
    """Why a formula has no floor on the networks asked for, if it has none."""
    if job.data.formula is None or not job.kind.has_theory or job.model.order is None:
        return []
    from kansweep.data import floor, sources
    from kansweep.sweep.plan import layer_widths

    hidden = layer_widths(job, job.sizes[0])[1:-1]
    why = floor.missing(sources.target(job.data), hidden, job.model.order)
    return [f"No floor: {why}."] if why else []


def _standing(job: RunConfig, store: Store, plan: Plan, progress: Progress) -> str:
    """How far a run came that did not come to its end, and the command that goes on."""
    if job.run.mode == "force":
        return (
            f"{progress.done} of {len(plan.cells)} cells were trained again; the others are as they"
            f" were. To train them all again: {again()}"
        )
    statuses = list(store.statuses(cell.key for cell in plan.cells).values())
    kept = len(statuses) if job.run.mode == "cached" else statuses.count(Status.OK)
    return f"{kept} of {len(plan.cells)} cells are done and kept. Go on with: {again()}"


def _tell_failures(rows: Sequence[Mapping[Any, Any]]) -> int:
    for row in rows[:MOST_NAMED]:
        size = KINDS[row["model"]].size.replace(" ", "_")
        cell = f"n_train={row['n_train']} seed={row['seed']} {size}={row['size']}"
        why = row["error"] if row["status"] == Status.FAILED else row["stop_reason"]
        print(f"Failed: {cell}: {row['status']}, {why.splitlines()[0]}", file=sys.stderr)
    if len(rows) > MOST_NAMED:
        print(f"Failed: {len(rows) - MOST_NAMED} more", file=sys.stderr)
    print(f"Try them again with: {again('run.mode=retry')}", file=sys.stderr)
    return FAILED


def _selection(job: RunConfig) -> str:
    """The arguments that lead another command to this sweep, none where they are the defaults."""
    chosen = {"name": job.name, "outputs": job.outputs}
    words = [
        override(key, value) for key, value in chosen.items() if value != getattr(RunConfig, key)
    ]
    return "".join(f" {shlex.quote(word)}" for word in words)


def selection_of(jobs: Sequence[Any]) -> str:
    """The arguments that lead ``plot`` to all sweeps of a multirun."""
    letters = itertools.takewhile(
        lambda column: len(set(column)) == 1, zip(*(job.name for job in jobs), strict=False)
    )
    pattern = f"{''.join(letter for letter, *_ in letters)}*"
    words = [f"names={pattern}"]
    if jobs[0].outputs != RunConfig.outputs:
        words.append(override("outputs", jobs[0].outputs))
    return "".join(f" {shlex.quote(word)}" for word in words)
