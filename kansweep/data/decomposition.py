"""An expression as functions of one variable and sums: what a KAN is made of.

Every part of an expression is read as a ``Term``, a function of one source, which is an input or a
sum of such terms. A part in which one source alone occurs is a function of it, however it is
written. What joins two sources must be a sum:

    a + b                      the sum itself; terms of a sum in a sum become its own
    a b, a / b                 exp(log|a| + log|b|) where no factor changes its sign, or
                               ((a + b)^2 - (a - b)^2) / 4 where one does
    a ^ b                      exp(b log a)
    hypot, atan2, max, min     sqrt(a^2 + b^2), arctan(a / b), (a + b +- |a - b|) / 2

Splines of order 2 or more hold the squares without error. Signs are told by ranges.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from kansweep.data import ranges
from kansweep.data.expressions import (
    Apply,
    Array,
    Expression,
    Function,
    U,
    Variable,
    affine,
    call,
    logarithm,
    plus,
    times,
)
from kansweep.data.targets import Interval, NoStructure

_MOST_SQUARES = 6  # products by squares in a formula, which double what is in them


@dataclass(frozen=True, eq=False)
class Sum:
    """A sum of functions of its sources, in whatever order."""

    terms: tuple[Term, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sum) and set(self.terms) == set(other.terms)

    def __hash__(self) -> int:
        return hash(frozenset(self.terms))


Source = Variable | Sum


@dataclass(frozen=True)
class Term:
    """A function, an expression of u, of a source."""

    function: Expression
    of: Source


Part = Term | float


def inputs(source: Source) -> frozenset[int]:
    """The indices of the inputs that a source depends on."""
    if isinstance(source, Variable):
        return frozenset({source.index})
    return frozenset().union(*(inputs(term.of) for term in source.terms))


def values(source: Source, x: Array) -> Array:
    """Values of a source at inputs: (n, n_inputs) -> (n,)."""
    if isinstance(source, Variable):
        return np.asarray(x[:, source.index - 1])
    total: Array = np.sum([Function(t.function)(values(t.of, x)) for t in source.terms], axis=0)
    return total


class Ranges:
    """The ranges of sources and terms over the intervals of the inputs."""

    def __init__(self, intervals: tuple[Interval, ...]) -> None:
        self.intervals = intervals
        self.of_sums: dict[Sum, Interval] = {}

    def of(self, source: Source) -> Interval:
        if isinstance(source, Variable):
            return self.intervals[source.index - 1]
        if source not in self.of_sums:
            self.of_sums[source] = self._of_sum(source)
        return self.of_sums[source]

    def of_term(self, term: Term) -> Interval:
        return ranges.of_function(Function(term.function), *self.of(term.of))

    def _of_sum(self, source: Sum) -> Interval:
        """The sum of the terms' ranges where they are independent, and within it elsewhere."""
        lower, upper = np.sum([self.of_term(term) for term in source.terms], axis=0).tolist()
        if independent(source):
            return lower, upper
        return ranges.of_many(lambda x: values(source, x), self.intervals)


def independent(source: Sum) -> bool:
    """Whether no input occurs in two terms."""
    each = [inputs(term.of) for term in source.terms]
    return len(frozenset().union(*each)) == sum(map(len, each))


class Reader:
    """Reads expressions; ``by_squares`` writes every product as a difference of squares."""

    def __init__(self, ranges: Ranges, by_squares: bool) -> None:
        self.ranges = ranges
        self.by_squares = by_squares
        self.n_squares = 0

    def read(self, expression: Expression) -> Part:
        """An expression as a term, or as the number that it is; raises NoStructure."""
        match expression:
            case float():
                return expression
            case Variable():
                return Term(U, expression)
            case Apply("+" | "-"):
                return summed(scaled(sign, self.read(part)) for sign, part in addends(expression))
            case Apply("*" | "/"):
                return self._multiplied([self.read(part) for part in factors(expression)])
            case Apply(name, arguments):
                parts = [self.read(part) for part in arguments]
                if len({part.of for part in parts if isinstance(part, Term)}) > 1:
                    return self._of_several(name, *parts)
                return applied(name, *parts)
        raise TypeError(f"{expression!r} is no expression")

    def _multiplied(self, parts: Sequence[Part]) -> Part:
        """A product: of functions of one source at once, of others by logarithms or squares."""
        size, functions = gathered(parts, 1.0, times)
        terms = [Term(function, source) for source, function in functions.items()]
        if not terms:
            return size
        if len(terms) > 1 and not self.by_squares:
            terms = self._with_logarithms(terms)
        while len(terms) > 1:  # neighbours together, so that layers are few
            pairs = zip_longest(terms[::2], terms[1::2])
            terms = [a if b is None else self._by_squares(a, b) for a, b in pairs]
        return scaled(size, terms[0])

    def _with_logarithms(self, terms: Sequence[Term]) -> list[Term]:
        """The terms, those that keep their sign being made one, which comes first."""
        signs = [self._sign(term) for term in terms]
        kept = [term for term, sign in zip(terms, signs, strict=True) if sign]
        exponent = summed(Term(logarithm(term.function), term.of) for term in kept)
        one = applied("exp", exponent)
        if len(kept) < 2 or not isinstance(one, Term):
            return list(terms)
        negative = sum(sign < 0 for sign in signs)
        rest = [term for term, sign in zip(terms, signs, strict=True) if not sign]
        return [Term(times((-1.0) ** negative, one.function), one.of), *rest]

    def _sign(self, part: Part) -> int:
        """1 or -1 where it keeps its sign, else 0."""
        low, high = self.ranges.of_term(part) if isinstance(part, Term) else (part, part)
        return (low > 0) - (high < 0)

    def _by_squares(self, a: Term, b: Term) -> Term:
        """a b, where both are brought to a like size by a power of two, which is exact."""
        self.n_squares += 1
        if self.n_squares > _MOST_SQUARES:
            raise NoStructure(f"it has more than {_MOST_SQUARES} products that change their sign")
        sizes = [max(map(abs, self.ranges.of_term(term))) for term in (a, b)]
        c = 2.0 ** round(math.log2(sizes[1] / sizes[0]) / 2.0) if all(sizes) else 1.0
        squares = []
        for sign in (1.0, -1.0):
            part = summed([scaled(c, a), scaled(sign / c, b)])
            squares += [scaled(sign / 4.0, applied("^", part, 2.0))]
        made = summed(squares)
        if not isinstance(made, Term):
            raise TypeError("a product of terms is a term")
        return made

    def _of_several(self, name: str, a: Part, b: Part, *more: Part) -> Part:
        """A function of parts that depend on different sources."""
        match name:
            case "^" if self._sign(a) > 0:
                return applied("exp", self._multiplied([b, applied("log", a)]))
            case "hypot":
                return applied("sqrt", summed([applied("^", a, 2.0), applied("^", b, 2.0)]))
            case "max" | "min":
                sign = 0.5 if name == "max" else -0.5
                apart = applied("abs", summed([a, scaled(-1.0, b)]))
                return summed([scaled(0.5, a), scaled(0.5, b), scaled(sign, apart)])
            case "atan2" if self._sign(b) > 0:
                return applied("arctan", self._multiplied([a, inverted(b)]))
            case "atan2" if sign := self._sign(a):
                turned = applied("arctan", self._multiplied([b, inverted(a)]))
                return summed([sign * np.pi / 2.0, scaled(-1.0, turned)])
        if name == "^":
            raise NoStructure("the base of a power of two variables is not positive")
        raise NoStructure(f"{name} of two variables is no composition of sums")


# ------------------------------------------------------------------------- parts made of parts


def addends(expression: Expression, sign: float = 1.0) -> list[tuple[float, Expression]]:
    """What is added up in an expression, each with its sign."""
    match expression:
        case Apply("+", (a, b)):
            return addends(a, sign) + addends(b, sign)
        case Apply("-", (a, b)):
            return addends(a, sign) + addends(b, -sign)
    return [(sign, expression)]


def factors(expression: Expression) -> list[Expression]:
    """What is multiplied in an expression, divisors inverted."""
    match expression:
        case Apply("*", (a, b)):
            return factors(a) + factors(b)
        case Apply("/", (a, b)):
            return [*factors(a), *(call("^", part, -1.0) for part in factors(b))]
    return [expression]


def applied(name: str, *parts: Part) -> Part:
    """A function of parts that depend on one source, or on none."""
    functions = [part.function if isinstance(part, Term) else part for part in parts]
    function = logarithm(functions[0]) if name == "log" else call(name, *functions)
    sources = [part.of for part in parts if isinstance(part, Term)]
    return Term(function, sources[0]) if sources else number(function)


def inverted(part: Part) -> Part:
    return applied("^", part, -1.0)


def scaled(c: float, part: Part) -> Part:
    return Term(times(c, part.function), part.of) if isinstance(part, Term) else c * part


def summed(parts: Iterable[Part]) -> Part:
    """A sum: of functions of one source a function of it, else a new source."""
    constant, functions = gathered(parts, 0.0, plus)
    if len(functions) > 1:
        flat = [part for source, f in functions.items() for part in spliced(Term(f, source))]
        constant, functions = gathered([constant, *flat], 0.0, plus)
    terms = [Term(function, source) for source, function in functions.items()]
    if not terms:
        return constant
    if len(terms) == 1:
        return Term(plus(terms[0].function, constant), terms[0].of)
    return Term(plus(U, constant), Sum(tuple(terms)))


def spliced(part: Part) -> list[Part]:
    """The terms of a sum, where a part is one but for a factor and a constant; else itself."""
    if not isinstance(part, Term) or isinstance(part.of, Variable):
        return [part]
    line = affine(part.function)
    return [part] if line is None else [line[1], *(scaled(line[0], t) for t in part.of.terms)]


def gathered(
    parts: Iterable[Part], neutral: float, join: Callable[[Expression, Expression], Expression]
) -> tuple[float, dict[Source, Expression]]:
    """Parts joined, the numbers and the functions of each source."""
    constant, functions = neutral, dict[Source, Expression]()
    for part in parts:
        if isinstance(part, Term):
            functions[part.of] = join(functions.get(part.of, neutral), part.function)
        else:
            constant = number(join(constant, part))
    return constant, functions


def number(expression: Expression) -> float:
    if not isinstance(expression, float):
        raise TypeError(f"{expression!r} is no number")
    return expression
