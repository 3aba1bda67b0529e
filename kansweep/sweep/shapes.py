"""The hidden widths of ``model.hidden=auto``: shapes of growing width and depth, each judged on
training points that it has not seen, and the simplest of those that are as good as the best.

A shape is trained by the sweep's own solver on folds of the training points (``data.folds``) along
growing sizes, as far as a number of parameters that is the same for all shapes: a small shape comes
to finer grids than a large one. What was tried stands in ``shapes.csv``, of which a search that was
cut off goes on, and from which one that has ended is read.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from kansweep.config.keys import identity
from kansweep.config.rules import AUTO, ConfigError
from kansweep.config.run import RunConfig
from kansweep.data import sources
from kansweep.data.folds import PARTS, Folds
from kansweep.engines.imports import importing
from kansweep.sweep import files
from kansweep.sweep.plan import layer_widths, recorded
from kansweep.sweep.refusals import naming_the_file
from kansweep.sweep.store import Store

REVISION = 1  # raised when the same configuration leads to other shapes
LEAST_POINTS, MOST_POINTS = 20, 1500
SHARE = 0.25  # parameters of which errors are compared, a point that they are fitted to
AS_GOOD = 1.25  # times the least error
ROUND_OFF = 1e-12  # of the outputs' spread: what is less is none
MOST_SHAPES = 14
FIRST: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (2, 1))


@dataclass(frozen=True)
class Trial:
    """The held-out error of one shape at one size, in the units of the outputs."""

    hidden: tuple[int, ...]
    size: int
    n_params: int
    rmse: float
    standard_error: float  # of the RMSE
    seconds: float


@dataclass(frozen=True)
class Search:
    """What was tried, and the hidden widths that were chosen of it, None before the end."""

    trials: tuple[Trial, ...]
    chosen: tuple[int, ...] | None = None

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The hidden widths, in the order in which they were tried."""
        return list(dict.fromkeys(trial.hidden for trial in self.trials))

    def of(self, hidden: tuple[int, ...]) -> list[Trial]:
        return [trial for trial in self.trials if trial.hidden == hidden]

    def best(self, hidden: tuple[int, ...]) -> Trial:
        return min(self.of(hidden), key=lambda trial: trial.rmse)

    @property
    def front(self) -> list[Trial]:
        """The trials that are better than all with no more parameters."""
        front: list[Trial] = []
        for trial in sorted(self.trials, key=lambda each: (each.n_params, each.rmse)):
            if not front or trial.rmse < front[-1].rmse:
                front.append(trial)
        return front

    def simplest(self, least: float) -> tuple[int, ...]:
        """The shape of fewest parameters out of those whose error is within a standard error of
        the best or ``AS_GOOD`` times it (Breiman, Friedman, Olshen and Stone, *Classification and
        Regression Trees*, 1984, section 3.4.3); what is below ``least`` is as good as nothing."""
        best = min(self.trials, key=lambda trial: trial.rmse)
        most = max(best.rmse + best.standard_error, AS_GOOD * best.rmse, least)
        good = [hidden for hidden in self.shapes if self.best(hidden).rmse <= most]
        return min(good, key=lambda hidden: (self.of(hidden)[0].n_params, len(hidden), hidden))


Tell = Callable[[str], None]


def found(config: RunConfig, store: Store, tell: Tell) -> tuple[RunConfig, Search]:
    """A resolved configuration with the hidden widths that its search finds, or has found in the
    sweep's folder before; ``tell`` hears of every shape that is tried."""
    auto = replace(config, model=config.model.with_hidden(AUTO))
    store.check(recorded(auto))
    search = read(store, auto)
    if search.chosen is None:
        for search in _searched(auto, search, tell):
            _write(store, auto, search)
    return replace(auto, model=auto.model.with_hidden(search.chosen or ())), search


def _searched(config: RunConfig, search: Search, tell: Tell) -> Iterator[Search]:
    """The search as it goes on, after every shape, to its end."""
    folds = _folds(config)
    waiting = list(_first(config))
    while waiting:
        for hidden in waiting:
            if hidden not in search.shapes:
                search = Search((*search.trials, *_tried(config, folds, hidden, tell)))
                yield search
        best = search.simplest(ROUND_OFF * folds.spread)
        room = MOST_SHAPES - len(search.shapes)
        fresh = (hidden for hidden in larger(best) if hidden not in search.shapes)
        waiting = [hidden for hidden in fresh if _fits(config, hidden, folds)][: max(room, 0)]
    yield replace(search, chosen=best)


def _tried(
    config: RunConfig, folds: Folds, hidden: tuple[int, ...], tell: Tell
) -> tuple[Trial, ...]:
    tell(width(config, hidden))
    with importing():
        from kansweep.sweep.trials import trials
    return tuple(trials(config, folds, hidden, SHARE * folds.n_fitted))


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


def _first(config: RunConfig) -> Iterator[tuple[int, ...]]:
    """Where a search begins: what is read off a formula, what suits the data, and small shapes."""
    shapes = [*sources.structures(config.data), sources.shape(config.data)[1], *FIRST]
    folds = _folds(config)
    for hidden in dict.fromkeys(shapes):
        if _fits(config, hidden, folds):
            yield hidden


def larger(hidden: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The shapes with one node more in a layer, or one layer more: the first one twice, or one
    node before the outputs."""
    wider = [(*hidden[:i], hidden[i] + 1, *hidden[i + 1 :]) for i in range(len(hidden))]
    if not hidden:
        return [(1,)]
    if hidden[-1] == 1:
        return wider if len(hidden) == 1 else [*wider, (hidden[0], *hidden)]
    return [*wider, (*hidden, 1), (hidden[0], *hidden)]


def _fits(config: RunConfig, hidden: tuple[int, ...], folds: Folds) -> bool:
    """Whether the solver takes such a shape, and points bear it."""
    widths = layer_widths(replace(config, model=config.model.with_hidden(hidden)), config.sizes[0])
    try:
        config.solver.check_width(widths)
    except ConfigError:
        return False
    return not hidden or config.model.footprint(widths, config.sizes[0])[1] <= folds.n_fitted


def width(config: RunConfig, hidden: Sequence[int]) -> str:
    """As rows have it: 2-5-1."""
    n_inputs, _, n_outputs = sources.shape(config.data)
    return "-".join(map(str, (n_inputs, *hidden, n_outputs)))


# ------------------------------------------------------------------------------ what is stored

_NUMBERS = tuple(field.name for field in fields(Trial) if field.name != "hidden")
_STORED = ("search", "width", *_NUMBERS, "chosen")


def _name(config: RunConfig) -> tuple[str, str]:
    """What tells a search from others: by all that is one for a sweep, and by the rest.

    A sweep has one shape: sizes and seeds that are added to it do not have it searched again.
    """
    method = config.method
    revisions = {"search": REVISION, method.name: method.revision}
    shared = {**identity(recorded(config)), "revisions": revisions}
    n_train = min(MOST_POINTS, max(config.data.sizes or (0,)))
    rest = {"n_train": n_train, "seed": config.seeds[0], "sizes": config.sizes}
    texts = (json.dumps(part, sort_keys=True) for part in (shared, rest))
    of_sweep, of_rest = (hashlib.sha256(text.encode()).hexdigest()[:12] for text in texts)
    return of_sweep, of_rest


def read(store: Store, config: RunConfig) -> Search:
    """What was tried of a sweep's search; nothing where there is nothing to be read."""
    of_sweep, of_rest = _name(config)
    try:
        rows = list(csv.DictReader(store.layout.shapes.read_text().splitlines()))
        trials = {_trial(row): row for row in rows}
        names = {row["search"] for row in rows}
        chosen = [trial.hidden for trial, row in trials.items() if row["chosen"] == "True"]
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError):
        return Search(())
    if names == {f"{of_sweep}-{of_rest}"}:
        return Search(tuple(trials), chosen[0] if chosen else None)
    ended = chosen and {name.partition("-")[0] for name in names} == {of_sweep}
    return Search(tuple(trials), chosen[0]) if ended else Search(())


def _trial(row: Mapping[str, str]) -> Trial:
    counts = int(row["size"]), int(row["n_params"])
    numbers = (float(row[name]) for name in ("rmse", "standard_error", "seconds"))
    return Trial(tuple(map(int, row["width"].split("-")[1:-1])), *counts, *numbers)


def _write(store: Store, config: RunConfig, search: Search) -> None:
    text = io.StringIO()
    table = csv.DictWriter(text, _STORED, lineterminator="\n")
    table.writeheader()
    for trial in search.trials:
        numbers = {name: getattr(trial, name) for name in _NUMBERS}
        known = {
            "search": "-".join(_name(config)),
            "width": width(config, trial.hidden),
            "chosen": trial.hidden == search.chosen,
        }
        table.writerow(known | numbers)
    path = store.layout.shapes
    with naming_the_file(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, lambda file: file.write(text.getvalue().encode()))
