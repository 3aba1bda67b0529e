"""Which shapes are tried, at which sizes, and where a search ends; not how a shape is trained.

It begins with small shapes and goes on with the neighbours of the best, until none is better. Each
is judged on points held out, along growing sizes as far as a number of parameters that is the same
for all: a small shape comes to finer grids than a large one. Where an error is asked for, it goes
on until none can come to it with fewer parameters.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf

from kansweep.sweep.tried import Search, Trial, Width, n_edges

LEAST_POINTS, MOST_POINTS = 20, 1000
MOST_FOLDS, FOLD_POINTS = 5, 1500  # folds, and training points of all of them together
SHARE = 0.4  # parameters up to which errors are compared, a point that they are fitted to
WORSE = 1.1  # times the least error of a shape so far: larger sizes only follow the noise
ROUND_OFF = 1e-12  # of the outputs' spread: what is less is none
MOST_SHAPES = 12
# Times the edges of a shape whose error falls as the theory has it: larger ones are not tried. Such
# a fall may be that of coarse grids alone, so that somewhat larger ones are, and what is read off a
# formula within reason.
BEYOND, BEYOND_IF_READ = 1.5, 3.0
FIRST: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (2, 1))  # hidden widths


@dataclass(frozen=True)
class Ground:
    """What a search stands on."""

    first: Sequence[Width]  # as ``first`` orders them
    exponent: float  # the theory's, NaN where there is none
    least: float  # an error that is none
    fits: Callable[[Width], bool]  # whether a shape can be trained on the points
    tried: Callable[[Width], Sequence[Trial]]
    read: Collection[tuple[int, ...]] = ()  # hidden widths that are read off a formula


def searched(ground: Ground, known: Search) -> Iterator[Search]:
    """The search as it goes on, after every shape, to its end; what is ``known`` of it is not tried
    again."""
    search, waiting, seen = Search(enough=known.enough), list(ground.first), set[Width]()
    while waiting:
        for width in waiting:
            if _is_within(ground, search, width):
                trials = known.of(width) or ground.tried(width)
                search = replace(search, trials=(*search.trials, *trials))
                if width not in known.shapes:
                    yield search
        seen.update(waiting)
        room = max(0, MOST_SHAPES - len(search.shapes))
        waiting = _neighbours(ground, search, seen)[:room]
    cheapest = search.cheapest
    yield replace(search, chosen=cheapest.width if cheapest else search.simplest(ground.least))


def _neighbours(ground: Ground, search: Search, seen: Collection[Width]) -> list[Width]:
    """Those of the best shape that are yet to be tried; where an error is asked for, of the best
    that has any."""
    asked, best = search.enough is not None, [search.simplest(ground.least)]
    if asked:
        best = sorted(search.shapes, key=lambda width: search.best(width).rmse)
    for width in best:
        fresh = (each for each in larger(width) if each not in seen and ground.fits(each))
        found = [each for each in fresh if not asked or _is_within(ground, search, each)]
        if found:
            return found
    return []


def _is_within(ground: Ground, search: Search, width: Width) -> bool:
    """Whether a shape can be better than what there is: with fewer parameters come to the error
    that is asked for, or else not much larger than one whose error falls as the theory has it."""
    if search.enough is not None:
        cheapest = search.cheapest
        return cheapest is None or search.n_params(width) < cheapest.n_params
    falling = (each for each in search.shapes if search.falls(each, ground.exponent, ground.least))
    beyond = BEYOND_IF_READ if width[1:-1] in ground.read else BEYOND
    return n_edges(width) <= beyond * min(map(n_edges, falling), default=inf)


# ---------------------------------------------------------------------- which shapes there are


def first(
    hidden: Iterable[tuple[int, ...]], n_inputs: int, n_outputs: int, fits: Callable[[Width], bool]
) -> list[Width]:
    """Where a search begins, the smallest first: these hidden widths and small ones. A shape
    without hidden nodes is tried whatever the points."""
    widths = [(n_inputs, *each, n_outputs) for each in dict.fromkeys([*hidden, *FIRST])]
    flat, *deep = sorted(widths, key=lambda width: (len(width) > 2, n_edges(width), len(width)))
    return [flat, *filter(fits, deep)]


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


# ----------------------------------------------------------------------------- how one is tried


def n_folds(n: int) -> int:
    """How many of the parts of n points are held out in turn."""
    return min(MOST_FOLDS, max(1, FOLD_POINTS // n))


def sizes(given: Sequence[int], n: int, enough: float | None = None) -> list[int]:
    """Those given and, since errors are compared at equal numbers of parameters, doubles of the
    last, below the number of points; where an error is asked for those given alone, of which one
    shall come to it."""
    if enough is not None:
        return list(given)
    doubles = (given[-1] * 2**i for i in itertools.count(1))
    return [*given, *itertools.takewhile(lambda size: size < n, doubles)]


def while_they_help(
    trials: Iterable[Trial], sizes: Sequence[int], n_fitted: int, enough: float | None = None
) -> Iterator[Trial]:
    """Of the trials of one shape along its sizes the first, and the next as long as they are not
    ``enough``, nor worse, and have no more parameters than the points bear."""
    done: list[Trial] = []
    for larger_size, trial in zip([*sizes[1:], None], trials, strict=False):
        done.append(trial)
        yield trial
        worse = trial.rmse > WORSE * min(each.rmse for each in done)
        ends = worse or trial.comes_to(enough)
        if larger_size is None or ends or _parameters(done, larger_size) > SHARE * n_fitted:
            break


def _parameters(done: Sequence[Trial], size: int) -> float:
    """About how many parameters the next size has: in proportion, or in line with the last two."""
    last = done[-1]
    if len(done) == 1:
        return last.n_params * size / last.size
    slope = (last.n_params - done[-2].n_params) / (last.size - done[-2].size)
    return last.n_params + slope * (size - last.size)
