"""The objective linearised at a settled point.

Near a point the residual is r + J d and the scaled differences of the coefficients are e + B d, so
the objective is a quadratic with matrix A = J^T J / n + B^T W B, W the weight of each difference.
Both know that the ranges of hidden values move with the parameters (``gauge.range_terms``): J is
sparse plus low rank, which is for ``networks.points`` to know, and normalising divides a node's
differences e by its half-range.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.networks.points.contract import Data
from kansweep.solvers.gauss_newton import penalty


@dataclass(frozen=True)
class Linearised:
    """r + J d, and e + B d with B = C - e half^T node by node."""

    kan: KAN
    data: Data  # r + J d
    strain: Tensor  # (R, S), e
    owner: Tensor  # (S,), the hidden node an entry of e leads to, H for the last layer

    @classmethod
    def of(cls, kan: KAN, data: Data) -> Linearised:
        """At a normalised KAN, with what the points say there."""
        strain = penalty.strain(kan, kan.theta())
        owner = penalty.owners(kan.width, kan.grid_size + kan.k, kan.k, strain.device)
        return cls(kan, data, strain, owner)

    @property
    def n_points(self) -> int:
        return self.data.n_points

    @property
    def half(self) -> Tensor:
        """Derivatives of the hidden grids' half-widths, (R, P, H)."""
        return self.data.half

    def strain_change(self, d: Tensor) -> Tensor:
        """B d, (R, P) -> (R, S)."""
        moved = (d[:, None] @ self.half)[:, 0]  # (R, H)
        scale = torch.nn.functional.pad(moved, (0, 1))[:, self.owner]
        return penalty.strain(self.kan, d) - self.strain * scale

    def strain_pull(self, u: Tensor) -> Tensor:
        """B^T u, (R, S) -> (R, P)."""
        moved = self._by_node(self.strain * u)
        return penalty.transposed(self.kan, u) - (self.half @ moved[..., None])[..., 0]

    def gradient(self, w: Tensor) -> Tensor:
        """Half the gradient of the objective, (R, P)."""
        pull = self.data.pull() / self.n_points
        return pull + self.strain_pull(penalty.per_row(self.kan, w) * self.strain)

    def product(self, w: Tensor, d: Tensor) -> Tensor:
        """A d, (R, P) -> (R, P)."""
        weights = penalty.per_row(self.kan, w)
        pull = self.strain_pull(weights * self.strain_change(d))
        return self.data.product(d) / self.n_points + pull

    def strain_factors(self) -> tuple[Tensor, Tensor]:
        """L (R, P, H) and F (R, P, H, 3), a column a hidden node and for F a kind of rows, with
        B^T W B = C^T W C + L (w F)^T + (w F) L^T, w the weights of the node's layer."""
        right = self.half[..., None].repeat(1, 1, 1, penalty.KINDS)
        for index, kind in enumerate(self._of_kinds()):
            right[..., index] *= self._by_node(self.strain.square() * kind)[:, None] / 2
            for node in range(self.half.shape[2]):
                own = self.strain * (self.owner == node) * kind
                right[:, :, node, index] -= penalty.transposed(self.kan, own)
        return self.half, right

    def idle_directions(self) -> Tensor:
        """Directions of unit length that change nothing, neither values nor strain, (R, P, .): a
        constant that moves from one of a node's edges to another, and, of a hidden node whose range
        follows, the constant and the scale of all that leads to it. silu sees the values as they
        were, so that with it only the first are idle."""
        theta, columns, first = self.kan.theta(), [], 0
        for depth, layer in enumerate(self.kan.layers):
            n_out, n_in, n_coef = layer.coef.shape[1:]
            hidden = depth < len(self.kan.layers) - 1 and layer.base is None
            edge = torch.arange(n_out * n_in, device=theta.device).repeat_interleave(n_coef)
            for node in range(n_out):
                own = [(edge == node * n_in + i).to(theta) for i in range(n_in)]
                for i in range(1, n_in):  # orthogonal to each other
                    columns.append(self._placed(sum(own[:i]) - i * own[i], first).expand_as(theta))
                if hidden:
                    into = self._placed(torch.stack(own).sum(0), first)
                    columns += [into.expand_as(theta), theta * into]
            first += n_out * n_in * (n_coef + (layer.base is not None))
        if not columns:
            return theta[..., None][..., :0]
        return torch.nn.functional.normalize(torch.stack(columns, dim=2), dim=1)

    def _placed(self, part: Tensor, first: int) -> Tensor:
        """Numbers of one layer's parameters among all, (P,)."""
        return torch.nn.functional.pad(part, (first, self.kan.n_params - first - len(part)))

    def _of_kinds(self) -> Tensor:
        """Which rows are of which kind, (3, S) of bool."""
        sizes = torch.tensor(penalty.ranks(self.kan), device=self.strain.device)
        kind = torch.arange(len(sizes), device=sizes.device) % penalty.KINDS
        of_row = kind.repeat_interleave(sizes)
        return of_row == torch.arange(penalty.KINDS, device=sizes.device)[:, None]

    def _by_node(self, values: Tensor) -> Tensor:
        """Sums over each hidden node's entries, (R, S) -> (R, H)."""
        nodes = self.half.shape[2]
        out = values.new_zeros(values.shape[0], nodes + 1)
        return out.scatter_add_(1, self.owner.expand_as(values), values)[:, :nodes]
