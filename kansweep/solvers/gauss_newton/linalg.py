"""Symmetric positive definite systems, batched: Cholesky in float64, conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kansweep.networks.compiling import loop
from kansweep.solvers.gauss_newton.strain.loops import Array

# Rows and columns of a factor's inverse that are made at a time, by products of matrices.
BLOCK, WIDE = 64, 256
# Factors beyond this size are made in place, so many columns at a time: LAPACK's is a copy, of
# tens of megabytes that no cache holds.
LARGE, PANEL = 1000, 96


@dataclass(frozen=True)
class Cholesky:
    """Factors of A + ridge for R systems, with diag A."""

    lower: Tensor  # (R, P, P), float64; only the lower triangle counts
    diagonal: Tensor  # (R, P)
    ridge: Tensor  # (R, P)
    failed: Tensor  # (R,), not positive definite

    def solve(self, rhs: Tensor) -> tuple[Tensor, Tensor]:
        """(A + ridge)^-1 b, (R, P, c) -> (R, P, c), and failed (R,), where it is 0."""
        half = self.half_solved(rhs)
        x = torch.linalg.solve_triangular(self.lower.mT, half, upper=True)
        failed = self.failed | ~torch.isfinite(x.sum((1, 2)))
        if bool(failed.any()):
            x = x.masked_fill_(failed[:, None, None], 0.0)
        return x.to(rhs.dtype), failed

    def half_solved(self, rhs: Tensor) -> Tensor:
        """M b of the ``root`` M, (R, P, c) -> (R, P, c)."""
        half: Tensor = torch.linalg.solve_triangular(self.lower, rhs.double(), upper=False)
        return half

    def root(self) -> Tensor:
        """M, (R, P, P) and lower triangular, with (A + ridge)^-1 = M^T M."""
        return _inverse(self.lower)


def cholesky(
    matrix: Tensor, damping: Tensor | float, most: Tensor | None = None, rounding: float = 0.0
) -> Cholesky:
    """Factor R matrices (R, P, P), float64, of which only the lower triangle is read; their
    diagonals are raised in place, as ``ridge`` says, and large ones become their factors.

    A matrix that is not positive definite even so is marked failed.
    """
    limit = torch.full_like(matrix[:, 0, 0], torch.inf) if most is None else most
    shared = torch.as_tensor(damping, dtype=matrix.dtype, device=matrix.device).expand_as(limit)
    before, raised = _raised(matrix, shared, limit, rounding)
    if matrix.shape[1] > LARGE:
        return Cholesky(matrix, before, raised, _factor(matrix))
    lower, info = torch.linalg.cholesky_ex(matrix)
    return Cholesky(lower, before, raised, info > 0)


def ridge(diagonal: Tensor, damping: Tensor, most: Tensor, rounding: float) -> Tensor:
    """What is added to a diagonal (R, P): damping (R,) times itself (Marquardt 1963), so that no
    unknown's units matter, of which no more than ``most`` (R,) counts, and a rounding of it.

    An unknown that nothing depends on stays where it is.
    """
    raised = damping[:, None] * torch.minimum(diagonal, most[:, None]) + rounding * diagonal
    return torch.where(diagonal > 0, raised, 1.0)


def _raised(
    matrix: Tensor, damping: Tensor, most: Tensor, rounding: float
) -> tuple[Tensor, Tensor]:
    """The diagonals of matrices (R, P, P) and their ``ridge``, (R, P) each, which is added."""
    if matrix.device.type == "cpu":
        given = damping.contiguous().numpy(), most.contiguous().numpy()
        both = _raise(matrix.numpy(), *given, rounding)
        return torch.from_numpy(both[0]), torch.from_numpy(both[1])
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    before, raised = diagonal.clone(), ridge(diagonal, damping, most, rounding)
    diagonal.add_(raised)
    return before, raised


@loop
def _raise(matrix: Array, damping: Array, most: Array, rounding: float) -> tuple[Array, Array]:
    """``_raised``."""
    before, raised = np.empty(matrix.shape[:2]), np.empty(matrix.shape[:2])
    for r in range(len(matrix)):
        for p in range(matrix.shape[1]):
            own = before[r, p] = matrix[r, p, p]
            share = damping[r] * min(own, most[r]) + rounding * own
            raised[r, p] = share if own > 0.0 else 1.0
            matrix[r, p, p] = own + raised[r, p]
    return before, raised


def _factor(matrix: Tensor) -> Tensor:
    """Lower triangles of (R, P, P) become those of their factors, panel by panel of columns from
    left to right; whether that failed, (R,). What is above them is left."""
    failed = torch.zeros_like(matrix[:, 0, 0], dtype=torch.bool)
    for first in range(0, matrix.shape[1], PANEL):
        panel = matrix[:, first:, first : first + PANEL]
        own, below = panel[:, :PANEL], panel[:, PANEL:]
        before = matrix[:, first:, :first]
        panel.baddbmm_(before, before[:, :PANEL].mT, alpha=-1)
        root, info = torch.linalg.cholesky_ex(own)
        own.copy_(root)
        # Not times its inverse, by whose condition rounding would grow.
        below.copy_(torch.linalg.solve_triangular(root.mT, below, upper=True, left=False))
        failed |= info > 0
    return failed


def _inverse(lower: Tensor) -> Tensor:
    """The inverse M of lower triangular L (R, P, P), some rows after the other: with D the inverse
    of their own block, those before it are -D L M. Nothing but products of matrices, it takes half
    of the time of LAPACK's forms."""
    replicas, size, _ = lower.shape
    eye = torch.eye(min(size, BLOCK)).to(lower).expand(replicas, -1, -1)
    if size <= BLOCK:
        inverse: Tensor = torch.linalg.solve_triangular(lower, eye, upper=False)
        return inverse
    out = torch.zeros_like(lower)
    for first in range(0, size, BLOCK):
        rows, many = slice(first, first + BLOCK), min(BLOCK, size - first)
        one, own = eye[:, :many, :many], out[:, rows, rows]
        own += torch.linalg.solve_triangular(lower[:, rows, rows], one, upper=False)
        before = own @ lower[:, rows, :first]
        for at in range(0, first, WIDE):  # of columns from ``at`` on, nothing stands above that row
            columns = slice(at, min(first, at + WIDE))
            out[:, rows, columns] -= before[:, :, at:] @ out[:, at:first, columns]
    return out


def conjugate_gradients(
    apply: Callable[[Tensor], Tensor],
    precondition: Callable[[Tensor], Tensor],
    rhs: Tensor,
    tolerance: float,
    max_iterations: int,
) -> Tensor:
    """A^-1 b for R systems (R, P) by preconditioned conjugate gradients (Hestenes, Stiefel 1952).

    Until the residual, in the preconditioner's norm, has fallen by ``tolerance``; a system that is
    done stands still, so that its numbers do not depend on the others.
    """
    x, residual = torch.zeros_like(rhs), rhs
    z = precondition(residual)
    direction, rho = z, (residual * z).sum(1)
    target = tolerance**2 * rho
    going = rho > 0
    for _ in range(max_iterations):
        image = apply(direction)
        curvature = (direction * image).sum(1)
        # Curvature that is not positive is rounding, or a singular direction: no further there.
        going = going & (curvature > 0)
        if not bool(going.any()):
            break
        alpha = torch.where(going, rho / curvature, 0.0)[:, None]
        x = x + torch.where(going[:, None], alpha * direction, 0.0)
        residual = residual - torch.where(going[:, None], alpha * image, 0.0)
        z = precondition(residual)
        new = (residual * z).sum(1)
        going = going & (new > target)
        direction = torch.where(going[:, None], z + (new / rho)[:, None] * direction, direction)
        rho = torch.where(going, new, rho)
    return x
