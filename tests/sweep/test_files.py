"""Locks between real processes; the writing of files is tested with the store's."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys

import pytest
from places import environment
from processes import PATIENCE

from kansweep.sweep import files

HOLDER = """
import sys
from pathlib import Path
from kansweep.sweep.files import Lock

lock = Lock.take(Path(sys.argv[1]))
lock.write("by another")
print("held", flush=True)
input()
lock.release()
print("released", flush=True)
input()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock, until it is told by a line or killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "lock")],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate(timeout=PATIENCE)


def test_a_lock_keeps_others_out_until_it_is_released_and_leaves_no_file(tmp_path, holder):
    path = tmp_path / "lock"
    assert files.Lock.take(path) is None
    assert files.Lock.take(path, patience=0.1) is None
    assert files.is_locked(path)
    assert path.read_text() == "by another"
    holder.stdin.write("\n")
    assert holder.stdout.readline() == "released\n"
    assert not path.exists()
    assert not files.is_locked(path)
    files.Lock.take(path).release()
    assert not path.exists()


def test_a_lock_ends_with_a_holder_that_is_killed_whatever_it_leaves_behind(tmp_path, holder):
    path = tmp_path / "lock"
    holder.send_signal(signal.SIGKILL)
    holder.wait(PATIENCE)
    assert path.exists()
    assert not files.is_locked(path)
    lock = files.Lock.take(path)
    lock.write("mine")
    assert path.read_text() == "mine"
    lock.release()
    assert not path.exists()


def test_a_lock_removes_no_file_that_another_put_in_its_place(tmp_path):
    path = tmp_path / "lock"
    first = files.Lock.take(path)
    path.unlink()
    second = files.Lock.take(path)
    first.release()
    assert files.is_locked(path)
    second.release()
    assert not path.exists()


def test_a_lock_is_waited_for_as_long_as_one_is_patient(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    lock = files.Lock.take(tmp_path / "lock", patience=60)
    assert lock is not None
    lock.release()


def test_a_lock_whose_file_was_removed_between_opening_and_locking_is_not_one(
    tmp_path, monkeypatch
):
    path = tmp_path / "lock"
    flock = fcntl.flock

    def late(file, operation):
        monkeypatch.setattr(fcntl, "flock", flock)
        path.unlink()  # by its holder, who then lets go
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    lock = files.Lock.take(path)
    assert path.exists()
    assert files.is_locked(path)
    lock.release()


def test_a_file_system_without_locks_is_an_error_that_tells(tmp_path, monkeypatch):
    def unable(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unable)
    with pytest.raises(OSError, match="No locks") as error:
        files.Lock.take(tmp_path / "lock", patience=60)
    assert error.value.errno in files.LOCKLESS
