"""Shapes that were tried, the choice among them, and ``shapes.csv``, where they stand."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, log

from kansweep.sweep import files
from kansweep.sweep.refusals import naming_the_file
from kansweep.sweep.store import Store

# Of the theory's order: an error that falls by so much, twice, is that of the right structure.
ORDER = 0.75
AS_GOOD = 1.25  # times the least error

Width = tuple[int, ...]
"""Nodes of every layer: [n_inputs, *hidden, n_outputs]."""


@dataclass(frozen=True)
class Trial:
    """The held-out error of one shape at one size, in the units of the outputs."""

    width: Width
    size: int
    n_params: int
    rmse: float  # infinite where it could not be had
    standard_error: float  # of the RMSE
    seconds: float

    def comes_to(self, enough: float | None) -> bool:
        """Whether its error is as small, a standard error on top; to None, nothing does."""
        return enough is not None and self.rmse + self.standard_error <= enough


@dataclass(frozen=True)
class Search:
    """What was tried, and the shape that was chosen of it, None before the end."""

    trials: tuple[Trial, ...] = ()
    chosen: Width | None = None
    enough: float | None = None  # the error that the fewest parameters shall reach; None: the least

    @property
    def shapes(self) -> list[Width]:
        """All of them, in the order in which they were tried."""
        return list(dict.fromkeys(trial.width for trial in self.trials))

    def of(self, width: Width) -> list[Trial]:
        """The trials of one shape, in the order of its sizes."""
        return [trial for trial in self.trials if trial.width == width]

    def best(self, width: Width) -> Trial:
        return min(self.of(width), key=lambda trial: trial.rmse)

    def falls(self, width: Width, exponent: float, least: float) -> bool:
        """Whether the error of a shape falls with size as the theory's ``exponent`` has it, or to
        less than ``least``: a larger shape may have a smaller constant, but no better order."""
        errors = [trial.rmse for trial in self.of(width)]
        if not all(map(isfinite, errors)) or min(errors) < least:
            return min(errors) < least
        orders = [
            log(one.rmse / other.rmse) / log(other.size / one.size)
            for one, other in pairwise(self.of(width)[-3:])
        ]
        return len(orders) == 2 and min(orders) > -ORDER * exponent  # NaN where there is no theory

    @property
    def front(self) -> list[Trial]:
        """The trials that none with as few parameters is better than."""
        front: list[Trial] = []
        for trial in sorted(self.trials, key=lambda each: (each.n_params, each.rmse)):
            if isfinite(trial.rmse) and (not front or trial.rmse < front[-1].rmse):
                front.append(trial)
        return front

    @property
    def cheapest(self) -> Trial | None:
        """Of the trials whose error is enough that of the fewest parameters."""
        good = (each for each in self.trials if each.comes_to(self.enough))
        return min(good, key=lambda each: (each.n_params, each.rmse), default=None)

    def n_params(self, width: Width) -> float:
        """About what a shape has at the first size, by one that was tried."""
        first = self.trials[0]
        return first.n_params * n_edges(width) / n_edges(first.width)

    def simplest(self, least: float) -> Width:
        """The shape of fewest edges out of those whose error is within a standard error of the best
        (Breiman, Friedman, Olshen and Stone, *Classification and Regression Trees*, 1984, section
        3.4.3) or ``AS_GOOD`` times it; what is below ``least`` is as good as nothing."""
        best = min(self.trials, key=lambda trial: trial.rmse)
        most = max(best.rmse + best.standard_error, AS_GOOD * best.rmse, least)
        good = (trial for trial in self.trials if trial.rmse <= most)
        simplest = min(good, key=lambda each: (n_edges(each.width), len(each.width), each.rmse))
        return simplest.width


# ------------------------------------------------------------------------------ what is stored

_COUNTS, _NUMBERS = ("size", "n_params"), ("rmse", "standard_error", "seconds")
_COLUMNS = ("search", "width", *_COUNTS, *_NUMBERS, "chosen", "enough")


def read(store: Store, of_sweep: str, of_rest: str) -> Search:
    """What was tried in a sweep's folder by the search of these two names, ``write`` explains them;
    nothing where there is nothing to be read."""
    try:
        rows = list(csv.DictReader(store.layout.shapes.read_text().splitlines()))
        trials = [_trial(row) for row in rows]
        names = {row["search"] for row in rows}
        marked = [row["chosen"] == "True" for row in rows]
        (enough,) = {row.get("enough") for row in rows}
        asked = float(enough) if enough else None
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError):
        return Search()
    chosen = next((t.width for t, mark in zip(trials, marked, strict=True) if mark), None)
    same = names == {f"{of_sweep}-{of_rest}"}
    ended = chosen is not None and all(name.startswith(f"{of_sweep}-") for name in names)
    return Search(tuple(trials), chosen, asked) if same or ended else Search()


def _trial(row: Mapping[str, str]) -> Trial:
    width = tuple(map(int, row["width"].split("-")))
    size, n_params = (int(row[name]) for name in _COUNTS)
    rmse, standard_error, seconds = (float(row[name]) for name in _NUMBERS)
    return Trial(width, size, n_params, rmse, standard_error, seconds)


def write(store: Store, of_sweep: str, of_rest: str, search: Search) -> None:
    """Keep what was tried so far.

    ``of_sweep`` tells the sweep from others and ``of_rest`` what else a search depends on: one that
    was cut off goes on where both are the same, and one that has ended holds for the whole sweep,
    whatever sizes and seeds are added to it.
    """
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    table.writeheader()
    for trial in search.trials:
        numbers = {name: getattr(trial, name) for name in (*_COUNTS, *_NUMBERS)}
        name, chosen = f"{of_sweep}-{of_rest}", trial.width == search.chosen
        texts = {"search": name, "width": named(trial.width), "enough": search.enough}
        table.writerow(numbers | texts | {"chosen": chosen})
    path = store.layout.shapes
    with naming_the_file(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, lambda file: file.write(text.getvalue().encode()))


def n_edges(width: Width) -> int:
    """What the parameters of a shape are in proportion to, whatever the size."""
    return sum(n_in * n_out for n_in, n_out in pairwise(width))


def named(width: Width) -> str:
    """As rows have it: 2-5-1."""
    return "-".join(map(str, width))
