"""Whole processes on real folders, and what befalls them: kills, interrupts, rivals, full disks."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import processes
import pytest
from folders import times
from machines import missing
from places import TESTS, environment
from processes import PATIENCE

SIZES = ("data.sizes=[100,200,300,400]", "data.n_test=500", "grid.sizes=[5,10,20]", "seeds=4")
MODULES = (
    *("model=module", "model.target=user_nets:Hats", "model.sizes=[5,10,20]", "solver.steps=2"),
    *(word for word in SIZES if not word.startswith("grid.")),
)
CELLS = 48
WHOLE_RUN = 300.0  # seconds that a run may take on a machine that is busy
ENGINES = {
    "serial": ("engine=serial",),
    "process": ("engine=process", "engine.workers=2"),
    "dask": ("engine=dask", "engine.workers=2"),
    "submitit": ("engine=submitit", "engine.cluster=local", "engine.workers=2"),
}


class Sweeps:
    """Starts `kansweep` in a folder, each run in a process group of its own as a shell does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "kansweep", *words],
            cwd=self.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, *words: str) -> tuple[int, str, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=WHOLE_RUN)
        return process.returncode, out, err

    def cells(self, name: str = "example8") -> dict[str, int]:
        """Rows that are there, with the time of their writing."""
        return times(self.folder / "outputs" / name)

    def table(self, name: str = "example8") -> pd.DataFrame:
        return pd.read_parquet(self.folder / "outputs" / name / "results.parquet")

    def end(self) -> None:
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=PATIENCE)


@pytest.fixture
def sweeps(tmp_path) -> Iterator[Sweeps]:
    sweeps = Sweeps(tmp_path)
    yield sweeps
    sweeps.end()


def until(happened: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for what happens, not for how long it takes; or for the process to end."""
    processes.until(lambda: process.poll() is not None or happened(), "what a run is to do")


def ended(group: int, patience: float = 10.0) -> bool:
    """Whether all processes of a group end; those that only tidy up are given a little time."""
    deadline = time.monotonic() + patience
    while living(group) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not living(group)


def living(group: int) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of_group = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(of_group) == group and state != "Z":
            found.append(path.parent.name)
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Sweeps:
    """One run that nothing disturbed."""
    sweeps = Sweeps(tmp_path_factory.mktemp("undisturbed"))
    assert sweeps.run("run", *SIZES)[0] == 0
    return sweeps


@pytest.fixture(scope="module")
def undisturbed(whole) -> pd.DataFrame:
    return whole.table()


def assert_same(table: pd.DataFrame, undisturbed: pd.DataFrame) -> None:
    """To what batches cut in another way leave of it; bit for bit they are not."""
    assert table["key"].tolist() == undisturbed["key"].tolist()
    assert (table["status"] == "ok").all()
    for split in ("train_rmse", "test_rmse"):
        np.testing.assert_allclose(np.log(table[split]), np.log(undisturbed[split]), atol=1e-3)


@pytest.mark.parametrize(
    ("engine", "sizes", "kills"),
    [("serial", SIZES, (5, 4)), ("process", SIZES, (5,)), ("serial", MODULES, (5,))],
    ids=["serial", "process", "module"],
)
def test_killed_with_9_again_and_again_it_finishes_and_writes_no_finished_cell_again(
    sweeps, request, engine, sizes, kills
):
    shutil.copy(TESTS / "user_nets.py", sweeps.folder)
    words = ("run", *sizes, *ENGINES[engine])
    for more in kills:
        before = sweeps.cells()
        process = sweeps.start(*words)
        enough = len(before) + more
        until(lambda enough=enough: len(sweeps.cells()) >= enough, process)
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)
        assert process.returncode == -signal.SIGKILL
        assert ended(process.pid)
        assert before.items() <= sweeps.cells().items()
    before = sweeps.cells()
    status, out, err = sweeps.run(*words)
    assert (status, err) == (0, "")
    assert f"{len(before)} of them kept, {CELLS - len(before)} trained" in out
    assert before.items() <= sweeps.cells().items()
    if sizes is SIZES:
        assert_same(sweeps.table(), request.getfixturevalue("undisturbed"))
    assert set(sweeps.table()["start_grid"]) == {5}
    assert not [path for path in sweeps.folder.rglob("*") if path.name.endswith((".tmp", ".lock"))]


@pytest.mark.parametrize(
    ("engine", "number"),
    [*((name, signal.SIGINT) for name in ENGINES), ("process", signal.SIGTERM)],
)
def test_an_interrupt_leaves_no_process_and_says_how_to_go_on(sweeps, engine, number):
    words = ("run", *SIZES, "grid.sizes=[5,10,20,50,100]", *ENGINES[engine])
    process = sweeps.start(*words)
    until(lambda: len(sweeps.cells()) > 0, process)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (128 + number, "")
    assert ended(process.pid)
    done = len(sweeps.cells())
    assert err.splitlines()[-1].startswith(
        f"Interrupted: {done} of 80 cells are done and kept. Go on with: kansweep run "
    )
    assert "Traceback" not in err
    assert len(sweeps.table()) == done


def test_a_second_run_into_a_folder_at_work_is_refused_and_changes_nothing(sweeps, undisturbed):
    first = sweeps.start("run", *SIZES, "seeds=9")
    until(lambda: len(sweeps.cells()) > 0, first)
    first.send_signal(signal.SIGSTOP)  # it holds the folder, and does not end meanwhile
    config = (sweeps.folder / "outputs/example8/config.yaml").read_bytes()
    status, out, err = sweeps.run("run", *SIZES)
    assert (status, out) == (2, "")
    assert f"Another run is at work in outputs/example8 (process {first.pid} on " in err
    assert "name=…" in err
    assert first.poll() is None
    assert (sweeps.folder / "outputs/example8/config.yaml").read_bytes() == config
    first.send_signal(signal.SIGTERM)
    first.send_signal(signal.SIGCONT)
    first.communicate(timeout=PATIENCE)
    before = sweeps.cells()
    assert sweeps.run("run", *SIZES)[0] == 0
    assert before.items() <= sweeps.cells().items()
    assert_same(sweeps.table(), undisturbed)


def test_a_worker_that_is_killed_costs_its_cells_in_progress_and_no_more(sweeps, undisturbed):
    process = sweeps.start("run", *SIZES, *ENGINES["process"])
    until(lambda: len(sweeps.cells()) > 0, process)
    before = sweeps.cells()
    marks = [path.read_text() for path in (sweeps.folder / "outputs/example8/running").iterdir()]
    os.kill(int(marks[0].partition('"pid": ')[2].partition(",")[0]), signal.SIGKILL)
    out, err = process.communicate(timeout=WHOLE_RUN)
    assert (process.returncode, err) == (0, "")
    assert f"{CELLS} trained, 0 failed" in out
    assert before.items() <= sweeps.cells().items()
    assert_same(sweeps.table(), undisturbed)


def test_what_was_damaged_is_named_and_made_again(sweeps, whole, undisturbed):
    shutil.copytree(whole.folder, sweeps.folder, dirs_exist_ok=True)
    folder = sweeps.folder / "outputs" / "example8"
    row, empty, other = sorted((folder / "cells").iterdir())[:3]
    state = folder / "states" / f"{sorted((folder / 'cells').iterdir())[9].stem}.npz"
    row.write_bytes(row.read_bytes()[:100])
    empty.write_bytes(b"")
    other.write_bytes(np.random.default_rng(0).bytes(2000))
    state.write_bytes(state.read_bytes()[:-200])
    names = [str(path.relative_to(sweeps.folder)) for path in (empty, other, row, state)]
    status, out, err = sweeps.run("show")
    assert (status, f"{CELLS - 4} done" in out) == (0, True)
    assert sorted(err.splitlines()) == sorted(
        f"Damaged, to be trained again by the next run: {name}" for name in names
    )
    status, out, err = sweeps.run("run", *SIZES)
    assert status == 0
    assert f"{CELLS - 4} of them kept, 4 trained" in out
    assert sorted(err.splitlines()) == sorted(f"Damaged, trained again: {name}" for name in names)
    assert_same(sweeps.table(), undisturbed)


# ------------------------------------------------------------------------------- the disk


@pytest.fixture
def disk(tmp_path) -> Iterator[Callable[[str], None]]:
    """Mounts a small file system at `outputs`, or changes the one there."""
    outputs = tmp_path / "outputs"
    outputs.mkdir()

    def mount(options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(outputs)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        except OSError as error:
            missing("mount", f"there is no mount: {error}")
        if done.returncode:
            missing("mount", f"this machine lets nobody mount: {done.stderr.strip()}")

    yield mount
    subprocess.run(["umount", "--lazy", str(outputs)], capture_output=True, timeout=PATIENCE)


@pytest.mark.parametrize("engine", ["serial", "process"])
def test_a_full_disk_ends_the_run_in_a_sentence_and_more_room_lets_it_go_on(
    sweeps, disk, undisturbed, engine
):
    disk("size=300k")
    words = ("run", *SIZES, *ENGINES[engine])
    status, out, err = sweeps.run(*words)
    done = len(sweeps.cells())
    assert (status, out) == (1, "")
    assert 0 < done < CELLS
    assert "cannot be written: No space left on device. " in err
    assert f"{done} of {CELLS} cells are done and kept. Go on with: kansweep run " in err
    assert len(err.splitlines()) == 1
    before = sweeps.cells()
    disk("remount,size=50m")
    status, out, err = sweeps.run("run", *SIZES)
    assert (status, err) == (0, "")
    assert f"{done} of them kept" in out
    assert before.items() <= sweeps.cells().items()
    assert_same(sweeps.table(), undisturbed)


def test_a_folder_that_cannot_be_written_is_refused_in_a_sentence(sweeps, disk):
    disk("ro")
    status, out, err = sweeps.run("run", *SIZES)
    assert (status, out) == (2, "")
    assert err == "kansweep: outputs/example8 cannot be written: Read-only file system.\n"


def test_a_folder_that_cannot_be_written_any_more_can_be_looked_at(sweeps, whole, disk):
    disk("size=50m")
    shutil.copytree(whole.folder, sweeps.folder, dirs_exist_ok=True)
    disk("remount,ro")
    status, out, err = sweeps.run("show")
    assert (status, err) == (0, "")
    assert f"{CELLS} done" in out
    assert sweeps.run("run", *SIZES)[0] == 2
