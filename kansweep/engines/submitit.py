"""Jobs of a cluster's queue, one task a job, by submitit; or the same as processes here."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ParamSpec, TypeVar

from submitit import AutoExecutor, Job
from submitit.core.utils import DelayedSubmission

from kansweep.config.engines import SubmititConfig
from kansweep.config.rules import ConfigError
from kansweep.engines import Engine, EngineError, WorkerDied, cores

P = ParamSpec("P")
T = TypeVar("T")
LOOK_EVERY = 0.5  # seconds between looks for results
SLURM = ("sbatch", "srun", "squeue", "scancel")  # its commands that are used
ASK_EVERY = 30.0  # seconds between questions to SLURM
ANSWER = 20.0  # seconds that it has to answer
ARRAY = 1000  # jobs in one array; SLURM takes 1001 where it was not told otherwise
ENDING = 5.0  # seconds that jobs on this machine may take to end when they are cancelled


class SubmititEngine(Engine):
    """Tasks become job arrays as they come; a thread sends them and looks for their results.

    A job that is preempted or reaches its time limit goes back into the queue, and its task goes
    on where it was. A job that is not in the queue and has left no result has vanished: without
    SLURM's accounting, submitit alone would wait for it for ever.
    """

    workers = None  # one chain a task

    def __init__(self, config: SubmititConfig, folder: Path) -> None:
        self._config, self._folder = config, folder
        self._is_local = config.cluster == "local"
        self.remote = not self._is_local
        self.max_submitted = (config.workers or cores()) if self._is_local else None
        self._check()
        self._executor: AutoExecutor | None = None
        self._fresh: deque[tuple[_Call, Future[Any]]] = deque()
        self._sent: list[_Sent] = []
        self._log = folder / "local.log" if self._is_local else None
        self._asked = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, daemon=True)

    def _check(self) -> None:
        """Refuse what cannot be sent, before anything is written."""
        missing = [name for name in SLURM if shutil.which(name) is None]
        if missing and not self._is_local:
            raise ConfigError(
                f"`engine.cluster` may be slurm only where there is `{missing[0]}`, which is not"
                " found; engine.cluster=local runs the jobs on this machine."
            )
        with TemporaryDirectory() as scratch:
            try:
                self._configured(Path(scratch))
            except Exception as error:  # of several kinds, as submitit finds them
                reason = _first_line(error)
                raise ConfigError(f"`engine.parameters` must be submitit's own: {reason}") from None

    def _configured(self, folder: Path) -> AutoExecutor:
        executor = AutoExecutor(folder=folder, cluster=self._config.cluster)
        settings = {"name": "kansweep", "timeout_min": self._config.timeout_min, "cpus_per_task": 1}
        if self._config.workers is not None:
            settings["slurm_array_parallelism"] = self._config.workers
        executor.update_parameters(**settings, **(self._config.parameters or {}))
        return executor

    def submit(self, task: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        self._fresh.append((_Call(task, args, kwargs), future))
        if self._thread.ident is None:
            self._executor = self._configured(self._folder.absolute())
            self._thread.start()
        return future

    def _keep_looking(self) -> None:
        while not self._stopped.wait(LOOK_EVERY):
            try:
                self._send()
                self._look()
            except Exception as error:  # nobody would look any more, and the run wait for ever
                for sent in self._sent:
                    if not sent.future.done():
                        message = f"The jobs cannot be followed: {_first_line(error)}."
                        sent.future.set_exception(EngineError(message))
                self._sent = []

    def _send(self) -> None:
        fresh = [self._fresh.popleft() for _ in range(min(len(self._fresh), ARRAY))]
        if not fresh or self._executor is None:
            return
        try:
            with _children_write_to(self._log), self._executor.batch():
                jobs = [self._executor.submit(call) for call, _ in fresh]
        except Exception as error:  # submitit's own, sbatch's refusal among them
            for _, future in fresh:
                message = f"The jobs could not be sent: {_first_line(error)}."
                future.set_exception(EngineError(message))
        else:
            self._sent += [_Sent(job, future) for job, (_, future) in zip(jobs, fresh, strict=True)]

    def _look(self) -> None:
        gone = self._gone()
        for sent in self._sent:
            if sent.job.paths.result_pickle.exists():
                sent.resolve()
            elif sent.job.job_id in gone:
                sent.miss()
        self._sent = [sent for sent in self._sent if not sent.future.done()]

    def _gone(self) -> set[str]:
        """Which jobs neither run nor wait, as far as that is known now."""
        if self._is_local:
            return {sent.job.job_id for sent in self._sent if sent.job.done()}
        if not self._sent or time.monotonic() < self._asked + ASK_EVERY:
            return set()
        self._asked = time.monotonic()
        queued = _ask("squeue", "--me", "--noheader", "--array", "--format=%i")
        if queued is None:  # SLURM does not answer, and so says nothing of any job
            return set()
        return {sent.job.job_id for sent in self._sent} - set(queued.split())

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if cancel_futures:
            self.abandon()
        while wait and (self._fresh or self._sent) and self._thread.is_alive():
            time.sleep(LOOK_EVERY)
        self._stopped.set()

    def abandon(self) -> None:
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._fresh.clear()
        jobs, self._sent = [sent.job for sent in self._sent], []
        if self._is_local:
            for job in jobs:
                job.cancel(check=False)
            deadline = time.monotonic() + ENDING
            while not all(job.done() for job in jobs) and time.monotonic() < deadline:
                time.sleep(0.05)
        elif jobs:
            arrays = sorted({job.job_id.partition("_")[0] for job in jobs})
            _ask("scancel", *arrays)


def _ask(*command: str) -> str | None:
    """What a command of SLURM's prints; None where it fails, or does not answer in time."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER)
    except (OSError, subprocess.SubprocessError):
        return None
    return None if done.returncode else done.stdout


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


@contextmanager
def _children_write_to(log: Path | None) -> Iterator[None]:
    """Processes that are started meanwhile have ``log`` as standard error: submitit's controllers
    show a traceback each when they are interrupted, and leave no other way to keep it away."""
    if log is None:
        yield
        return
    kept = os.dup(2)
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class _Call:
    """What a job does. When it is preempted or out of time, it is to be done again."""

    def __init__(
        self, task: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.task, self.args, self.kwargs = task, args, kwargs

    def __call__(self) -> tuple[Any, Exception | None]:
        """What the task returned, and what it raised: submitit would only keep its words."""
        try:
            return self.task(*self.args, **self.kwargs), None
        except Exception as error:
            return None, error

    def checkpoint(self) -> DelayedSubmission:
        return DelayedSubmission(self)


@dataclass
class _Sent:
    """A job, and the future that waits for it."""

    job: Job[tuple[Any, Exception | None]]
    future: Future[Any]
    missed: bool = False

    def resolve(self) -> None:
        """End the future as the job ended."""
        try:
            value, error = self.job.result()
        except Exception as failure:  # it failed, or what it left cannot be read
            # A traceback between two rules, then where to look for more.
            lines = str(failure).rpartition("\n---")[0].splitlines() or [_first_line(failure)]
            value, error = None, WorkerDied(f"Job {self.job.job_id} failed: {lines[-1]}")
        if error is None:
            paths = self.job.paths  # of use only where something went wrong
            for path in (paths.submitted_pickle, paths.result_pickle, paths.stdout, paths.stderr):
                path.unlink(missing_ok=True)
            self.future.set_result(value)
        else:
            self.future.set_exception(error)

    def miss(self) -> None:
        """It is gone and left no result; the second time that is no delay of the file system."""
        if self.missed:
            log = self.job.paths.stderr
            self.future.set_exception(
                WorkerDied(f"Job {self.job.job_id} vanished; what it said is in {log}.")
            )
        self.missed = True
