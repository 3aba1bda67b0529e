"""All sweeps in a folder, a line each, for reading and for other programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from kansweep.report.matrix import aligned
from kansweep.sweep.catalogue import Entry

_HEADER = ["name", "target", "model", "cells", "last run", "size", "verdict"]


def text(entries: Sequence[Entry], form: str) -> str:
    """As `table`, `csv` or `json`; the latter two with sizes in bytes and times in ISO 8601."""
    records = [asdict(entry) for entry in entries]
    for record in records:
        record["last_run"] = _iso(record["last_run"])
    if form == "json":
        return json.dumps(records, indent=2)
    if form == "csv":
        return _csv(records)
    return "\n".join(aligned([_HEADER, *map(_line, entries)], "<<<><><"))


def _csv(records: Sequence[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, [field.name for field in fields(Entry)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue().rstrip("\n")


def _line(entry: Entry) -> list[str]:
    when = "" if entry.last_run is None else f"{entry.last_run.astimezone():%Y-%m-%d %H:%M}"
    return [
        entry.name,
        entry.data or "?",
        entry.model or "?",
        _cells(entry),
        "running" if entry.running else when,
        size(entry.size),
        entry.verdict or "",
    ]


def _cells(entry: Entry) -> str:
    of = "?" if entry.cells is None else entry.cells
    return f"{entry.done}/{of}" + (f" ({entry.failed} failed)" if entry.failed else "")


def size(number: float) -> str:
    """Of so many bytes, to three digits at most: 640 kB, 12 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5:
            digits = 0 if number >= 9.95 or unit == "B" else 1
            return f"{number:.{digits}f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="seconds")
