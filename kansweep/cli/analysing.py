"""``kansweep show``, ``plot``, ``plot edges`` and ``predict``: what is made of stored sweeps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kansweep import kinds
from kansweep.cli.output import OK, say, tell_damage
from kansweep.cli.publishing import beside_published, drawn_beside, say_table, write_tables
from kansweep.cli.watching import watch
from kansweep.config.commands import (
    EdgesConfig,
    FigureConfig,
    PlotConfig,
    PredictConfig,
    ShowConfig,
    StoredSweep,
    StoredSweeps,
)
from kansweep.config.keys import points
from kansweep.config.loading import from_record
from kansweep.config.rules import ConfigError
from kansweep.engines.imports import importing

if TYPE_CHECKING:  # imported where it is needed, so that help and refusals come at once
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from kansweep.data.targets import Target
    from kansweep.laws.findings import Study
    from kansweep.laws.prediction import Prediction
    from kansweep.sweep.plan import Plan
    from kansweep.sweep.store import Store

MARGIN: float = FigureConfig.margin
AnySweeps = TypeVar("AnySweeps", bound=StoredSweeps)


def stored(job: StoredSweep) -> tuple[Store, Plan]:
    """The sweep that was named, or else the latest."""
    with importing():
        from kansweep.data import sources
        from kansweep.sweep.outputs import latest
        from kansweep.sweep.plan import planned
        from kansweep.sweep.store import Store

    outputs = Path(job.outputs)
    name = job.name or latest(outputs)
    if name is None:
        raise ConfigError(f"There is no sweep in {outputs}; `kansweep run` makes one.")
    store = Store(outputs / name)
    config = replace(from_record(store.read_config()), name=name)  # the folder may be renamed
    sources.check(config.data)
    return store, planned(config)


def show(job: ShowConfig) -> int:
    store, plan = stored(job)

    with importing():
        from kansweep.report import matrix

    if job.watch:
        watch(store, plan)
    at_work = len(store.marks.held())
    table = matrix.matrix(store.overview(plan))
    say(matrix.text(table, job.format, plan.config_record["name"], at_work))
    planned = {cell.key for cell in plan.cells}
    damaged = [path for path in store.damaged if path.stem in planned]
    tell_damage(damaged, "to be trained again by the next run")
    return OK


def plot(job: PlotConfig) -> int:
    with importing():
        from kansweep.figures import sets, styles
        from kansweep.laws import cells
        from kansweep.report import compared, terminal

    splits = cells.SPLITS if job.plot.split == "both" else (job.plot.split,)
    store, study = _study(job)
    derived = _derivatives(study) if job.plot.derivatives else {}
    repeated = beside_published(study.results)
    laws = study.laws_of_all(derivatives=bool(derived))
    written = [store.write_laws(laws)] if job.names is None else _write_compared(store, study)
    with styles.applied(job.plot.style, job.plot.width):
        drawn = (sets.of_one if job.names is None else sets.of_several)(study, splits)
        drawn += sets.of_derivatives(study) if derived else []
        drawn += drawn_beside(repeated)
        figures = {each.name: each.figure for each in drawn}
        written += write_figures(store, figures, job.plot.formats)
    written += write_tables(store, repeated)
    if job.format == "latex":
        _say_latex(job, study, derived, written)
        return OK
    say(terminal.summary(study), "")
    if of_each := terminal.outputs(study):
        say(of_each, "")
    for each in derived.values():
        say(terminal.laws(each), "")
    if beside := compared.sentences(study.comparison, splits[-1]):
        say(*beside, "")
    if job.plot.orders and (orders := terminal.orders_table(study)):
        say(orders, "")
    say_table(repeated)
    say(*map(str, written))
    return OK


def _write_compared(store: Store, study: Study) -> list[Path]:
    return [] if study.comparison.empty else [store.write_comparison(study.comparison)]


def _say_latex(
    job: PlotConfig, study: Study, derived: Mapping[str, Study], written: Sequence[Path]
) -> None:
    """The tables alone, so that they can go into a file that is included."""
    from kansweep.report import latex

    of_each = [] if study.outputs is None else [study.outputs]
    tables = [latex.laws(each) for each in (study, *of_each, *derived.values())]
    split = "test" if job.plot.split == "both" else job.plot.split
    tables += latex.comparison(study.comparison, split)
    tables += [latex.orders(study)] if job.plot.orders else []
    say(*("\n".join([table, ""]) for table in tables if table), *(f"% {path}" for path in written))


def _derivatives(study: Study) -> dict[str, Study]:
    if not study.derivatives:
        raise ConfigError(
            "`plot.derivatives` needs cells with errors of derivatives; those of earlier versions"
            " have none, nor have kinds of networks and targets whose derivatives are not known."
        )
    return study.derivatives


def _study(job: PlotConfig) -> tuple[Store, Study]:
    from kansweep import study

    if job.names is not None:
        stored = stored_of_several(job)
        for _, _, results in stored.values():
            _check_axis(job, results)
        return several(job, stored, job.plot.x, job.plot.margin)
    store, plan, results = results_of(job)
    _check_axis(job, results)
    return store, study.of_one(results, job.plot.x, job.plot.margin, targets_of(plan))


Stored = tuple["Store", "Plan", "DataFrame"]  # a sweep and its rows


def stored_of_several(job: StoredSweeps) -> dict[str, Stored]:
    """The sweeps that ``names`` tells, by their names."""
    return {name: results_of(each) for name, each in one_by_one(job).items()}


def several(
    job: StoredSweeps, stored: Mapping[str, Stored], x: str | None = None, margin: float = MARGIN
) -> tuple[Store, Study]:
    """The study of several sweeps, and the folder for what is made of them."""
    from kansweep import study
    from kansweep.sweep.store import Store

    sweeps = {name: results for name, (_, _, results) in stored.items()}
    targets = {name: targets_of(plan) for name, (_, plan, _) in stored.items()}
    of_points = {name: points(plan.config_record) for name, (_, plan, _) in stored.items()}
    # No sweep's name has a `+`.
    pattern = isinstance(job.names, str)
    folder = re.sub(r"[*?]", "+", job.names) if pattern else "+".join(sweeps)[:200]
    together = study.of_several(sweeps, x, margin, targets, of_points)
    return Store(Path(job.outputs) / folder), together


def targets_of(plan: Plan) -> Mapping[str, Target]:
    """What is known of what a sweep learns, by what its rows call it."""
    from kansweep.data import sources

    return sources.known(from_record(plan.config_record).data)


def one_by_one(job: AnySweeps) -> dict[str, AnySweeps]:
    """The same of each sweep that ``names`` tells, by its name."""
    from kansweep.sweep.outputs import named

    names = job.names
    if isinstance(names, str):
        names = named(Path(job.outputs), names)
        if len(names) < 2:
            raise ConfigError(
                f"`names` must match two sweeps or more; {job.names} matches {len(names)} of"
                f" {job.outputs}."
            )
    return {name: replace(job, name=name, names=None) for name in names}


def results_of(job: StoredSweep) -> tuple[Store, Plan, DataFrame]:
    """A sweep and its rows; refused where there are none."""
    store, plan = stored(job)
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


def write_figures(
    store: Store, figures: Mapping[str, Figure], formats: Sequence[str]
) -> list[Path]:
    import matplotlib

    from kansweep.figures import styles

    written = []
    with matplotlib.rc_context(styles.saving()):
        for name, figure in figures.items():
            for kind in formats:
                written.append(store.write_figure(name, kind, figure))
                figure.set_layout_engine("none")  # what the first format laid out serves all
    return written


def edges(job: EdgesConfig) -> int:
    store, plan = stored(job)

    with importing():
        from kansweep import notebook
        from kansweep.figures import styles
        from kansweep.trained import weights

    results = store.results(cell.key for cell in plan.cells)
    try:
        cell = weights.chosen(results, store.folder, **vars(job.edges))
        network = weights.of_cell(store.folder, cell)
    except (OSError, ValueError) as error:
        raise ConfigError(str(error)) from error
    if not network.has_edges:
        title = kinds.of(results).title
        raise ConfigError(f"{store.folder} holds {title}s; only edges of model=kan can be drawn.")
    name = f"edges_n{cell['n_train']}-s{cell['seed']}-G{cell['size']}"
    with styles.applied(job.plot.style, job.plot.width):
        drawn = {name: notebook.plot_edges(network)}
        say(*map(str, write_figures(store, drawn, job.plot.formats)))
    return OK


def predict(job: PredictConfig) -> int:
    with importing():
        from kansweep import study
        from kansweep.data import sources
        from kansweep.laws.outputs import names
        from kansweep.report import predicted

    store, plan, results = results_of(job)
    wanted: dict[str, Any] = {
        name: getattr(job, name) for name in ("size", "n_train", "sizes", "n_trains")
    }
    spread = sources.spread(from_record(plan.config_record).data)
    try:
        wanted |= {"targets": targets_of(plan), "spread": spread}
        found = study.predicted(results, **wanted)
    except ValueError as error:
        raise ConfigError(f"{store.folder} predicts nothing: {error}.") from error
    each: dict[str, Prediction | str] = {}
    for output in names(results):
        try:
            each[output] = study.predicted(results, **wanted, output=output)
        except ValueError as error:
            each[output] = str(error)
    name = plan.config_record["name"]
    say(predicted.text(found, job.format, name, kinds.of(results), each))
    return OK
