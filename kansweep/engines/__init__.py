"""Where tasks are performed, behind the ``submit`` of ``concurrent.futures``; one engine a module.

The engines import this module, never the reverse but in ``make``; what only an engine needs is
imported when that engine is made.
"""

from __future__ import annotations

import os
from concurrent.futures import Executor
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from kansweep.config.engines import DaskConfig, EngineConfig, ProcessConfig, SubmititConfig
from kansweep.config.rules import ConfigError

EXTRAS = {"distributed": "dask", "submitit": "slurm"}  # what an engine needs: the extra with it


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


def make(config: EngineConfig, jobs: Path) -> Engine:
    """The engine that a configuration describes; ``jobs`` is for files of its own.

    Raises ConfigError where what it needs is not there.
    """
    match config:
        case ProcessConfig():
            from kansweep.engines.process import ProcessEngine

            return ProcessEngine(config.workers or cores())
        case DaskConfig():
            _need("distributed", config.name)
            from kansweep.engines.dask import DaskEngine

            return DaskEngine(config.workers or cores(), config.address)
        case SubmititConfig():
            _need("submitit", config.name)
            from kansweep.engines.submitit import SubmititEngine

            return SubmititEngine(config, jobs)
    from kansweep.engines.serial import SerialEngine

    return SerialEngine()


def _need(package: str, engine: str) -> None:
    if find_spec(package) is None:
        extra = EXTRAS[package]
        raise ConfigError(
            f"engine={engine} needs the package {package}, which is not installed;"
            f" pip install 'kansweep[{extra}]' brings it."
        )


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
