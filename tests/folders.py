"""What is in a folder, and when its cells were written."""

from __future__ import annotations

from pathlib import Path


def files(folder: Path) -> set[str]:
    """All files below a folder, as they are named there."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def times(folder: Path) -> dict[str, int]:
    """The rows of a sweep's folder, with the times of their writing."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / "cells").glob("n*.parquet")}
