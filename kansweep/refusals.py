"""What is said where a sweep's folder cannot be used: the file and the cause, in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kansweep import files


class StoreError(RuntimeError):
    """A folder that cannot be used as asked; the message says why and what to do."""


class ConfigDamaged(StoreError):
    """A configuration that is not there or is none, in a folder that may hold cells."""


@contextmanager
def naming_the_file(path: Path, what: str = "written") -> Iterator[None]:
    """What the system refuses as an error that names the file; that it is not there passes."""
    try:
        yield
    except FileNotFoundError:
        if what == "read":
            raise
        raise _refused(path, what, "No such file or directory") from None
    except OSError as error:
        raise _refused(path, what, error.strerror or str(error)) from error


def unlockable(path: Path, error: OSError) -> StoreError:
    if error.errno in files.LOCKLESS:
        return StoreError(
            f"{path} is on a file system without locks; choose another with outputs=…"
        )
    return _refused(path, "written", error.strerror or str(error))


def _refused(path: Path, what: str, reason: str) -> StoreError:
    return StoreError(f"{path} cannot be {what}: {reason}.")
