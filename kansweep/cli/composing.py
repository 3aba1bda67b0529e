"""From words to checked configurations, by Hydra; and the help that it gives."""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import re
import sys
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn, cast

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import env_override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from kansweep.cli.output import OK, REFUSED, say
from kansweep.config.commands import SCHEMAS
from kansweep.config.keys import keys
from kansweep.config.loading import config_dir, explain, load, register_schemas
from kansweep.config.overrides import quoted
from kansweep.config.rules import ConfigError
from kansweep.config.run import VARIANTS, RunConfig
from kansweep.config.schema import Schema

HELP = """\
kansweep trains Kolmogorov-Arnold networks over data sizes, grid sizes and seeds,
and fits and draws their scaling laws.

Usage: kansweep COMMAND [key=value ...]

  run     train what is not trained yet
  shapes  hidden widths out of many, as model.hidden=auto finds them, and what they cost
  show    the matrix as a table: what is done, waiting and failed; watch=true looks on
  list    all sweeps: what they learn, how far they are, what they take on disk
  plot    fit the laws, print them and draw them
          plot edges: draw the functions that one trained network learned
  predict the error of a cell that was not trained, with an interval
  apply   what a trained network predicts for the rows of a table, with intervals
  check   hold the laws against what is expected of them; exit status 1 where one fails
  report  all of it as one HTML page, to be read anywhere
  clean   remove from a sweep's folder what is drawn again at will or no longer planned

kansweep COMMAND --help explains a command's keys; kansweep --version tells the version.
Tab completion in bash or zsh: eval "$(kansweep -sc install=bash)", or install=zsh;
in fish: kansweep -sc install=fish | source
"""

COMMAND_HELP = {
    "shapes": """\
Try hidden widths on held-out training points and choose among them, as `kansweep run` does with
model.hidden=auto; show them as a table and as a figure. No cell is trained.

  kansweep shapes data=table data.path=file.csv name=mine
  kansweep shapes name=mine plot.style=paper plot.formats=[pdf]
  kansweep run data=table data.path=file.csv name=mine model.hidden=auto
""",
    "run": """\
Train one KAN for every data size, grid size and seed; what is already trained is kept.

  kansweep run data=product model.hidden=[2] grid.sizes=[3,5,10,20,50] name=product
  kansweep run data.sizes=[1000,3000] seeds=10
  kansweep run experiment=example8_lbfgs
  kansweep run --multirun model.k=1,2,3     one sweep for each value
  kansweep run -v                           a line a cell on stderr; -q: failures alone
""",
    "show": """\
Show the median test RMSE by data and grid size, and what is waiting or failed.

  kansweep show watch=true      look on while it is trained; q leaves, and the run goes on
""",
    "list": "List all sweeps, with the verdict of each one's primary law by the last `plot`.\n",
    "clean": """\
Remove figures, laws, report and index, which are made again when they are asked for, and what is
there of cells that are no longer planned; it says what before. results.parquet stays.

  kansweep clean name=mine
  kansweep clean name=mine yes=true
  kansweep clean name=a+b       what plot and report made of names=[a,b]
""",
    "plot": "Fit the law of every curve, print the exponents and draw the figures.\n",
    "predict": """\
Predict the test RMSE of a cell from the sweep, with a 95% interval that holds the misfit.

  kansweep predict size=200 n_train=10000
  kansweep predict size=100 n_train=3000 sizes=[5,10,20]    as if it had no finer grids
""",
    "apply": """\
Predict for every row of a table by one trained network, with 95% intervals for new observations
where it is a KAN trained by solver=lm; what is unset is chosen as by `kansweep plot edges`.

  kansweep apply name=mine data.path=new.csv output=predictions.csv
  kansweep apply name=mine data.path=new.parquet output=predictions.parquet seed=0 size=20
""",
    "check": """\
Hold laws and errors against what is expected of them, a line a check; exit status 0 where all of
them hold, 1 where one does not, 2 where something cannot be checked.

  kansweep check check.verdict=consistent check.exponent=[-4.3,-3.8]
  kansweep check check.n_train=[1000,3000] 'check.worst={50: 1e-6}'
  kansweep check check.against=baseline.parquet check.factor=1.2
  kansweep check check.verdict=consistent format=junit file=laws.xml
""",
    "report": "Write one HTML page with the laws, the figures, the matrix and how to repeat it.\n",
    "edges": """\
Draw every function that the KAN of one cell learned, beside the target's own where it is known.

  kansweep plot edges edges.n_train=3000 edges.seed=0 edges.size=100
""",
}
SHORT = {"-q": "run.verbosity=quiet", "-v": "run.verbosity=verbose"}
SUBDIR = "."  # of a multirun's jobs, where nothing else is said
SUBCOMMANDS = {"edges": "plot edges"}  # by schema, and as they are typed


def compose(command: str, arguments: list[str]) -> list[Schema]:
    """Let Hydra read the arguments: one checked configuration, or with --multirun one a job; none
    where they ask for help, which is told."""
    if not {"--help", "-h"}.isdisjoint(arguments):
        say(_help(command, arguments))
        return []
    jobs: list[tuple[DictConfig, list[str]]] = []

    named: set[str] = set()  # axes that are part of a name also where the command line fixed them

    def collect(composed: DictConfig) -> None:
        hydra_config = HydraConfig.get()
        if hydra_config.sweep.subdir != SUBDIR:  # as an experiment says of the names of its jobs
            named.update(hydra_config.sweeper.params or ())
        overrides = OmegaConf.to_container(hydra_config.overrides.task)
        jobs.append((composed, cast(list[str], overrides)))

    if sys.version_info >= (3, 14):  # Hydra 1.3 has a help that is no string
        argparse.ArgumentParser._check_help = lambda *_: None
    schema, argv = SCHEMAS[command], sys.argv
    arguments = _ordered(command, arguments)
    sys.argv = ["kansweep", *map(quoted, arguments)]
    try:
        full = env_override({"HYDRA_FULL_ERROR": "1"})
        with TemporaryDirectory() as scratch, full, _complaining():
            register(command, scratch)
            folder = str(config_dir())
            primary = "config" if issubclass(schema, RunConfig) else command
            if any(map(_is_for_hydra, arguments)):
                hydra.main(folder, primary, version_base="1.3")(collect)()
            else:
                with hydra.initialize_config_dir(folder, version_base="1.3"):
                    jobs.append((hydra.compose(primary, sys.argv[1:]), []))
    except SystemExit as exit:
        raise SystemExit(REFUSED if exit.code else OK) from None
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        raise ConfigError(explain(error, schema)) from error
    finally:
        sys.argv = argv
    checked = [(_checked(composed, schema), overrides) for composed, overrides in jobs]
    return _told_apart(checked, named)


def _told_apart(
    jobs: Sequence[tuple[Schema, Sequence[str]]], named: Container[str]
) -> list[Schema]:
    """Jobs under names of the overrides that not all share, or that are ``named`` anyway."""
    shared = set.intersection(*(set(overrides) for _, overrides in jobs)) if jobs else set()
    shared = {word for word in shared if word.partition("=")[0] not in named}
    return [_named(job, [word for word in words if word not in shared]) for job, words in jobs]


def _ordered(command: str, arguments: list[str]) -> list[str]:
    """As argparse wants them, its options before all overrides; what is short of a run in full."""
    short = SHORT if command == "run" else {}
    words = [short.get(word, word) for word in arguments]
    return sorted(words, key=lambda word: "=" in word and word[0] != "-")


@contextmanager
def _complaining() -> Iterator[None]:
    """What argparse, which is Hydra's, does not understand in a sentence, without a usage that is
    not ours."""

    def complain(_: argparse.ArgumentParser, message: str) -> NoReturn:
        raise ConfigError(f"{message}; the options are told by --help.")

    parser: Any = argparse.ArgumentParser
    usual, parser.error = parser.error, complain
    try:
        yield
    finally:
        parser.error = usual


def _is_for_hydra(word: str) -> bool:
    """Whether a word may ask for more than one job or none: then it is Hydra's program that has to
    run, which composes everything twice."""
    return word[:1] == "-" or re.match(r"[+~]*(hydra|experiment)\b", word) is not None


def _checked(composed: DictConfig, schema: type[Schema]) -> Schema:
    """The job, refused also where its data are of no use: before any other of a multirun begins."""
    job = load(composed, schema)
    if isinstance(job, RunConfig):
        from kansweep.sweep import resolution

        resolution.check(job)
    return job


def _named(job: Schema, axes: list[str]) -> Schema:
    """The job under a name that says what tells it from the other jobs of a multirun."""
    axes = [_choice(axis) for axis in axes if not axis.startswith("name=")]
    if not isinstance(job, RunConfig) or not axes:
        return job
    name = ",".join([job.name, *axes]).replace("%", "pct")
    plain = re.sub(r"[^A-Za-z0-9._=,-]", "", name)
    if re.search(r"[+*/^():]", name):  # of a formula too little is left to tell it from others
        plain += f"-{hashlib.sha256(name.encode()).hexdigest()[:4]}"
    return replace(job, name=plain)


def _choice(axis: str) -> str:
    """``data=I.6.2`` of ``data=feynman/I.6.2``: a group's choice without its folder."""
    return re.sub(r"^(\w+=)[\w/]*/", r"\1", axis)


def register(command: str, scratch: str) -> None:
    """Give Hydra what the primary configurations build on."""
    register_schemas(SCHEMAS[command])
    node = {  # Hydra leaves no trace: a sweep's folder belongs to kansweep
        "run": {"dir": "."},
        "sweep": {"dir": scratch, "subdir": SUBDIR},
        "output_subdir": None,
        "job": {"chdir": False},
        "hydra_logging": {"root": None},
        "job_logging": {"root": None},
    }
    ConfigStore.instance().store(group="hydra/kansweep", name="hydra", node=node)


def _words(command: str) -> str:
    return SUBCOMMANDS.get(command, command)


def _help(command: str, arguments: Sequence[str]) -> str:
    every = arguments[-1] == "all"
    found = keys(SCHEMAS[command], usual=not every)
    rows: dict[str, list[str]] = {}
    for key, item in found.items():
        if key.endswith(".name"):  # a choice, listed below
            continue
        default = json.dumps(item.default, separators=(",", ":")).replace('"', "")
        section = key.rpartition(".")[0]
        rows.setdefault(section, []).append(f"  {f'{key}={default}':<33} {item.meaning}\n")
    usage = f"Usage: kansweep {_words(command)} [key=value ...] [--cfg job] [--config-dir FOLDER]"
    about, listed = COMMAND_HELP[command], "\n".join(map("".join, rows.values()))
    grouped = issubclass(SCHEMAS[command], RunConfig)
    folders = [config_dir(), *_own_folders(arguments)]
    choices = f"\nChoices, as in data=bessel\n\n{_choices(folders)}\n" if grouped else ""
    rest = _REST.format(command) if grouped and not every else ""
    return f"{usage}\n\n{about}\nKeys and their defaults\n\n{listed}{rest}{choices}"


def _own_folders(arguments: Sequence[str]) -> list[Path]:
    """Those that ``--config-dir`` names."""
    words = [part for word in arguments for part in word.split("=", 1)]
    pairs = itertools.pairwise(words)
    return [Path(folder) for word, folder in pairs if word in ("--config-dir", "-cd")]


def _choices(folders: Iterable[Path]) -> str:
    """What can be chosen, a line a section: YAML files, and schemas that need none. Hydra's own
    list of them takes half a second."""
    found = {section: set(base.variants) for section, base in VARIANTS.items()}
    for folder in folders:
        for path in folder.glob("*/**/*.yaml"):
            section = path.parent.relative_to(folder).as_posix()
            found.setdefault(section, set()).add(path.stem)
    return "\n".join(f"{name}: {', '.join(sorted(found[name]))}" for name in sorted(found))


_REST = """
Other models, solvers and engines have other keys: kansweep {} --help all
"""
