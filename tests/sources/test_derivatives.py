"""Derivatives of formulas against SymPy's and, of special functions, finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import sympy

from kansweep.data.derivatives import NotDifferentiable, gradient, hessian
from kansweep.data.expressions import FUNCTIONS
from kansweep.data.formula import parse
from kansweep.data.targets import TARGETS

X = np.random.default_rng(0).uniform(0.2, 0.8, (20, 3))
OF_ONE = [name for name, (count, _) in FUNCTIONS.items() if count == 1]


def differences(function, x, h=1e-3):
    """Central differences of fourth order: (n, d) -> (n, ..., d)."""
    steps = h * np.eye(x.shape[1])
    sides = [
        (function(x - 2 * e) - 8 * function(x - e) + 8 * function(x + e) - function(x + 2 * e))
        / (12 * h)
        for e in steps
    ]
    return np.stack(sides, axis=-1)


def by_sympy(text, x):
    """The gradient and the Hessian of a formula at points."""
    known = {"e": sympy.E, "max": sympy.Max, "min": sympy.Min, "abs": sympy.Abs}
    symbols = sympy.symbols([f"x{i + 1}" for i in range(x.shape[1])], real=True)
    names = {str(symbol): symbol for symbol in symbols}
    expression = sympy.sympify(text.replace("^", "**"), locals=known | names)
    first = [expression.diff(a) for a in symbols]
    second = [[part.diff(b) for b in symbols] for part in first]
    at = [
        {symbol: sympy.Float(value, 30) for symbol, value in zip(symbols, row, strict=True)}
        for row in x
    ]
    return (
        np.array([[float(part.evalf(20, subs=a)) for part in first] for a in at]),
        np.array([[[float(p.evalf(20, subs=a)) for p in row] for row in second] for a in at]),
    )


@pytest.mark.parametrize(
    "text",
    [
        "exp(sin(pi*x1)+x2^2)/(1+x3)",
        "x1^x2-2^x3+x1^2.5",
        "x1/(x2+x3)/x1",
        "-tanh(3*x1*x2)*cos(x3)",
        "log(1+x1*x2)*atan2(x2, x3)",
        "sqrt(x1^2+x2^2)-x3",
        "asin(x1*x2)+acos(x2)*atan(x3)",
        "x2",
    ],
)
def test_derivatives_are_those_of_sympy(text):
    formula = parse(text)
    x = X[:, : formula.n_inputs]
    first, second = by_sympy(text, x)
    np.testing.assert_allclose(gradient(formula.expression, x), first, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(hessian(formula.expression, x), second, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    "text",
    [
        *(f"{name}(x1)" for name in OF_ONE),
        *("hypot(x1, x2)", "atan2(x1, x2)", "max(x1, x2^2)", "min(x1, x2^2)"),
        *("jv(1.5, x1*x2)", "yv(2, x1)", "iv(1, x1)", "kv(2, x1)"),
    ],
)
def test_every_function_has_its_derivatives(text):
    formula = parse(text)
    x = X[:, : formula.n_inputs]
    first = gradient(formula.expression, x)
    assert first.shape == x.shape
    second = hessian(formula.expression, x)
    for given, function in (
        (first, lambda x: formula(x)[:, 0]),
        (second, lambda x: gradient(formula.expression, x)),
    ):
        expected = differences(function, x)
        np.testing.assert_allclose(given, expected, atol=1e-7 * (1 + np.abs(expected).max()))


@pytest.mark.parametrize("name", ["exp_sin", "bessel", "product", "sine_mean", "nested"])
def test_the_papers_targets_have_theirs(name):
    target = TARGETS[name]
    x = np.random.default_rng(0).uniform(*target.bounds, (5, target.n_inputs))
    expected = differences(lambda x: target.function(x)[:, 0], x)
    assert gradient(target.expression, x) == pytest.approx(expected, abs=1e-6)
    if name != "sine_mean":
        expected = differences(lambda x: gradient(target.expression, x), x)
        assert hessian(target.expression, x) == pytest.approx(expected, abs=1e-4)


def test_derivatives_are_exact_where_a_factor_vanishes():
    x = np.zeros((1, 2))
    assert gradient(parse("x1^2*x2+x1^3").expression, x).tolist() == [[0.0, 0.0]]
    assert hessian(parse("x1^2+x1*x2").expression, x).tolist() == [[[2.0, 1.0], [1.0, 0.0]]]
    assert hessian(parse("j1(x1)+x2").expression, x)[0, 0].tolist() == [0.0, 0.0]


def test_what_is_not_known_is_said():
    with pytest.raises(NotDifferentiable, match="the derivative of jv by its order is not known"):
        gradient(parse("jv(x1, x2)").expression, X[:, :2])
    for text in ("sn(x1, x2)", "ellipkinc(x1, 0.5) + x2", "lpmv(1, 2, x1) * x2"):
        with pytest.raises(NotDifferentiable, match=r"of (sn|ellipkinc|lpmv) is not known"):
            gradient(parse(text).expression, X[:, :2])
