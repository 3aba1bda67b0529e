"""A sweep at work as a screenful of text: cells' states in, lines out."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pandas import DataFrame

from kansweep.kinds import DEFAULT, KINDS
from kansweep.report.matrix import aligned, duration, matrix, texts, to_go
from kansweep.sweep.columns import State

_SPAN = 60.0  # seconds that the rate is taken over
_MOST_ERRORS = 5


@dataclass
class Rate:
    """Cells a second that ended of late."""

    _ended: deque[tuple[float, int]] = field(default_factory=deque)  # times, and counts by then

    def at(self, time: float, ended: int) -> float | None:
        """After another look; None while none has ended."""
        self._ended.append((time, ended))
        while len(self._ended) > 2 and self._ended[1][0] < time - _SPAN:
            self._ended.popleft()
        (since, before), (now, after) = self._ended[0], self._ended[-1]
        return (after - before) / (now - since) if after > before and now > since else None


def screen(
    name: str,
    cells: DataFrame,
    failed: Sequence[Mapping[str, Any]],
    rate: float | None,
    at_work: int,
    width: int,
    height: int,
) -> list[str]:
    """At most ``height`` lines of ``width`` characters.

    ``cells`` as a store's overview gives them, ``failed`` the rows of those that failed, ``rate``
    in cells a second, ``at_work`` the number of workers.
    """
    table = matrix(cells)
    head = [_counts(name, cells), _bar(cells, width), ""]
    foot = ["", _pace(table, rate, at_work), *_errors(failed), "", "q leaves; the run goes on."]
    room = max(1, height - len(head) - len(foot))
    body = _fitting(texts(table), width)
    if len(body) > room:
        body = [*body[: room - 1], f"… {len(body) - room + 1} lines more"]
    return [_cut(line, width) for line in (head + body + foot)[:height]]


def _counts(name: str, cells: DataFrame) -> str:
    numbers = cells["status"].value_counts()
    counts = ", ".join(f"{numbers.get(state, 0)} {state}" for state in State)
    return f"{name}: {len(cells)} cells, {counts}"


def _bar(cells: DataFrame, width: int) -> str:
    """The share that has ended, one that failed included, as a bar and in percent."""
    share = cells["status"].isin([State.DONE, State.FAILED]).mean()
    room = min(width, 80) - 7
    filled = int(share * room)
    return f"[{'#' * filled}{'.' * (room - filled)}] {share:4.0%}"


def _pace(table: DataFrame, rate: float | None, at_work: int) -> str:
    """How fast it goes, and how long it may take: at that rate, or as cells like them took."""
    left = int(table[[State.RUNNING, State.WAITING]].to_numpy().sum())
    if not left:
        return "All cells have ended."
    if not at_work:
        return f"No worker is at it; {left} cells are left."
    workers = f"{at_work} worker{'s' if at_work > 1 else ''}"
    if rate is not None:
        pace = f"{rate * 60:.3g}" if rate * 60 < 100 else f"{rate * 60:,.0f}"
        return f"{workers}, {pace} cells a minute, some {duration(left / rate)} to go"
    seconds = to_go(table)
    expected = "" if seconds is None else f", some {duration(seconds / at_work)} to go"
    return f"{workers}{expected}"


def _errors(failed: Sequence[Mapping[str, Any]]) -> list[str]:
    """The last cells that failed, and why."""
    latest = sorted(failed, key=lambda row: str(row["started_at"]))[-_MOST_ERRORS:]
    lines = []
    for row in latest:
        symbol = KINDS[row["model"] or DEFAULT].symbol
        why = str(row["error"] or row["stop_reason"]).splitlines()[0]
        lines.append(f"  n={row['n_train']} seed={row['seed']} {symbol}={row['size']}: {why}")
    return ["", f"Failed, the last of {len(failed)}:", *lines] if lines else []


def _fitting(rows: list[list[str]], width: int) -> list[str]:
    """The table with as many sizes as there is room for, the last ones where not all do."""
    for left_out in range(len(rows[0]) - 1):
        shown = [[row[0], *row[1 + left_out :]] for row in rows]
        if left_out:
            shown = [[row[0], "…", *row[1:]] for row in shown]
        lines = aligned(shown)
        if max(map(len, lines)) <= width:
            return lines
    return lines


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: max(0, width - 1)]}…"
