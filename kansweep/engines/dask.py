"""A dask cluster: that of a running scheduler, or one of processes on this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

import dask
from distributed import Client, LocalCluster
from distributed.cfexecutor import ClientExecutor
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from kansweep.config.rules import ConfigError
from kansweep.engines import Engine, EngineError, WorkerDied
from kansweep.signals import interrupts_later

P = ParamSpec("P")
T = TypeVar("T")
CONNECT = "10s"
_LOST = "The dask scheduler is gone, or has no worker that can take the tasks."


class DaskEngine(Engine):
    """Tasks as dask's own futures. A cluster of its own is started with the first task; there a
    task whose worker dies comes back at once, on another when the scheduler gives it up."""

    def __init__(self, workers: int, address: str | None) -> None:
        self.remote = address is not None
        # What waits at a worker dies with it, and so nothing waits there.
        self.workers = self.max_submitted = None if self.remote else workers
        self._left = False
        self._cluster: LocalCluster | None = None
        self._client = None if address is None else _connect(address)
        self._pool: ClientExecutor | None = None

    def submit(self, task: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if self._pool is None:
            self._pool = self._start().get_executor(retries=0, pure=False)
        future: Future[T] = Future()
        inner: Future[T] = self._pool.submit(task, *args, **kwargs)
        inner.add_done_callback(lambda done: self._hand_on(done, future))
        return future

    def _start(self) -> Client:
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # the runner says it
        if self._client is None:
            # The runner decides how often a task is tried again.
            dask.config.set({"distributed.scheduler.allowed-failures": 0})
            with interrupts_later():
                self._cluster = LocalCluster(
                    n_workers=self.workers,
                    threads_per_worker=1,
                    dashboard_address=None,
                    memory_limit=0,  # no worker is restarted for what it holds
                    silence_logs=logging.CRITICAL,
                )
                self._client = Client(self._cluster, set_as_default=False)
        return self._client

    def _hand_on(self, done: Future[Any], future: Future[Any]) -> None:
        """How dask's future ended, in the words of the engines."""
        error = None if done.cancelled() else done.exception()
        if done.cancelled():
            error = EngineError("The tasks were cancelled." if self._left else _LOST)
        elif isinstance(error, KilledWorker):
            died = WorkerDied(f"Its dask worker died ({error.last_worker.address}).")
            died.__cause__, error = error, died
        elif isinstance(error, CommClosedError):
            error = EngineError(_LOST)
        if error is None:
            future.set_result(done.result())
        else:
            future.set_exception(error)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait and not cancel_futures)
        if self._client is not None:
            self._client.close()
        if self._cluster is not None:
            self._cluster.close()
        self._pool = self._client = self._cluster = None

    def abandon(self) -> None:
        """Its own workers are killed; those of another cluster stop when the folder is let go."""
        self._left = True
        with interrupts_later():
            for nanny in self._cluster.workers.values() if self._cluster is not None else ():
                process = getattr(nanny.process, "process", None)
                if process is not None:
                    process.kill()
            self.shutdown(cancel_futures=True)


def _connect(address: str) -> Client:
    try:
        return Client(address, timeout=CONNECT, set_as_default=False)
    except Exception as error:  # whatever dask finds wrong with it
        raise ConfigError(
            f"`engine.address` must be that of a running scheduler; none answers at {address!r}."
        ) from error
