"""``kansweep check``: stored laws held against what is expected of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kansweep.cli.analysing import one_by_one, results_of, targets_of
from kansweep.cli.output import FAILED, OK, say
from kansweep.config.commands import CheckConfig
from kansweep.config.rules import ConfigError

if TYPE_CHECKING:  # imported where it is needed, so that help and refusals come at once
    from pandas import DataFrame

    from kansweep.data.targets import Target
    from kansweep.laws.findings import Study

_READ = ("data", "n_train", "x", "split", "exponent", "amplitude", "theory")  # of stored laws


def check(job: CheckConfig) -> int:
    from kansweep.laws import checks
    from kansweep.report import checked

    study = _study(job)
    stored = None if job.check.against is None else _stored(Path(job.check.against))
    made = checks.perform(study, job.check, stored)
    words = checked.FORMATS[job.format](made)
    if job.file is None:
        say(words)
    else:
        _write(Path(job.file), words)
        say(checked.text(made))
    return OK if all(each.holds for each in made) else FAILED


def _study(job: CheckConfig) -> Study:
    from kansweep import study

    margin = job.check.margin
    if job.names is None:
        results, targets = _finished(job)
        return study.of_one(results, margin=margin, targets=targets)
    finished = {name: _finished(each) for name, each in one_by_one(job).items()}
    sweeps = {name: results for name, (results, _) in finished.items()}
    learned = {name: targets for name, (_, targets) in finished.items()}
    return study.of_several(sweeps, margin=margin, targets=learned)


def _finished(job: CheckConfig) -> tuple[DataFrame, Mapping[str, Target]]:
    """The rows of one sweep, and what is known of what it learns; refused where some that may be
    selected are not there yet."""
    store, plan, results = results_of(job)
    asked = job.check.n_train
    wanted = [
        cell.key for cell in plan.cells if not isinstance(asked, tuple) or cell.n_train in asked
    ]
    missing = len(wanted) - int(results["key"].isin(wanted).sum())
    if missing:
        raise ConfigError(
            f"{missing} of {len(wanted)} cells of {store.folder} are not done yet; `kansweep run`"
            " trains them."
        )
    return results, targets_of(plan)


def _stored(path: Path) -> DataFrame:
    """Laws or results, known by what they hold; refused where they are neither."""
    from kansweep.laws import cells
    from kansweep.sweep import rows, store

    try:
        if path.suffix != ".csv":
            return cells.checked(store.read_results(path))
        laws = store.read_laws(path)
    except rows.UNREADABLE as error:
        there = not isinstance(error, FileNotFoundError)
        why = str(error).splitlines()[0] if there else "there is no such file"
        raise ConfigError(f"`check.against`: {path} cannot be read: {why}") from error
    if missing := [name for name in _READ if name not in laws]:
        raise ConfigError(f"`check.against`: {path} is no laws.csv; it lacks {', '.join(missing)}.")
    return laws


def _write(path: Path, words: str) -> None:
    from kansweep.sweep import files
    from kansweep.sweep.refusals import naming_the_file

    with naming_the_file(path):
        files.write(path, lambda file: file.write(f"{words}\n".encode()))
