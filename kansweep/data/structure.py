"""The structure of a target on a KAN of given widths: as it states it, or read off its expression.

``decomposition`` makes sums of functions of sums; here they become layers. A sum stands on the
layer after the latest of its terms, and what it takes from earlier ones is passed on, added up in a
node of every layer between by edges that are the identity. The widths that come of it must be
those of the network: with a node to spare errors fall well below the floor (0.14 to 0.25 of it for
exp_sin on 2-2-1, G = 5 to 40), which then tells nothing about them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from kansweep.data.decomposition import (
    Part,
    Ranges,
    Reader,
    Source,
    Sum,
    Term,
    gathered,
    spliced,
)
from kansweep.data.expressions import Expression, Function, U, Variable, degree, plus
from kansweep.data.targets import Edge, Interval, NoStructure, Target


@dataclass(frozen=True)
class Structure:
    """Layers of edges, as in ``Target.structure``, and the order from which splines hold all of
    them without error, if any. A node may feed several edges."""

    layers: tuple[tuple[Edge, ...], ...]
    exact_from: int | None = None

    @property
    def is_tree(self) -> bool:
        """Whether no node feeds two edges, so that what is added up is independent."""
        each = [[edge.source for edge in layer] for layer in self.layers]
        return all(len(set(sources)) == len(sources) for sources in each)


@lru_cache(maxsize=256)
def structure(target: Target, hidden: tuple[int, ...]) -> Structure:
    """The structure of a target on a KAN with these hidden widths; raises NoStructure."""
    if target.structure is not None:
        readings = {target.hidden: Structure(target.structure, target.exact_from)}
    elif target.expression is not None:
        readings = _readings(target.expression, target.intervals)
    else:
        raise NoStructure("its structure is not known")
    if hidden in readings:
        return readings[hidden]
    ends = target.n_inputs, target.n_outputs
    shapes = ("-".join(map(str, (ends[0], *widths, ends[1]))) for widths in readings)
    raise NoStructure(f"its structure is that of a KAN {' or '.join(shapes)}")


def _readings(
    expression: Expression, intervals: tuple[Interval, ...]
) -> dict[tuple[int, ...], Structure]:
    """The structures of an expression by their hidden widths, those with logarithms first."""
    ranges = Ranges(intervals)
    readings: dict[tuple[int, ...], Structure] = {}
    for stepwise, by_squares in product((False, True), repeat=2):
        with suppress(NoStructure) if readings else nullcontext():
            made = _layered(Reader(ranges, by_squares, stepwise).read(expression), ranges)
            hidden = tuple(len({edge.sink for edge in layer}) for layer in made.layers[:-1])
            readings.setdefault(hidden, made)
    return readings


def _layered(output: Part, ranges: Ranges) -> Structure:
    """The structure of which a term is the output."""
    (constant, functions) = gathered(spliced(output), 0.0, plus)
    *terms, last = (Term(function, source) for source, function in functions.items())
    top = Sum((*terms, Term(plus(last.function, constant), last.of)))
    depth = _layer(top)
    layers = [[_aligned(top.terms, depth)]]
    for _ in range(depth - 1):
        layers.insert(0, list(dict.fromkeys(_sources(layers[0]))))
    inputs = [Variable(i + 1) for i in range(len(ranges.intervals))]
    edges = tuple(
        tuple(_edges(sources, sinks, ranges))
        for sources, sinks in zip([inputs, *layers], layers, strict=False)
    )
    degrees = max(degree(term.function) for layer in layers for node in layer for term in node.terms)
    return Structure(edges, int(degrees) if np.isfinite(degrees) else None)


def _sources(nodes: Sequence[Sum]) -> Iterator[Sum]:
    """The sums that nodes are made of."""
    for node in nodes:
        for term in node.terms:
            if isinstance(term.of, Sum):
                yield term.of


def _layer(source: Source) -> int:
    """Which layer a source can stand on, the inputs being layer 0."""
    return 0 if isinstance(source, Variable) else 1 + max(_layer(term.of) for term in source.terms)


def _aligned(terms: Sequence[Term], layer: int) -> Sum:
    """A sum on a layer, all of its terms being of the layer before: earlier ones are passed on."""
    near = [term for term in terms if _layer(term.of) == layer - 1]
    if early := [term for term in terms if _layer(term.of) < layer - 1]:
        near.append(Term(U, Sum(tuple(early))))
    of_layer = [
        term if isinstance(term.of, Variable) else Term(term.function, _aligned(term.of.terms, layer - 1))
        for term in near
    ]
    functions = gathered(of_layer, 0.0, plus)[1]  # what is passed on may be a node that is there
    return Sum(tuple(Term(function, source) for source, function in functions.items()))


def _edges(sources: Sequence[Source], sinks: Sequence[Sum], ranges: Ranges) -> Iterator[Edge]:
    index = {source: i for i, source in enumerate(sources)}
    for sink, node in enumerate(sinks):
        for term in node.terms:
            function, values = Function(term.function), ranges.of_term(term)
            yield Edge(index[term.of], sink, function, values, ranges.of(term.of))
