"""The sweeps in a folder of outputs: which there are, and which was run last."""

from __future__ import annotations

import fnmatch
from contextlib import suppress
from pathlib import Path

from kansweep.layout import LATEST, Layout
from kansweep.refusals import StoreError


def names(outputs: Path) -> list[str]:
    """All sweeps in ``outputs``."""
    return sorted(path.parent.name for path in outputs.glob(f"*/{Layout(Path()).config.name}"))


def named(outputs: Path, pattern: str) -> list[str]:
    """The sweeps in ``outputs`` whose names match a shell's pattern."""
    return sorted(fnmatch.filter(names(outputs), pattern))


def latest(outputs: Path) -> str | None:
    """Name of the sweep in ``outputs`` that was run last, None where there is no sweep."""
    with suppress(OSError, UnicodeDecodeError):
        name = (outputs / LATEST).read_text()
        if Layout(outputs / name).config.is_file() and (outputs / name).parent == outputs:
            return name
    there = names(outputs)
    if len(there) > 1:
        raise StoreError(f"Choose a sweep of {outputs} with name=…; there is {', '.join(there)}.")
    return there[0] if there else None
