"""A trained KAN whose edges are series in a basis, as a function; NumPy only."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kansweep import kinds
from kansweep.data.targets import Array
from kansweep.networks.bases import Basis
from kansweep.trained.arrays import agree, array, layer_indices, scalar
from kansweep.trained.network import TrainedNetwork


@dataclass(frozen=True, eq=False, repr=False)
class TrainedSeries(TrainedNetwork):
    """A layer is s_o = sum_i sum_j c_oij b_j(x_i), as in ``networks.series``."""

    kind: str
    basis: Basis
    size: int
    coefs: tuple[Array, ...]  # (O, I, K) each
    inputs: tuple[Array, Array]  # shift and scale, (I,) each
    mean: Array  # (M,)
    data: str | None = None

    @property
    def width(self) -> tuple[int, ...]:
        return (self.coefs[0].shape[1], *(coef.shape[0] for coef in self.coefs))

    @property
    def n_params(self) -> int:
        return sum(coef.size for coef in self.coefs)

    def nodes(self, x: Array) -> list[Array]:
        """Values of all nodes: the inputs first, the outputs last."""
        shift, scale = self.inputs
        values = [(x - shift) / scale]
        for coef in self.coefs:
            basis, _ = self.basis.at(values[-1], self.size, np)  # (n, I, K)
            values.append(np.einsum("oik,nik->no", coef, basis))
        return [x, *values[1:-1], self.mean + values[-1]]

    def _slopes(self, x: Array) -> Iterator[Array]:
        shift, scale = self.inputs
        for depth, (coef, values) in enumerate(zip(self.coefs, self.nodes(x), strict=False)):
            given = (values - shift) / scale if depth == 0 else values
            slope = np.einsum("oik,nik->noi", coef, self.basis.at(given, self.size, np)[1])
            yield slope / scale if depth == 0 else slope

    def __repr__(self) -> str:
        return f"TrainedSeries(kind={self.kind!r}, width={self.width}, size={self.size})"


def from_arrays(arrays: Mapping[str, Any], data: str | None) -> TrainedSeries:
    """The network of a cell's weights; raises ValueError that names what is wrong with them."""
    kind = kinds.of_arrays(arrays)
    if kind is None or kind.basis is None:
        raise ValueError("there are no coefficients of a series")
    size, basis = scalar(arrays, "size"), kinds.load(kind.basis)()
    if not (isinstance(size, int) and size >= 1):
        raise ValueError(f"`size` is {size!r}")
    coefs = [array(arrays, f"{i}.{kind.name}", 3) for i in layer_indices(arrays, kind.name)]
    for index, coef in enumerate(coefs):
        agree(f"{index}.{kind.name}", coef.shape[2], basis.length(size))
    for index, (one, other) in enumerate(itertools.pairwise(coefs)):
        agree(f"{index + 1}.{kind.name}", other.shape[1], one.shape[0])
    shift, scale = (array(arrays, name, 1, coefs[0].shape[1:2]) for name in ("shift", "scale"))
    mean = array(arrays, "mean", 1, coefs[-1].shape[:1])
    return TrainedSeries(kind.name, basis, size, tuple(coefs), (shift, scale), mean, data)
