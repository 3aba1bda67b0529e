"""The command line: ``kansweep run``, ``show``, ``plot``, ``report``; it alone prints or exits."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import env_override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from kansweep import __version__, config
from kansweep.checks import ConfigError, did_you_mean
from kansweep.config import EdgesConfig, PlotConfig, ReportConfig, RunConfig, Schema, ShowConfig

if TYPE_CHECKING:  # imported by the commands, so that help and refusals come at once
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from tqdm import tqdm

    from kansweep.store import Store
    from kansweep.sweep import Plan

OK, FAILED, REFUSED, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143

HELP = """\
kansweep trains Kolmogorov-Arnold networks over data sizes, grid sizes and seeds,
and fits and draws their scaling laws.

Usage: kansweep COMMAND [key=value ...]

  run     train what is not trained yet
  show    the matrix as a table: what is done, waiting and failed
  plot    fit the laws, print them and draw them
          plot edges: draw the functions that one trained network learned
  report  all of it as one HTML page, to be read anywhere

kansweep COMMAND --help explains a command's keys; kansweep --version tells the version.
Tab completion in bash: eval "$(kansweep -sc install=bash)"
"""

COMMAND_HELP = {
    "run": """\
Train one KAN for every data size, grid size and seed; what is already trained is kept.

  kansweep run data=product model.hidden=[2] grid.sizes=[3,5,10,20,50] name=product
  kansweep run data.sizes=[1000,3000] seeds=10
  kansweep run experiment=example8_lbfgs
  kansweep run --multirun model.k=1,2,3     one sweep for each value
""",
    "show": "Show the median test RMSE by data and grid size, and what is waiting or failed.\n",
    "plot": "Fit the law of every curve, print the exponents and draw the figures.\n",
    "report": "Write one HTML page with the laws, the figures, the matrix and how to repeat it.\n",
    "edges": """\
Draw every function that the KAN of one cell learned, beside the target's own where it is known.

  kansweep plot edges edges.n_train=3000 edges.seed=0 edges.size=100
""",
}


class Terminated(KeyboardInterrupt):
    """SIGTERM: an interruption with an exit status of its own."""


def _terminate(*_: object) -> None:
    raise Terminated


def main() -> int:
    """Do what the arguments say and return the exit status."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return _dispatch(sys.argv[1:])
    except ConfigError as error:
        return _refuse(error)
    except Terminated:
        return TERMINATED
    except KeyboardInterrupt:
        return INTERRUPTED


def _say(*lines: str) -> None:
    """Print, though the reader may have left, as ``head`` does, or the disk be full: the work is
    done, and its status is not that of the message."""
    try:
        print(*lines, sep="\n", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refuse(error: Exception) -> int:
    print(f"kansweep: {error}", file=sys.stderr)
    return REFUSED


def _dispatch(arguments: list[str]) -> int:
    match arguments:
        case ["--help" | "-h", *_]:
            _say(HELP.rstrip())
        case ["--version", *_]:
            _say(f"kansweep {__version__}")
        case ["-sc" | "--shell-completion", *_]:
            _complete(arguments)
        case ["plot", "edges", *rest]:
            return max((_perform("edges", job) for job in _compose("edges", rest)), default=OK)
        case [command, *rest] if command in COMMANDS:
            jobs = _compose(command, rest)
            status = max((_perform(command, job) for job in jobs), default=OK)
            if status == OK and command == "run" and len(jobs) > 1:
                _say(f"All of them in one figure: kansweep plot{_selection_of(jobs)}")
            return status
        case [word, *_]:
            hint = did_you_mean(word, COMMANDS)
            raise ConfigError(
                f"There is no command `{word}`; there is {', '.join(COMMANDS)}.{hint}"
            )
        case _:
            print(HELP, end="", file=sys.stderr)
            return REFUSED
    return OK


def _perform(command: str, job: Schema) -> int:
    from kansweep.store import StoreError

    try:
        return (COMMANDS | SUBCOMMANDS)[command](job)
    except (ConfigError, StoreError) as error:
        return _refuse(error)


def _complete(arguments: list[str]) -> None:
    """Answer the shell: a command's name first, then what Hydra completes for that command."""
    line = os.environ.get("COMP_LINE")
    if line is None:  # not a question but the installation of the completion
        _compose("run", arguments)
        return
    word = re.match(r"\s*\S+\s+(\S+)\s", line)
    if word is None:
        print(*COMMANDS)
    elif word[1] in COMMANDS:
        point = int(os.environ.get("COMP_POINT", len(line)))
        shorter = {
            "COMP_LINE": line[: word.start(1)] + line[word.end() :],
            "COMP_POINT": str(max(word.start(1), point - len(word[1]) - 1)),
        }
        with env_override(shorter):
            _compose(word[1], arguments)


def _compose(command: str, arguments: list[str]) -> list[Schema]:
    """Let Hydra read the arguments: one checked configuration, or with --multirun one a job."""
    jobs: list[tuple[DictConfig, list[str]]] = []

    def collect(composed: DictConfig) -> None:
        overrides = OmegaConf.to_container(HydraConfig.get().overrides.task)
        jobs.append((composed, cast(list[str], overrides)))

    if sys.version_info >= (3, 14):  # Hydra 1.3 has a help that is no string
        argparse.ArgumentParser._check_help = lambda *_: None
    schema, argv = config.SCHEMAS[command], sys.argv
    # argparse wants its options before all overrides
    arguments = sorted(arguments, key=lambda word: "=" in word and word[0] != "-")
    sys.argv = ["kansweep", *map(_with_quotes, arguments)]
    try:
        with TemporaryDirectory() as scratch, env_override({"HYDRA_FULL_ERROR": "1"}):
            _register(command, scratch)
            primary = "config" if command == "run" else command
            hydra.main(str(config.config_dir()), primary, version_base="1.3")(collect)()
    except SystemExit as exit:
        raise SystemExit(REFUSED if exit.code else OK) from None
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        raise ConfigError(config.explain(error, schema)) from error
    finally:
        sys.argv = argv
    shared = set.intersection(*(set(overrides) for _, overrides in jobs)) if jobs else set()
    return [
        _named(config.load(composed, schema), [word for word in overrides if word not in shared])
        for composed, overrides in jobs
    ]


def _with_quotes(word: str) -> str:
    """A formula or a pattern as Hydra reads it, also where the shell has taken the only quotes."""
    key, _, value = word.partition("=")
    bare = key.lstrip("+") in ("data.formula", "names") and value not in ("", "null")
    return config.override(key, value) if bare and value[0] not in "'\"$[" else word


def _named(job: Schema, axes: list[str]) -> Schema:
    """The job under a name that says what tells it from the other jobs of a multirun."""
    axes = [axis for axis in axes if not axis.startswith("name=")]
    if not isinstance(job, RunConfig) or not axes:
        return job
    name = ",".join([job.name, *axes]).replace("%", "pct")
    name = re.sub(r"[^A-Za-z0-9._=,-]", "", name)
    return replace(job, name=name)


def _register(command: str, scratch: str) -> None:
    """Give Hydra what the primary configurations build on."""
    config.register()
    node = {  # Hydra leaves no trace: a sweep's folder belongs to kansweep
        "run": {"dir": "."},
        "sweep": {"dir": scratch, "subdir": "."},
        "output_subdir": None,
        "job": {"chdir": False},
        "hydra_logging": {"root": None},
        "job_logging": {"root": None},
        "help": {"app_name": f"kansweep {_words(command)}", "template": _help(command)},
    }
    ConfigStore.instance().store(group="hydra/kansweep", name="hydra", node=node)


def _words(command: str) -> str:
    return f"plot {command}" if command in SUBCOMMANDS else command


def _help(command: str) -> str:
    rows = []
    for key, item in config.keys(config.SCHEMAS[command]).items():
        default = json.dumps(item.default, separators=(",", ":")).replace('"', "")
        if not key.endswith(".name"):  # a choice, listed below
            rows.append(f"  {f'{key}={default}':<33} {item.metadata['meaning']}\n")
    usage = f"Usage: kansweep {_words(command)} [key=value ...] [--cfg job] [--config-dir FOLDER]"
    choices = "\nChoices, as in data=bessel\n\n$APP_CONFIG_GROUPS" if command == "run" else ""
    about = COMMAND_HELP[command]
    return f"{usage}\n\n{about}\nKeys and their defaults\n\n{''.join(rows)}{choices}"


MOST_NAMED = 10  # files or cells, before the rest is only counted
_FIGURES = (("train", "train_rmse", ".2e"), ("test", "test_rmse", ".2e"), ("reg", "reg", ".2f"))


class Progress:
    """The runner's observer: one bar over the cells, silent where stderr is not a terminal."""

    def __init__(self, symbol: str = "G") -> None:
        self.symbol = symbol  # of what the model grows along
        self.done = 0
        self.bar: tqdm[Any] | None = None

    def damaged(self, paths: Sequence[Path]) -> None:
        _tell_damage(paths, "trained again")

    def started(self, total: int, cached: int) -> None:
        from tqdm import tqdm

        self.done = cached
        self.bar = tqdm(
            total=total, initial=cached, unit="cell", disable=None, dynamic_ncols=True, miniters=0
        )

    def progress(self, now: Mapping[str, Any]) -> None:
        self._show(now, cells=0)

    def finished(self, row: Mapping[str, Any]) -> None:
        self.done += 1
        self._show(row, cells=1)

    def _show(self, cell: Mapping[str, Any], cells: int) -> None:
        if self.bar is None:
            return
        words = [f"n={cell['n_train']} {self.symbol}={cell['size']}"]
        for label, name, form in _FIGURES:
            if cell[name] is not None:
                words.append(f"{label} {cell[name]:{form}}")
        self.bar.set_postfix_str(" ".join(words), refresh=False)
        self.bar.update(cells)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def _tell_damage(paths: Sequence[Path], remedy: str) -> None:
    for path in paths[:MOST_NAMED]:
        print(f"Damaged, {remedy}: {path}", file=sys.stderr)
    if len(paths) > MOST_NAMED:
        print(f"Damaged, {remedy}: {len(paths) - MOST_NAMED} files more", file=sys.stderr)


def _run(job: RunConfig) -> int:
    from kansweep import engines, runner, sources, sweep
    from kansweep.store import Store, StoreError

    job = replace(job, data=sources.settled(job.data))
    plan = sweep.plan(job)
    store = Store(Path(job.outputs) / job.name)
    engine = engines.make(job.engine, store.jobs_folder)
    if job.device != "cpu" and not engine.elsewhere:
        from kansweep import worker

        worker.check_device(job.device)
    symbol = "G" if job.model.name == "kan" else "w"
    with closing(engine), closing(Progress(symbol)) as progress, store.open(plan):
        try:
            summary = runner.run(plan, store, job, engine, progress)
        except (StoreError, engines.EngineError, KeyboardInterrupt) as error:
            progress.close()
            interrupted = isinstance(error, KeyboardInterrupt)
            standing = _standing(job, store, plan, progress)
            print("Interrupted:" if interrupted else error, standing, file=sys.stderr)
            if interrupted:
                raise
            return FAILED
    stopped = f", {summary.left} left" if summary.left else ""
    _say(
        f"{job.name}: {summary.total} cells, {summary.cached} of them kept, {summary.done} trained,"
        f" {len(summary.failed)} failed{stopped}; {summary.seconds:.1f} s",
        f"Results: {store.results_path}",
        f"Next: kansweep plot{_selection(job)}",
    )
    _tell_damage(summary.damaged, "to be trained again by the next run")
    if summary.failed:
        return _tell_failures(summary.failed)
    if summary.left:
        print(f"{summary.left} cells are left. Go on with: {_again()}", file=sys.stderr)
        return FAILED
    return _report(ReportConfig(job.name, job.outputs)) if job.run.report else OK


def _standing(job: RunConfig, store: Store, plan: Plan, progress: Progress) -> str:
    """How far a run came that did not come to its end, and the command that goes on."""
    if job.run.mode == "force":
        return (
            f"{progress.done} of {len(plan.cells)} cells were trained again; the others are as they"
            f" were. To train them all again: {_again()}"
        )
    results = store.results(cell.key for cell in plan.cells)
    kept = results if job.run.mode == "cached" else results[results["status"] == "ok"]
    return f"{len(kept)} of {len(plan.cells)} cells are done and kept. Go on with: {_again()}"


def _tell_failures(rows: Sequence[Mapping[Any, Any]]) -> int:
    for row in rows[:MOST_NAMED]:
        size = "width" if row["model"] == "mlp" else "grid_size"
        cell = f"n_train={row['n_train']} seed={row['seed']} {size}={row['size']}"
        why = row["error"] if row["status"] == "failed" else row["stop_reason"]
        print(f"Failed: {cell}: {row['status']}, {why.splitlines()[0]}", file=sys.stderr)
    if len(rows) > MOST_NAMED:
        print(f"Failed: {len(rows) - MOST_NAMED} more", file=sys.stderr)
    print(f"Try them again with: {_again('run.mode=retry')}", file=sys.stderr)
    return FAILED


def _again(mode: str = "") -> str:
    """The command that was typed, or with another ``run.mode``."""
    typed = sys.argv[1:]
    if mode:
        typed = [word for word in typed if not word.startswith("run.mode=")]
    return shlex.join(["kansweep", *typed, *mode.split()])


def _selection(job: RunConfig) -> str:
    """The arguments that lead another command to this sweep, none where they are the defaults."""
    chosen = {"name": job.name, "outputs": job.outputs}
    words = [
        config.override(key, value)
        for key, value in chosen.items()
        if value != getattr(RunConfig, key)
    ]
    return "".join(f" {shlex.quote(word)}" for word in words)


def _selection_of(jobs: Sequence[Any]) -> str:
    """The arguments that lead ``plot`` to all sweeps of a multirun."""
    pattern = f"{os.path.commonprefix([job.name for job in jobs])}*"
    words = [f"names={pattern}"]
    if jobs[0].outputs != RunConfig.outputs:
        words.append(config.override("outputs", jobs[0].outputs))
    return "".join(f" {shlex.quote(word)}" for word in words)


def _stored(job: ShowConfig | PlotConfig | ReportConfig | EdgesConfig) -> tuple[Store, Plan]:
    """The sweep that was named, or else the latest."""
    from kansweep import sweep
    from kansweep.store import Store, latest

    outputs = Path(job.outputs)
    name = job.name or latest(outputs)
    if name is None:
        raise ConfigError(f"There is no sweep in {outputs}; `kansweep run` makes one.")
    store = Store(outputs / name)
    return store, sweep.plan(config.from_record(store.read_config()))


def _show(job: ShowConfig) -> int:
    store, plan = _stored(job)

    from kansweep import table

    at_work = len(store.running())
    matrix = table.matrix(store.overview(plan))
    _say(table.text(matrix, job.format, plan.config_record["name"], at_work))
    planned = {cell.key for cell in plan.cells}
    damaged = [path for path in store.damaged if path.stem in planned]
    _tell_damage(damaged, "to be trained again by the next run")
    return OK


def _plot(job: PlotConfig) -> int:
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
    _say(summary.terminal(results, laws, rules), "")
    if job.plot.orders and (orders := summary.orders_table(results, rules)):
        _say(orders, "")
    _say(*map(str, written))
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
    from kansweep.store import Store, named

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


def _edges(job: EdgesConfig) -> int:
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
    _say(*map(str, _write_figures(store, {name: network.plot()}, job.plot.formats)))
    return OK


def _report(job: ReportConfig) -> int:
    from kansweep import analysis, joint, law, report, sources, table

    store, plan, results = _results(job)
    stored = config.from_record(plan.config_record)
    rules = analysis.rules(results)
    laws = law.fit_laws(results, rules=rules)
    sweep = report.Sweep(
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
    _say(str(store.write_report(report.page(sweep))))
    return OK


def _reproduction(job: RunConfig) -> str:
    """The command that gives the same cells anywhere: without what is one machine's own."""
    usual = RunConfig()
    anywhere = replace(job, outputs=usual.outputs, engine=usual.engine, run=usual.run)
    return shlex.join(["kansweep", "run", *config.overrides(anywhere)])


COMMANDS: dict[str, Callable[[Any], int]] = {
    "run": _run,
    "show": _show,
    "plot": _plot,
    "report": _report,
}
SUBCOMMANDS: dict[str, Callable[[Any], int]] = {"edges": _edges}  # of plot
