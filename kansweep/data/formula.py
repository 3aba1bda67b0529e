"""A user's formula as a function: parsed by Python's ``ast``, and only what is listed here runs.

Nothing of the text is evaluated by Python itself: its tree is walked once, every node is looked up
in a table of what is allowed, and what comes out is a composition of NumPy functions. Numbers are
float64 from the start, so that 9**9**9 is infinite instead of endless.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kansweep.config.rules import ConfigError, did_you_mean
from kansweep.data.special import special

Array = NDArray[np.float64]
_Node = Callable[[Array], Any]  # (n, d) -> (n,) or a number

MOST_CHARACTERS = 2000  # a parser's stack is finite
MOST_VARIABLES = 1000
CONSTANTS = {"pi": np.pi, "e": np.e}
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
    **{name: (2, special(name)) for name in ("jv", "yv", "iv", "kv")},
}
_BINARY: dict[type[ast.operator], Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
_UNARY: dict[type[ast.unaryop], Callable[..., Any]] = {
    ast.USub: np.negative,
    ast.UAdd: np.positive,
}


@dataclass(frozen=True)
class Formula:
    """What a formula says: (n, n_inputs) -> (n, 1), its variables being x1 ... x<n_inputs>."""

    text: str
    n_inputs: int
    tree: _Node

    def __call__(self, x: Array) -> Array:
        with np.errstate(all="ignore"):  # what is not finite is found where it is checked
            value = np.broadcast_to(np.asarray(self.tree(x), dtype=np.float64), len(x))
        return value[:, None].copy()


def parse(text: str) -> Formula:
    """The function that a formula such as ``exp(sin(pi*x1) + x2^2)`` stands for.

    Raises ConfigError where it holds anything but numbers, x1, x2, ..., ``CONSTANTS``,
    ``FUNCTIONS`` and + - * / ** ^ (a power, as mathematicians write it).
    """
    if len(text) > MOST_CHARACTERS:
        raise _refusal(text, f"have at most {MOST_CHARACTERS} characters")
    try:
        body = ast.parse(text.strip().replace("^", "**"), mode="eval").body
        variables: set[int] = set()
        tree = _node(body, text, variables)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, ConfigError):
            raise
        raise _refusal(text, "be a formula such as exp(sin(pi*x1) + x2^2)") from error
    if not variables:
        raise _refusal(text, "depend on x1")
    return Formula(text, max(variables), tree)


def _refusal(text: str, must: str, hint: str = "") -> ConfigError:
    shown = text if len(text) <= 80 else f"{text[:79]}…"
    return ConfigError(f"`data.formula` must {must}; got {shown!r}.{hint}")


def _node(node: ast.AST, text: str, variables: set[int]) -> _Node:
    """The function of one node; ``variables`` collects the indices that it meets."""

    def sub(part: ast.AST) -> _Node:
        return _node(part, text, variables)

    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            number = np.float64(value)
            return lambda x: number
        case ast.Name(id=name):
            return _name(name, text, variables)
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in _UNARY:
            return _applied(_UNARY[type(sign)], [sub(operand)])
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _BINARY:
            return _applied(_BINARY[type(operator)], [sub(left), sub(right)])
        case ast.Call(func=ast.Name(id=name), args=given, keywords=[]):
            if name not in FUNCTIONS:
                hint = did_you_mean(name, FUNCTIONS)
                raise _refusal(text, f"use functions out of {', '.join(FUNCTIONS)}", hint)
            count, function = FUNCTIONS[name]
            if len(given) != count:
                arguments = "one argument" if count == 1 else f"{count} arguments"
                raise _refusal(text, f"give {name} {arguments}")
            return _applied(function, [sub(part) for part in given])
    what = ast.unparse(node)
    raise _refusal(text, f"hold numbers, x1, x2, …, functions and + - * / ^ alone, not `{what}`")


def _applied(function: Callable[..., Any], parts: list[_Node]) -> _Node:
    return lambda x: function(*(part(x) for part in parts))


def _name(name: str, text: str, variables: set[int]) -> _Node:
    if name in CONSTANTS:
        constant = np.float64(CONSTANTS[name])
        return lambda x: constant
    if not re.fullmatch(r"x[1-9]\d{0,3}", name) or int(name[1:]) > MOST_VARIABLES:
        allowed = f"x1 to x{MOST_VARIABLES}, {' and '.join(CONSTANTS)}"
        raise _refusal(text, f"have no names but {allowed}; `{name}` is none", "")
    index = int(name[1:])
    variables.add(index)
    return lambda x: x[:, index - 1]
