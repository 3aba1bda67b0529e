"""What ``kansweep plot`` and ``report`` give of sweeps that repeat a published table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame

    from kansweep.sweep.store import Store


def beside(results: DataFrame) -> DataFrame:
    """The rows beside the published ones, as ``laws.published``; empty where nothing was."""
    from kansweep.data.published import published
    from kansweep.laws.published import beside

    return beside(results, published())


def published_beside(store: Store, results: DataFrame) -> tuple[list[str], list[Path]]:
    """Write the table in all formats: what is to be said of it, and the files."""
    from kansweep.data.published import published
    from kansweep.laws.published import summary
    from kansweep.report import beside as words

    table = beside(results)
    if table.empty:
        return [], []
    said = [words.markdown(table), "", *words.sentences(summary(table, published()), table), ""]
    return said, [store.write_published(e, form(table)) for e, form in words.FORMATS.items()]
