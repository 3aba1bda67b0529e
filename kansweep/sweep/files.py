"""Files that are there whole or not at all, and locks that end with the process that holds them."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Self

LOCKLESS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
_RETRY = 0.05  # seconds
_AT_ONCE = 16  # files that are flushed side by side


class Staged:
    """A file under a temporary name until it is placed; one that is not is gone with its ``with``.

    Its place holds it whole or not at all, whenever the process dies, and after a power cut too
    where it was flushed before. Raises OSError as its system calls do; an old file of that name is
    then still there.
    """

    def __init__(self, path: Path, fill: Callable[[BinaryIO], object]) -> None:
        self.path = path
        with ExitStack() as undone:
            temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")  # see is_temporary
            undone.callback(temporary.unlink, missing_ok=True)
            self._temporary = temporary
            self._file = undone.enter_context(temporary.open("wb"))
            fill(self._file)
            self._file.flush()
            self._undone = undone.pop_all()

    def __enter__(self) -> Self:
        return self

    def flush(self) -> None:
        os.fsync(self._file.fileno())

    def place(self) -> None:
        self._temporary.replace(self.path)

    def __exit__(self, *_: object) -> None:
        self._undone.close()


def at_once(fill: Callable[[BinaryIO], object]) -> Callable[[BinaryIO], object]:
    """What fills a file in one piece: Parquet and zips are written in many small ones."""

    def filled(file: BinaryIO) -> None:
        packed = io.BytesIO()
        fill(packed)
        file.write(packed.getbuffer())

    return filled


def write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Write a file whole or not at all, and its name for good. Raises as ``Staged`` does."""
    with Staged(path, fill) as staged:
        staged.flush()
        staged.place()
    settle(path.parent)


def flush(staged: Sequence[Staged]) -> None:
    """Flush files side by side: a disk takes many of them in little more than the time of one."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        others = pool.map(Staged.flush, staged[1:])
        staged[0].flush()  # here, since for a file or two starting threads is what takes long
        list(others)


def settle(folder: Path) -> None:
    """Flush the names in a folder, so that a power cut takes none of them back."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


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
