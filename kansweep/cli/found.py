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
    from kansweep.kinds import Kind
    from kansweep.sweep.store import Store
    from kansweep.sweep.tried import Search


def searched(job: RunConfig, store: Store) -> tuple[RunConfig, Search]:
    """A resolved job with the hidden widths that are found for it, and how; shapes are told as they
    are tried."""
    from kansweep.sweep import shapes, tried

    def tell(line: str) -> None:
        if not job.run.is_quiet:
            say(line)

    try:
        job, search = shapes.found(job, store, lambda width: tell(f"Trying {width} …"))
    except KeyboardInterrupt:
        kept = f"the shapes that were tried are kept. Go on with: {again()}"
        print("Interrupted:", kept, file=sys.stderr)
        raise
    width = tried.named(search.chosen or ())
    tell(f"Shape: {width}, the choice out of {len(search.shapes)} in {store.layout.shapes}")
    if search.enough is not None:
        tell(_enough(search, job.kind))
    return job, search


def _enough(search: Search, kind: Kind) -> str:
    """What became of the error that was asked for."""
    found = search.cheapest
    if found is None:
        return f"None came to {search.enough:g} on points held out: it is chosen as without it."
    least = f"{kind.symbol} = {found.size}, {found.n_params} parameters"
    return f"It comes to {search.enough:g} on points held out at {least}."


def shapes(asked: ShapesConfig) -> int:
    with importing():
        from kansweep.data import sources
        from kansweep.figures import styles
        from kansweep.figures.shapes import draw
        from kansweep.report.shapes import table
        from kansweep.sweep.resolution import resolved
        from kansweep.sweep.store import Store

    job, plot = resolved(asked.run_config), asked.plot
    store = Store(Path(job.outputs) / job.name)
    job, search = searched(job, store)
    say("", table(search, job.kind), "")
    with styles.applied(plot.style, plot.width):
        drawn = draw(search, sources.label(job.data))
        say(*map(str, write_figures(store, {drawn.name: drawn.figure}, plot.formats)))
    return OK
