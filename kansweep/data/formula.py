"""A user's formula as a function: parsed by Python's ``ast``, and only what is listed here runs.

Nothing of the text is evaluated by Python itself: its tree is walked once, every node is looked up
in a table of what is allowed, and what comes out is an expression of NumPy functions. Numbers are
float64 from the start, so that 9**9**9 is infinite instead of endless.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field

import numpy as np

from kansweep.config.rules import ConfigError, did_you_mean
from kansweep.data.expressions import (
    FUNCTIONS,
    Array,
    Expression,
    Variable,
    call,
    evaluate,
    variables,
)

MOST_CHARACTERS = 2000  # a parser's stack is finite
MOST_VARIABLES = 1000
CONSTANTS = {"pi": np.pi, "e": np.e}
_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "^",
}


@dataclass(frozen=True)
class Formula:
    """What a formula says: (n, n_inputs) -> (n, 1), its variables being x1 ... x<n_inputs>."""

    text: str
    n_inputs: int
    expression: Expression = field(compare=False)

    def __call__(self, x: Array) -> Array:
        with np.errstate(all="ignore"):  # what is not finite is found where it is checked
            value = np.asarray(evaluate(self.expression, lambda i: x[:, i - 1]), dtype=np.float64)
        return np.broadcast_to(value, len(x))[:, None].copy()


@dataclass(frozen=True)
class Formulas:
    """Formulas of the same variables, one an output: (n, n_inputs) -> (n, M)."""

    each: tuple[Formula, ...]

    @property
    def n_inputs(self) -> int:
        return max(formula.n_inputs for formula in self.each)

    def __call__(self, x: Array) -> Array:
        return np.hstack([formula(x) for formula in self.each])


def parse(text: str) -> Formula:
    """The function that a formula such as ``exp(sin(pi*x1) + x2^2)`` stands for.

    Raises ConfigError where it holds anything but numbers, x1, x2, ..., ``CONSTANTS``,
    ``FUNCTIONS`` and + - * / ** ^ (a power, as mathematicians write it).
    """
    if len(text) > MOST_CHARACTERS:
        raise _refusal(text, f"have at most {MOST_CHARACTERS} characters")
    try:
        body = ast.parse(text.strip().replace("^", "**"), mode="eval").body
        expression = _expression(body, text)
        indices = variables(expression)
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError) as error:
        if isinstance(error, ConfigError):
            raise
        raise _refusal(text, "be a formula such as exp(sin(pi*x1) + x2^2)") from error
    if not indices:
        raise _refusal(text, "depend on x1")
    return Formula(text, max(indices), expression)


def _refusal(text: str, must: str, hint: str = "") -> ConfigError:
    shown = text if len(text) <= 80 else f"{text[:79]}…"
    return ConfigError(f"`data.formula` must {must}; got {shown!r}.{hint}")


def _expression(node: ast.AST, text: str) -> Expression:
    """The expression of one node."""
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return float(value)
        case ast.Name(id=name):
            return _name(name, text)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _expression(operand, text)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return call("*", -1.0, _expression(operand, text))
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            sign = _OPERATORS[type(operator)]
            return call(sign, _expression(left, text), _expression(right, text))
        case ast.Call(func=ast.Name(id=name), args=given, keywords=[]):
            if name not in FUNCTIONS:
                hint = did_you_mean(name, FUNCTIONS)
                raise _refusal(text, f"use functions out of {', '.join(FUNCTIONS)}", hint)
            count = FUNCTIONS[name][0]
            if len(given) != count:
                arguments = "one argument" if count == 1 else f"{count} arguments"
                raise _refusal(text, f"give {name} {arguments}")
            return call(name, *(_expression(part, text) for part in given))
    what = ast.unparse(node)
    raise _refusal(text, f"hold numbers, x1, x2, …, functions and + - * / ^ alone, not `{what}`")


def _name(name: str, text: str) -> Expression:
    if name in CONSTANTS:
        return CONSTANTS[name]
    if not re.fullmatch(r"x[1-9]\d{0,3}", name) or int(name[1:]) > MOST_VARIABLES:
        allowed = f"x1 to x{MOST_VARIABLES}, {' and '.join(CONSTANTS)}"
        raise _refusal(text, f"have no names but {allowed}; `{name}` is none", "")
    return Variable(int(name[1:]))
