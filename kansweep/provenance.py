"""Where and with what a cell was trained."""

from __future__ import annotations

import socket
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import torch


@cache
def provenance() -> dict[str, Any]:
    """The columns that say so, the same for all cells of a process."""
    return {
        "torch_version": torch.__version__,
        "git_revision": git_revision(),
        "host": socket.gethostname(),
    }


def git_revision() -> str | None:
    """Commit of the checkout that this package runs from, None where it is installed."""
    package = Path(__file__).parent
    command = ["git", "-C", str(package), "ls-files", "--error-unmatch", __file__]
    try:
        subprocess.run(command, capture_output=True, check=True, timeout=5)
        head = ["git", "-C", str(package), "rev-parse", "HEAD"]
        done = subprocess.run(head, capture_output=True, check=True, text=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
