"""``kansweep show``, ``plot``, ``plot edges`` and ``report``: what is made of a stored sweep."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kansweep.cli.output import OK, say, tell_damage
from kansweep.config.commands import EdgesConfig, PlotConfig, ReportConfig, ShowConfig
from kansweep.config.loading import from_record
from kansweep.config.overrides import overrides
from kansweep.config.rules import ConfigError
from kansweep.config.run import RunConfig

if TYPE_CHECKING:  # imported where it is needed, so that help and refusals come at once
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from kansweep.store import Store
    from kansweep.sweep import Plan


def _stored(job: ShowConfig | PlotConfig | ReportConfig | EdgesConfig) -> tuple[Store, Plan]:
    """The sweep that was named, or else the latest."""
    from kansweep import sources, sweep
    from kansweep.outputs import latest
    from kansweep.store import Store

    outputs = Path(job.outputs)
    name = job.name or latest(outputs)
    if name is None:
        raise ConfigError(f"There is no sweep in {outputs}; `kansweep run` makes one.")
    store = Store(outputs / name)
    stored = from_record(store.read_config())
    sources.check(stored.data)
    return store, sweep.plan(stored)


def show(job: ShowConfig) -> int:
    store, plan = _stored(job)

    from kansweep import table

    at_work = len(store.marks.held())
    matrix = table.matrix(store.overview(plan))
    say(table.text(matrix, job.format, plan.config_record["name"], at_work))
    planned = {cell.key for cell in plan.cells}
    damaged = [path for path in store.damaged if path.stem in planned]
    tell_damage(damaged, "to be trained again by the next run")
    return OK


def plot(job: PlotConfig) -> int:
    from kansweep import analysis, law, summary

    if job.names is None:
        store, _, results = _results(job)
        rules = analysis.rules(results, job.plot.margin)
        laws = analysis.laws(results, rules)
    else:
        store, results, laws = _several(job)
        rules = law.Rules(margin=job.plot.margin)
    x = job.plot.x or law.axis(results)
    if x == "grid_size" and x != law.axis(results):
        raise ConfigError("`plot.x` must be n_params or null for an MLP; got 'grid_size'.")
    written = [store.write_laws(laws)] if job.names is None else []
    laws = laws[laws["x"] == x]
    splits = law.SPLITS if job.plot.split == "both" else (job.plot.split,)
    draw = analysis.figures_of_one if job.names is None else analysis.figures_of_several
    written += _write_figures(store, draw(results, laws, rules, splits), job.plot.formats)
    say(summary.terminal(results, laws, rules), "")
    if job.plot.orders and (orders := summary.orders_table(results, rules)):
        say(orders, "")
    say(*map(str, written))
    return OK


def _results(job: PlotConfig | ReportConfig) -> tuple[Store, Plan, DataFrame]:
    """A sweep and its rows, with the floor; refused where there are none."""
    from kansweep import analysis

    store, plan = _stored(job)
    results = store.results(cell.key for cell in plan.cells)
    if results.empty:
        raise ConfigError(f"No cell of {store.folder} is done yet; `kansweep run` trains them.")
    return store, plan, analysis.with_floor(results)


def _several(job: PlotConfig) -> tuple[Store, DataFrame, DataFrame]:
    """The rows and the laws of several sweeps, and the folder for what is drawn of them."""
    from kansweep import analysis
    from kansweep.outputs import named
    from kansweep.store import Store

    outputs, names = Path(job.outputs), job.names
    if isinstance(names, str):
        names = named(outputs, names)
        if len(names) < 2:
            raise ConfigError(
                f"`names` must match two sweeps or more; {job.names} matches {len(names)} of"
                f" {outputs}."
            )
    found = {name: _results(replace(job, name=name, names=None))[-1] for name in names}
    results, laws = analysis.together(found, job.plot.margin)
    # No sweep's name has a `+`.
    folder = "+".join(names)[:200] if names is job.names else re.sub(r"[*?]", "+", job.names)
    return Store(outputs / folder), results, laws


def _write_figures(store: Store, drawn: Mapping[str, Figure], formats: Sequence[str]) -> list[Path]:
    import matplotlib

    from kansweep import plot

    written = []
    with matplotlib.rc_context(plot.SAVE_STYLE):
        for name, figure in drawn.items():
            for kind in formats:
                written.append(store.write_figure(name, kind, figure))
                figure.set_layout_engine("none")  # what the first format laid out serves all
    return written


def edges(job: EdgesConfig) -> int:
    store, plan = _stored(job)

    from kansweep import weights
    from kansweep.model import Model

    results = store.results(cell.key for cell in plan.cells)
    try:
        cell = weights.chosen(results, store.folder, **vars(job.edges))
        network = weights.of_cell(store.folder, cell)
    except (OSError, ValueError) as error:
        raise ConfigError(str(error)) from error
    if not isinstance(network, Model):
        raise ConfigError(f"{store.folder} holds MLPs; only KANs have edges that can be drawn.")
    name = f"edges_n{cell['n_train']}-s{cell['seed']}-G{cell['size']}"
    say(*map(str, _write_figures(store, {name: network.plot()}, job.plot.formats)))
    return OK


def report(job: ReportConfig) -> int:
    from kansweep import analysis, joint, law, sources, table
    from kansweep.report import Sweep, page

    store, plan, results = _results(job)
    stored = from_record(plan.config_record)
    rules = analysis.rules(results)
    laws = law.fit_laws(results, rules=rules)
    sweep = Sweep(
        results=results,
        laws=laws,
        cells=law.classify(results, rules),
        orders=law.observed_orders(results, rules),
        matrix=table.matrix(store.overview(plan)),
        figures=analysis.figures_of_one(results, laws, rules, law.SPLITS),
        record=plan.config_record,
        command=_reproduction(stored),
        joint=joint.describe(results, sources.spread(stored.data), rules),
        rules=rules,
    )
    say(str(store.write_report(page(sweep))))
    return OK


def _reproduction(job: RunConfig) -> str:
    """The command that gives the same cells anywhere: without what is one machine's own."""
    from kansweep import sources

    usual = RunConfig()
    anywhere = replace(job, outputs=usual.outputs, engine=usual.engine, run=usual.run)
    suggested = None
    with suppress(ConfigError):  # a user's module may be elsewhere
        suggested = sources.shape(job.data)[1]
    return shlex.join(["kansweep", "run", *overrides(anywhere, suggested)])
