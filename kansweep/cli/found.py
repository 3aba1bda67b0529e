"""``model.hidden=auto`` and ``kansweep shapes``: hidden widths are found, what was tried shown."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kansweep.cli.analysing import write_figures
from kansweep.cli.output import OK, again, say
from kansweep.config.commands import ShapesConfig
from kansweep.config.run import RunConfig
from kansweep.engines.imports import importing

if TYPE_CHECKING:  # imported where it is needed, so that help and refusals come at once
    from kansweep.sweep.store import Store
    from kansweep.sweep.tried import Search


def searched(job: RunConfig, store: Store) -> tuple[RunConfig, Search]:
    """A resolved job with the hidden widths that are found for it, and how; shapes are told as they
    are tried."""
    from kansweep.sweep import shapes, tried
    from kansweep.sweep.resolution import enough

    def tell(line: str) -> None:
        if not job.run.is_quiet:
            say(line)

    asked_for = enough(job)
    try:
        job, search = shapes.found(job, store, lambda width: tell(f"Trying {width} …"))
    except KeyboardInterrupt:
        kept = f"the shapes that were tried are kept. Go on with: {again()}"
        print("Interrupted:", kept, file=sys.stderr)
        raise
    width = tried.named(search.chosen or ())
    tell(f"Shape: {width}, the choice out of {len(search.shapes)} in {store.layout.shapes}")
    if asked_for and search.cheapest(asked_for) is None:
        tell(f"None came to {asked_for:g} on points held out; this one comes nearest.")
    return job, search


def shapes(asked: ShapesConfig) -> int:
    with importing():
        from kansweep.data import sources
        from kansweep.figures import styles
        from kansweep.figures.shapes import draw
        from kansweep.report.shapes import table
        from kansweep.sweep.resolution import enough, resolved
        from kansweep.sweep.store import Store

    job, plot = resolved(asked.run_config), asked.plot
    store = Store(Path(job.outputs) / job.name)
    asked_for = enough(job)
    job, search = searched(job, store)
    say("", table(search, job.kind), "")
    with styles.applied(plot.style, plot.width):
        drawn = draw(search, sources.label(job.data), asked_for)
        say(*map(str, write_figures(store, {drawn.name: drawn.figure}, plot.formats)))
    return OK
