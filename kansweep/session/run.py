"""``kansweep run`` from Python.

sweep = kansweep.run("data=product", seeds=3, data__sizes=[100, 300])
sweep.results, sweep.laws, sweep.plot(), sweep.report()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from kansweep.config import rules
from kansweep.config.composing import composed, words_of
from kansweep.config.rules import ConfigError
from kansweep.config.run import RunConfig
from kansweep.session.sweep import Sweep
from kansweep.sweep import runner
from kansweep.sweep.begin import begun
from kansweep.sweep.events import Event, Finished
from kansweep.sweep.progress import Bar

Callback = Callable[[Mapping[str, Any]], object]


class _Stopped(Exception):
    """A callback wants no more cells."""


def run(
    *words: str,
    callback: Callback | None = None,
    progress: bool = True,
    config_dir: str | Path | None = None,
    **keys: Any,
) -> Sweep:
    """Train what is missing of a sweep, in the folder in which the command would, and read it.

    ``words`` are those of the command line, such as ``"data=product"``. ``keys`` are its keys with
    values of Python: ``seeds=3``, ``data__sizes=[100, 300]`` for ``data.sizes``, or a section's own
    as ``data={"sizes": [100, 300]}``; they come after the words. ``config_dir`` is a folder with
    configurations of your own.

    ``callback`` is called with the row of each cell that ends, a mapping by columns, when it is on
    disk; if it returns True the run stops there, and if it raises so does this. ``progress`` shows
    a bar, in a notebook one of its own, unless ``run.verbosity`` is quiet; where that is verbose, a
    line a cell is written to stderr.

    A cell that fails is a row with its status (``Sweep.failed``), and no exception. Nothing else is
    printed, no process ends, and an interrupt is raised as it is. What is done is
    kept, whatever comes; the same call goes on.

    Raises ConfigError where the configuration is refused, StoreError where the folder is, and
    EngineError where the engine performs no more, in the command's words.
    """
    job = composed([*words, *words_of(keys)], None if config_dir is None else Path(config_dir))
    _check(job, callback, progress)
    begin = begun(job)
    shown = progress and not job.run.is_quiet
    bar = Bar(job.kind.symbol, notebook=True, shown=shown, lines=job.run.is_verbose)

    def hear(event: Event) -> None:
        bar(event)
        if callback is not None and isinstance(event, Finished) and callback(event.row) is True:
            raise _Stopped

    ended = None
    with closing(begin.engine), closing(bar), begin.store.open(begin.plan), suppress(_Stopped):
        ended = runner.run(begin.plan, begin.store, begin.job, begin.engine, hear)
    sweep = Sweep(begin.store.folder)
    if job.run.report and ended is not None and not ended.failed and not ended.left:
        sweep.report()
    return sweep


def _check(job: RunConfig, callback: object, progress: object) -> None:
    if job.run.on_end is not None:
        raise ConfigError("`run.on_end` is for the command line; what comes after this call is it.")
    if callback is not None and not callable(callback):
        raise ConfigError(f"`callback` must be a function of a row, or None; got {callback!r}.")
    if not rules.FLAG.holds(rules.plain(progress)):
        raise rules.FLAG.refusal("progress", progress)
