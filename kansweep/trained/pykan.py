"""A trained KAN of pykan's as a function, an edge at a time; NumPy only.

An edge adds w silu(x) + s sum_j c_j B_j(x) to its node, as in ``networks/pykan.py``: its B-splines
have knots of their own and vanish beyond them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kansweep.data.targets import Array
from kansweep.trained.arrays import agree, array, layer_indices
from kansweep.trained.as_pykan import as_pykan
from kansweep.trained.kan import Layer, TrainedKAN


@dataclass(frozen=True, eq=False, kw_only=True)
class PykanLayer(Layer):
    """One layer; both scales of an edge are in its coefficients and in ``base``."""

    grid: Array  # (I, G + 2k + 1)

    @property
    def n_params(self) -> int:
        """Trained numbers: G + k + 2 an edge."""
        return int(self.coef.size + 2 * self.coef[..., 0].size)

    def knots(self, source: int) -> Array:
        knots: Array = self.grid[source]
        return knots

    def _spline(self, source: int, x: Array, nu: int) -> Array:
        values: Array = _basis(x, self.grid[source], self.k, nu) @ self.coef[:, source].T
        return values

    def only(self, source: int, sink: int) -> PykanLayer:
        alone = super().only(source, sink)
        return PykanLayer(**vars(alone), grid=self.grid[source : source + 1])


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class TrainedPykan(TrainedKAN):
    """A trained KAN of pykan's."""

    bias: Array  # (n_outputs,), added to the outputs

    def nodes(self, x: Array) -> list[Array]:
        """Values of all nodes, the inputs first: (n, n_inputs) -> (n, width[l]) each."""
        *inner, outputs = super().nodes(x)
        return [*inner, outputs + self.bias]

    def to_pykan(self) -> Any:
        """pykan's ``KAN`` again, in double precision."""
        return as_pykan(self.layers, self.bias)


def _basis(x: Array, knots: Array, k: int, nu: int) -> Array:
    """B-splines, for ``nu`` = 1 their derivatives, zero beyond the knots: (n,), (m,) -> (n, K).

    Where knots coincide, a quotient of zeros is 0.
    """
    values = ((x[:, None] >= knots[:-1]) & (x[:, None] < knots[1:])).astype(np.float64)
    for order in range(1, k + 1):
        spans = knots[order:] - knots[:-order]
        over = np.divide(values, spans, out=np.zeros_like(values), where=spans > 0)
        if nu and order == k:
            slopes: Array = k * (over[:, :-1] - over[:, 1:])
            return slopes
        rising = (x[:, None] - knots[: -order - 1]) * over[:, :-1]
        values = rising + (knots[order + 1 :] - x[:, None]) * over[:, 1:]
    return values


def from_arrays(arrays: Mapping[str, Any], data: str | None) -> TrainedPykan:
    """The KAN of a cell's weights; raises ValueError that names what is wrong with them."""
    named = {name.removeprefix("act_fun."): value for name, value in arrays.items()}
    layers = [_layer(named, index) for index in layer_indices(named, "coef")]
    for index, (one, other) in enumerate(itertools.pairwise(layers)):
        agree(f"{index + 1}.coef", other.coef.shape[1], one.coef.shape[0])
    last = layers[-1]
    scale, bias = (
        array(arrays, f"{name}_{len(layers) - 1}", 1, last.coef.shape[:1])
        for name in ("node_scale", "node_bias")
    )
    base = None if last.base is None else scale[:, None] * last.base
    layers[-1] = replace(last, coef=scale[:, None, None] * last.coef, base=base)
    return TrainedPykan(tuple(layers), data, bias=bias)


def _layer(arrays: Mapping[str, Any], index: int) -> PykanLayer:
    coef = array(arrays, f"{index}.coef", 3)  # (I, O, K)
    scales = {
        name: array(arrays, f"{index}.{name}", 2, coef.shape[:2]).T
        for name in ("scale_base", "scale_sp")
    }
    grid = array(arrays, f"{index}.grid", 2)
    k = grid.shape[1] - coef.shape[2] - 1
    agree(f"{index}.grid", len(grid), len(coef))
    if not 1 <= k < coef.shape[2]:
        raise ValueError(f"`{index}.grid` has {grid.shape[1]} knots beside {coef.shape[2]} splines")
    zeros = np.zeros(len(coef))
    return PykanLayer(
        scales["scale_sp"][..., None] * coef.transpose(1, 0, 2),
        lower=grid[:, k],
        upper=grid[:, -k - 1],
        base=scales["scale_base"],
        shift=zeros,
        scale=zeros + 1.0,
        k=k,
        grid=grid,
    )
