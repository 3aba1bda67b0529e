"""Training points that are held out, to choose by: never the test set."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from kansweep.networks.protocol import Network
from kansweep.solvers.contract import Problem


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
