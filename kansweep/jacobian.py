"""The sparse Jacobian of a KAN and the products that solvers take of it.

A point touches k + 1 coefficients an edge (and the base weight), so a row of the Jacobian has
edges x (k + 1) nonzeros whatever G is. Points stand last in memory: every product below is
then a long contiguous loop.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kansweep.kan import KAN, Activation, Layer

# Scatter-adding pairs of nonzeros costs n * nnz^2 / 2, forming dense rows n * P^2, and a scattered
# pair costs some tens of dense multiply-adds. Either form gives the same matrix.
SCATTER_COST = 40


@dataclass(frozen=True)
class Jacobian:
    """Rows d f_m(x_n) / d theta; within a row the columns ascend and do not repeat."""

    values: Tensor  # (R, M, nnz, n)
    columns: Tensor  # (R, nnz, n), the same for every output
    n_params: int

    def transposed_product(self, v: Tensor) -> Tensor:
        """J^T v for vectors over points and outputs: (R, M, n) -> (R, P)."""
        terms = torch.einsum("rmzn,rmn->rzn", self.values, v)
        out = v.new_zeros(v.shape[0], self.n_params)
        return out.scatter_add_(1, self.columns.flatten(1), terms.flatten(1))

    def product(self, v: Tensor) -> Tensor:
        """J v for vectors over parameters: (R, P) -> (R, M, n)."""
        local = v.gather(1, self.columns.flatten(1)).view(self.columns.shape)
        return torch.einsum("rmzn,rzn->rmn", self.values, local)

    def squared_norms(self) -> Tensor:
        """Diagonal of J^T J, (R, P)."""
        terms = self.values.square().sum(1)
        out = terms.new_zeros(terms.shape[0], self.n_params)
        return out.scatter_add_(1, self.columns.flatten(1), terms.flatten(1))

    def gram(self) -> Tensor:
        """J^T J, (R, P, P), in the cheaper of its two forms."""
        nnz, n_outputs = self.columns.shape[1], self.values.shape[1]
        pairs = nnz * (nnz + 1) / 2 * SCATTER_COST
        return self._gram_dense() if self.n_params**2 * n_outputs < pairs else self._gram_scatter()

    def _gram_dense(self) -> Tensor:
        replicas, n_outputs, _, n = self.values.shape
        out = self.values.new_zeros(replicas, self.n_params, self.n_params)
        for m in range(n_outputs):
            rows = self.values.new_zeros(replicas, self.n_params, n)
            rows.scatter_(1, self.columns, self.values[:, m])
            out += rows @ rows.mT
        return out

    def _gram_scatter(self) -> Tensor:
        replicas, nnz = self.columns.shape[:2]
        a, b = torch.triu_indices(nnz, nnz, device=self.columns.device)
        index = self.columns[:, a].mul_(self.n_params).add_(self.columns[:, b])
        if self.values.shape[1] == 1:
            terms = self.values[:, 0, a].mul_(self.values[:, 0, b])
        else:
            terms = (self.values[:, :, a] * self.values[:, :, b]).sum(1)
        upper = self.values.new_zeros(replicas, self.n_params**2)
        upper.scatter_add_(1, index.flatten(1), terms.flatten(1))
        upper = upper.view(replicas, self.n_params, self.n_params)
        return upper + upper.triu(1).mT


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
