"""Expressions of variables: what a formula says, as a tree that can be evaluated and rewritten.

A tree is a number, a ``Variable`` or a function ``Apply``-ed to trees. Trees are immutable and
compare by what they say, so that a repeated part is known to be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kansweep.data.special import special

Array = NDArray[np.float64]

FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    **{
        name: (1, getattr(np, name))
        for name in (
            *("sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"),
            *("exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "cbrt", "abs", "sign"),
        )
    },
    **{name: (1, getattr(np, f"arc{name[1:]}")) for name in ("asin", "acos", "atan")},
    **{name: (1, special(name)) for name in ("erf", "gamma", "j0", "j1", "y0", "y1")},
    "atan2": (2, np.arctan2),
    "hypot": (2, np.hypot),
    "max": (2, np.maximum),
    "min": (2, np.minimum),
    **{name: (2, special(name)) for name in ("jv", "yv", "iv", "kv", "ellipkinc", "ellipeinc")},
    **{name: (2, special("ellipj", which)) for which, name in enumerate(("sn", "cn", "dn"))},
    "lpmv": (3, special("lpmv")),
}
"""What a formula may call: the number of arguments, and the function of arrays."""
_OPERATIONS: dict[str, Callable[..., Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "^": np.power,
    "polygamma": special("polygamma"),  # of derivatives alone
    **{name: function for name, (_, function) in FUNCTIONS.items()},
}


@dataclass(frozen=True)
class Variable:
    """``x<index>``, or u for 0: the argument of a univariate function."""

    index: int

    def __str__(self) -> str:
        return f"x{self.index}" if self.index else "u"


@dataclass(frozen=True)
class Apply:
    """A function of ``FUNCTIONS`` or one of + - * / ^, of its arguments."""

    function: str
    arguments: tuple[Expression, ...]

    def __str__(self) -> str:
        if self.function.isalnum():
            return f"{self.function}({', '.join(map(_written, self.arguments))})"
        return "(" + f" {self.function} ".join(map(_written, self.arguments)) + ")"


Expression = float | Variable | Apply
U = Variable(0)


def _written(expression: Expression) -> str:
    return f"{expression:.6g}" if isinstance(expression, float) else str(expression)


def written(expression: Expression) -> str:
    """An expression as a formula, numbers to six digits; u is the argument of a function."""
    text = _written(expression)
    return text[1:-1] if text.startswith("(") else text


def evaluate(expression: Expression, variables: Callable[[int], Array]) -> Any:
    """Values (n,), or a number where no variable occurs; ``variables`` gives those of an index."""
    match expression:
        case Variable(index):
            return variables(index)
        case Apply(function, arguments):
            return _OPERATIONS[function](*(evaluate(part, variables) for part in arguments))
    return np.float64(expression)  # 9**9**9 is infinite instead of endless


def evaluate_all(expressions: Sequence[Expression], x: Array) -> list[Array]:
    """Values (n,) of each at inputs (n, d); a part that is the same object is evaluated once."""
    values: dict[int, Any] = {}

    def of(part: Expression) -> Any:
        if not isinstance(part, Apply):
            return evaluate(part, lambda index: x[:, index - 1])
        if id(part) not in values:
            values[id(part)] = _OPERATIONS[part.function](*map(of, part.arguments))
        return values[id(part)]

    with np.errstate(all="ignore"):
        return [np.broadcast_to(np.asarray(of(e), dtype=np.float64), len(x)) for e in expressions]


def substituted(expression: Expression, argument: Expression) -> Expression:
    """An expression of one variable with something else in the variable's place."""
    match expression:
        case Variable():
            return argument
        case Apply(function, arguments):
            return call(function, *(substituted(part, argument) for part in arguments))
    return expression


@dataclass(frozen=True)
class Function:
    """A univariate function: an expression of u, (n,) -> (n,)."""

    expression: Expression

    def __call__(self, u: Array) -> Array:
        with np.errstate(all="ignore"):  # what is not finite is found where it is checked
            value = np.asarray(evaluate(self.expression, lambda _: u), dtype=np.float64)
        return np.broadcast_to(value, np.shape(u)) + 0.0

    def __str__(self) -> str:
        return written(self.expression)


@lru_cache(maxsize=4096)
def variables(expression: Expression) -> frozenset[int]:
    """The indices that occur."""
    match expression:
        case Variable(index):
            return frozenset({index})
        case Apply(_, arguments):
            return frozenset().union(*map(variables, arguments))
    return frozenset()


# ------------------------------------------------------------------------- made with few words


def call(function: str, *arguments: Expression) -> Expression:
    """A function applied, or its value where all arguments are numbers."""
    made = Apply(function, arguments)
    if all(isinstance(part, float) for part in arguments):
        with np.errstate(all="ignore"):
            return float(evaluate(made, _no_variable))
    return made


def _no_variable(index: int) -> Array:
    raise KeyError(index)


def plus(a: Expression, b: Expression) -> Expression:
    return b if a == 0 else a if b == 0 else call("+", a, b)


def times(a: Expression, b: Expression) -> Expression:
    if a == 0 or b == 0:
        return 0.0
    return b if a == 1 else a if b == 1 else call("*", a, b)


def minus(a: Expression, b: Expression) -> Expression:
    return a if b == 0 else times(-1.0, b) if a == 0 else call("-", a, b)


def over(a: Expression, b: Expression) -> Expression:
    return 0.0 if a == 0 else a if b == 1 else call("/", a, b)


def power(a: Expression, b: Expression) -> Expression:
    return 1.0 if b == 0 else a if b == 1 else call("^", a, b)


# ----------------------------------------------------------------- what is told of a function


def degree(expression: Expression) -> float:
    """Of a polynomial; infinite for what is none as it is written."""
    match expression:
        case Variable():
            return 1
        case Apply("+" | "-", (a, b)):
            return max(degree(a), degree(b))
        case Apply("*", (a, b)):
            return degree(a) + degree(b)
        case Apply("/", (a, float())):
            return degree(a)
        case Apply("^", (a, float() as exponent)) if exponent >= 0 and exponent.is_integer():
            return degree(a) * exponent
        case Apply():
            return np.inf
    return 0


def affine(expression: Expression) -> tuple[float, float] | None:
    """a and b of a u + b, where it is written as such."""
    match expression:
        case Variable():
            return 1.0, 0.0
        case float():
            return 0.0, expression
        case Apply("+" | "-" | "*" | "/" as sign, (left, right)):
            return _combined(sign, affine(left), affine(right))
    return None


def _combined(
    sign: str, left: tuple[float, float] | None, right: tuple[float, float] | None
) -> tuple[float, float] | None:
    if left is None or right is None:
        return None
    (a, b), (c, d) = left, right
    match sign:
        case "+":
            return a + c, b + d
        case "-":
            return a - c, b - d
        case "*" if a == 0 or c == 0:
            return a * d + b * c, b * d
        case "/" if c == 0 and d != 0:
            return a / d, b / d
    return None


def logarithm(expression: Expression) -> Expression:
    """log |expression|, an exponential's being its exponent."""
    match expression:
        case Apply("exp", (a,)):
            return a
        case Apply("sqrt", (a,)):
            return over(logarithm(a), 2.0)
        case Apply("^", (a, float() as exponent)):
            return times(exponent, logarithm(a))
        case Apply("*", (a, b)):
            return plus(logarithm(a), logarithm(b))
        case Apply("/", (a, b)):
            return minus(logarithm(a), logarithm(b))
    return call("log", call("abs", expression))
