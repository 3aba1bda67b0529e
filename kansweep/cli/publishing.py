"""What ``kansweep plot`` and ``report`` give of sweeps that repeat a published table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kansweep.cli.output import say

if TYPE_CHECKING:
    from pandas import DataFrame

    from kansweep.figures.drawn import Drawn
    from kansweep.sweep.store import Store


def beside_published(results: DataFrame) -> DataFrame:
    """The rows beside the published ones, as ``laws.published``; empty where nothing was."""
    from kansweep.data.published import published
    from kansweep.laws.published import beside

    return beside(results, published())


def drawn_beside(table: DataFrame) -> list[Drawn]:
    from kansweep.figures.published import published_errors

    return [] if table.empty else [published_errors(table)]


def write_tables(store: Store, table: DataFrame) -> list[Path]:
    """The table in all formats, where there is one."""
    from kansweep.report.published import FORMATS

    made = {} if table.empty else {ending: form(table) for ending, form in FORMATS.items()}
    return [store.write_published(ending, text) for ending, text in made.items()]


def say_table(table: DataFrame) -> None:
    """The table and what it comes to, where there is one."""
    from kansweep.data.published import published
    from kansweep.laws.published import summary
    from kansweep.report.published import markdown, sentences

    if not table.empty:
        say(markdown(table), "", *sentences(summary(table, published()), table), "")
