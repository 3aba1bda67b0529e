"""The damped normal equations of R networks, in as many unknowns as there are parameters or, where
these are more, as there are residuals.

With N = n M residuals r, their Jacobian J (N, P), parameters t, ridge w and damping m, a step d
minimises |r + J d|^2 + w |t + d|^2 + m |d|^2. J is never there as a whole: its rows are made for a
block of points, and forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

from kansweep.networks.protocol import Linearisation

BLOCK = 2**22  # numbers of the Jacobian that are there at once, 32 MiB
WIDE = 2**24  # the same where a block is made once for each other one
STRIPS = 8  # of a symmetric product, each from the diagonal down: little over half of it


@dataclass(frozen=True)
class Factor:
    """Cholesky factors of R matrices (m, m) in float64, and which there are none of."""

    lower: Tensor  # (R, m, m)
    failed: Tensor  # (R,)

    @classmethod
    def of(cls, matrix: Tensor, raised: Tensor) -> Factor:
        """Of matrix + raised, (R, m, m) of which the lower triangle is read, and (R,)."""
        whole = matrix.clone()
        whole.diagonal(dim1=1, dim2=2).add_(raised.double()[:, None])
        lower, info = torch.linalg.cholesky_ex(whole)
        unit = torch.eye(lower.shape[1], dtype=lower.dtype, device=lower.device)
        lower[info > 0] = unit
        return cls(lower, info > 0)

    def solve(self, rhs: Tensor) -> Tensor:
        """(R, m) -> (R, m), NaN where there is no factor."""
        x = torch.cholesky_solve(rhs.double()[..., None], self.lower)[..., 0]
        return x.masked_fill(self.failed[:, None], torch.nan).to(rhs.dtype)

    def trace_of_inverse(self) -> Tensor:
        """(R,), NaN where there is no factor."""
        trace = torch.cholesky_inverse(self.lower).diagonal(dim1=1, dim2=2).sum(1)
        return trace.masked_fill(self.failed, torch.nan)


@dataclass(frozen=True)
class Pull:
    """J^T v of some replicas, where the linearisation is of all that there were."""

    lin: Linearisation
    kept: Tensor  # which they are, (R,)

    def __call__(self, v: Tensor) -> Tensor:
        """(R, n, M) -> (R, P)."""
        whole = torch.zeros_like(self.lin.outputs)
        whole[self.kept] = v
        return self.lin.pull(whole)[self.kept]

    def __getitem__(self, replicas: Tensor) -> Pull:
        return Pull(self.lin, self.kept[replicas])


class System(Protocol):
    """What an iteration asks of the linearised problem of R replicas."""

    @property
    def matrix(self) -> Tensor:
        """(R, m, m), float64, its lower triangle."""
        ...

    @property
    def gradient(self) -> Tensor:
        """J^T r, (R, P)."""
        ...

    @property
    def diagonal(self) -> Tensor:
        """Of J^T J, (R, P)."""
        ...

    def step(self, factor: Factor, theta: Tensor, ridge: Tensor, damping: Tensor) -> Tensor:
        """d, (R, P), by the factor of matrix + ridge + damping."""
        ...

    def bend(self, factor: Factor, curvature: Tensor) -> Tensor:
        """What minimises |c + J a|^2 + (w + m) |a|^2, for c (R, n, M): a, (R, P)."""
        ...

    def __getitem__(self, replicas: Tensor) -> Self:
        """That of the replicas that an index selects."""
        ...


def system(lin: Linearisation, residual: Tensor, theta: Tensor) -> System:
    """The smaller one, of residuals (R, n, M) and parameters (R, P)."""
    many = theta.shape[1] > residual[0].numel()
    return Dual.of(lin, residual, theta) if many else Primal.of(lin, residual, theta)


def effective(linear: System, ridge: Tensor) -> Tensor:
    """The effective number of parameters tr J^T J (J^T J + w)^-1, which J J^T has too: (R,)."""
    trace = Factor.of(linear.matrix, ridge).trace_of_inverse()
    return (linear.matrix.shape[1] - ridge * trace).to(ridge.dtype)


@dataclass(frozen=True)
class Primal:
    """(J^T J + w + m) d = -(J^T r + w t)."""

    matrix: Tensor  # J^T J
    gradient: Tensor
    diagonal: Tensor
    pull: Pull

    @classmethod
    def of(cls, lin: Linearisation, residual: Tensor, theta: Tensor) -> Primal:
        replicas, size = theta.shape
        matrix = theta.new_zeros(replicas, size, size, dtype=torch.float64)
        for points in _blocks(residual, size, BLOCK):
            rows = lin.rows(points).double()
            for columns in _strips(size):
                lower = slice(columns.start, None)
                matrix[:, lower, columns].baddbmm_(rows[..., lower].mT, rows[..., columns])
        diagonal = matrix.diagonal(dim1=1, dim2=2).to(theta.dtype)
        pull = Pull(lin, torch.arange(replicas, device=theta.device))
        return cls(matrix, pull(residual), diagonal, pull)

    def step(self, factor: Factor, theta: Tensor, ridge: Tensor, damping: Tensor) -> Tensor:
        return factor.solve(-(self.gradient + ridge[:, None] * theta))

    def bend(self, factor: Factor, curvature: Tensor) -> Tensor:
        return factor.solve(-self.pull(curvature))

    def __getitem__(self, replicas: Tensor) -> Primal:
        return Primal(
            self.matrix[replicas],
            self.gradient[replicas],
            self.diagonal[replicas],
            self.pull[replicas],
        )


@dataclass(frozen=True)
class Dual:
    """d = c + J^T u with c = -w t / (w + m) and (J J^T + w + m) u = -(r + J c)."""

    matrix: Tensor  # J J^T
    gradient: Tensor
    diagonal: Tensor
    pull: Pull
    residual: Tensor  # (R, n, M)
    image: Tensor  # J t, (R, N)

    @classmethod
    def of(cls, lin: Linearisation, residual: Tensor, theta: Tensor) -> Dual:
        replicas, count = len(theta), residual[0].numel()
        matrix = theta.new_zeros(replicas, count, count, dtype=torch.float64)
        image, diagonal = theta.new_zeros(replicas, count), torch.zeros_like(theta)
        blocks = list(_blocks(residual, theta.shape[1], WIDE))
        for index, points in enumerate(blocks):
            rows, own = lin.rows(points), _rows_of(points, residual)
            image[:, own] = (rows @ theta[..., None])[..., 0]
            diagonal += rows.square().sum(1)
            rows = rows.double()
            matrix[:, own, own] = rows @ rows.mT
            for before in blocks[:index]:
                matrix[:, own, _rows_of(before, residual)] = rows @ lin.rows(before).double().mT
        pull = Pull(lin, torch.arange(replicas, device=theta.device))
        return cls(matrix, pull(residual), diagonal, pull, residual, image)

    def step(self, factor: Factor, theta: Tensor, ridge: Tensor, damping: Tensor) -> Tensor:
        share = (ridge / (ridge + damping))[:, None]
        u = factor.solve(share * self.image - self.residual.flatten(1))
        return self.pull(u.reshape(self.residual.shape)) - share * theta

    def bend(self, factor: Factor, curvature: Tensor) -> Tensor:
        u = factor.solve(-curvature.flatten(1))
        return self.pull(u.reshape(self.residual.shape))

    def __getitem__(self, replicas: Tensor) -> Dual:
        return Dual(
            self.matrix[replicas],
            self.gradient[replicas],
            self.diagonal[replicas],
            self.pull[replicas],
            self.residual[replicas],
            self.image[replicas],
        )


def _blocks(residual: Tensor, size: int, most: int) -> Iterator[slice]:
    """Points whose rows of all replicas and outputs have no more than ``most`` numbers."""
    replicas, n, outputs = residual.shape
    each = max(1, most // (replicas * outputs * size))
    return (slice(first, min(first + each, n)) for first in range(0, n, each))


def _strips(size: int) -> Iterator[slice]:
    each = -(-size // STRIPS)
    return (slice(first, min(first + each, size)) for first in range(0, size, each))


def _rows_of(points: slice, residual: Tensor) -> slice:
    outputs = residual.shape[2]
    return slice(points.start * outputs, points.stop * outputs)
