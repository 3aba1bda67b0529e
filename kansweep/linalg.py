"""Symmetric positive definite systems, batched: Cholesky in float64, conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Cholesky:
    """Factors of A + damping diag A, for R systems scaled to a unit diagonal."""

    lower: Tensor  # (R, P, P), float64
    scale: Tensor  # (R, P)
    failed: Tensor  # (R,), not positive definite

    def solve(self, rhs: Tensor) -> tuple[Tensor, Tensor]:
        """(A + damping diag A)^-1 b, (R, P, c) -> (R, P, c), and failed (R,), where it is 0."""
        x = torch.cholesky_solve(rhs.double() * self.scale[..., None], self.lower)
        x = x * self.scale[..., None]
        failed = self.failed | ~torch.isfinite(x).all(dim=(1, 2))
        return torch.where(failed[:, None, None], 0.0, x).to(rhs.dtype), failed

    def trace(self, other: Tensor) -> Tensor:
        """tr((A + damping diag A)^-1 B), (R, P, P) -> (R,)."""
        inverse = torch.cholesky_inverse(self.lower)
        scale = self.scale
        return torch.einsum("rpq,rp,rq,rpq->r", inverse, scale, scale, other.double())


def cholesky(matrix: Tensor, damping: Tensor | float) -> Cholesky:
    """Factor R matrices (R, P, P), in float64 whatever comes in.

    Scaled to a unit diagonal first, so that damping is relative (Marquardt 1963) and no unknown's
    units matter. A matrix that is not positive definite even so is marked failed.
    """
    a = matrix.double()
    diagonal = a.diagonal(dim1=1, dim2=2)
    scale = torch.where(diagonal > 0, diagonal, 1.0).rsqrt()  # (R, P)
    a = a * scale[:, :, None] * scale[:, None, :]
    a.diagonal(dim1=1, dim2=2).add_(torch.as_tensor(damping).to(a).reshape(-1, 1))
    lower, info = torch.linalg.cholesky_ex(a)
    return Cholesky(lower, scale, info > 0)


def solve_damped(matrix: Tensor, rhs: Tensor, damping: Tensor | float) -> tuple[Tensor, Tensor]:
    """(A + damping diag A)^-1 b for R systems: (R, P, P), (R, P, c) -> (R, P, c) and failed (R,)."""
    return cholesky(matrix, damping).solve(rhs)


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
        x = x + alpha * direction
        residual = residual - alpha * image
        z = precondition(residual)
        new = (residual * z).sum(1)
        going = going & (new > target)
        direction = torch.where(going[:, None], z + (new / rho)[:, None] * direction, direction)
        rho = torch.where(going, new, rho)
    return x
