"""The contract in compiled loops, on a CPU."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from kansweep.networks import uneven
from kansweep.networks.kan import KAN
from kansweep.solvers.gauss_newton import penalty
from kansweep.solvers.gauss_newton.strain import loops
from kansweep.solvers.gauss_newton.strain.loops import Array, Layout
from kansweep.solvers.gauss_newton.strain.tensor import TensorStrain


@dataclass(frozen=True)
class CompiledStrain(TensorStrain):
    """``diagonal`` is the tensors'."""

    @cached_property
    def rows(self) -> Tensor:
        theta = _array(self.kan.theta())
        return torch.from_numpy(loops.rows(theta, self._layout, self._table))

    def change(self, d: Tensor) -> Tensor:
        return torch.from_numpy(loops.change(_array(d), *self._here))

    def pull(self, w: Tensor, u: Tensor) -> Tensor:
        return torch.from_numpy(loops.pull(_array(w), _array(u), *self._here))

    def add_to(self, matrix: Tensor, w: Tensor, replicas: Tensor) -> None:
        loops.add(matrix.numpy(), _array(w), _array(replicas), *self._here, self._band)

    def hold(self, matrix: Tensor, scale: Tensor, replicas: Tensor) -> None:
        theta = _array(self.kan.theta()[replicas])
        loops.hold(matrix.numpy(), _array(scale), theta, self._layout)

    def trace(self, inverse: Tensor, replicas: Tensor) -> Tensor:
        solved = _array(inverse @ self.half[replicas].double())
        found = loops.trace(
            _array(inverse), solved, _array(replicas), *self._here, self._band, len(self.kan.layers)
        )
        return torch.from_numpy(found)

    @cached_property
    def _here(self) -> tuple[Array, Array, Layout, Array]:
        return _array(self.rows), _array(self.half), self._layout, self._table

    @cached_property
    def _layout(self) -> Layout:
        return layout_of(self.kan)

    @cached_property
    def _table(self) -> Array:
        return table_of(self.kan)

    @cached_property
    def _band(self) -> Array:
        return _array(penalty.bands(self.kan).double())


def energy(kan: KAN) -> Tensor:
    layout, layers = layout_of(kan), len(kan.layers)
    return torch.from_numpy(loops.energy(_array(kan.theta()), layout, table_of(kan), layers))


def table_of(kan: KAN) -> Array:
    """Factors of rough rows on knots of replicas' own, (R, E, S, k + 3), else (R, 0, 0, 0)."""
    if penalty.shared(kan):
        return np.empty((kan.n_replicas, 0, 0, 0))
    parts = [
        uneven.differences(layer.unit_breaks(kan.k).double(), kan.k).repeat(
            1, layer.n_outputs, 1, 1
        )
        for layer in kan.layers
    ]
    return _array(torch.cat(parts, dim=1))


def layout_of(kan: KAN) -> Layout:
    return _layout(kan.width, kan.grid_size + kan.k, kan.k, kan.layers[0].base is not None)


@lru_cache
def _layout(width: tuple[int, ...], n_coef: int, k: int, base: bool) -> Layout:
    counts = np.array(penalty.counts(n_coef, k))
    edge, row, layer, node, own = [], [], [], [], []
    at, first, hidden = 0, 0, sum(width[1:-1])
    for index, (n_in, n_out) in enumerate(itertools.pairwise(width)):
        edges = np.arange(n_out * n_in)
        ends = first + len(edges) * np.concatenate([[0], counts.cumsum()])
        row.append(ends[:-1] + edges[:, None] * counts)
        first = ends[-1]
        follows = index < len(width) - 2 and not base
        own += [(sum(map(len, edge)) + o * n_in, n_in, int(follows)) for o in range(n_out)]
        edge.append(at + n_coef * edges)
        at += len(edges) * (n_coef + base)
        layer.append(np.full(len(edges), index))
        node.append(np.minimum(sum(width[1 : index + 1]) + edges // n_in, hidden))
    free = penalty.free_rows(n_coef, k)
    gram = np.stack([free[:-1].T @ free[:-1], free[-1:].T @ free[-1:]])
    joined = (np.concatenate(part).astype(np.int64) for part in (edge, row, layer, node))
    edge_of, row_of, layer_of, node_of = joined
    return Layout(
        edge_of,
        row_of,
        counts.astype(np.int64),
        layer_of,
        node_of,
        np.array(own),
        k + 2,
        free,
        gram,
    )


def _array(values: Tensor) -> Array:
    array: Array = values.contiguous().numpy()
    return array
