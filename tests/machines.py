"""What a machine may lack: a skip with its reason, or a failure where it must not."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest
import torch

REQUIRED = "KANSWEEP_REQUIRED"  # names, parted by commas, of what a machine is known to have
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# Not skipped where a GPU is known to be there: then a test fails without one.
ON_GPU = pytest.mark.skipif(
    not torch.cuda.is_available() and "gpu" not in os.environ.get(REQUIRED, "").split(","),
    reason="no GPU",
)
DEVICES = ["cpu", pytest.param("cuda", marks=ON_GPU)]  # of tensors


def missing(what: str, reason: str) -> NoReturn:
    """End a test that needs what this machine has not."""
    if what in os.environ.get(REQUIRED, "").split(","):
        pytest.fail(f"{REQUIRED} names {what}, but {reason}")
    pytest.skip(reason)


def chromium() -> str:
    """The browser under whichever name it has here."""
    for name in CHROMIUM:
        if path := shutil.which(name):
            return path
    missing("chromium", f"there is no browser called {', '.join(CHROMIUM)}")
