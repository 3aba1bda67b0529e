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
    first = [derivative(expression, i + 1) for i in range(x.shape[1])]
    return np.stack(evaluate_all(first, x), axis=1)


def hessian(expression: Expression, x: Array) -> Array:
    """Second derivatives by every two variables: (n, d) -> (n, d, d). Raises NotDifferentiable."""
    n, d = x.shape
    first = [derivative(expression, i + 1) for i in range(d)]
    second = [derivative(first[i], j + 1) for i in range(d) for j in range(i + 1)]
    matrix, (rows, columns) = np.empty((n, d, d)), np.tril_indices(d)
    matrix[:, rows, columns] = matrix[:, columns, rows] = np.stack(evaluate_all(second, x), axis=1)
    return matrix


def derivative(expression: Expression, index: int) -> Expression:
    """By the variable ``x<index>``."""
    match expression:
        case Variable(this):
            return float(this == index)
        case Apply(name, (a,)):
            inner = derivative(a, index)
            return 0.0 if inner == 0 else times(_of_one(name, a), inner)
        case Apply(name, (a, b)):
            da, db = derivative(a, index), derivative(b, index)
            return 0.0 if da == 0 and db == 0 else _of_two(expression, name, a, b, da, db)
        case Apply(name, arguments) if any(derivative(part, index) != 0 for part in arguments):
            raise NotDifferentiable(f"the derivative of {name} is not known")
    return 0.0


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
