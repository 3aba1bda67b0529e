"""``kansweep show watch=true``: a sweep at work, drawn again every second."""

from __future__ import annotations

import curses
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from kansweep.config.rules import ConfigError
from kansweep.engines.imports import importing

if TYPE_CHECKING:
    from kansweep.sweep.plan import Plan
    from kansweep.sweep.store import Store

EVERY = 1000  # milliseconds between two looks
_LEAVE = (ord("q"), ord("Q"), 27)  # 27: Escape


def watch(store: Store, plan: Plan) -> None:
    """Until no cell is left or a key leaves; the terminal is as it was then."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError("`watch` must be false where there is no terminal; got True.")
    try:
        curses.wrapper(_look_on, store, plan)
    except curses.error as error:
        raise ConfigError(f"`watch` must be false on this terminal: {error}.") from error


def _look_on(window: curses.window, store: Store, plan: Plan) -> None:
    with importing():
        from kansweep.report import watched
        from kansweep.sweep.columns import State

    with suppress(curses.error):  # what not every terminal can
        curses.curs_set(0)
        curses.use_default_colors()
    window.timeout(EVERY)
    rate, key = watched.Rate(), -1
    while key not in _LEAVE:
        cells = store.overview(plan)
        ended = cells["status"].isin([State.DONE, State.FAILED])
        at_work = len(store.marks.held())
        height, width = window.getmaxyx()
        lines = watched.screen(
            store.folder.name,
            cells,
            store.rows(cells["key"][cells["status"] == State.FAILED]),
            rate.at(time.monotonic(), int(ended.sum())),
            at_work,
            width,
            height,
        )
        _draw(window, lines)
        if ended.all():
            break
        key = window.getch()


def _draw(window: curses.window, lines: list[str]) -> None:
    window.erase()
    for row, line in enumerate(lines):
        with suppress(curses.error):  # the window became smaller, or its last corner is written
            window.addstr(row, 0, line, curses.A_BOLD if row == 0 else curses.A_NORMAL)
    window.refresh()
