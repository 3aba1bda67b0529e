"""Training points that are held out, to choose by: never the test set."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from kansweep.networks.protocol import Network
from kansweep.solvers.contract import Problem

WORST = 0.1  # of the points


@dataclass(frozen=True)
class Split:
    """Points to be trained on, and those that choose; the same where none are held out."""

    training: Problem
    held_out: Problem

    @classmethod
    def of(cls, problem: Problem, share: float, rng: np.random.Generator) -> Split:
        """With a share of the points, rounded up, held out, the same ones for all replicas; one is
        left to be trained on."""
        n = problem.x.shape[1]
        count = min(math.ceil(share * n), n - 1)
        if count == 0:
            return cls(problem, problem)
        order = torch.from_numpy(rng.permutation(n)).to(problem.x.device)
        training, held_out = (
            replace(problem, x=problem.x[:, points], y=problem.y[:, points])
            for points in (order[count:], order[:count])
        )
        return cls(training, held_out)

    def __getitem__(self, replicas: Tensor) -> Split:
        return Split(self.training[replicas], self.held_out[replicas])

    def error(self, net: Network) -> Tensor:
        """Mean squared, of the points that choose, (R,)."""
        return (net(self.held_out.x) - self.held_out.y).square().mean((1, 2))

    def typical_error(self, net: Network) -> Tensor:
        """The same, as ``typical`` has it."""
        return typical(net(self.held_out.x) - self.held_out.y)


def typical(residual: Tensor) -> Tensor:
    """Mean square without the ``WORST`` points, (R, n, M) -> (R,). These may lie beyond the points
    trained on: what they say of a fit is little, and of over-fitting nothing."""
    squares = residual.square().mean(2)
    kept = squares.shape[1] - int(WORST * squares.shape[1])
    return squares.sort(dim=1).values[:, :kept].mean(1)
