"""What the command line prints, and the statuses that it returns."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

OK, FAILED, REFUSED, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143
MOST_NAMED = 10  # files or cells, before the rest is only counted


class Terminated(KeyboardInterrupt):
    """SIGTERM: an interruption with an exit status of its own."""


def say(*lines: str) -> None:
    """Print, though the reader may have left, as ``head`` does, or the disk be full: the work is
    done, and its status is not that of the message."""
    try:
        print(*lines, sep="\n", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def refuse(error: Exception) -> int:
    print(f"kansweep: {error}", file=sys.stderr)
    return REFUSED


def again(mode: str = "") -> str:
    """The command that was typed, or with another ``run.mode``."""
    typed = sys.argv[1:]
    if mode:
        typed = [word for word in typed if not word.startswith("run.mode=")]
    return shlex.join(["kansweep", *typed, *mode.split()])


def tell_damage(paths: Sequence[Path], remedy: str) -> None:
    for path in paths[:MOST_NAMED]:
        print(f"Damaged, {remedy}: {path}", file=sys.stderr)
    if len(paths) > MOST_NAMED:
        print(f"Damaged, {remedy}: {len(paths) - MOST_NAMED} files more", file=sys.stderr)
