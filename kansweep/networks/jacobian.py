"""The sparse Jacobian of a KAN and the products that solvers take of it.

A point touches k + 1 coefficients an edge (and the base weight), so a row of the Jacobian has
edges x (k + 1) nonzeros whatever G is. Points stand last in memory: every product below is
then a long contiguous loop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.networks.layer import Activation, Layer, basis, silu_of

# Scatter-adding pairs of nonzeros costs n * nnz^2 / 2, forming dense rows n * P^2, and a scattered
# pair costs some tens of dense multiply-adds. Either form gives the same matrix.
SCATTER_COST = 40
CHUNK = 4_000_000  # numbers that either form may hold beside its result


@dataclass(frozen=True)
class Jacobian:
    """Rows d f_m(x_n) / d theta; within a row the columns ascend and do not repeat."""

    values: Tensor  # (R, M, nnz, n)
    columns: Tensor  # (R, nnz, n), the same for every output
    n_params: int

    def transposed_product(self, v: Tensor) -> Tensor:
        """J^T v for vectors over points and outputs: (R, M, n) -> (R, P)."""
        terms = self.values[:, 0] * v[:, :1]
        for m in range(1, v.shape[1]):
            terms = terms + self.values[:, m] * v[:, m, None]
        out = v.new_zeros(v.shape[0], self.n_params)
        return out.scatter_add_(1, self.columns.flatten(1), terms.flatten(1))

    def product(self, v: Tensor) -> Tensor:
        """J v for vectors over parameters: (R, P) -> (R, M, n)."""
        local = v.gather(1, self.columns.flatten(1)).view(self.columns.shape)
        return (self.values * local[:, None]).sum(2)

    def squared_norms(self) -> Tensor:
        """Diagonal of J^T J, (R, P)."""
        terms = self.values.square().sum(1)
        out = terms.new_zeros(terms.shape[0], self.n_params)
        return out.scatter_add_(1, self.columns.flatten(1), terms.flatten(1))

    def gram(self, outer: Tensor, inner: Tensor) -> Tensor:
        """(J + outer inner^T)^T (J + outer inner^T) in float64, its lower triangle: (R, P, P).

        The low-rank part is (R, M, n, h) and (R, P, h). In the cheaper of two forms, a chunk of
        points at a time.
        """
        replicas, n_outputs, nnz, n = self.values.shape
        pairs = nnz * (nnz + 1) // 2
        dense = self.n_params**2 * n_outputs < pairs * SCATTER_COST
        held = self.n_params if dense else 2 * pairs  # numbers a point
        at_once = max(1, CHUNK // (replicas * held))
        size = (replicas, self.n_params, self.n_params)
        out = torch.zeros(size, dtype=torch.float64, device=self.values.device)
        inner = inner.double()
        for first in range(0, n, at_once):
            chunk = slice(first, first + at_once)
            values, columns = self.values[..., chunk].double(), self.columns[..., chunk]
            if dense:
                _add_dense(out, values, columns, outer[:, :, chunk].double(), inner)
            else:
                _add_scattered(out, values, columns)
        if inner.shape[2] and not dense:
            exact = Jacobian(self.values.double(), self.columns, self.n_params)
            left, right = inner, exact.cross(outer.double(), inner)
            out.baddbmm_(torch.cat([left, right], 2), torch.cat([right, left], 2).mT)
        return out

    def cross(self, outer: Tensor, inner: Tensor) -> Tensor:
        """F, (R, P, h), with (J + outer inner^T)^T (...) = J^T J + inner F^T + F inner^T."""
        columns = [self.transposed_product(u) for u in outer.unbind(3)]
        if not columns:
            return inner
        core = torch.einsum("rmnh,rmng->rhg", outer, outer)
        return torch.stack(columns, dim=2) + inner @ core / 2

    def bands(self, kan: KAN) -> list[Tensor]:
        """Diagonal blocks of J^T J that belong to one edge's spline, as lower bands.

        One tensor a layer, (R, E, K, k+1): entry [j, d] stands at row j + d, column j.
        """
        parts, start, offset = [], 0, 0
        for layer in kan.layers:
            replicas, n_out, n_in, n_coef = layer.coef.shape
            edges, act = n_out * n_in, kan.k + 1
            of_layer = slice(start, start + edges * act)
            values = self.values[:, :, of_layer].unflatten(2, (edges, act))  # (R, M, E, k+1, n)
            edge = torch.arange(edges, device=values.device)[:, None]
            first = self.columns[:, of_layer].unflatten(1, (edges, act))[:, :, 0]
            first = first - offset - edge * n_coef  # (R, E, n)
            band = values.new_zeros(replicas, edges, n_coef * act)
            for d in range(act):
                for a in range(act - d):
                    product = (values[:, :, :, a] * values[:, :, :, a + d]).sum(1)
                    band.scatter_add_(2, (first + a) * act + d, product)
            parts.append(band.unflatten(2, (n_coef, act)))
            extra = 0 if layer.base is None else edges
            start += edges * act + extra
            offset += edges * n_coef + extra
        return parts


def _add_dense(out: Tensor, values: Tensor, columns: Tensor, outer: Tensor, inner: Tensor) -> None:
    for m in range(values.shape[1]):
        rows = values.new_zeros(out.shape[0], out.shape[1], values.shape[3])
        rows.scatter_(1, columns, values[:, m])
        if inner.shape[2]:
            rows.baddbmm_(inner, outer[:, m].mT)
        out.baddbmm_(rows, rows.mT)


def _add_scattered(out: Tensor, values: Tensor, columns: Tensor) -> None:
    """Add the lower triangle: the products of all pairs of nonzeros of each point."""
    a, b = torch.triu_indices(values.shape[2], values.shape[2], device=values.device)
    index = columns[:, b].mul_(out.shape[1]).add_(columns[:, a])
    if values.shape[1] == 1:
        terms = values[:, 0, a].mul_(values[:, 0, b])
    else:
        terms = (values[:, :, a] * values[:, :, b]).sum(1)
    out.view(out.shape[0], -1).scatter_add_(1, index.flatten(1), terms.flatten(1))


def sensitivities(kan: KAN, activations: list[Activation]) -> list[Tensor]:
    """Of each layer, d f_m / d s_o by back-propagation: (R, n, M, O), the identity at the last."""
    last = activations[-1].x
    eye = torch.eye(kan.width[-1], dtype=last.dtype, device=last.device)
    back = [eye.expand(*last.shape[:2], *eye.shape)]
    for activation in reversed(activations[1:]):
        back.append(torch.einsum("rnmo,rnio->rnmi", back[-1], activation.slope))
    return back[::-1]


def jacobian(kan: KAN, activations: list[Activation]) -> Jacobian:
    """Derivatives of every output at every point with respect to theta, ranges held fixed."""
    values, columns, offset = [], [], 0
    for layer, activation, back in zip(
        kan.layers, activations, sensitivities(kan, activations), strict=True
    ):
        for value, column, size in _blocks(layer, activation, kan.k):
            # (R, n, M, O) x (R, n, I, s) -> (R, M, O I s, n)
            values.append(torch.einsum("rnmo,rnis->rmoisn", back, value).flatten(2, 4))
            columns.append((column + offset).flatten(1, 3))
            offset += size
    return Jacobian(torch.cat(values, 2), torch.cat(columns, 1), offset)


def layer_rows(layer: Layer, x: Tensor, k: int) -> Jacobian:
    """Derivatives of one output of a layer with respect to the edges that lead to it."""
    interval, acting = basis(layer, x, k)
    one = replace(layer, coef=layer.coef[:, :1])
    nothing = x.new_zeros(0)
    silu = None if layer.base is None else silu_of(layer, x)
    activation = Activation(x, interval, acting, silu, nothing, nothing)
    blocks = _blocks(one, activation, k)
    values, columns, offset = [], [], 0
    for value, column, size in blocks:
        values.append(value.permute(0, 2, 3, 1).flatten(1, 2)[:, None])
        columns.append((column + offset).flatten(1, 3))
        offset += size
    return Jacobian(torch.cat(values, 2), torch.cat(columns, 1), offset)


def _blocks(layer: Layer, activation: Activation, k: int) -> list[tuple[Tensor, Tensor, int]]:
    """What a layer adds: values (R, n, I, s), columns (R, O, I, s, n), number of parameters."""
    replicas, n_out, n_in, n_coef = layer.coef.shape
    device = layer.coef.device
    edge = torch.arange(n_out * n_in, device=device).view(1, n_out, n_in, 1, 1)
    first = activation.interval.permute(0, 2, 1)[:, None, :, None]  # (R, 1, I, 1, n)
    local = torch.arange(k + 1, device=device)[:, None]
    blocks = [(activation.basis, edge * n_coef + first + local, layer.coef[0].numel())]
    if activation.silu is not None:
        n = activation.silu.shape[1]
        column = edge.expand(replicas, n_out, n_in, 1, n)
        blocks.append((activation.silu[..., None], column, n_out * n_in))
    return blocks
