"""Files that are there whole or not at all, and locks that end with the process that holds them."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

LOCKLESS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
_RETRY = 0.05  # seconds


def write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Write a file so that it is there whole or not at all, whenever the process dies.

    Raises OSError as its system calls do; an old file of that name is then still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")  # as is_temporary knows it
    try:
        with temporary.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def is_temporary(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(".tmp")


class Lock:
    """An exclusive ``flock`` on a file that is there while it is held, and that may say by whom.

    The kernel releases it when its holder ends, however it ends; the file that a killed process
    leaves behind locks nobody out.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self._file = path, file

    @classmethod
    def take(cls, path: Path, patience: float = 0.0) -> Lock | None:
        """The lock, or None where another process holds it for longer than ``patience`` seconds.

        Raises OSError, with an ``errno`` out of ``LOCKLESS`` where the file system has no locks.
        """
        deadline = time.monotonic() + patience
        while True:
            file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(file, path):
                    return cls(path, file)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    file.close()
                    return None
            except BaseException:
                file.close()
                raise
            file.close()  # held by another, or removed between opening and locking
            time.sleep(_RETRY)

    def write(self, text: str, *, durable: bool = False) -> None:
        """Say something to those who read the file; they may see what was said before behind it.

        What is ``durable`` is flushed, so that other machines see it at once.
        """
        self._file.seek(0)
        self._file.truncate(self._file.write(text.encode()))
        if durable:
            os.fsync(self._file.fileno())

    def release(self) -> None:
        try:
            if _is_at(self._file, self.path):  # not what another has put in its place
                self.path.unlink(missing_ok=True)
        finally:
            self._file.close()


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock of this file now."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether the opened file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
