"""A user's own function as a target: written as a formula, or imported from a module."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from kansweep.config.rules import ConfigError
from kansweep.data import formula
from kansweep.data.targets import Array, Interval, Target

PROBES = 1000  # points at which a function must be finite, and by whose values it is known
DIGITS = 9  # of those values: the last ones differ between machines


@lru_cache(maxsize=64)
def from_formula(
    formulas: tuple[tuple[str, str], ...],
    name: str,
    domain: tuple[Any, ...] | None,
    hidden: tuple[int, ...] | None,
) -> Target:
    """The target of the formulas of some outputs, each with its name; raises ConfigError where it
    is of no use."""
    function = formula.Formulas(tuple(formula.parse(text) for _, text in formulas))
    count = len(formulas)
    written = Target(
        name,
        ", ".join(f"{output} = {text}" if output else text for output, text in formulas),
        function,
        function.n_inputs,
        (count,),
        "formula",
        n_outputs=count,
        expression=tuple(each.expression for each in function.each),
        outputs=tuple(output for output, _ in formulas) if count > 1 else None,
    )
    target = _chosen(written, domain, hidden)
    _check_values(target, "data.formula")
    return target


@lru_cache(maxsize=64)
def imported(
    address: str,
    name: str,
    domain: tuple[Any, ...] | None,
    hidden: tuple[int, ...] | None,
    folder: str,  # modules of another folder are others
) -> Target:
    """``package.module:name``: a ``Target``, or a function of arrays (n,), one a variable."""
    module, _, attribute = address.partition(":")
    try:
        with importing_from(folder):
            value = getattr(import_module(module), attribute)
    except Exception as error:  # whatever a user's module raises
        raise ConfigError(
            f"`data.target` must be package.module:function; {address} cannot be imported:"
            f" {type(error).__name__}: {error}."
        ) from error
    if isinstance(value, Target):
        for key, given in (("domain", domain), ("hidden", hidden)):
            if given is not None:
                raise ConfigError(f"`data.{key}` is for a plain function; {address} is a Target.")
        target = replace(value, name=value.name if name == address else name)
    elif callable(value):
        target = _chosen(_of_function(value, name, address), domain, hidden)
    else:
        raise ConfigError(f"`data.target` must be a function or a Target; {address} is neither.")
    _check_values(target, "data.target")
    return target


@contextmanager
def importing_from(folder: str) -> Iterator[None]:
    """As ``python -m`` does, so that a module beside the sweep is target; last, so that it hides
    none."""
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _of_function(function: Callable[..., Any], name: str, address: str) -> Target:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    names = [p.name for p in parameters if p.kind in kinds and p.default is p.empty]
    if not names:
        raise ConfigError(
            f"`data.target` must be a function of its variables, as def f(x1, x2);"
            f" {address} has none."
        )

    def columns(x: Array) -> Array:
        value = np.asarray(function(*x.T), dtype=np.float64)
        return np.broadcast_to(value, len(x))[:, None].copy()

    return Target(name, f"{address}({', '.join(names)})", columns, len(names), (1,), address)


def _chosen(
    target: Target, domain: tuple[Any, ...] | None, hidden: tuple[int, ...] | None
) -> Target:
    """The target with the domain and the hidden widths that the configuration gives it."""
    if domain is not None:
        intervals: tuple[Interval, ...]
        intervals = domain if isinstance(domain[0], tuple) else (domain,)
        if len(intervals) not in (1, target.n_inputs):
            raise ConfigError(
                f"`data.domain` must be one interval, or one for each of {target.n_inputs} inputs;"
                f" got {len(intervals)}."
            )
        target = replace(target, domain=tuple((float(a), float(b)) for a, b in intervals))
    return target if hidden is None else replace(target, hidden=hidden)


def _check_values(target: Target, key: str) -> None:
    """Refuse a function that cannot be evaluated, or whose values are no numbers or all alike."""
    x = np.random.default_rng(0).uniform(*target.bounds, (PROBES, target.n_inputs))
    try:
        y = np.asarray(target.function(x), dtype=np.float64)
    except Exception as error:  # whatever a user's function raises
        raise ConfigError(
            f"`{key}` must be a function of arrays; it raised {type(error).__name__}: {error}."
        ) from error
    if y.shape != (PROBES, target.n_outputs):
        raise ConfigError(
            f"`{key}` must give a value for each point, {(PROBES, target.n_outputs)};"
            f" got {y.shape}."
        )
    if len(target.names) != target.n_outputs:
        raise ConfigError(
            f"`{key}` must name each of its outputs, {target.n_outputs} of them;"
            f" got {', '.join(target.names)}."
        )
    wrong = ~np.isfinite(y).all(axis=1)
    if wrong.any():
        point = ", ".join(f"x{i + 1} = {value:.3g}" for i, value in enumerate(x[wrong][0][:5]))
        raise ConfigError(
            f"`{key}` must be finite on its domain; {target.formula} is not at {point}."
            " data.domain=[low,high] gives it another."
        )
    for output, values in zip(target.names, y.T, strict=True):
        if np.ptp(values) == 0:
            of = target.formula if len(target.names) == 1 else output
            raise ConfigError(f"`{key}` must not be constant; {of} is {values[0]:g} everywhere.")


def fingerprint(target: Target) -> str:
    """What tells a function from another with the same name: its values, to some digits."""
    x = np.random.default_rng(0).uniform(*target.bounds, (PROBES, target.n_inputs))
    values = " ".join(f"{value:.{DIGITS}e}" for value in target.function(x).ravel())
    named = "" if target.n_outputs == 1 else f" {target.names}"
    return hashlib.sha256(f"{target.intervals} {values}{named}".encode()).hexdigest()[:16]
