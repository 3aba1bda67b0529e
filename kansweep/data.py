"""Sample a target into training and test tensors; the only place where data are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kansweep.targets import Target

# One stream of random numbers for each purpose, so that neither depends on how much
# the other drew: the test set of a seed is the same for every n_train.
TRAIN_STREAM, TEST_STREAM = 0, 1


@dataclass(frozen=True)
class Data:
    """Samples of a batch of R seeds: inputs (R, n, n_inputs) and outputs (R, n, n_outputs)."""

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor

    def __getitem__(self, replicas: Tensor) -> Data:
        """The replicas that an index or mask selects."""
        parts = (self.x_train, self.y_train, self.x_test, self.y_test)
        return Data(*(part[replicas] for part in parts))


def sample(
    target: Target,
    n_train: int,
    n_test: int,
    seeds: tuple[int, ...],
    *,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Data:
    """Draw uniform points on the target's domain, one replica a seed.

    The training points of a seed are one stream: a larger ``n_train`` contains the points of
    a smaller one. Points and values are computed in float64 and rounded once to ``dtype``.
    """

    def draw(n: int, stream: int) -> tuple[Tensor, Tensor]:
        low, high = target.domain
        xs = [
            np.random.default_rng([seed, stream]).uniform(low, high, (n, target.n_inputs))
            for seed in seeds
        ]
        ys = [target.function(x) for x in xs]
        return (
            torch.from_numpy(np.stack(xs)).to(device=device, dtype=dtype),
            torch.from_numpy(np.stack(ys)).to(device=device, dtype=dtype),
        )

    return Data(*draw(n_train, TRAIN_STREAM), *draw(n_test, TEST_STREAM))
