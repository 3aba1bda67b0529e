"""Cholesky factors of many symmetric positive definite band matrices at once.

A band of half-width d is block tridiagonal in blocks of b >= d, so it is factored block by block,
all matrices in step: K / b small batched operations in place of K, on any device. The splines of
an edge couple only with their k neighbours, and by the penalty with some more; LAPACK's pbtrf does
the same for one matrix on a CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK = 16  # fewer, larger steps; a block is never narrower than the band


@dataclass(frozen=True)
class BandCholesky:
    """L of A = L L^T: inverses of its diagonal blocks and the blocks below, (N, b, b) a step."""

    inverses: list[Tensor]
    below: list[Tensor]
    size: int
    failed: Tensor  # (N,), not positive definite

    def solve(self, rhs: Tensor) -> Tensor:
        """A^-1 b: (N, K, c) -> (N, K, c)."""
        b = self.inverses[0].shape[1]
        parts = list(torch.nn.functional.pad(rhs, (0, 0, 0, -self.size % b)).split(b, dim=1))
        for i, inverse in enumerate(self.inverses):
            if i:
                parts[i] = parts[i] - self.below[i - 1] @ parts[i - 1]
            parts[i] = inverse @ parts[i]
        for i in reversed(range(len(parts))):
            if i + 1 < len(parts):
                parts[i] = parts[i] - self.below[i].mT @ parts[i + 1]
            parts[i] = self.inverses[i].mT @ parts[i]
        return torch.cat(parts, dim=1)[:, : self.size]


def factor(band: Tensor) -> BandCholesky:
    """Factor matrices given by their lower bands, band[:, j, e] = A[j + e, j]: (N, K, d + 1)."""
    count, size, width = band.shape
    b = max(BLOCK, width - 1)
    steps = torch.arange(max(size, b, width), device=band.device)
    inside = steps[:size, None] + steps[:width] < size
    band = torch.nn.functional.pad(torch.where(inside, band, 0.0), (0, 0, 0, -size % b))
    band[:, size:, 0] = 1.0
    blocks = band.unflatten(1, (-1, b))  # (N, K / b, b, d + 1)
    # Row p, column q of a diagonal block is p - q below the diagonal, of the block below it b more.
    depth = steps[:b, None] - steps[:b]
    at, under = (_gathered(blocks, depth + shift) for shift in (0, b))
    at = at + at.tril(-1).mT
    inverses: list[Tensor] = []
    below: list[Tensor] = []
    failed = torch.zeros(count, dtype=torch.bool, device=band.device)
    eye = torch.eye(b, dtype=band.dtype, device=band.device)
    for i in range(blocks.shape[1]):
        square = at[:, i] if i == 0 else at[:, i] - below[-1] @ below[-1].mT
        root, info = torch.linalg.cholesky_ex(square)
        failed |= info > 0
        inverses.append(torch.linalg.solve_triangular(root, eye, upper=False))
        below.append(under[:, i] @ inverses[-1].mT)
    return BandCholesky(inverses, below, size, failed)


def _gathered(blocks: Tensor, depth: Tensor) -> Tensor:
    """Square blocks from band storage, zero where the depth below the diagonal is not stored."""
    stored = (depth >= 0) & (depth < blocks.shape[3])
    column = torch.arange(depth.shape[1], device=depth.device).expand_as(depth)
    values = blocks[:, :, column, depth.clamp(0, blocks.shape[3] - 1)]
    return torch.where(stored, values, 0.0)
