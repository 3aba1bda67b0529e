"""``run.on_end``: a command of the user's, for a mail or a message, once a run has ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kansweep.cli.output import INTERRUPTED, OK, TERMINATED, Terminated
from kansweep.config.run import RunConfig
from kansweep.sweep.columns import Status

if TYPE_CHECKING:
    from kansweep.sweep.plan import Plan
    from kansweep.sweep.store import Store

_OUTCOMES = {OK: "done", INTERRUPTED: "interrupted", TERMINATED: "interrupted"}


@contextmanager
def on_end(job: RunConfig, store: Store, plan: Plan) -> Iterator[Callable[[int], int]]:
    """Gives a function that is told the run's exit status and gives it back; then, or when the run
    is interrupted, performs the command. One that was refused has not ended."""
    statuses: list[int] = []

    def ended(status: int) -> int:
        statuses.append(status)
        return status

    try:
        yield ended
    except KeyboardInterrupt as error:
        ended(TERMINATED if isinstance(error, Terminated) else INTERRUPTED)
        raise
    finally:
        if job.run.on_end is not None and statuses:
            _perform(job.run.on_end, _outcome(statuses[-1], store, plan))


def _outcome(status: int, store: Store, plan: Plan) -> dict[str, str]:
    """What the command is told, by its environment."""
    found = list(store.statuses(cell.key for cell in plan.cells).values())
    done = found.count(Status.OK)
    told = {
        "NAME": store.folder.name,
        "FOLDER": store.folder.absolute(),
        "OUTCOME": _OUTCOMES.get(status, "failed"),
        "STATUS": status,
        "CELLS": len(plan.cells),
        "DONE": done,
        "FAILED": len(found) - done,
        "LEFT": len(plan.cells) - len(found),
    }
    return {f"KANSWEEP_{name}": str(value) for name, value in told.items()}


def _perform(command: str, outcome: dict[str, str]) -> None:
    """Its failure is said and changes nothing: the cells are there."""
    ended = subprocess.run(
        command, shell=True, env=os.environ | outcome, stdin=subprocess.DEVNULL, check=False
    )
    if ended.returncode:
        print(f"`run.on_end` ended with status {ended.returncode}: {command}", file=sys.stderr)
