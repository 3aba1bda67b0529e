"""A trained KAN as a function: values, exact derivatives and its single edges.

NumPy and SciPy only, so that what was trained serves where no torch is. An edge adds

    w silu(shift + scale x)  +  sum_j c_j B_j(x)

to its node, as in ``networks/kan.py``, where its letters stand too. Beyond its grid the spline is
a straight line, as it is in training; weights without the array ``continuation`` were trained when
its end pieces went on as polynomials, and so they do here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import BSpline

from kansweep.data.targets import Array
from kansweep.trained.activations import silu, silu_slope
from kansweep.trained.arrays import agree, array, layer_indices, mask, scalar
from kansweep.trained.network import TrainedNetwork


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
    linear: bool = True  # beyond the grid; else the end pieces go on
    breaks: Array | None = None  # (I, G+1) from 0 to 1; None where intervals are equal
    kept: NDArray[np.bool_] | None = None  # (O, I), edges that pruning left; None where all are

    @property
    def grid_size(self) -> int:
        return int(self.coef.shape[2]) - self.k

    @property
    def n_params(self) -> int:
        edges = self.coef[..., 0].size if self.kept is None else int(self.kept.sum())
        return int(edges) * (int(self.coef.shape[2]) + (self.base is not None))

    def knots(self, source: int) -> Array:
        """Of an input's grid, in its units, with those beyond its ends: (G + 2k + 1,)."""
        if self.breaks is None:
            unit = np.arange(-self.k, self.grid_size + self.k + 1) / self.grid_size
        else:
            inner, steps = self.breaks[source], np.arange(1, self.k + 1)
            first, last = np.diff(inner)[[0, -1]]
            unit = np.concatenate([-first * steps[::-1], inner, 1.0 + last * steps])
        lower, upper = float(self.lower[source]), float(self.upper[source])
        knots: Array = lower + (upper - lower) * unit
        return knots

    @cached_property
    def _splines(self) -> tuple[BSpline, ...]:
        """Of every input, its edges' splines as one with O values."""
        return tuple(
            BSpline(self.knots(i), np.ascontiguousarray(c.T), self.k, extrapolate=True)
            for i, c in enumerate(self.coef.transpose(1, 0, 2))
        )

    def edges(self, source: int, x: Array, nu: int = 0) -> Array:
        """The edges from one input, or for ``nu`` = 1 their derivatives: (n,) -> (n, O)."""
        out = self._spline(source, x, nu)
        if self.base is None:
            return out
        v = self.shift[source] + self.scale[source] * x
        base = silu(v) if nu == 0 else silu_slope(v) * self.scale[source]
        return out + base[:, None] * self.base[:, source]

    def _spline(self, source: int, x: Array, nu: int) -> Array:
        spline = self._splines[source]
        held = np.clip(x, self.lower[source], self.upper[source]) if self.linear else x
        out: Array = spline(held, nu)
        if nu == 0 and (beyond := held != x).any():
            out[beyond] += spline(held[beyond], 1) * (x - held)[beyond, None]
        return out

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
        ends = (self.lower[i], self.upper[i])
        breaks = None if self.breaks is None else self.breaks[i]
        return Layer(self.coef[o, i], *ends, base, *along, self.k, self.linear, breaks)


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

    @property
    def knots(self) -> Array:
        """Where its pieces begin and end, (G + 1,), from ``lower`` to ``upper``."""
        k = self._alone.k
        return self._alone.knots(0)[k:-k]

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


@dataclass(frozen=True, eq=False, repr=False)
class TrainedKAN(TrainedNetwork):
    """A trained KAN. ``data`` is the name of what it learned, where that is known."""

    has_edges: ClassVar[bool] = True
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
        """Trainable numbers: edges x (G + k), plus one an edge with the base; without what was
        pruned."""
        return sum(layer.n_params for layer in self.layers)

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All edges that were not pruned: layer by layer, and in these sink by sink."""
        ends = enumerate(itertools.pairwise(self.width))
        return tuple(
            self.edge(layer, source, sink)
            for layer, (n_in, n_out) in ends
            for sink in range(n_out)
            for source in range(n_in)
            if (kept := self.layers[layer].kept) is None or kept[sink, source]
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

    def to_pykan(self) -> Any:
        """pykan's ``KAN`` of the same function, in double precision; it takes the extra `pykan`.

        The same where every node is within its grid: beyond, pykan's splines fall to zero in k
        intervals, and straight lines cannot be had of them. Raises ValueError where an edge adds
        silu(shift + scale x), of which pykan has silu(x) alone, and ConfigError without pykan.
        """
        from kansweep.trained.as_pykan import as_pykan

        return as_pykan(self.layers, np.zeros(self.width[-1]))

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
        name = type(self).__name__
        return f"{name}(width={self.width}, k={self.k}, grid_size={self.grid_size})"


def from_arrays(arrays: Mapping[str, Any], data: str | None) -> TrainedKAN:
    """The KAN of a cell's weights; raises ValueError that names what is wrong with them."""
    k = scalar(arrays, "k")
    if not (isinstance(k, int) and k >= 1):
        raise ValueError(f"`k` is {k!r}")
    linear = _is_linear(arrays)
    layers = tuple(_layer(arrays, index, k, linear) for index in layer_indices(arrays, "coef"))
    for index, (one, other) in enumerate(itertools.pairwise(layers)):
        agree(f"{index + 1}.coef", len(other.lower), one.coef.shape[0])
        agree(f"{index + 1}.coef", other.grid_size, one.grid_size)
    return TrainedKAN(layers, data)


def _is_linear(arrays: Mapping[str, Any]) -> bool:
    """Whether splines go on as straight lines, as all do since there is a word for it."""
    if "continuation" not in arrays:
        return False
    word = scalar(arrays, "continuation")
    if word != "linear":
        raise ValueError(f"`continuation` is {word!r}, not linear")
    return True


def _layer(arrays: Mapping[str, Any], index: int, k: int, linear: bool) -> Layer:
    coef = array(arrays, f"{index}.coef", 3)
    if coef.shape[2] <= k:
        raise ValueError(f"`{index}.coef` has {coef.shape[2]} coefficients an edge at k = {k}")
    along = {
        name: array(arrays, f"{index}.{name}", 1, coef.shape[1:2])
        for name in ("lower", "upper", "shift", "scale")
    }
    lower, upper = along["lower"], along["upper"]
    if not (np.isfinite([lower, upper]).all() and (lower < upper).all()):
        raise ValueError(f"`{index}.lower` is not below `{index}.upper`")
    name = f"{index}.base"
    base = array(arrays, name, 2, coef.shape[:2]) if name in arrays else None
    along_x = (along["shift"], along["scale"])
    breaks = _breaks(arrays, index, coef, k)
    name, kept = f"{index}.kept", None
    if name in arrays:
        kept = mask(arrays, name, coef.shape[:2])
    return Layer(coef, lower, upper, base, *along_x, k, linear, breaks, kept)


def _breaks(arrays: Mapping[str, Any], index: int, coef: Array, k: int) -> Array | None:
    name = f"{index}.breaks"
    if name not in arrays:
        return None
    breaks = array(arrays, name, 2, (coef.shape[1], coef.shape[2] - k + 1))
    ends = (breaks[:, 0] == 0).all() and (breaks[:, -1] == 1).all()
    if not (ends and (np.diff(breaks) > 0).all()):
        raise ValueError(f"`{name}` do not ascend from 0 to 1")
    return breaks
