"""``kansweep show``, ``plot``, ``plot edges``, ``predict`` and ``report``: what is made of a stored
sweep."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kansweep import kinds
from kansweep.cli.output import OK, say, tell_damage
from kansweep.config.commands import (
    EdgesConfig,
    PlotConfig,
    PredictConfig,
    ReportConfig,
    ShowConfig,
)
from kansweep.config.loading import from_record
from kansweep.config.overrides import overrides
from kansweep.config.rules import ConfigError
from kansweep.config.run import RunConfig

if TYPE_CHECKING:  # imported where it is needed, so that help and refusals come at once
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from kansweep.laws.findings import Study
    from kansweep.sweep.plan import Plan
    from kansweep.sweep.store import Store


def _stored(
    job: ShowConfig | PlotConfig | PredictConfig | ReportConfig | EdgesConfig,
) -> tuple[Store, Plan]:
    """The sweep that was named, or else the latest."""
    from kansweep.data import sources
    from kansweep.sweep.outputs import latest
    from kansweep.sweep.plan import planned
    from kansweep.sweep.store import Store

    outputs = Path(job.outputs)
    name = job.name or latest(outputs)
    if name is None:
        raise ConfigError(f"There is no sweep in {outputs}; `kansweep run` makes one.")
    store = Store(outputs / name)
    stored = from_record(store.read_config())
    sources.check(stored.data)
    return store, planned(stored)


def show(job: ShowConfig) -> int:
    store, plan = _stored(job)

    from kansweep.report import matrix

    at_work = len(store.marks.held())
    table = matrix.matrix(store.overview(plan))
    say(matrix.text(table, job.format, plan.config_record["name"], at_work))
    planned = {cell.key for cell in plan.cells}
    damaged = [path for path in store.damaged if path.stem in planned]
    tell_damage(damaged, "to be trained again by the next run")
    return OK


def plot(job: PlotConfig) -> int:
    from kansweep.figures import sets
    from kansweep.laws import cells
    from kansweep.report import terminal

    splits = cells.SPLITS if job.plot.split == "both" else (job.plot.split,)
    if job.names is None:
        store, study = _study(job)
        written = [store.write_laws(study.laws)]
        drawn = sets.of_one(study, splits)
    else:
        store, study = _study_of_several(job)
        written = []
        drawn = sets.of_several(study, splits)
    written += _write_figures(store, {each.name: each.figure for each in drawn}, job.plot.formats)
    say(terminal.summary(study), "")
    if job.plot.orders and (orders := terminal.orders_table(study)):
        say(orders, "")
    say(*map(str, written))
    return OK


def _study(job: PlotConfig) -> tuple[Store, Study]:
    from kansweep import study

    store, _, results = _results(job)
    _check_axis(job, results)
    return store, study.of_one(results, job.plot.x, job.plot.margin)


def _study_of_several(job: PlotConfig) -> tuple[Store, Study]:
    """The study of several sweeps, and the folder for what is drawn of them."""
    from kansweep import study
    from kansweep.sweep.outputs import named
    from kansweep.sweep.store import Store

    outputs, names = Path(job.outputs), job.names
    if isinstance(names, str):
        names = named(outputs, names)
        if len(names) < 2:
            raise ConfigError(
                f"`names` must match two sweeps or more; {job.names} matches {len(names)} of"
                f" {outputs}."
            )
    sweeps = {name: _results(replace(job, name=name, names=None))[-1] for name in names}
    for results in sweeps.values():
        _check_axis(job, results)
    # No sweep's name has a `+`.
    folder = "+".join(names)[:200] if names is job.names else re.sub(r"[*?]", "+", job.names)
    return Store(outputs / folder), study.of_several(sweeps, job.plot.x, job.plot.margin)


def _results(job: PlotConfig | PredictConfig | ReportConfig) -> tuple[Store, Plan, DataFrame]:
    """A sweep and its rows; refused where there are none."""
    store, plan = _stored(job)
    results = store.results(cell.key for cell in plan.cells)
    if results.empty:
        raise ConfigError(f"No cell of {store.folder} is done yet; `kansweep run` trains them.")
    return store, plan, results


def _check_axis(job: PlotConfig, results: DataFrame) -> None:
    kind = kinds.of(results)
    if job.plot.x == "grid_size" and not kind.on_grid:
        raise ConfigError(
            f"`plot.x` must be n_params or null for {kind.title}s; got {job.plot.x!r}."
        )


def _write_figures(
    store: Store, figures: Mapping[str, Figure], formats: Sequence[str]
) -> list[Path]:
    import matplotlib

    from kansweep.figures import style

    written = []
    with matplotlib.rc_context(style.SAVE_STYLE):
        for name, figure in figures.items():
            for kind in formats:
                written.append(store.write_figure(name, kind, figure))
                figure.set_layout_engine("none")  # what the first format laid out serves all
    return written


def edges(job: EdgesConfig) -> int:
    store, plan = _stored(job)

    from kansweep import notebook
    from kansweep.trained import weights

    results = store.results(cell.key for cell in plan.cells)
    try:
        cell = weights.chosen(results, store.folder, **vars(job.edges))
        network = weights.of_cell(store.folder, cell)
    except (OSError, ValueError) as error:
        raise ConfigError(str(error)) from error
    if not network.has_edges:
        title = kinds.of(results).title
        raise ConfigError(f"{store.folder} holds {title}s; only KANs have edges that can be drawn.")
    name = f"edges_n{cell['n_train']}-s{cell['seed']}-G{cell['size']}"
    drawn = {name: notebook.plot_edges(network)}
    say(*map(str, _write_figures(store, drawn, job.plot.formats)))
    return OK


def predict(job: PredictConfig) -> int:
    from kansweep import study
    from kansweep.data import sources
    from kansweep.report import predicted

    store, plan, results = _results(job)
    data = from_record(plan.config_record).data
    wanted: dict[str, Any] = {
        name: getattr(job, name) for name in ("size", "n_train", "sizes", "n_trains")
    }
    try:
        target = None if data.is_table else sources.target(data)
        found = study.predicted(results, **wanted, target=target, spread=sources.spread(data))
    except ValueError as error:
        raise ConfigError(f"{store.folder} predicts nothing: {error}.") from error
    name = plan.config_record["name"]
    say(predicted.text(found, job.format, name, kinds.of(results)))
    return OK


def report(job: ReportConfig) -> int:
    from kansweep import study
    from kansweep.data import sources
    from kansweep.figures import sets
    from kansweep.laws import joint
    from kansweep.report import matrix
    from kansweep.report.contents import Report
    from kansweep.report.page import page

    store, plan, results = _results(job)
    stored = from_record(plan.config_record)
    of_sweep = study.of_one(results)
    made = Report(
        study=of_sweep,
        matrix=matrix.matrix(store.overview(plan)),
        drawn=sets.of_one(of_sweep),
        record=plan.config_record,
        command=_reproduction(stored),
        joint=joint.describe(of_sweep.ended, sources.spread(stored.data)),
    )
    say(str(store.write_report(page(made))))
    return OK


def _reproduction(job: RunConfig) -> str:
    """The command that gives the same cells anywhere: without what is one machine's own."""
    from kansweep.data import sources

    usual = RunConfig()
    anywhere = replace(job, outputs=usual.outputs, engine=usual.engine, run=usual.run)
    suggested = None
    with suppress(ConfigError):  # a user's module may be elsewhere
        suggested = sources.shape(job.data)[1]
    return shlex.join(["kansweep", "run", *overrides(anywhere, suggested)])
