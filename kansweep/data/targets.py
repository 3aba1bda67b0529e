"""Functions to learn: name, dimension, domain, formula, suggested hidden widths and source.

Five targets are those of the KAN paper's scaling-law figure (Liu et al., "KAN: Kolmogorov-Arnold
Networks", arXiv:2404.19756, Fig. 3.1), on the cube [-1, 1]^d; six are special functions of two
variables out of its section 3.2, on rectangles where they are smooth, one of them with three
outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kansweep.data.expressions import Expression
from kansweep.data.formula import parse
from kansweep.data.outputs import Outputs, numbered
from kansweep.data.special import special

Array = NDArray[np.float64]
Univariate = Callable[[Array], Array]

Interval = tuple[float, float]

PAPER = "Liu et al. 2024, arXiv:2404.19756, section 3.1"
SPECIAL = "Liu et al. 2024, arXiv:2404.19756, section 3.2; values by scipy.special"


@dataclass(frozen=True)
class Edge:
    """A univariate function from node ``source`` of a layer to node ``sink`` of the next.

    ``values`` is the range that it takes over all inputs of the target. ``domain`` is the range of
    the node ``source``, where that is not the sum of the ranges of what goes into it.
    """

    source: int
    sink: int
    function: Univariate
    values: Interval
    domain: Interval | None = None


class NoStructure(ValueError):
    """Why a function is not known to be what a KAN of certain widths computes."""


@dataclass(frozen=True)
class Target:
    """A function from (n, n_inputs) to (n, n_outputs), and what is known of it.

    ``domain`` is one interval for each input, or one for all. ``hidden`` are the hidden widths of
    the KAN that represents its structure, or that serve where none is known; from order
    ``exact_from`` on its splines do so without error, and there is no law to measure.
    ``structure``, where known, are the layers of that KAN: a node is the sum of the edges into
    it, nodes without are not needed, and no node feeds two edges, so a sum's terms are independent.
    ``expression``, where known, is the function in a form of which derivatives can be taken and,
    without ``structure``, a structure can be read; a tuple of such where there are several outputs,
    which ``outputs`` names.
    """

    name: str
    formula: str
    function: Callable[[Array], Array]
    n_inputs: int
    hidden: tuple[int, ...]
    source: str
    n_outputs: int = 1
    domain: tuple[Interval, ...] = ((-1.0, 1.0),)
    exact_from: int | None = None
    structure: tuple[tuple[Edge, ...], ...] | None = None
    expression: Expression | tuple[Expression, ...] | None = None
    outputs: tuple[str, ...] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the outputs."""
        return numbered(self.n_outputs) if self.outputs is None else self.outputs

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """One an output, none where they are not known."""
        if self.expression is None:
            return ()
        return self.expression if isinstance(self.expression, tuple) else (self.expression,)

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """The domain with an interval for each input."""
        return self.domain * self.n_inputs if len(self.domain) == 1 else self.domain

    @property
    def bounds(self) -> tuple[Array, Array]:
        """The domain's corners, (n_inputs,) each."""
        lower, upper = np.array(self.intervals, dtype=np.float64).T
        return lower, upper


@lru_cache(maxsize=64)
def moments(target: Target) -> tuple[Array, Array]:
    """Mean and standard deviation of a target's outputs over its domain, by a fixed sample, (M,)
    each."""
    x = np.random.default_rng(0).uniform(*target.bounds, (20_000, target.n_inputs))
    y = target.function(x)
    return y.mean(0), np.array([np.std(column) for column in y.T])


def spread(target: Target) -> float:
    """Standard deviation of a target, of several outputs in their units together."""
    return outputs_of(target).together(moments(target)[1])


def outputs_of(target: Target) -> Outputs:
    """A target's outputs: a single one is trained as it is, several in units of their spread."""
    if target.n_outputs == 1:
        return Outputs(target.names, np.zeros(1), np.ones(1))
    return Outputs(target.names, *moments(target))


def exp_sin(x: Array) -> Array:
    """exp(sin(pi x1) + x2^2), (n, 2) -> (n, 1)."""
    return np.exp(np.sin(np.pi * x[:, [0]]) + x[:, [1]] ** 2)


def bessel(x: Array) -> Array:
    """J0(20 x), (n, 1) -> (n, 1)."""
    return np.asarray(special("j0")(20.0 * x), dtype=np.float64)


def product(x: Array) -> Array:
    """x1 x2, (n, 2) -> (n, 1)."""
    return x[:, [0]] * x[:, [1]]


def sine_mean(x: Array) -> Array:
    """exp(mean_i sin^2(pi x_i / 2)), (n, d) -> (n, 1)."""
    value: Array = np.exp(np.mean(np.sin(np.pi * x / 2.0) ** 2, axis=1, keepdims=True))
    return value


def nested(x: Array) -> Array:
    """exp((sin(pi (x1^2 + x2^2)) + sin(pi (x3^2 + x4^2))) / 2), (n, 4) -> (n, 1)."""
    squares = x**2
    left = np.sin(np.pi * (squares[:, [0]] + squares[:, [1]]))
    right = np.sin(np.pi * (squares[:, [2]] + squares[:, [3]]))
    return np.exp(0.5 * (left + right))


def ellipj(x: Array) -> Array:
    """sn(x1 | x2), the Jacobian elliptic sine, (n, 2) -> (n, 1)."""
    return np.asarray(special("ellipj")(x[:, [0]], x[:, [1]])[0], dtype=np.float64)


def jacobi(x: Array) -> Array:
    """sn, cn and dn of x1 | x2, the Jacobian elliptic functions, (n, 2) -> (n, 3)."""
    return np.stack(special("ellipj")(x[:, 0], x[:, 1])[:3], axis=1)


def ellipkinc(x: Array) -> Array:
    """F(x1 | x2), the incomplete elliptic integral of the first kind, (n, 2) -> (n, 1)."""
    return np.asarray(special("ellipkinc")(x[:, [0]], x[:, [1]]), dtype=np.float64)


def ellipeinc(x: Array) -> Array:
    """E(x1 | x2), the incomplete elliptic integral of the second kind, (n, 2) -> (n, 1)."""
    return np.asarray(special("ellipeinc")(x[:, [0]], x[:, [1]]), dtype=np.float64)


def jv(x: Array) -> Array:
    """J_x1(x2), the Bessel function of the first kind and real order, (n, 2) -> (n, 1)."""
    return np.asarray(special("jv")(x[:, [0]], x[:, [1]]), dtype=np.float64)


def lpmv(x: Array) -> Array:
    """P_x1(x2), the Legendre function of real degree, (n, 2) -> (n, 1)."""
    return np.asarray(special("lpmv")(0, x[:, [0]], x[:, [1]]), dtype=np.float64)


def _square(u: Array) -> Array:
    return u**2


def _sin_pi(u: Array) -> Array:
    return np.sin(np.pi * u)


def _exp(u: Array) -> Array:
    return np.exp(u)


def _bessel(u: Array) -> Array:
    return np.asarray(special("j0")(20.0 * u), dtype=np.float64)


def _exp_half(u: Array) -> Array:
    return np.exp(0.5 * u)


def _hundredth_of_a_sine(u: Array) -> Array:
    return np.sin(np.pi * u / 2.0) ** 2 / 100.0


_EXP_SIN = (
    (Edge(0, 0, _sin_pi, (-1.0, 1.0)), Edge(1, 0, _square, (0.0, 1.0))),
    (Edge(0, 0, _exp, (np.exp(-1.0), np.exp(2.0))),),
)
_BESSEL = ((Edge(0, 0, _bessel, (-0.402759395702553, 1.0)),),)  # J_0 at its first minimum
_SINE_MEAN = (
    tuple(Edge(i, 0, _hundredth_of_a_sine, (0.0, 0.01)) for i in range(100)),
    (Edge(0, 0, _exp, (1.0, np.e)),),
)
_NESTED = (
    tuple(Edge(i, i // 2, _square, (0.0, 1.0)) for i in range(4)),
    tuple(Edge(i, 0, _sin_pi, (-1.0, 1.0)) for i in range(2)),
    (Edge(0, 0, _exp_half, (np.exp(-1.0), np.e)),),
)


def _special(
    name: str, formula: str, function: Callable[[Array], Array], first: Interval, second: Interval
) -> Target:
    return Target(name, formula, function, 2, (3,), SPECIAL, domain=(first, second))


def _of_paper(
    name: str,
    formula: str,
    function: Callable[[Array], Array],
    hidden: tuple[int, ...],
    written: str,
    structure: tuple[tuple[Edge, ...], ...] | None = None,
    exact_from: int | None = None,
) -> Target:
    """A target of the paper, ``written`` as formulas are."""
    parsed = parse(written)
    return Target(
        *(name, formula, function, parsed.n_inputs, hidden, PAPER),
        exact_from=exact_from,
        structure=structure,
        expression=parsed.expression,
    )


_SINES = "+".join(f"sin(pi*x{i}/2)^2" for i in range(1, 101))

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        _of_paper(
            *("exp_sin", "exp(sin(pi x1) + x2^2)", exp_sin, (1,), "exp(sin(pi*x1)+x2^2)"), _EXP_SIN
        ),
        _of_paper("bessel", "J0(20 x1)", bessel, (), "j0(20*x1)", _BESSEL),
        _of_paper("product", "x1 x2", product, (2,), "x1*x2", exact_from=2),
        _of_paper(
            *("sine_mean", "exp(mean sin^2(pi xi / 2))", sine_mean, (1,)),
            f"exp(({_SINES})/100)",
            _SINE_MEAN,
        ),
        _of_paper(
            "nested",
            "exp((sin(pi (x1^2 + x2^2)) + sin(pi (x3^2 + x4^2))) / 2)",
            nested,
            (4, 2),
            "exp((sin(pi*(x1^2+x2^2))+sin(pi*(x3^2+x4^2)))/2)",
            _NESTED,
        ),
        _special("ellipj", "sn(x1 | x2)", ellipj, (0.0, 4.0), (0.0, 0.9)),
        replace(
            _special("jacobi", "sn, cn, dn (x1 | x2)", jacobi, (0.0, 4.0), (0.0, 0.9)),
            hidden=(3, 2, 3),
            n_outputs=3,
            outputs=("sn", "cn", "dn"),
        ),
        _special("ellipkinc", "F(x1 | x2)", ellipkinc, (0.0, 1.4), (0.0, 0.9)),
        _special("ellipeinc", "E(x1 | x2)", ellipeinc, (0.0, 1.4), (0.0, 0.9)),
        _special("jv", "J_x1(x2)", jv, (0.0, 2.0), (1.0, 10.0)),
        _special("lpmv", "P_x1(x2)", lpmv, (0.0, 3.0), (-0.9, 0.9)),
    )
}
