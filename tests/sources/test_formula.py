"""Formulas of users: what they say, and what they may not."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from kansweep.config.rules import ConfigError
from kansweep.data.formula import CONSTANTS, FUNCTIONS, parse

X = np.random.default_rng(0).uniform(0.1, 0.9, (50, 3))


@pytest.mark.parametrize(
    "text",
    [
        "exp(sin(pi*x1) + x2**2)",
        "exp(sin(pi*x1) + x2^2)",
        "-x1^2 + 2.5e-1*x3/x2",
        "x1 - x2 - x3",
        "2^-x1^2",
        "sqrt(abs(x1)) * log(x2 + e) - cosh(x3)",
        "atan2(x1, x2) + max(x1, x2) * min(x2, x3)",
        " x1 ",
    ],
)
def test_a_formula_is_what_sympy_reads_in_it(text):
    known = {"e": sympy.E, "max": sympy.Max, "min": sympy.Min}
    expression = sympy.sympify(text.replace("^", "**"), locals=known)
    formula = parse(text)
    for x, value in zip(X, formula(X)[:, 0], strict=True):
        at = {f"x{i + 1}": number for i, number in enumerate(x)}
        assert value == pytest.approx(float(expression.evalf(17, subs=at)), rel=1e-13)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_takes_its_arguments_and_gives_a_value_a_point(name):
    whole = ["2"] * (name == "lpmv")  # its order
    count = FUNCTIONS[name][0] - len(whole)
    formula = parse(f"{name}({', '.join([*whole, *(f'x{i + 1}' for i in range(count))])})")
    assert formula.n_inputs == count
    assert formula(X).shape == (50, 1)
    assert np.isfinite(formula(X)).all()


def test_the_variables_are_as_many_as_the_largest_index():
    assert parse("x1").n_inputs == 1
    assert parse("x3 + x1").n_inputs == 3
    assert set(CONSTANTS) == {"pi", "e"}


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "().__class__.__bases__",
        "x1.__class__",
        "x1[0]",
        "[x1 for x1 in (1,)]",
        "lambda: x1",
        "(x1 := 3)",
        "x1 if x2 else x3",
        "x1 < x2",
        "x1 and x2",
        "x1 @ x2",
        "x1 % 2",
        "x1 // 2",
        "~x1",
        "f'{x1}'",
        "'x1'",
        "True * x1",
        "1j * x1",
        "None",
        "exp(*x1)",
        "exp(x=x1)",
        "exp",
        "exp()",
        "exp(x1, x2)",
        "atan2(x1)",
        "eval(x1)",
        "open(x1)",
        "x0",
        "x01",
        "x1001",
        "y",
        "x1; x2",
        "x1 = 2",
        "import os",
        "",
        "exp(x1",
        "2",
        "(" * 500 + "x1" + ")" * 500,
        "-" * 1500 + "x1",
        "x1" + "+x1" * 1000,
        "x1\0",
    ],
)
def test_whatever_is_no_formula_is_refused_in_one_sentence(text):
    with pytest.raises(ConfigError, match=r"^`data\.formula` must .*; got ") as refused:
        parse(text)
    assert len(str(refused.value)) < 500


def test_a_misspelt_function_is_named():
    with pytest.raises(ConfigError, match=r"Did you mean `sin`\?"):
        parse("sinn(x1)")


def test_endless_powers_end_at_once():
    assert np.isinf(parse("9**9**9**9 + x1")(X)).all()


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="x12+-*/^().,e sincopl_'[]:=", max_size=30))
def test_any_text_is_a_formula_or_refused(text):
    try:
        formula = parse(text)
    except ConfigError:
        return
    with np.errstate(all="ignore"):
        assert formula(np.ones((4, formula.n_inputs))).shape == (4, 1)
