"""``kansweep report``: one sweep, or several beside each other, as one HTML page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from kansweep.cli.analysing import results_of, several, stored_of_several, targets_of
from kansweep.cli.output import OK, say
from kansweep.config.commands import ReportConfig
from kansweep.config.loading import from_record
from kansweep.config.overrides import overrides
from kansweep.config.rules import ConfigError
from kansweep.config.run import RunConfig
from kansweep.engines.imports import importing

if TYPE_CHECKING:  # imported where it is needed, so that help and refusals come at once
    from pandas import DataFrame

    from kansweep.data.targets import Target
    from kansweep.laws.prediction import Prediction
    from kansweep.sweep.plan import Plan
    from kansweep.sweep.store import Store


def report(job: ReportConfig) -> int:
    store, page = _of_one(job) if job.names is None else _of_several(job)
    say(str(store.write_report(page)))
    return OK


def _of_one(job: ReportConfig) -> tuple[Store, str]:
    with importing():
        from kansweep import study
        from kansweep.data import sources
        from kansweep.figures import sets
        from kansweep.laws import joint
        from kansweep.report import matrix
        from kansweep.report.contents import Report
        from kansweep.report.page import page

    store, plan, results = results_of(job)
    stored = from_record(plan.config_record)
    spread = sources.spread(stored.data)
    of_sweep = study.of_one(results, targets=targets_of(plan))
    made = Report(
        study=of_sweep,
        matrix=matrix.matrix(store.overview(plan)),
        drawn=sets.of_one(of_sweep),
        record=plan.config_record,
        command=_reproduction(stored),
        joint=joint.describe(of_sweep.ended, spread),
        predicted=_beyond(results, targets_of(plan), spread),
    )
    return store, page(made)


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
    return store, page_of_several(Together(study, sets.of_several(study, ("test",)), sweeps))


def _command(plan: Plan) -> str:
    return _reproduction(from_record(plan.config_record))


def _beyond(results: DataFrame, targets: Mapping[str, Target], spread: float) -> Prediction | None:
    """What the sweep says of twice its largest size, where it says anything of it."""
    from kansweep import study

    size = 2 * int(results["size"].max())
    with suppress(ValueError):
        return study.predicted(results, size, targets=targets, spread=spread)
    return None


def _reproduction(job: RunConfig) -> str:
    """The command that gives the same cells anywhere: without what is one machine's own."""
    from kansweep.data import sources

    usual = RunConfig()
    anywhere = replace(job, outputs=usual.outputs, engine=usual.engine, run=usual.run)
    suggested = None
    with suppress(ConfigError):  # a user's module may be elsewhere
        suggested = sources.shape(job.data)[1]
    return shlex.join(["kansweep", "run", *overrides(anywhere, suggested)])
