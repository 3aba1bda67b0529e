"""Damped symmetric positive definite solves, batched and in float64 whatever comes in."""

from __future__ import annotations

import torch
from torch import Tensor


def solve_damped(matrix: Tensor, rhs: Tensor, damping: Tensor | float) -> tuple[Tensor, Tensor]:
    """(A + damping diag A)^-1 b for R systems: (R, P, P), (R, P, c) -> (R, P, c) and failed (R,).

    Scaled to a unit diagonal first, so that damping is relative (Marquardt 1963) and no unknown's
    units matter. A system that is not positive definite even so is marked failed.
    """
    a, b = matrix.double(), rhs.double()
    diagonal = a.diagonal(dim1=1, dim2=2)
    scale = torch.where(diagonal > 0, diagonal, 1.0).rsqrt()  # (R, P)
    a = a * scale[:, :, None] * scale[:, None, :]
    a.diagonal(dim1=1, dim2=2).add_(torch.as_tensor(damping).to(a).reshape(-1, 1))
    factor, info = torch.linalg.cholesky_ex(a)
    x = torch.cholesky_solve(b * scale[..., None], factor) * scale[..., None]
    failed = (info > 0) | ~torch.isfinite(x).all(dim=(1, 2))
    return torch.where(failed[:, None, None], 0.0, x).to(rhs.dtype), failed
