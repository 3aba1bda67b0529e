"""Spawned processes on this machine, each of which may die without the others."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import ParamSpec, TypeVar

from kansweep.engines import Engine, WorkerDied

P = ParamSpec("P")
T = TypeVar("T")


class ProcessEngine(Engine):
    """As many pools of one process as there are workers, each fed by a thread of its own.

    A pool breaks as a whole when one of its processes dies; these lose one task. Every worker
    watches a pipe whose other end is here: it ends when that is closed, by this engine or by the
    kernel after a kill -9.
    """

    def __init__(self, workers: int) -> None:
        self.workers, self.max_submitted = workers, 2 * workers
        self._context = multiprocessing.get_context("spawn")
        resource_tracker.ensure_running()  # it unblocks interrupts in the thread that starts it
        self._watched, self._lifeline = self._context.Pipe(duplex=False)
        self._threads = ThreadPoolExecutor(workers, initializer=_block_interrupts)
        self._of_thread = threading.local()
        self._pools: list[ProcessPoolExecutor] = []

    def submit(self, task: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return self._threads.submit(self._perform, task, *args, **kwargs)

    def _perform(self, task: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        pool: ProcessPoolExecutor | None = getattr(self._of_thread, "pool", None)
        if pool is None:
            pool = ProcessPoolExecutor(1, self._context, _watch, (self._watched,))
            self._of_thread.pool = pool
            self._pools.append(pool)
        try:
            return pool.submit(task, *args, **kwargs).result()
        except BrokenProcessPool as error:
            self._of_thread.pool = None
            self._pools.remove(pool)
            raise WorkerDied(
                "Its worker process died. Where memory ran out, the system's log says so;"
                " fewer `engine.workers` take less of it."
            ) from error

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        for pool in tuple(self._pools):
            pool.shutdown(wait)
        self._lifeline.close()
        self._watched.close()

    def abandon(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._lifeline.close()
        self.shutdown()


def _block_interrupts() -> None:
    """A Ctrl-C goes to every process of a terminal. What a thread spawns inherits what it blocks,
    and so the workers leave interrupts to this process from their first moment on."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _watch(lifeline: Connection) -> None:
    """Let this process end as soon as nobody holds the other end of the pipe."""

    def end_with_it() -> None:
        try:
            lifeline.recv()
        except (EOFError, OSError):
            os._exit(1)

    threading.Thread(target=end_with_it, daemon=True).start()
