"""Processes that tests start and wait for; every wait has an end."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from places import environment

PATIENCE = 60.0  # seconds, on a machine that is busy; nothing waits as long where all is well


def python(script: str, *words: str, **variables: str) -> str:
    """What a script complains of in a process of its own, where nothing is imported yet."""
    command = [sys.executable, "-c", script, *words]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(**variables), timeout=120
    )
    return done.stderr if done.returncode else ""


def until(happened: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait for what happens; that it does not is a failure that says ``what`` was awaited."""
    deadline = time.monotonic() + patience
    while not happened():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience:g} s in vain for {what}")
        time.sleep(0.002)


def await_end(pid: int) -> None:
    """Wait until a process is gone, or only waits for somebody to ask how it ended."""

    def ended() -> bool:
        with suppress(OSError):
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        return True

    until(ended, f"the end of process {pid}")
