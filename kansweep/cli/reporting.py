"""``kansweep report``: one sweep, or several beside each other, as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kansweep.cli.analysing import results_of, several, stored_of_several
from kansweep.cli.output import OK, say
from kansweep.cli.publishing import beside_published, drawn_beside
from kansweep.config.commands import ReportConfig
from kansweep.config.loading import from_record
from kansweep.engines.imports import importing

if TYPE_CHECKING:  # imported where it is needed, so that help and refusals come at once
    from kansweep.sweep.plan import Plan
    from kansweep.sweep.store import Store


def report(job: ReportConfig) -> int:
    say(str(written(job)))
    return OK


def written(job: ReportConfig) -> Path:
    """Where the page now is."""
    store, page = _of_one(job) if job.names is None else _of_several(job)
    return store.write_report(page)


def _of_one(job: ReportConfig) -> tuple[Store, str]:
    with importing():
        from kansweep.session import reporting

    store, plan, results = results_of(job)
    return store, reporting.page_of_one(store, plan, results)


def _of_several(job: ReportConfig) -> tuple[Store, str]:
    with importing():
        from kansweep.figures import sets
        from kansweep.report.contents import Sweep, Together
        from kansweep.report.matrix import matrix
        from kansweep.report.page import page_of_several

    stored = stored_of_several(job)
    store, study = several(job, stored)
    sweeps = {
        name: Sweep(matrix(of_one.overview(plan)), _command(plan))
        for name, (of_one, plan, _) in stored.items()
    }
    published = beside_published(study.results)
    drawn = [*sets.of_several(study, ("test",)), *drawn_beside(published)]
    return store, page_of_several(Together(study, drawn, sweeps, published))


def _command(plan: Plan) -> str:
    from kansweep.session import reporting

    return reporting.reproduction(from_record(plan.config_record))
