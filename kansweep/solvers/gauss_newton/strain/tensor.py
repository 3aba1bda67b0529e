"""The contract in torch, on any device and in any precision."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.solvers.gauss_newton import penalty


@dataclass(frozen=True)
class TensorStrain:
    kan: KAN  # its shape and knots
    theta: Tensor  # (R, P), its numbers
    half: Tensor  # (R, P, H), derivatives of the hidden grids' half-widths

    @cached_property
    def rows(self) -> Tensor:
        return penalty.strain(self.kan, self.theta)

    @cached_property
    def _owner(self) -> Tensor:
        """The hidden node that each row leads to, (S,), H for the last layer."""
        kan = self.kan
        return penalty.owners(
            kan.width, kan.grid_size + kan.k, penalty.order(kan), self.half.device
        )

    def change(self, d: Tensor) -> Tensor:
        moved = (d[:, None] @ self.half)[:, 0]  # (R, H)
        scale = torch.nn.functional.pad(moved, (0, 1))[:, self._owner]
        return penalty.strain(self.kan, d) - self.rows * scale

    def pull(self, w: Tensor, u: Tensor) -> Tensor:
        weighed = penalty.per_row(self.kan, w) * u
        moved = self._by_node(self.rows * weighed)
        return penalty.transposed(self.kan, weighed) - (self.half @ moved[..., None])[..., 0]

    def diagonal(self, w: Tensor) -> Tensor:
        by_node = w[:, None, self._node_layer] * self.half[..., None] * self._factors
        return penalty.diagonal(self.kan, w) + 2 * by_node.sum((2, 3))

    def add_to(self, matrix: Tensor, w: Tensor, replicas: Tensor) -> None:
        index, stiff, group = penalty.entries(self.kan)
        stiff = stiff.expand(self.kan.n_replicas, -1)[replicas]
        matrix.flatten(1).index_add_(1, index, w.flatten(1)[:, group] * stiff)
        left = self.half[replicas].double()
        if left.shape[2]:
            right = self._factors[replicas].double()
            right = (right * w[:, None, self._node_layer]).sum(3)
            matrix.baddbmm_(torch.cat([left, right], 2), torch.cat([right, left], 2).mT)

    def hold(self, matrix: Tensor, scale: Tensor, replicas: Tensor) -> None:
        idle = self.idle_directions()[replicas].to(matrix)
        matrix.baddbmm_(idle * scale[:, None, None], idle.mT)

    def trace(self, root: Tensor, replicas: Tensor) -> Tensor:
        inverse = root.mT @ root
        index, stiff, group = penalty.entries(self.kan)
        stiff = stiff.expand(self.kan.n_replicas, -1)[replicas]
        # Entries below the diagonal stand for two.
        twice = torch.where(index % (inverse.shape[1] + 1) == 0, 1.0, 2.0)
        terms = inverse.flatten(1)[:, index] * (stiff * twice)
        left, right = (part[replicas].double() for part in (self.half, self._factors))
        nodes = 2 * ((inverse @ left)[..., None] * right).sum(1)  # (r, H, 3)
        layers = len(self.kan.layers)
        total = terms.new_zeros(len(terms), layers * penalty.KINDS)
        total = total.index_add_(1, group, terms).unflatten(1, (layers, penalty.KINDS))
        traces: Tensor = total.index_add_(1, self._node_layer, nodes)
        return traces

    def idle_directions(self) -> Tensor:
        """The directions that ``hold`` holds, of unit length, (R, P, .)."""
        theta, columns, first = self.theta, [], 0
        for depth, layer in enumerate(self.kan.layers):
            n_out, n_in, n_coef = layer.coef.shape[1:]
            hidden = depth < len(self.kan.layers) - 1 and layer.base is None
            edge = torch.arange(n_out * n_in, device=theta.device).repeat_interleave(n_coef)
            for node in range(n_out):
                own = torch.stack([edge == node * n_in + i for i in range(n_in)])
                kept = layer.edges_kept[:, node, :, None]  # (R, I, 1)
                each = self._placed((own * kept).to(theta), first)  # (R, I, P)
                for i in range(1, n_in):  # orthogonal to each other
                    before = kept[:, :i].sum(1)
                    columns.append((each[:, :i].sum(1) - before * each[:, i]) * kept[:, i])
                if hidden:
                    into = each.sum(1)
                    columns += [into, theta * into]
            first += n_out * n_in * (n_coef + (layer.base is not None))
        if not columns:
            return theta[..., None][..., :0]
        return torch.nn.functional.normalize(torch.stack(columns, dim=2), dim=1)

    @cached_property
    def _factors(self) -> Tensor:
        """F (R, P, H, 3), a column a hidden node and kind of rows, with B^T W B = C^T W C +
        half (w F)^T + (w F) half^T, w the weights of the node's layer."""
        right = self.half[..., None].repeat(1, 1, 1, penalty.KINDS)
        for index, kind in enumerate(self._of_kinds()):
            right[..., index] *= self._by_node(self.rows.square() * kind)[:, None] / 2
            for node in range(self.half.shape[2]):
                own = self.rows * (self._owner == node) * kind
                right[:, :, node, index] -= penalty.transposed(self.kan, own)
        return right

    @cached_property
    def _node_layer(self) -> Tensor:
        """The layer whose outputs each hidden node is, (H,)."""
        sizes = torch.tensor([layer.n_outputs for layer in self.kan.layers[:-1]], dtype=torch.long)
        index = torch.arange(len(self.kan.layers) - 1)
        return index.repeat_interleave(sizes).to(self.half.device)

    def _placed(self, part: Tensor, first: int) -> Tensor:
        """Numbers of one layer's parameters among all, (..., P)."""
        return torch.nn.functional.pad(part, (first, self.kan.n_theta - first - part.shape[-1]))

    def _of_kinds(self) -> Tensor:
        """Which rows are of which kind, (3, S) of bool."""
        sizes = torch.tensor(penalty.ranks(self.kan), device=self.rows.device)
        kind = torch.arange(len(sizes), device=sizes.device) % penalty.KINDS
        of_row = kind.repeat_interleave(sizes)
        return of_row == torch.arange(penalty.KINDS, device=sizes.device)[:, None]

    def _by_node(self, values: Tensor) -> Tensor:
        """Sums over each hidden node's entries, (R, S) -> (R, H)."""
        nodes = self.half.shape[2]
        out = values.new_zeros(values.shape[0], nodes + 1)
        return out.scatter_add_(1, self._owner.expand_as(values), values)[:, :nodes]


def tensor_restraint(like: KAN, w: Tensor, last: Tensor, matrix: Tensor, pull: Tensor) -> None:
    """``strain.restrain``."""
    one = like.last_output(0)
    none, every = last[:, 0, :, None][..., :0], torch.arange(len(last), device=last.device)
    for m, theta in enumerate(last.unbind(1)):
        strain = TensorStrain(one, theta, none)
        if m == 0:
            strain.add_to(matrix, w.double(), every)
        pull[:, m] += strain.pull(w, strain.rows)
