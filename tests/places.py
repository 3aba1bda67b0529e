"""Where the checkout is and what the tests keep in files, wherever a test module lies."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
DATA = TESTS / "data"


def environment(**variables: str) -> dict[str, str]:
    """Of a process that is started: this one's, where it imports this checkout."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **variables}
