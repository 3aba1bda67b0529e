"""The HTML page of a stored sweep, with all that belongs on it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pandas import DataFrame

from kansweep import study
from kansweep.config.loading import from_record
from kansweep.config.overrides import overrides
from kansweep.config.rules import ConfigError
from kansweep.config.run import RunConfig
from kansweep.data import sources
from kansweep.data.published import published
from kansweep.data.targets import Target
from kansweep.figures import sets
from kansweep.laws import joint
from kansweep.laws.prediction import Prediction
from kansweep.laws.published import beside
from kansweep.report import matrix
from kansweep.report.contents import Report
from kansweep.report.page import page
from kansweep.sweep.plan import Plan
from kansweep.sweep.store import Store


def written(store: Store, plan: Plan, results: DataFrame) -> Path:
    """Where the page of a sweep's rows now is."""
    return store.write_report(page_of_one(store, plan, results))


def page_of_one(store: Store, plan: Plan, results: DataFrame) -> str:
    """The page of a sweep's rows."""
    stored = from_record(plan.config_record)
    targets, spread = sources.known(stored.data), sources.spread(stored.data)
    of_sweep = study.of_one(results, targets=targets)
    made = Report(
        study=of_sweep,
        matrix=matrix.matrix(store.overview(plan)),
        drawn=sets.of_one(of_sweep),
        record=plan.config_record,
        command=reproduction(stored),
        joint=joint.describe(of_sweep.ended, spread),
        predicted=_beyond(results, targets, spread),
        published=beside(results, published()),
    )
    return page(made)


def _beyond(results: DataFrame, targets: Mapping[str, Target], spread: float) -> Prediction | None:
    """What the sweep says of twice its largest size, where it says anything of it."""
    size = 2 * int(results["size"].max())
    with suppress(ValueError):
        return study.predicted(results, size, targets=targets, spread=spread)
    return None


def reproduction(job: RunConfig) -> str:
    """The command that gives the same cells anywhere: without what is one machine's own."""
    usual = RunConfig()
    anywhere = replace(job, outputs=usual.outputs, engine=usual.engine, run=usual.run)
    suggested = None
    with suppress(ConfigError):  # a user's module may be elsewhere
        suggested = sources.shape(job.data)[1]
    return shlex.join(["kansweep", "run", *overrides(anywhere, suggested)])
