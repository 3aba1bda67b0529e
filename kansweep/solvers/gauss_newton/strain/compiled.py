"""The contract in compiled loops, on a CPU."""

from __future__ import annotations

import itertools
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.solvers.gauss_newton import penalty
from kansweep.solvers.gauss_newton.strain.loops import (
    Array,
    Index,
    Layout,
    changed,
    energy_of,
    pulled,
    rows_of,
)
from kansweep.solvers.gauss_newton.strain.squares import add_square, hold_idle, restrained, traces
from kansweep.solvers.gauss_newton.strain.tensor import TensorStrain


class CompiledStrain(TensorStrain):
    """``diagonal`` is the tensors'."""

    @cached_property
    def rows(self) -> Tensor:
        return torch.from_numpy(self._here[0])

    def change(self, d: Tensor) -> Tensor:
        return torch.from_numpy(changed(_array(d), *self._here))

    def pull(self, w: Tensor, u: Tensor) -> Tensor:
        return torch.from_numpy(pulled(_array(w), _array(u), *self._here))

    def add_to(self, matrix: Tensor, w: Tensor, replicas: Tensor) -> None:
        add_square(matrix.numpy(), _array(w), _array(replicas), *self._here, self._band)

    def hold(self, matrix: Tensor, scale: Tensor, replicas: Tensor) -> None:
        if self.kan.is_pruned:
            super().hold(matrix, scale, replicas)
            return
        theta = _array(self.theta[replicas])
        hold_idle(matrix.numpy(), _array(scale), theta, self._here[2])

    def trace(self, root: Tensor, replicas: Tensor) -> Tensor:
        solved = root.mT @ (root @ self.half[replicas].double())
        blocks, layers = _array(self._squares(root)), len(self.kan.layers)
        given = *self._here, self._band, layers
        return torch.from_numpy(traces(blocks, _array(solved), _array(replicas), *given))

    def _squares(self, root: Tensor) -> Tensor:
        """The blocks of M^T M that belong to each edge's coefficients, (r, E, K, K)."""
        n_coef, parts, first = self.kan.grid_size + self.kan.k, [], 0
        for layer in self.kan.layers:
            edges = layer.n_outputs * layer.n_inputs
            # Above its first column's row a lower triangle has nothing.
            own = root[:, first:, first : first + edges * n_coef].unflatten(2, (edges, n_coef))
            own = own.transpose(1, 2)  # (r, E, P, K)
            parts.append(own.mT @ own)
            first += edges * (n_coef + (layer.base is not None))
        return torch.cat(parts, 1)

    @cached_property
    def _here(self) -> tuple[Array, Array, Layout, Array]:
        layout, table = layout_of(self.kan), table_of(self.kan)
        return rows_of(_array(self.theta), layout, table), _array(self.half), layout, table

    @cached_property
    def _band(self) -> Array:
        return bands_of(self.kan)


def compiled_energy(like: KAN, theta: Tensor) -> Tensor:
    """Squares of C theta summed by layer and kind, (R, L, 3)."""
    layers = len(like.layers)
    return torch.from_numpy(energy_of(_array(theta), layout_of(like), table_of(like), layers))


def compiled_restraint(like: KAN, w: Tensor, last: Tensor, matrix: Tensor, pull: Tensor) -> None:
    """``strain.restrain``."""
    layout = layout_of(like, (like.width[-2], 1))
    knots = like if penalty.shared(like) else like.last_output(0)
    given = matrix.numpy(), pull.numpy(), _array(w), _array(last)
    restrained(*given, layout, table_of(knots), bands_of(knots))


def table_of(kan: KAN) -> Array:
    """Factors of rough rows on knots of replicas' own, (R, E, S, order + 1), else (R, 0, 0, 0)."""
    if penalty.shared(kan):
        return np.empty((kan.n_replicas, 0, 0, 0))
    parts = []
    for layer in kan.layers:
        factors = penalty.differences(layer, kan.k, penalty.order(kan))  # (R, I, S, order + 1)
        parts.append(factors.repeat(1, layer.n_outputs, 1, 1))
    return _array(torch.cat(parts, dim=1))


def bands_of(kan: KAN) -> Array:
    """``penalty.bands``."""
    if penalty.shared(kan):
        return penalty.band(kan.grid_size + kan.k, penalty.order(kan))[None, None]
    return _array(penalty.bands(kan).double())


def layout_of(kan: KAN, width: tuple[int, ...] | None = None) -> Layout:
    """Of a KAN, or of one like it of another width."""
    base = kan.layers[0].base is not None
    return _layout(width or kan.width, kan.grid_size + kan.k, penalty.order(kan), base)


@lru_cache
def _layout(width: tuple[int, ...], n_coef: int, order: int, base: bool) -> Layout:
    rows = np.array(penalty.counts(n_coef, order))
    edge: list[Index] = []
    first, layer, node, own = [], [], [], []
    at, row, hidden = 0, 0, sum(width[1:-1])
    for index, (n_in, n_out) in enumerate(itertools.pairwise(width)):
        edges = np.arange(n_out * n_in)
        follows = index < len(width) - 2 and not base
        own += [(sum(map(np.size, edge)) + o * n_in, n_in, follows) for o in range(n_out)]
        edge.append(at + n_coef * edges)
        at += len(edges) * (n_coef + base)
        kinds = row + len(edges) * (rows.cumsum() - rows)
        first.append(kinds + edges[:, None] * rows)
        row += len(edges) * rows.sum()
        layer.append(np.full(len(edges), index))
        node.append(np.minimum(sum(width[1 : index + 1]) + edges // n_in, hidden))
    free = penalty.free_rows(n_coef, order)
    return Layout(
        np.concatenate(edge),
        np.concatenate(first),
        rows,
        np.concatenate(layer),
        np.concatenate(node),
        np.array(own, dtype=np.int64),
        order,
        free,
        np.stack([free[:-1].T @ free[:-1], free[-1:].T @ free[-1:]]),
    )


def _array(values: Tensor) -> Array:
    array: Array = values.contiguous().numpy()
    return array
