"""Exact derivatives of expressions, by differentiating their trees.

``gradient`` and ``hessian`` evaluate them at points, each part that several of them share once.
"""

from __future__ import annotations

import numpy as np

from kansweep.data.expressions import (
    Apply,
    Array,
    Expression,
    Variable,
    call,
    evaluate_all,
    minus,
    over,
    plus,
    power,
    substituted,
    times,
)
from kansweep.data.formula import parse

_OF_ONE = {
    "sin": "cos(x1)",
    "cos": "-sin(x1)",
    "tan": "1/cos(x1)^2",
    "arcsin": "1/sqrt(1-x1^2)",
    "arccos": "-1/sqrt(1-x1^2)",
    "arctan": "1/(1+x1^2)",
    "sinh": "cosh(x1)",
    "cosh": "sinh(x1)",
    "tanh": "1-tanh(x1)^2",
    "exp": "exp(x1)",
    "expm1": "exp(x1)",
    "log": "1/x1",
    "log1p": "1/(1+x1)",
    "log2": "1/(log(2)*x1)",
    "log10": "1/(log(10)*x1)",
    "sqrt": "1/(2*sqrt(x1))",
    "cbrt": "1/(3*cbrt(x1)^2)",
    "abs": "sign(x1)",
    "erf": "2/sqrt(pi)*exp(-x1^2)",
    "j0": "-j1(x1)",
    "j1": "(j0(x1)-jv(2,x1))/2",
    "y0": "-y1(x1)",
    "y1": "(y0(x1)-yv(2,x1))/2",
}
_DERIVATIVES = {name: parse(text).expression for name, text in _OF_ONE.items()}
_DERIVATIVES |= {name: _DERIVATIVES[f"arc{name[1:]}"] for name in ("asin", "acos", "atan")}
_BESSEL = {"jv": (0.5, -0.5), "yv": (0.5, -0.5), "iv": (0.5, 0.5), "kv": (-0.5, -0.5)}
"""By the functions of one order less and one more."""


class NotDifferentiable(ValueError):
    """Which derivative is not known."""


def gradient(expression: Expression, x: Array) -> Array:
    """First derivatives by every variable: (n, d) -> (n, d). Raises NotDifferentiable."""
    by = Derivatives()(expression)
    return np.stack(evaluate_all([by.get(i + 1, 0.0) for i in range(x.shape[1])], x), axis=1)


def hessian(expression: Expression, x: Array) -> Array:
    """Second derivatives by every two variables: (n, d) -> (n, d, d). Raises NotDifferentiable."""
    n, d = x.shape
    of = Derivatives()
    first = of(expression)
    rows, columns = np.tril_indices(d)
    second = [
        of(first.get(i, 0.0)).get(j, 0.0)
        for i, j in zip((rows + 1).tolist(), (columns + 1).tolist(), strict=True)
    ]
    matrix = np.empty((n, d, d))
    matrix[:, rows, columns] = matrix[:, columns, rows] = np.stack(evaluate_all(second, x), axis=1)
    return matrix


class Derivatives:
    """By all variables at once, those that are 0 left out. A part that is the same object is
    differentiated once, also where it stands in several expressions: the Hessian of a function of
    a long sum asks for the sum's derivatives again and again."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Expression, dict[int, Expression]]] = {}

    def __call__(self, expression: Expression) -> dict[int, Expression]:
        """The derivative by each ``x<index>`` that is not 0. Raises NotDifferentiable."""
        kept = self._known.get(id(expression))
        if kept is None:  # kept with the expression, whose identity is taken as long as it is there
            kept = self._known[id(expression)] = expression, self._of(expression)
        return kept[1]

    def _of(self, expression: Expression) -> dict[int, Expression]:
        made: dict[int, Expression] = {}
        match expression:
            case Variable(index):
                return {index: 1.0}
            case Apply(name, (a,)):
                inner = self(a)
                outer = _of_one(name, a) if inner else 0.0
                made = {index: times(outer, by) for index, by in inner.items()}
            case Apply(name, (a, b)):
                da, db = self(a), self(b)
                for index in da | db:
                    parts = da.get(index, 0.0), db.get(index, 0.0)
                    made[index] = _of_two(expression, name, a, b, *parts)
            case Apply(name, arguments) if any(map(self, arguments)):
                raise NotDifferentiable(f"the derivative of {name} is not known")
        return {index: by for index, by in made.items() if by != 0}


def _of_one(name: str, a: Expression) -> Expression:
    match name:
        case "sign":
            return 0.0
        case "gamma":
            return times(call("gamma", a), call("polygamma", 0.0, a))
    return substituted(_DERIVATIVES[name], a)


def _of_two(
    whole: Expression, name: str, a: Expression, b: Expression, da: Expression, db: Expression
) -> Expression:
    match name:
        case "+":
            return plus(da, db)
        case "-":
            return minus(da, db)
        case "*":
            return plus(times(da, b), times(a, db))
        case "/":
            return over(minus(da, times(whole, db)), b)
        case "^":
            by_base = 0.0 if da == 0 else times(times(b, power(a, minus(b, 1.0))), da)
            return by_base if db == 0 else plus(by_base, times(times(whole, call("log", a)), db))
        case "hypot":
            return over(plus(times(a, da), times(b, db)), whole)
        case "atan2":
            square = plus(power(a, 2.0), power(b, 2.0))
            return over(minus(times(da, b), times(a, db)), square)
        case "max" | "min":
            leading = call("sign", call("-", a, b))
            apart = times(leading if name == "max" else times(-1.0, leading), minus(da, db))
            return times(0.5, plus(plus(da, db), apart))
    if name not in _BESSEL and name != "polygamma":
        raise NotDifferentiable(f"the derivative of {name} is not known")
    if db == 0 or da != 0:
        raise NotDifferentiable(f"the derivative of {name} by its order is not known")
    if name == "polygamma":
        return times(call(name, plus(a, 1.0), b), db)
    less, more = _BESSEL[name]
    lower, upper = call(name, minus(a, 1.0), b), call(name, plus(a, 1.0), b)
    return times(plus(times(less, lower), times(more, upper)), db)
