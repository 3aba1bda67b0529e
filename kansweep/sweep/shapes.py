"""The hidden widths of ``model.hidden=auto``: shapes of growing width and depth, each judged on
training points that it has not seen, and the simplest of those that are as good as the best.

A shape is trained by the sweep's own solver on folds of the training points (``data.folds``), by
the rules of ``sweep.search``. It is done here and on the CPU, whatever the engine and the device.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace

from kansweep.config.keys import identity
from kansweep.config.rules import AUTO, ConfigError
from kansweep.config.run import RunConfig
from kansweep.data import sources
from kansweep.data.folds import PARTS, Folds
from kansweep.engines.imports import importing
from kansweep.sweep import tried
from kansweep.sweep.plan import recorded, revisions
from kansweep.sweep.refusals import StoreError
from kansweep.sweep.resolution import enough
from kansweep.sweep.search import LEAST_POINTS, MOST_POINTS, ROUND_OFF, Ground, first, searched
from kansweep.sweep.store import Store
from kansweep.sweep.tried import Search, Trial, Width

REVISION = 1  # raised when the same configuration leads to other shapes

Tell = Callable[[str], None]


def found(config: RunConfig, store: Store, tell: Tell) -> tuple[RunConfig, Search]:
    """A resolved configuration of ``model.hidden=auto`` with the hidden widths that its search
    finds, or has found in the sweep's folder before; ``tell`` hears of every shape that is to be
    tried."""
    store.check(recorded(config))
    names = _names(config)
    search = _begun(store, names, enough(config))
    if search.chosen is None:
        for further in searched(_ground(config, tell), search):
            search = further
            tried.write(store, *names, search)
    hidden = (search.chosen or ())[1:-1]
    return replace(config, model=config.model.with_hidden(hidden)), search


def _begun(store: Store, names: tuple[str, str], asked: float | None) -> Search:
    """What is in a sweep's folder of a search for this error; refused where a sweep is there whose
    shape was found for another."""
    search = tried.read(store, *names)
    if search.enough == asked or not search.trials:
        return replace(search, enough=asked)
    if store.layout.config.exists():
        before, now = ("null" if each is None else each for each in (search.enough, asked))
        raise StoreError(
            f"{store.folder} holds a sweep whose shape was found otherwise; what differs is"
            f" `model.enough` ({before} → {now}). Give this one a name of its own with name=…"
        )
    return Search(enough=asked)


def _names(config: RunConfig) -> tuple[str, str]:
    """What tells a search from others, as ``tried.write`` has it."""
    known = {"search": REVISION, **revisions(config)}
    shared = {**identity(recorded(config)), "revisions": known}
    n_train = min(MOST_POINTS, max(config.data.sizes or (0,)))
    rest = {"n_train": n_train, "seed": config.seeds[0], "sizes": config.sizes}
    texts = (json.dumps(part, sort_keys=True) for part in (shared, rest))
    of_sweep, of_rest = (hashlib.sha256(text.encode()).hexdigest()[:12] for text in texts)
    return of_sweep, of_rest


def _ground(config: RunConfig, tell: Tell) -> Ground:
    folds, read = _folds(config), sources.structures(config.data)
    n_inputs, suggested, n_outputs = sources.shape(config.data)

    def fits(width: Width) -> bool:
        return _fits(config, width, folds)

    return Ground(
        first=first([*read, suggested], n_inputs, n_outputs, fits),
        exponent=config.kind.exponent(config.model.order or 0),
        least=ROUND_OFF * folds.spread,
        fits=fits,
        tried=lambda width: _tried(config, folds, width, tell),
        read=read,
    )


def _tried(config: RunConfig, folds: Folds, width: Width, tell: Tell) -> list[Trial]:
    tell(tried.named(width))
    with importing():
        from kansweep.sweep.trials import trials
    return list(trials(config, folds, width, enough(config)))


def _folds(config: RunConfig) -> Folds:
    most = max(config.data.sizes or (0,))
    if most < LEAST_POINTS:
        raise ConfigError(
            f"`data.sizes` must hold {LEAST_POINTS} or more for model.hidden={AUTO}, which holds"
            f" out training points; got at most {most}."
        )
    n = min(most, MOST_POINTS)
    return Folds(sources.source(config.data), n - n % PARTS, config.seeds[0])


def _fits(config: RunConfig, width: Width, folds: Folds) -> bool:
    """Whether the solver takes such a shape, and the points bear it."""
    try:
        config.solver.check_width(width)
    except ConfigError:
        return False
    return config.model.footprint(width, config.sizes[0])[1] <= folds.n_fitted
