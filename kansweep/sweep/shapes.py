"""The hidden widths of ``model.hidden=auto``: shapes of growing width and depth, each judged on
training points that it has not seen, and the simplest of those that are as good as the best.

A shape is trained by the sweep's own solver on folds of the training points (``data.folds``), along
growing sizes as far as a number of parameters that is the same for all: a small shape comes to
finer grids than a large one. It is done here and on the CPU, whatever the engine and the device.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf

from kansweep.config.keys import identity
from kansweep.config.rules import AUTO, ConfigError
from kansweep.config.run import RunConfig
from kansweep.data import sources
from kansweep.data.folds import PARTS, Folds
from kansweep.engines.imports import importing
from kansweep.sweep import tried
from kansweep.sweep.plan import recorded
from kansweep.sweep.store import Store
from kansweep.sweep.tried import Search, Trial, Width, n_edges

REVISION = 1  # raised when the same configuration leads to other shapes
LEAST_POINTS, MOST_POINTS = 20, 1000
SHARE = 0.4  # parameters up to which errors are compared, a point that they are fitted to
ROUND_OFF = 1e-12  # of the outputs' spread: what is less is none
MOST_SHAPES = 12
# Times the edges of a shape whose error falls as the theory has it: larger ones are not tried. Such
# a fall may be that of coarse grids alone, so that somewhat larger ones are, and what is read off a
# formula within reason.
BEYOND, BEYOND_IF_READ = 1.5, 3.0
FIRST: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (2, 1))  # hidden widths

Tell = Callable[[str], None]


def found(config: RunConfig, store: Store, tell: Tell) -> tuple[RunConfig, Search]:
    """A resolved configuration with the hidden widths that its search finds, or has found in the
    sweep's folder before; ``tell`` hears of every shape that is to be tried."""
    auto = replace(config, model=config.model.with_hidden(AUTO))
    store.check(recorded(auto))
    names = _names(auto)
    search = tried.read(store, *names)
    if search.chosen is None:
        for further in _searched(auto, search, tell):
            search = further
            tried.write(store, *names, search)
    hidden = (search.chosen or ())[1:-1]
    return replace(auto, model=auto.model.with_hidden(hidden)), search


def _names(config: RunConfig) -> tuple[str, str]:
    """What tells a search from others, as ``tried.write`` has it."""
    method = config.method
    revisions = {"search": REVISION, method.name: method.revision}
    shared = {**identity(recorded(config)), "revisions": revisions}
    n_train = min(MOST_POINTS, max(config.data.sizes or (0,)))
    rest = {"n_train": n_train, "seed": config.seeds[0], "sizes": config.sizes}
    texts = (json.dumps(part, sort_keys=True) for part in (shared, rest))
    of_sweep, of_rest = (hashlib.sha256(text.encode()).hexdigest()[:12] for text in texts)
    return of_sweep, of_rest


def _searched(config: RunConfig, known: Search, tell: Tell) -> Iterator[Search]:
    """The search as it goes on, after every shape, to its end; what is known is not tried again."""
    folds, exponent = _folds(config), config.kind.exponent(config.model.order or 0)
    least = ROUND_OFF * folds.spread
    search, waiting, seen = Search(), _first(config), set[Width]()
    read = sources.structures(config.data)
    while waiting:
        for width in waiting:
            falling = (each for each in search.shapes if search.falls(each, exponent, least))
            beyond = BEYOND_IF_READ if width[1:-1] in read else BEYOND
            if n_edges(width) <= beyond * min(map(n_edges, falling), default=inf):
                trials = known.of(width) or _tried(config, folds, width, tell)
                search = Search((*search.trials, *trials))
                if width not in known.shapes:
                    yield search
        seen.update(waiting)
        best, room = search.simplest(least), MOST_SHAPES - len(search.shapes)
        fresh = [width for width in larger(best) if width not in seen]
        waiting = [width for width in fresh if _fits(config, width, folds)][: max(0, room)]
    yield replace(search, chosen=best)


def _tried(config: RunConfig, folds: Folds, width: Width, tell: Tell) -> list[Trial]:
    tell(tried.named(width))
    with importing():
        from kansweep.sweep.trials import trials
    return list(trials(config, folds, width, SHARE * folds.n_fitted))


def _folds(config: RunConfig) -> Folds:
    most = max(config.data.sizes or (0,))
    if most < LEAST_POINTS:
        raise ConfigError(
            f"`data.sizes` must hold {LEAST_POINTS} or more for model.hidden={AUTO}, which holds"
            f" out training points; got at most {most}."
        )
    n = min(most, MOST_POINTS)
    return Folds(sources.source(config.data), n - n % PARTS, config.seeds[0])


# ---------------------------------------------------------------------- which shapes there are


def _first(config: RunConfig) -> list[Width]:
    """Where a search begins, the smallest first: what is read off a formula, what suits the data,
    and small shapes."""
    n_inputs, suggested, n_outputs = sources.shape(config.data)
    hidden = dict.fromkeys([*sources.structures(config.data), suggested, *FIRST])
    folds, widths = _folds(config), [(n_inputs, *each, n_outputs) for each in hidden]
    flat, *deep = sorted(widths, key=lambda width: (len(width) > 2, n_edges(width), len(width)))
    return [flat, *(width for width in deep if _fits(config, width, folds))]


def larger(width: Width) -> list[Width]:
    """The shapes with one node more in a layer, or one layer more: the first one twice, or one
    node before the outputs."""
    n_inputs, *hidden, n_outputs = width
    if not hidden:
        return [(n_inputs, 1, n_outputs)]
    shapes = [[*hidden[:i], nodes + 1, *hidden[i + 1 :]] for i, nodes in enumerate(hidden)]
    if hidden[-1] > 1:
        shapes.append([*hidden, 1])
    if hidden[0] > 1:
        shapes.append([hidden[0], *hidden])
    return [(n_inputs, *shape, n_outputs) for shape in shapes]


def _fits(config: RunConfig, width: Width, folds: Folds) -> bool:
    """Whether the solver takes such a shape, and the points bear it."""
    try:
        config.solver.check_width(width)
    except ConfigError:
        return False
    return config.model.footprint(width, config.sizes[0])[1] <= folds.n_fitted
