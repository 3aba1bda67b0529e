"""The command line: ``kansweep run``, ``show``, ``plot``, …; it alone prints or exits."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from kansweep import __version__
from kansweep.cli.analysing import edges, plot, predict, show
from kansweep.cli.applying import apply
from kansweep.cli.checking import check
from kansweep.cli.completing import complete
from kansweep.cli.composing import HELP, compose
from kansweep.cli.found import shapes
from kansweep.cli.managing import clean, list_sweeps
from kansweep.cli.output import INTERRUPTED, OK, REFUSED, TERMINATED, Terminated, refuse, say
from kansweep.cli.reporting import report
from kansweep.cli.training import counted, run, selection_of
from kansweep.config.rules import ConfigError, did_you_mean
from kansweep.config.schema import Schema

COMMANDS: dict[str, Callable[[Any], int]] = {
    "run": run,
    "show": show,
    "list": list_sweeps,
    "plot": plot,
    "predict": predict,
    "apply": apply,
    "check": check,
    "report": report,
    "shapes": shapes,
    "clean": clean,
}
SUBCOMMANDS: dict[str, Callable[[Any], int]] = {"edges": edges}  # of plot


def _terminate(*_: object) -> None:
    raise Terminated


def main() -> int:
    """Do what the arguments say and return the exit status."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return _dispatch(sys.argv[1:])
    except ConfigError as error:
        return refuse(error)
    except Terminated:
        return TERMINATED
    except KeyboardInterrupt:
        return INTERRUPTED


def _dispatch(arguments: list[str]) -> int:
    match arguments:
        case ["--help" | "-h", *_]:
            say(HELP.rstrip())
        case ["--version", *_]:
            say(f"kansweep {__version__}")
        case ["-sc" | "--shell-completion", *_]:
            complete(arguments, COMMANDS)
        case ["plot", "edges", *rest]:
            return max((_perform("edges", job) for job in compose("edges", rest)), default=OK)
        case [command, *rest] if command in COMMANDS:
            jobs = compose(command, rest)
            several = counted(jobs) if command == "run" and len(jobs) > 1 else jobs
            status = max((_perform(command, job) for job in several), default=OK)
            if status == OK and _is_told(command, jobs):
                say(f"All of them in one figure: kansweep plot{selection_of(jobs)}")
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


def _is_told(command: str, jobs: Sequence[Any]) -> bool:
    """Whether several sweeps were run, and more is wanted than their failures."""
    return command == "run" and len(jobs) > 1 and not jobs[0].run.is_quiet


def _perform(command: str, job: Schema) -> int:
    from kansweep.sweep.refusals import StoreError

    try:
        return (COMMANDS | SUBCOMMANDS)[command](job)
    except (ConfigError, StoreError) as error:
        return refuse(error)
