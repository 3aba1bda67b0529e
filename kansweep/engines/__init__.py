"""Where tasks are performed, behind the ``submit`` of ``concurrent.futures``; one engine a module.

The engines import this module, never the reverse; an engine's schema says which class it is, and
what only that needs is imported when it is made.
"""

from __future__ import annotations

import os
from concurrent.futures import Executor
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from kansweep import kinds
from kansweep.config.engines import EngineConfig
from kansweep.engines.imports import require


class WorkerDied(RuntimeError):
    """The process that performed a task is gone, and what became of the task is not known."""


class EngineError(RuntimeError):
    """The engine performs no more tasks; the message says why."""


class Engine(Executor):
    """An executor whose futures end in ``WorkerDied`` where a worker did, and which can be left
    at once: where its ``with`` ends in an exception, nothing that it runs is waited for."""

    inline: ClassVar[bool] = False  # a task is performed when it is submitted, in this thread
    remote: bool = False  # tasks are performed on other machines, which may have other devices
    workers: int | None = 1  # tasks at once; None: as many as a cluster likes
    max_submitted: int | None = 1  # tasks worth submitting before others have ended; None: all

    @classmethod
    def made(cls, settings: Any, jobs: Path) -> Self:
        """The engine of its schema's settings; ``jobs`` is a folder for files of its own.

        Raises ConfigError where it cannot be as asked.
        """
        return cls()

    def abandon(self) -> None:
        """Drop what waits and stop what runs, without waiting for it to end in its own time."""
        self.shutdown(cancel_futures=True)

    def close(self) -> None:
        """Let go of what the engine holds, whether or not it was used."""
        self.shutdown(wait=False)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.shutdown()
        else:
            self.abandon()


def make(settings: EngineConfig, jobs: Path) -> Engine:
    """The engine that a configuration describes; ``jobs`` is for files of its own.

    Raises ConfigError where what it needs is not there.
    """
    require(f"engine={settings.name}", settings.packages, settings.extra)
    engine: Engine = kinds.load(settings.implementation).made(settings, jobs)
    return engine


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
