"""Engines behind the ``submit`` of ``concurrent.futures``: real workers, which really die."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import suppress
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from places import ROOT, TESTS
from processes import PATIENCE, await_end, until

from kansweep import engines
from kansweep.config.engines import (
    DaskConfig,
    EngineConfig,
    ProcessConfig,
    SerialConfig,
    SubmititConfig,
)
from kansweep.config.rules import ConfigError
from kansweep.engines import EngineError, WorkerDied
from kansweep.engines import submitit as jobs

CONFIGS = {
    "serial": SerialConfig(),
    "process": ProcessConfig(workers=2),
    "dask": DaskConfig(workers=2),
    "submitit": SubmititConfig(cluster="local", workers=2),
}
TASKS_PATH = [ROOT, TESTS, TESTS / "engines"]  # of workers, which import the tasks below
WITH_WORKERS = [name for name in CONFIGS if name != "serial"]
STAY = 120.0  # seconds of a task that is to be stopped; were it not, it would not stay long
# dask and submitit leave sockets and processes to the garbage collector; dask's port of a dashboard
# may be taken, by another worker of these tests too.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
    r"ignore:Port \d+ is already in use",
)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(jobs, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(jobs, "ASK_EVERY", 0.1)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, TASKS_PATH)))


@pytest.fixture
def make(tmp_path):
    return lambda name: engines.make(CONFIGS[name], tmp_path / "jobs")


def test_every_engine_is_tried():
    assert set(CONFIGS) == set(EngineConfig.variants)


@pytest.mark.parametrize("name", CONFIGS)
def test_an_engine_gives_what_its_tasks_return_and_raise(make, name):
    with make(name) as engine:
        powers = [engine.submit(pow, 2, exponent, 5) for exponent in range(4)]
        broken = engine.submit(divmod, 1, 0)
        assert [future.result(60) for future in powers] == [1, 2, 4, 3]
        with pytest.raises(ZeroDivisionError):
            broken.result(60)


@pytest.mark.parametrize("name", WITH_WORKERS)
def test_a_worker_that_is_killed_takes_no_other_task_with_it(make, name, tmp_path):
    with make(name) as engine:
        other = engine.submit(_meet, tmp_path)
        killed = engine.submit(_die, tmp_path)
        with pytest.raises(WorkerDied):
            killed.result(60)
        assert other.result(60) == "met"
        assert engine.submit(pow, 2, 3).result(60) == 8


def _die(folder: Path) -> None:
    """End as the kernel ends a process when memory runs out, while another task is at work."""
    _await(folder / "waiting")
    (folder / "dying").touch()
    os.kill(os.getpid(), signal.SIGKILL)


def _meet(folder: Path) -> str:
    (folder / "waiting").touch()
    _await(folder / "dying")
    return "met"


def _await(path: Path) -> None:
    until(path.exists, path.name)


@pytest.mark.parametrize("name", WITH_WORKERS)
def test_nothing_runs_on_when_an_engine_is_left_by_an_exception(make, name, tmp_path):
    with suppress(KeyboardInterrupt), make(name) as engine:
        # one more than there are workers, but for submitit, which is given what may run
        more = range(2 if name == "submitit" else 3)
        futures = [engine.submit(_stay, tmp_path / str(i)) for i in more]
        _await_any(tmp_path)
        raise KeyboardInterrupt
    pids = [int(path.read_text() or 0) for path in tmp_path.glob("[0-9]")]
    assert 0 < len(pids) <= 2
    for pid in pids:
        await_end(pid)
    assert not any(f.done() and not f.cancelled() and f.exception() is None for f in futures)


def _stay(path: Path) -> None:
    path.write_text(str(os.getpid()))
    time.sleep(STAY)


def _await_any(folder: Path) -> None:
    until(lambda: any(path.read_text() for path in folder.glob("[0-9]")), "a task to begin")


def test_workers_end_with_the_process_that_started_them(tmp_path):
    script = """
import sys, time
from pathlib import Path
from kansweep import engines
from kansweep.config.engines import ProcessConfig
from test_engines import _stay

if __name__ == "__main__":
    engine = engines.make(ProcessConfig(workers=2), Path("jobs"))
    for name in ("1", "2"):
        engine.submit(_stay, Path(name))
    time.sleep(600)
"""
    (tmp_path / "script.py").write_text(script)
    process = subprocess.Popen([sys.executable, "script.py"], cwd=tmp_path)
    for name in ("1", "2"):
        _await(tmp_path / name)
    _await_any(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE)
    pids = [int((tmp_path / name).read_text()) for name in ("1", "2")]
    for pid in pids:
        await_end(pid)
    assert len({process.pid, *pids}) == 3  # two others, each of which has ended


def test_the_serial_engine_runs_each_task_before_the_next_is_submitted(make):
    done: list[int] = []
    with make("serial") as engine:
        for number in range(3):
            assert engine.submit(done.append, number).done()
            assert done == list(range(number + 1))


def test_an_interrupt_of_the_serial_engine_reaches_the_caller_at_once(make):
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), make("serial") as engine:
        engine.submit(interrupt)


@pytest.mark.parametrize(
    ("config", "package", "extra"),
    [(DaskConfig(), "distributed", "dask"), (SubmititConfig(), "submitit", "slurm")],
)
def test_an_engine_that_is_not_installed_names_the_extra(
    monkeypatch, tmp_path, config: EngineConfig, package, extra
):
    def version(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("kansweep.engines.imports.version", version)
    with pytest.raises(ConfigError, match=rf"{package}.*pip install 'kansweep\[{extra}\]'"):
        engines.make(config, tmp_path)


def test_a_scheduler_that_is_not_there_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("kansweep.engines.dask.CONNECT", "1s")
    with pytest.raises(ConfigError, match=r"`engine\.address` .*; none answers at 'tcp://127"):
        engines.make(DaskConfig(address="tcp://127.0.0.1:9"), tmp_path)


@pytest.fixture
def scheduler(tmp_path) -> Iterator[subprocess.Popen[bytes]]:
    """A dask scheduler with a worker, each a process of its own; its address in `address`."""
    file = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    for_all = ["--scheduler-file", str(file), "--no-dashboard"]
    started = [
        subprocess.Popen([*dask, "scheduler", "--port", "0", *for_all], **quiet),
        subprocess.Popen([*dask, "worker", "--no-nanny", "--nthreads", "1", *for_all], **quiet),
    ]
    until(lambda: file.exists() and file.read_text().endswith("}"), "the scheduler's address")
    started[0].address = json.loads(file.read_text())["address"]
    yield started[0]
    for process in started:
        process.kill()
        process.wait(PATIENCE)


def test_a_scheduler_that_is_lost_ends_the_run_in_a_sentence(tmp_path, scheduler):
    engine = engines.make(DaskConfig(address=scheduler.address), tmp_path)
    future = engine.submit(_stay, tmp_path / "1")
    _await_any(tmp_path)
    scheduler.kill()
    with pytest.raises(EngineError, match="The dask scheduler is gone"):
        future.result(60)
    engine.abandon()


def test_tasks_go_to_a_running_scheduler_and_leave_it_running(tmp_path):
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        for _ in range(2):
            with engines.make(DaskConfig(address=cluster.scheduler_address), tmp_path) as engine:
                assert (engine.workers, engine.remote) == (None, True)
                assert engine.submit(pow, 2, 3).result(60) == 8
        with Client(cluster) as client:
            assert client.submit(pow, 2, 5).result(60) == 32


# ---------------------------------------------------------------------------------- submitit


def test_submitit_refuses_what_cannot_be_sent_and_writes_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"`sbatch`, which is not found; engine\.cluster=local"):
        engines.make(SubmititConfig(), tmp_path / "jobs")
    wrong = SubmititConfig(cluster="local", parameters={"slurm_lanes": 3})
    with pytest.raises(ConfigError, match=r"`engine\.parameters` must be submitit's own: .*lanes"):
        engines.make(wrong, tmp_path / "jobs")
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_is_preempted_is_performed_again(make, tmp_path):
    with make("submitit") as engine:
        future = engine.submit(_second_time, tmp_path / "pid")
        _await(tmp_path / "pid")
        until(lambda: (tmp_path / "pid").read_text(), "the job's process")
        pid = int((tmp_path / "pid").read_text())
        os.kill(pid, signal.SIGUSR2)  # what SLURM sends before it takes the node
        assert future.result(60) == "again"


def _second_time(path: Path) -> str:
    if path.exists():
        return "again"
    path.write_text(str(os.getpid()))
    time.sleep(STAY)
    return "never"


@pytest.fixture
def slurm(monkeypatch, tmp_path) -> Path:
    """Stand-ins for SLURM's commands: sbatch takes jobs and runs none; squeue lists a file."""
    tools = tmp_path / "bin"
    tools.mkdir()
    scripts = {
        "sbatch": "echo Submitted batch job 7",
        "squeue": f"/bin/cat {tools}/queue",
        "scancel": f"echo $@ >> {tools}/cancelled",
        "sacct": "exit 1",
        "srun": "exit 1",
    }
    for name, line in scripts.items():
        (tools / name).write_text(f"#!/bin/sh\n{line}\n")
        (tools / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(tools))  # a real SLURM may be here
    return tools


def test_a_job_that_vanishes_from_the_queue_without_a_result_is_noticed(slurm, tmp_path):
    (slurm / "queue").write_text("7_0\n7_1\n")
    with engines.make(SubmititConfig(), tmp_path / "jobs") as engine:
        futures = [engine.submit(pow, 2, n) for n in range(2)]
        assert wait(futures, 1.0).done == set()  # they are in the queue
        (slurm / "squeue").write_text("#!/bin/sh\nexit 1\n")
        assert wait(futures, 0.5).done == set()  # SLURM says nothing
        (slurm / "squeue").write_text("#!/bin/sh\necho 7_1\n")
        with pytest.raises(WorkerDied, match=r"Job 7_0 vanished; what it said is in .*jobs"):
            futures[0].result(60)
        assert not futures[1].done()
        (slurm / "squeue").write_text("#!/bin/sh\n")
        with pytest.raises(WorkerDied, match="Job 7_1 vanished"):
            futures[1].result(60)


def test_jobs_are_cancelled_when_the_engine_is_left(slurm, tmp_path):
    (slurm / "queue").write_text("7_0\n7_1\n")
    with suppress(KeyboardInterrupt), engines.make(SubmititConfig(), tmp_path / "jobs") as engine:
        futures = [engine.submit(pow, 2, n) for n in range(2)]
        wait(futures, 1.0)
        raise KeyboardInterrupt
    assert (slurm / "cancelled").read_text() == "7\n"


@pytest.mark.parametrize("fault", ["squeue is gone", "a result that cannot be read"])
def test_jobs_that_cannot_be_followed_do_not_leave_the_run_waiting(slurm, make, tmp_path, fault):
    if fault == "squeue is gone":
        (slurm / "queue").write_text("7\n")
        with engines.make(SubmititConfig(), tmp_path / "jobs") as engine:
            future = engine.submit(pow, 2, 3)
            assert not wait([future], 1.0).done
            (slurm / "squeue").write_text("#!/not/to/be/found\n")
            assert not wait([future], 1.0).done  # nothing is known of it
            (slurm / "squeue").write_text("#!/bin/sh\n")
            with pytest.raises(WorkerDied, match="vanished"):
                future.result(60)
    else:
        with make("submitit") as engine, pytest.raises(WorkerDied, match="failed: "):
            engine.submit(_unreadable).result(60)


class Awkward(Exception):
    """An exception that pickles and does not come back."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def _unreadable() -> None:
    raise Awkward(1, 2)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_sbatch_refuses_ends_the_run_with_its_words(slurm, tmp_path):
    (slurm / "sbatch").write_text("#!/bin/sh\necho 'invalid partition specified: long' >&2\nexit 1")
    with engines.make(SubmititConfig(), tmp_path / "jobs") as engine:
        future = engine.submit(pow, 2, 3)
        with pytest.raises(EngineError, match=r"could not be sent: .*invalid partition"):
            future.result(60)
