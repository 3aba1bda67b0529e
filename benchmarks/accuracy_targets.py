"""Targets of the accuracy benchmark that nothing was tuned on, with their structure where they are
trees of univariate functions.

Each states its formula, by which it is trained, and apart from it the curves of its structure, by
which its floor is computed; a test holds the two together. Ranges of edges follow from the curves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from kansweep.data.formula import parse
from kansweep.data.targets import Array, Edge, Interval, Target

UNIT: tuple[Interval, ...] = ((-1.0, 1.0),)
SOURCE = "benchmarks/ACCURACY.md"


@dataclass(frozen=True)
class Curve:
    """A univariate function and its turning points; it is monotone between them."""

    function: Callable[[Array], Array]
    turns: tuple[float, ...] = field(default=(0.0,), kw_only=True)

    def values(self, lower: float, upper: float) -> Interval:
        """The range that it takes over an interval."""
        inside = [turn for turn in self.turns if lower < turn < upper]
        at = self.function(np.array([lower, upper, *inside]))
        return float(at.min()), float(at.max())


Layer = Sequence[tuple[int, int, Curve]]  # source, sink and function of its edges


def rising(function: Callable[[Array], Array]) -> Curve:
    """A curve without turning points, falling ones too."""
    return Curve(function, turns=())


def sine(frequency: float, size: float = 1.0, phase: float = 0.0) -> Curve:
    """size * sin(frequency * u + phase)."""
    turns = ((np.arange(-40, 40) + 0.5) * np.pi - phase) / frequency
    return Curve(lambda u: size * np.sin(frequency * u + phase), turns=tuple(turns))


def cosine(frequency: float, size: float = 1.0) -> Curve:
    return sine(frequency, size, np.pi / 2)


def line(slope: float) -> Curve:
    return rising(lambda u: slope * u)


SQUARE = Curve(lambda u: u**2)
LINE = line(1.0)
EXP = rising(np.exp)
TANH = rising(np.tanh)


def composed(
    name: str,
    formula: str,
    hidden: tuple[int, ...],
    *layers: Layer,
    domain: tuple[Interval, ...] = UNIT,
) -> Target:
    """The target of a formula, with the structure that the layers state, if any."""
    function = parse(formula)
    intervals = domain * function.n_inputs if len(domain) == 1 else domain
    return Target(
        name,
        formula,
        function,
        function.n_inputs,
        hidden,
        SOURCE,
        domain=domain,
        structure=_structure(intervals, layers) if layers else None,
    )


def _structure(
    intervals: tuple[Interval, ...], layers: Sequence[Layer]
) -> tuple[tuple[Edge, ...], ...]:
    """The edges of the layers, each with its range; a sum's terms are independent."""
    ranges, structure = dict(enumerate(intervals)), []
    for layer in layers:
        edges = tuple(
            Edge(source, sink, curve.function, curve.values(*ranges[source]))
            for source, sink, curve in layer
        )
        sums: dict[int, Interval] = defaultdict(lambda: (0.0, 0.0))
        for edge in edges:
            lower, upper = sums[edge.sink]
            sums[edge.sink] = lower + edge.values[0], upper + edge.values[1]
        ranges = dict(sums)
        structure.append(edges)
    return tuple(structure)


def shallow(
    name: str, formula: str, outer: Curve, *inner: Curve, domain: tuple[Interval, ...] = UNIT
) -> Target:
    """outer(inner_1(x1) + inner_2(x2) + ...), a KAN [d, 1, 1]."""
    first = [(i, 0, curve) for i, curve in enumerate(inner)]
    return composed(name, formula, (1,), first, [(0, 0, outer)], domain=domain)


_BUMP = Curve(lambda x: 1 / (1 + 100 * x**2))
_LAYER = rising(lambda x: np.tanh(30 * x))
_DECAY = rising(lambda x: np.exp(-20 * x))
_EXP_HALF = rising(lambda u: np.exp(u / 2))

SHALLOW = (
    # Steep outer functions, near a singularity.
    shallow(
        "log near zero", "log(0.02+x1^2+x2^2)", rising(lambda u: np.log(0.02 + u)), SQUARE, SQUARE
    ),
    shallow(
        "log of a line",
        "log(0.01+x1+x2^2)",
        rising(lambda u: np.log(0.01 + u)),
        *(LINE, SQUARE),
        domain=((0.0, 1.0),),
    ),
    shallow("log of one", "log(0.02+x1^2)", rising(lambda u: np.log(0.02 + u)), SQUARE),
    shallow(
        "root near zero",
        "sqrt(0.001+x1^2+x2^2+x3^2)",
        rising(lambda u: np.sqrt(0.001 + u)),
        *(SQUARE, SQUARE, SQUARE),
    ),
    shallow("reciprocal", "1/(0.05+x1^2+x2^2)", rising(lambda u: 1 / (0.05 + u)), SQUARE, SQUARE),
    shallow(
        "potential",
        "1/sqrt(0.05+x1^2+x2^2+x3^2)",
        rising(lambda u: 1 / np.sqrt(0.05 + u)),
        *(SQUARE, SQUARE, SQUARE),
    ),
    # Oscillating inner functions.
    shallow("inner wave", "exp(sin(6*pi*x1)/2+x2^2)", EXP, sine(6 * np.pi, 0.5), SQUARE),
    shallow(
        "two inner waves",
        "tanh(sin(6*pi*x1)+cos(4*pi*x2))",
        *(TANH, sine(6 * np.pi), cosine(4 * np.pi)),
    ),
    shallow(
        "root of waves",
        "sqrt(3+sin(6*pi*x1)+sin(5*x2)+x3^2/2)",
        rising(lambda u: np.sqrt(3 + u)),
        *(sine(6 * np.pi), sine(5), Curve(lambda x: x**2 / 2)),
    ),
    # Outer functions that are not monotone over the inner range.
    shallow("outer cosine", "cos(3*(x1^2+x2))", cosine(3), SQUARE, LINE),
    shallow("outer square", "(sin(pi*x1)+x2)^2", SQUARE, sine(np.pi), LINE),
    shallow(
        "ridge",
        "exp(-4*(sin(x1)+x2^3)^2)",
        Curve(lambda u: np.exp(-4 * u**2)),
        *(sine(1), rising(lambda x: x**3)),
    ),
    shallow(
        "ridge of three",
        "exp(-2*(sin(2*x1)+x2+exp(x3)/2)^2)",
        Curve(lambda u: np.exp(-2 * u**2)),
        *(sine(2), LINE, rising(lambda x: np.exp(x) / 2)),
    ),
    # Outer functions that oscillate over it.
    shallow("wave of squares", "sin(8*(x1^2+sin(x2)))", sine(8), SQUARE, sine(1)),
    shallow("plane wave", "cos(5*(x1+x2))", cosine(5), LINE, LINE),
    shallow("spherical wave", "sin(4*(x1^2+x2^2+x3^2))", sine(4), SQUARE, SQUARE, SQUARE),
    shallow("chirp", "sin(12*x1^2)", sine(12), SQUARE),
    # Monotone ones, for which the additive model is a start.
    shallow("exp of three", "exp(x1+x2^2+sin(pi*x3))", EXP, LINE, SQUARE, sine(np.pi)),
    shallow(
        "logistic",
        "1/(1+exp(-4*(x1+sin(2*x2))))",
        rising(lambda u: 1 / (1 + np.exp(-4 * u))),
        *(LINE, sine(2)),
    ),
    shallow(
        "tanh of four",
        "tanh(2*x1^3+sin(3*x2)+x3+x4/4)",
        *(TANH, rising(lambda x: 2 * x**3), sine(3), LINE, line(0.25)),
    ),
    shallow(
        "exp of five",
        "exp((sin(pi*x1)+sin(pi*x2)+sin(pi*x3)+sin(pi*x4)+sin(pi*x5))/2)",
        *(_EXP_HALF, *[sine(np.pi)] * 5),
    ),
    shallow(
        "root of five",
        "sqrt(6+x1+x2^2+sin(3*x3)+exp(x4)+cos(2*x5))",
        rising(lambda u: np.sqrt(6 + u)),
        *(LINE, SQUARE, sine(3), EXP, cosine(2)),
    ),
    # Boundary layers and narrow bumps.
    shallow(
        "inner layer",
        "exp(tanh(30*x1)/2+x2^2)",
        *(EXP, rising(lambda x: np.tanh(30 * x) / 2), SQUARE),
    ),
    shallow(
        "decay",
        "log(1.1+exp(-20*x1)+x2)",
        rising(lambda u: np.log(1.1 + u)),
        *(_DECAY, LINE),
        domain=((0.0, 1.0),),
    ),
    shallow("layer of three", "tanh(tanh(30*x1)+x2+x3^2)", TANH, _LAYER, LINE, SQUARE),
    shallow("bump", "exp(1/(1+100*x1^2)+x2)", EXP, _BUMP, LINE),
    shallow(
        "two bumps",
        "sqrt(1/2+1/(1+100*x1^2)+1/(1+100*x2^2))",
        *(rising(lambda u: np.sqrt(0.5 + u)), _BUMP, _BUMP),
    ),
    # Other domains.
    shallow(
        "two units",
        "log(x1+x2^2)",
        *(rising(np.log), LINE, SQUARE),
        domain=((2.0, 10.0), (0.0, 3.0)),
    ),
    shallow(
        "large and small",
        "exp(sin(x1/20)+2000*x2)",
        *(EXP, sine(1 / 20), line(2000)),
        domain=((100.0, 200.0), (0.0, 1e-3)),
    ),
    # Offsets and scales of the outputs.
    shallow(
        "offset",
        "1e6+exp(sin(pi*x1)+x2^2)",
        *(rising(lambda u: 1e6 + np.exp(u)), sine(np.pi), SQUARE),
    ),
    shallow(
        "scale",
        "1e6*tanh(x1+sin(2*x2))",
        *(rising(lambda u: 1e6 * np.tanh(u)), LINE, sine(2)),
    ),
    # Smooth everywhere.
    shallow("smooth sine", "sin(x1^2+exp(x2)/2)", sine(1), SQUARE, rising(lambda x: np.exp(x) / 2)),
    shallow(
        "smooth square",
        "(4+sin(x1)+exp(x2))^2",
        *(rising(lambda u: (4 + u) ** 2), sine(1), EXP),
    ),
    shallow("smooth exp", "exp((sin(x1)+x2^2)/2)", _EXP_HALF, sine(1), SQUARE),
)

DEEP = (
    composed(
        "nested 4-4-2-1",
        "exp((sin(pi*(x1^2+x2^2))+sin(pi*(x3^2+x4^2)))/2)",
        (4, 2),
        [(i, i // 2, SQUARE) for i in range(4)],
        [(i, 0, sine(np.pi)) for i in range(2)],
        [(0, 0, _EXP_HALF)],
    ),
    composed(
        "tree 2-2-2-1",
        "exp(sin(2*exp(x1))+cos(3*x2^2))",
        (2, 2),
        [(0, 0, EXP), (1, 1, SQUARE)],
        [(0, 0, sine(2)), (1, 0, cosine(3))],
        [(0, 0, EXP)],
    ),
    composed(
        "tree 3-2-2-1",
        "exp(sin(2*(x1^2+x2)))+tanh(3*sin(2*x3))",
        (2, 2),
        [(0, 0, SQUARE), (1, 0, LINE), (2, 1, sine(2))],
        [(0, 0, sine(2)), (1, 1, line(3))],
        [(0, 0, EXP), (1, 0, TANH)],
    ),
    composed(
        "chain 2-1-1-1",
        "exp(sin(3*(x1^2+x2)))",
        (1, 1),
        [(0, 0, SQUARE), (1, 0, LINE)],
        [(0, 0, sine(3))],
        [(0, 0, EXP)],
    ),
    composed(
        "pair 6-2-1",
        "exp(x1+x2^2+sin(2*x3))/4+cos(2*(x4+x5^2+sin(x6)))",
        (2,),
        [
            (i, i // 3, curve)
            for i, curve in enumerate((LINE, SQUARE, sine(2), LINE, SQUARE, sine(1)))
        ],
        [(0, 0, rising(lambda u: np.exp(u) / 4)), (1, 0, cosine(2))],
    ),
    # No trees: an input feeds several nodes, and no floor is known.
    composed("ridges 2-2-1", "sin(3*(x1+x2))+exp(x1-x2)", (2,)),
    composed("ridges 2-5-1", "sin(2*(x1+x2))+exp(-(x1-x2)^2)+tanh(2*x1+x2)", (5,)),
    composed("ridges 3-3-1", "exp(x1+x2)+sin(2*(x2^2+x3))+cos(2*(x1-x3))", (3,)),
    composed("ridges 2-2-1-1", "exp(sin(2*(x1+x2))+cos(3*(x1-x2)))", (2, 1)),
    composed("deep 3-2-2-3-2-1-1", "exp(sin(x1+x2^2)+x3)", (2, 2, 3, 2, 1)),
    # Alike in all basins on coarse grids.
    composed("steep 2-2-1", "tanh(3*(x1-x2))+(x1+x2)^3", (2,)),
    composed("waves 2-2-1", "cos(4*(x1^2+x2))+sin(5*(x1-x2^2))", (2,)),
    composed("waves 2-2-1-1", "exp(sin(4*(x1+x2))+cos(5*(x1-x2)))", (2, 1)),
)

TARGETS = {target.name: target for target in (*SHALLOW, *DEEP)}
