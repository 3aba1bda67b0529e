"""The objective linearised at a settled point, and Gauss-Newton systems in two forms.

Near a point the residual is r + J d and the scaled differences of the coefficients are e + B d, so
the objective is a quadratic with matrix A = J^T J / n + w B^T B. Both know that the ranges of
hidden values move with the parameters (``gauge.range_terms``): J is sparse plus low rank, and
normalising divides a node's differences e by its half-range.

``Direct`` forms A and factors it, P^3 / 3; ``Iterative`` never forms it. Preconditioned by each
edge's own band matrix, conjugate gradients see only how edges overlap, which does not grow with G:
some tens of products with the sparse J suffice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from kansweep import banded
from kansweep.gauge import range_terms
from kansweep.jacobian import Jacobian, jacobian
from kansweep.kan import KAN, Activation
from kansweep.linalg import cholesky, conjugate_gradients
from kansweep.solvers import penalty

# Parameters up to which A is formed: there a factorisation takes about as long as the iteration.
DIRECT_LIMIT = 1000
CG_TOLERANCE, CG_ITERATIONS = 1e-4, 300
PROBES, PROBE_TOLERANCE = 4, 1e-2
TRACE_RIDGE = 1e-12


@dataclass(frozen=True)
class Linearised:
    """r + J d with J = rows + outer inner^T, and e + B d with B = D - e half^T node by node."""

    kan: KAN
    rows: Jacobian
    residual: Tensor  # (R, M, n)
    strain: Tensor  # (R, S), e
    owner: Tensor  # (S,), the hidden node an entry of e leads to, H for the last layer
    outer: Tensor  # (R, M, n, 2H)
    inner: Tensor  # (R, P, 2H)
    half: Tensor  # (R, P, H)

    @property
    def n_points(self) -> int:
        return self.residual.shape[2]

    def residual_change(self, d: Tensor) -> Tensor:
        """J d, (R, P) -> (R, M, n)."""
        moved = (d[:, None] @ self.inner)[:, 0]  # (R, 2H)
        return self.rows.product(d) + torch.einsum("rmnh,rh->rmn", self.outer, moved)

    def residual_pull(self, v: Tensor) -> Tensor:
        """J^T v, (R, M, n) -> (R, P)."""
        moved = torch.einsum("rmnh,rmn->rh", self.outer, v)
        return self.rows.transposed_product(v) + (self.inner @ moved[..., None])[..., 0]

    def strain_change(self, d: Tensor) -> Tensor:
        """B d, (R, P) -> (R, S)."""
        moved = (d[:, None] @ self.half)[:, 0]  # (R, H)
        scale = torch.nn.functional.pad(moved, (0, 1))[:, self.owner]
        return penalty.differences(self.kan, d) - self.strain * scale

    def strain_pull(self, u: Tensor) -> Tensor:
        """B^T u, (R, S) -> (R, P)."""
        moved = self._by_node(self.strain * u)
        return penalty.transposed(self.kan, u) - (self.half @ moved[..., None])[..., 0]

    def gradient(self, w: Tensor) -> Tensor:
        """Half the gradient of the objective, (R, P)."""
        pull = self.residual_pull(self.residual) / self.n_points
        return pull + w[:, None] * self.strain_pull(self.strain)

    def data_gram(self) -> Tensor:
        """J^T J / n, (R, P, P) in float64."""
        matrix = self.rows.gram()
        if self.inner.shape[2]:
            inner = self.inner.double()
            lowrank = inner @ (self._cross() + inner @ self._core() / 2).mT
            matrix += lowrank
            matrix += lowrank.mT
        return matrix.div_(self.n_points)

    def strain_gram(self) -> Tensor:
        """B^T B, (R, P, P) in float64."""
        replicas, size, nodes = self.half.shape
        one = torch.ones(replicas, dtype=torch.float64, device=self.half.device)
        matrix = one.new_zeros(replicas, size, size)
        penalty.add_gram(matrix, self.kan, one)
        if nodes:
            half, pull = self.half.double(), self._by_node(self.strain.square()).double()
            lowrank = half @ (half * pull[:, None] / 2 - self._owned()).mT
            matrix += lowrank
            matrix += lowrank.mT
        return matrix

    def diagonals(self) -> tuple[Tensor, Tensor]:
        """Diagonals of J^T J / n and of B^T B, (R, P) each."""
        data = self.rows.squared_norms()
        data = data + (self.inner * (2 * self._cross() + self.inner @ self._core())).sum(2)
        pull = self._by_node(self.strain.square())[:, None]
        rough = (self.half * (self.half * pull - 2 * self._owned())).sum(2)
        return data / self.n_points, rough + self._block_diagonal()

    def _cross(self) -> Tensor:
        """rows^T outer, (R, P, 2H)."""
        columns = [self.rows.transposed_product(u) for u in self.outer.unbind(3)]
        return torch.stack(columns, dim=2) if columns else self.inner

    def _core(self) -> Tensor:
        return torch.einsum("rmnh,rmng->rhg", self.outer, self.outer)

    def _owned(self) -> Tensor:
        """D^T e of each hidden node's own differences, (R, P, H)."""
        nodes = range(self.half.shape[2])
        own = [penalty.transposed(self.kan, self.strain * (self.owner == node)) for node in nodes]
        return torch.stack(own, dim=2) if own else self.half

    def _block_diagonal(self) -> Tensor:
        kan, parts = self.kan, []
        own = torch.from_numpy(penalty.band(kan.grid_size + kan.k, kan.k + 2)[:, 0]).to(self.strain)
        for layer in kan.layers:
            parts.append(own.repeat(layer.n_outputs * layer.n_inputs))
            if layer.base is not None:
                parts.append(torch.zeros_like(layer.base[0]).flatten())
        return torch.cat(parts)

    def _by_node(self, values: Tensor) -> Tensor:
        """Sums over each hidden node's entries, (R, S) -> (R, H)."""
        nodes = self.half.shape[2]
        out = values.new_zeros(values.shape[0], nodes + 1)
        return out.scatter_add_(1, self.owner.expand_as(values), values)[:, :nodes]


def linearise(kan: KAN, activations: list[Activation], residual: Tensor) -> Linearised:
    """At a normalised KAN with its activations and residual (R, n, M)."""
    if len(kan.layers) == 1:
        return linear(kan, jacobian(kan, activations), residual)
    outer, inner, half = range_terms(kan, activations)
    rows = jacobian(kan, activations)
    return _with_strain(kan, rows, residual, outer, inner, half)


def linear(kan: KAN, rows: Jacobian, residual: Tensor) -> Linearised:
    """Of a KAN of one layer, which is linear; residual is (R, n, M), or (R, n) of one output."""
    residual = residual.reshape(*residual.shape[:2], -1)
    outer = residual.new_zeros(kan.n_replicas, residual.shape[2], residual.shape[1], 0)
    inner = residual.new_zeros(kan.n_replicas, kan.n_params, 0)
    return _with_strain(kan, rows, residual, outer, inner, inner)


def _with_strain(
    kan: KAN, rows: Jacobian, residual: Tensor, outer: Tensor, inner: Tensor, half: Tensor
) -> Linearised:
    strain, owner = penalty.differences(kan, kan.theta()), penalty.owners(kan)
    residual = residual.mT.contiguous()
    return Linearised(kan, rows, residual, strain, owner, outer, inner, half)


Inverse = Callable[[Tensor], tuple[Tensor, Tensor]]
"""(R, P) -> (R, P), and which replicas failed (R,), whose result is 0."""


class System(Protocol):
    """A Gauss-Newton system that can be solved at any weight and damping."""

    def diagonal(self, w: Tensor) -> Tensor: ...

    def product(self, w: Tensor, d: Tensor) -> Tensor:
        """A d, (R, P) -> (R, P)."""
        ...

    def inverse(self, w: Tensor, damping: Tensor) -> Inverse:
        """(A + damping diag A)^-1."""
        ...

    def trace(self, w: Tensor, replicas: Tensor) -> Tensor:
        """tr(A^-1 B^T B) of some replicas, an index (r,) -> (r,)."""
        ...


def system(lin: Linearised) -> System:
    """The form that suits the number of parameters."""
    return Direct(lin) if lin.kan.n_params <= DIRECT_LIMIT else Iterative(lin)


class Direct:
    """A formed and factored."""

    def __init__(self, lin: Linearised) -> None:
        self.data, self.rough = lin.data_gram(), lin.strain_gram()

    def matrix(self, w: Tensor) -> Tensor:
        return torch.addcmul(self.data, w.double()[:, None, None], self.rough)

    def diagonal(self, w: Tensor) -> Tensor:
        data, rough = (part.diagonal(dim1=1, dim2=2) for part in (self.data, self.rough))
        return data + w.double()[:, None] * rough

    def product(self, w: Tensor, d: Tensor) -> Tensor:
        d = d.double()[..., None]
        return (self.data @ d + w.double()[:, None, None] * (self.rough @ d))[..., 0]

    def inverse(self, w: Tensor, damping: Tensor) -> Inverse:
        factors = cholesky(self.matrix(w), damping)

        def solve(rhs: Tensor) -> tuple[Tensor, Tensor]:
            x, failed = factors.solve(rhs[..., None])
            return x[..., 0], failed

        return solve

    def trace(self, w: Tensor, replicas: Tensor) -> Tensor:
        data, rough = self.data[replicas], self.rough[replicas]
        matrix = torch.addcmul(data, w.double()[replicas, None, None], rough)
        # Gauge directions have no curvature of either kind; the ridge keeps them out of the way.
        return cholesky(matrix, TRACE_RIDGE).trace(rough)


class Iterative:
    """A as a product, solved by conjugate gradients; in float64 whatever comes in."""

    def __init__(self, lin: Linearised) -> None:
        self.lin = lin
        self.data_diagonal, self.rough_diagonal = lin.diagonals()
        self.data_band = torch.cat(lin.rows.bands(lin.kan), dim=1) / lin.n_points

    def diagonal(self, w: Tensor) -> Tensor:
        return self.data_diagonal + w[:, None] * self.rough_diagonal

    def product(self, w: Tensor, d: Tensor) -> Tensor:
        lin = self.lin
        data = lin.residual_pull(lin.residual_change(d)) / lin.n_points
        return data + w[:, None] * lin.strain_pull(lin.strain_change(d))

    def inverse(self, w: Tensor, damping: Tensor) -> Inverse:
        approximately = self._inverse(w, damping)

        def solve(rhs: Tensor) -> tuple[Tensor, Tensor]:
            x = approximately(rhs, CG_TOLERANCE)
            failed = ~torch.isfinite(x).all(1)
            return torch.where(failed[:, None], 0.0, x), failed

        return solve

    def _inverse(self, w: Tensor, damping: Tensor) -> Callable[[Tensor, float], Tensor]:
        ridge = damping[:, None] * self.diagonal(w)
        precondition = self._preconditioner(w, ridge)

        def apply(d: Tensor) -> Tensor:
            return self.product(w, d) + ridge * d

        return lambda rhs, tolerance: conjugate_gradients(
            apply, precondition, rhs, tolerance, CG_ITERATIONS
        )

    def trace(self, w: Tensor, replicas: Tensor) -> Tensor:
        """Hutchinson's estimate from a few vectors of signs, always the same ones."""
        lin = self.lin
        total = torch.zeros_like(w)
        inverse = self._inverse(w, torch.full_like(w, TRACE_RIDGE))
        generator = torch.Generator().manual_seed(0)
        for _ in range(PROBES):
            signs = torch.randint(0, 2, (lin.strain.shape[1],), generator=generator)
            probe = (2.0 * signs - 1.0).to(lin.strain).expand_as(lin.strain)
            x = inverse(lin.strain_pull(probe), PROBE_TOLERANCE)
            total = total + (probe * lin.strain_change(x)).sum(1)
        return total[replicas] / PROBES

    def _preconditioner(self, w: Tensor, ridge: Tensor) -> Callable[[Tensor], Tensor]:
        """The inverse of A's diagonal blocks, a band an edge's spline, a number a base weight."""
        kan = self.lin.kan
        n_coef = kan.grid_size + kan.k
        stiff = torch.from_numpy(penalty.band(n_coef, kan.k + 2)).to(w)
        band = torch.nn.functional.pad(self.data_band, (0, 2)) + w[:, None, None, None] * stiff
        own, base_ridge = _split(kan, ridge)
        band[..., 0] += own
        factors = banded.factor(band.flatten(0, 1))
        base_diagonal = _split(kan, self.diagonal(w))[1] + base_ridge

        def apply(v: Tensor) -> Tensor:
            coef, base = _split(kan, v)
            solved = factors.solve(coef.reshape(-1, n_coef, 1)).reshape(coef.shape)
            return _join(kan, solved, base / base_diagonal)

        return apply


def _split(kan: KAN, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Spline coefficients (R, E, K) and base weights (R, E or 0) of all layers."""
    layers = kan.with_theta(theta).layers
    coef = torch.cat([layer.coef.flatten(1, 2) for layer in layers], dim=1)
    base = [layer.base.flatten(1) for layer in layers if layer.base is not None]
    return coef, torch.cat([theta[:, :0], *base], dim=1)


def _join(kan: KAN, coef: Tensor, base: Tensor) -> Tensor:
    """The inverse of ``_split``."""
    parts, edge, weight = [], 0, 0
    for layer in kan.layers:
        edges = layer.n_outputs * layer.n_inputs
        parts.append(coef[:, edge : edge + edges].flatten(1))
        edge += edges
        if layer.base is not None:
            parts.append(base[:, weight : weight + edges])
            weight += edges
    return torch.cat(parts, dim=1)
