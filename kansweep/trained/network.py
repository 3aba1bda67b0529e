"""A trained network as a function: values, exact derivatives and, of a KAN, its single edges.

NumPy and SciPy only, so that what was trained serves where no torch is. An edge adds

    w silu(shift + scale x)  +  sum_j c_j B_j(x)

to its node, as in ``kan.py``, where its letters stand too; beyond its grid the spline continues
by its end pieces, as it does in training. ``weights`` reads models from files.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import BSpline
from scipy.special import erf, expit

from kansweep.data.targets import Array


@dataclass(frozen=True, eq=False)
class Layer:
    """One KAN layer; the edges that leave an input share its grid."""

    coef: Array  # (O, I, K)
    lower: Array  # (I,)
    upper: Array  # (I,)
    base: Array | None  # (O, I)
    shift: Array  # (I,)
    scale: Array  # (I,)
    k: int

    @property
    def grid_size(self) -> int:
        return int(self.coef.shape[2]) - self.k

    @property
    def n_params(self) -> int:
        return self.coef.size + (0 if self.base is None else self.base.size)

    @cached_property
    def _splines(self) -> tuple[BSpline, ...]:
        """Of every input, its edges' splines as one with O values."""
        steps = np.arange(-self.k, self.grid_size + self.k + 1) / self.grid_size
        knots = self.lower[:, None] + (self.upper - self.lower)[:, None] * steps
        return tuple(
            BSpline(t, np.ascontiguousarray(c.T), self.k, extrapolate=True)
            for t, c in zip(knots, self.coef.transpose(1, 0, 2), strict=True)
        )

    def edges(self, source: int, x: Array, nu: int = 0) -> Array:
        """The edges from one input, or for ``nu`` = 1 their derivatives: (n,) -> (n, O)."""
        out: Array = self._splines[source](x, nu)
        if self.base is None:
            return out
        v = self.shift[source] + self.scale[source] * x
        silu = _silu(v) if nu == 0 else _silu_slope(v) * self.scale[source]
        return out + silu[:, None] * self.base[:, source]

    def values(self, x: Array) -> Array:
        """(n, I) -> (n, O)."""
        return sum((self.edges(i, x[:, i]) for i in range(len(self.lower))), start=np.zeros(()))

    def slopes(self, x: Array) -> Array:
        """Derivative of each edge at its input, (n, I) -> (n, O, I)."""
        return np.stack([self.edges(i, x[:, i], 1) for i in range(len(self.lower))], axis=-1)

    def only(self, source: int, sink: int) -> Layer:
        """The layer of one edge."""
        i, o = slice(source, source + 1), slice(sink, sink + 1)
        base = None if self.base is None else self.base[o, i]
        along = (self.shift[i], self.scale[i])
        return Layer(self.coef[o, i], self.lower[i], self.upper[i], base, *along, self.k)


@dataclass(frozen=True, eq=False)
class Edge:
    """The learned function from node ``source`` of a layer's inputs to node ``sink`` behind it.

    It was learned on [lower, upper], in the units of its source.
    """

    layer: int
    source: int
    sink: int
    lower: float
    upper: float
    _alone: Layer

    def values(self, x: ArrayLike) -> Array:
        """Of points of any shape."""
        return self._at(x, 0)

    def derivative(self, x: ArrayLike) -> Array:
        """Of points of any shape."""
        return self._at(x, 1)

    def _at(self, x: ArrayLike, nu: int) -> Array:
        points = np.asarray(x, dtype=np.float64)
        return self._alone.edges(0, points.ravel(), nu).reshape(points.shape)

    def __repr__(self) -> str:
        place = f"layer={self.layer}, source={self.source}, sink={self.sink}"
        return f"Edge({place}, lower={self.lower:.4g}, upper={self.upper:.4g})"


class _Network:
    """What KANs and MLPs share: points in, values and the chain rule out."""

    @property
    def width(self) -> tuple[int, ...]:
        """Numbers of nodes, inputs and outputs included."""
        raise NotImplementedError

    def __call__(self, x: ArrayLike) -> Array:
        """(n, n_inputs) -> (n, n_outputs); one point (n_inputs,) -> (n_outputs,)."""
        points, one = self._points(x)
        values = self.nodes(points)[-1]
        return values[0] if one else values

    def gradient(self, x: ArrayLike) -> Array:
        """Derivatives of the outputs by the inputs, exact: (n, n_inputs) -> (n, n_outputs,
        n_inputs); one point -> (n_outputs, n_inputs)."""
        points, one = self._points(x)
        chain: Array | None = None
        for slopes in self._slopes(points):
            chain = slopes if chain is None else slopes @ chain
        if chain is None:
            raise ValueError("a network has a layer, at least.")
        return chain[0] if one else chain

    def nodes(self, x: Array) -> list[Array]:
        """Values of all nodes, the inputs first, (n, width[l]) each."""
        raise NotImplementedError

    def _slopes(self, x: Array) -> Iterator[Array]:
        """Jacobian of each layer at its inputs, (n, O, I)."""
        raise NotImplementedError

    def _points(self, x: ArrayLike) -> tuple[Array, bool]:
        """Points as (n, n_inputs), and whether it was one alone."""
        points = np.asarray(x, dtype=np.float64)
        n_inputs = self.width[0]
        if points.ndim not in (1, 2) or points.shape[-1] != n_inputs:
            raise ValueError(
                f"`x` must be (n, {n_inputs}), or ({n_inputs},) for one point; got {points.shape}."
            )
        return np.atleast_2d(points), points.ndim == 1


@dataclass(frozen=True, eq=False, repr=False)
class Model(_Network):
    """A trained KAN. ``data`` is the name of what it learned, where that is known."""

    layers: tuple[Layer, ...]
    data: str | None = None

    @property
    def k(self) -> int:
        return self.layers[0].k

    @property
    def grid_size(self) -> int:
        return self.layers[0].grid_size

    @property
    def width(self) -> tuple[int, ...]:
        return (self.layers[0].coef.shape[1], *(layer.coef.shape[0] for layer in self.layers))

    @property
    def n_params(self) -> int:
        """Trainable numbers: edges x (G + k), plus one an edge with the base."""
        return sum(layer.n_params for layer in self.layers)

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All edges: layer by layer, and in these sink by sink."""
        ends = enumerate(itertools.pairwise(self.width))
        return tuple(
            self.edge(layer, source, sink)
            for layer, (n_in, n_out) in ends
            for sink in range(n_out)
            for source in range(n_in)
        )

    def edge(self, layer: int, source: int, sink: int) -> Edge:
        """The edge from node ``source`` to node ``sink`` behind it, all counted from 0."""
        for name, value, end in (
            ("layer", layer, len(self.layers)),
            ("source", source, self.width[layer] if 0 <= layer < len(self.layers) else 1),
            ("sink", sink, self.width[layer + 1] if 0 <= layer < len(self.layers) else 1),
        ):
            if not 0 <= value < end:
                raise ValueError(f"`{name}` must be from 0 to {end - 1}; got {value}.")
        alone = self.layers[layer].only(source, sink)
        return Edge(layer, source, sink, float(alone.lower[0]), float(alone.upper[0]), alone)

    def nodes(self, x: Array) -> list[Array]:
        """Values of all nodes, the inputs first: (n, n_inputs) -> (n, width[l]) each."""
        values = [x]
        for layer in self.layers:
            values.append(layer.values(values[-1]))
        return values

    def _slopes(self, x: Array) -> Iterator[Array]:
        for layer, values in zip(self.layers, self.nodes(x), strict=False):
            yield layer.slopes(values)

    def __repr__(self) -> str:
        return f"Model(width={self.width}, k={self.k}, grid_size={self.grid_size})"


@dataclass(frozen=True)
class _Activation:
    values: Callable[[Array], Array]
    slope: Callable[[Array], Array]


def _silu(v: Array) -> Array:
    return v * expit(v)


def _silu_slope(v: Array) -> Array:
    gate = expit(v)
    return gate * (1.0 + v * (1.0 - gate))


def _normal_cdf(v: Array) -> Array:
    return np.asarray(0.5 * (1.0 + erf(v / np.sqrt(2.0))))


def _normal_pdf(v: Array) -> Array:
    return np.asarray(np.exp(-0.5 * v**2) / np.sqrt(2.0 * np.pi))


ACTIVATIONS = {
    "tanh": _Activation(np.tanh, lambda v: 1.0 - np.tanh(v) ** 2),
    "silu": _Activation(_silu, _silu_slope),
    "relu": _Activation(lambda v: np.maximum(v, 0.0), lambda v: (v > 0.0).astype(np.float64)),
    "gelu": _Activation(
        lambda v: v * _normal_cdf(v), lambda v: _normal_cdf(v) + v * _normal_pdf(v)
    ),
}


@dataclass(frozen=True, eq=False, repr=False)
class MLPModel(_Network):
    """A trained multilayer perceptron: linear layers, the activation between them."""

    weights: tuple[Array, ...]  # (O, I) each
    biases: tuple[Array, ...]  # (O,) each
    activation: str
    data: str | None = None

    @property
    def width(self) -> tuple[int, ...]:
        return (self.weights[0].shape[1], *(weight.shape[0] for weight in self.weights))

    @property
    def n_params(self) -> int:
        return sum(array.size for array in (*self.weights, *self.biases))

    def nodes(self, x: Array) -> list[Array]:
        """Values of all nodes, the inputs first and hidden ones before the activation."""
        values = [x]
        for depth, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            given = values[-1] if depth == 0 else ACTIVATIONS[self.activation].values(values[-1])
            values.append(given @ weight.T + bias)
        return values

    def _slopes(self, x: Array) -> Iterator[Array]:
        for depth, (weight, values) in enumerate(zip(self.weights, self.nodes(x), strict=False)):
            slope = np.ones_like(values)
            if depth > 0:
                slope = ACTIVATIONS[self.activation].slope(values)
            yield weight * slope[:, None]

    def __getattr__(self, name: str) -> Any:
        if name in ("edges", "edge", "k", "grid_size"):
            raise AttributeError(
                f"an MLP has no `{name}`: only KANs have a function on every edge."
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"MLPModel(width={self.width}, activation={self.activation!r})"
