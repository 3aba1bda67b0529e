"""The structure of a target on a KAN of given widths: as it states it, or read off its expression.

``decomposition`` makes sums of functions of sums; here they become layers. A sum stands on the
layer after the latest of its terms. What it takes from earlier layers is passed on, added up in a
node of every layer between, by edges that are the identity; so is a sum that is the output, where
the network has more layers. A function of one source is one edge.

The widths that come of it must be those of the network. With a node or a layer to spare splines
share the work, and errors fall below the floor by a factor that varies with the grid, so that it is
no reference: to 0.14 of it at G = 5 and 0.25 at G = 40 for exp_sin on 2-2-1, to 0.01 and 0.06 for
sin(4 x1) on 1-1-1. Nor is it where a node beside others is only passed on or squared, whose outer
spline has nothing to do: 0.06 and 0.27 for x1 exp(x2) on 2-2-1, 0.26 and 0.46 for
exp(x1 + x2) + sin(3 x3) on 3-2-1, while sqrt(x1 x2) + sqrt(x3 x4) on 4-2-1 stays at 1.0 to 1.1
(cubic splines, n = 3000).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import lru_cache

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
    """Layers of edges, as in ``Target.structure``, though a node may feed several edges.

    From order ``exact_from`` on splines hold all of them without error, and from ``idle_from`` on
    one that leads on from a hidden node beside others; infinite where they never do.
    """

    layers: tuple[tuple[Edge, ...], ...]
    exact_from: float = np.inf
    idle_from: float = np.inf

    @property
    def is_tree(self) -> bool:
        """Whether no node feeds two edges, so that what is added up is independent."""
        each = [[edge.source for edge in layer] for layer in self.layers]
        return all(len(set(sources)) == len(sources) for sources in each)

    def of_output(self, index: int) -> Structure:
        """What leads to one output alone."""
        layers: list[tuple[Edge, ...]] = []
        wanted = {index}
        for layer in reversed(self.layers):
            layers.insert(0, tuple(edge for edge in layer if edge.sink in wanted))
            wanted = {edge.source for edge in layers[0]}
        read = [e.function for layer in layers for e in layer if isinstance(e.function, Function)]
        if len(read) < sum(map(len, layers)):  # of stated functions no more is known than of all
            return replace(self, layers=tuple(layers))
        exact_from = max(degree(function.expression) for function in read)
        return replace(self, layers=tuple(layers), exact_from=exact_from)


def widths(target: Target) -> list[tuple[int, ...]]:
    """The hidden widths of the KANs of which a target's structure is known to be, none where
    nothing is known of it."""
    stated = [] if target.structure is None else [target.hidden]
    if not target.expressions:
        return stated
    try:
        return list(dict.fromkeys([*stated, *_readings(target.expressions, target.intervals, 1)]))
    except (NoStructure, RecursionError):
        return stated


@lru_cache(maxsize=256)
def structure(target: Target, hidden: tuple[int, ...]) -> Structure:
    """The structure of a target on a KAN with these hidden widths; raises NoStructure."""
    readings: dict[tuple[int, ...], Structure] = {}
    if target.structure is not None:
        exact_from = np.inf if target.exact_from is None else target.exact_from
        readings[target.hidden] = Structure(target.structure, exact_from)
    if target.expressions and hidden not in readings:
        try:
            readings |= _readings(target.expressions, target.intervals, len(hidden) + 1)
        except RecursionError as error:
            raise NoStructure("its formula is nested too deeply") from error
    if hidden in readings:
        return readings[hidden]
    if not readings:
        raise NoStructure(f"whether a {_shape(target, hidden)} KAN represents it is not known")
    shapes = (_shape(target, widths) for widths in readings)
    raise NoStructure(f"its structure is that of a KAN {' or '.join(shapes)}")


def _shape(target: Target, hidden: tuple[int, ...]) -> str:
    return "-".join(map(str, (target.n_inputs, *hidden, target.n_outputs)))


def _readings(
    expressions: tuple[Expression, ...], intervals: tuple[Interval, ...], n_layers: int
) -> dict[tuple[int, ...], Structure]:
    """The structures of expressions, one an output, by their hidden widths, those with logarithms
    first, with ``n_layers`` of edges where that is possible. What several outputs are functions of
    is the same node; otherwise each has nodes of its own."""
    ranges = Ranges(intervals)
    readings: dict[tuple[int, ...], Structure] = {}
    for by_squares in (False, True):
        with suppress(NoStructure) if readings else nullcontext():
            read = [_output(Reader(ranges, by_squares).read(each)) for each in expressions]
            depth = max(map(_layer, read))
            outputs = [_aligned(output.terms, depth) for output in read]
            if depth < n_layers and all(len(output.terms) > 1 for output in outputs):
                depth = n_layers  # a function would be shared out
                outputs = [_aligned(output.terms, depth) for output in outputs]
            layers = _layers(outputs, depth)
            readings.setdefault(tuple(map(len, layers[:-1])), _structure(layers, ranges))
    return readings


def _output(part: Part) -> Sum:
    """The sum that is the output."""
    constant, functions = gathered(spliced(part), 0.0, plus)
    *terms, last = (Term(function, source) for source, function in functions.items())
    return Sum((*terms, Term(plus(last.function, constant), last.of)))


def _layers(outputs: list[Sum], depth: int) -> list[list[Sum]]:
    """The nodes of every layer after the inputs, whose outputs are aligned."""
    layers = [outputs]
    for _ in range(depth - 1):
        of_first = (term.of for node in layers[0] for term in node.terms)
        layers.insert(0, [node for node in dict.fromkeys(of_first) if isinstance(node, Sum)])
    return layers


def _structure(layers: Sequence[Sequence[Sum]], ranges: Ranges) -> Structure:
    inputs: list[Source] = [Variable(i + 1) for i in range(len(ranges.intervals))]
    edges = tuple(
        tuple(_edges(sources, sinks, ranges))
        for sources, sinks in zip([inputs, *layers], layers, strict=False)
    )
    degrees = [[degree(term.function) for node in layer for term in node.terms] for layer in layers]
    beside = [of for of, nodes in zip(degrees[1:], layers, strict=False) if len(nodes) > 1]
    return Structure(
        edges,
        exact_from=max(map(max, degrees)),
        idle_from=min(map(min, beside), default=np.inf),
    )


def _layer(source: Source) -> int:
    """Which layer a source can stand on, the inputs being layer 0."""
    return 0 if isinstance(source, Variable) else 1 + max(_layer(term.of) for term in source.terms)


def _aligned(terms: Sequence[Term], layer: int) -> Sum:
    """A sum on a layer, all of its terms being of the layer before: earlier ones are passed on."""
    near = [term for term in terms if _layer(term.of) == layer - 1]
    if early := [term for term in terms if _layer(term.of) < layer - 1]:
        near.append(Term(U, Sum(tuple(early))))
    terms = [
        Term(t.function, _aligned(t.of.terms, layer - 1)) if isinstance(t.of, Sum) else t
        for t in near
    ]
    functions = gathered(terms, 0.0, plus)[1]  # what is passed on may be a node that is there
    return Sum(tuple(Term(function, source) for source, function in functions.items()))


def _edges(sources: Sequence[Source], sinks: Sequence[Sum], ranges: Ranges) -> Iterator[Edge]:
    index = {source: i for i, source in enumerate(sources)}
    for sink, node in enumerate(sinks):
        for term in node.terms:
            function, values = Function(term.function), ranges.of_term(term)
            yield Edge(index[term.of], sink, function, values, ranges.of(term.of))
