"""Training and test tensors of a batch of seeds, out of a source."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from kansweep.data.sampling import Array, Source

# Test points that derivatives are compared at, at most, and numbers of their Hessians: as many as
# tell a mean to a per cent or two, at little of the time that a cell takes.
MOST_POINTS, MOST_NUMBERS = 2000, 10**6


@dataclass(frozen=True)
class Derivatives:
    """Of what is learned, at the first m of a batch's test points."""

    x: Tensor  # (R, m, D)
    gradient: Tensor  # (R, m, M, D)
    hessian: Tensor  # (R, m, M, D, D)

    def __getitem__(self, replicas: Tensor) -> Derivatives:
        return Derivatives(self.x[replicas], self.gradient[replicas], self.hessian[replicas])


@dataclass(frozen=True)
class Data:
    """Samples of a batch of R seeds: inputs (R, n, n_inputs) and outputs (R, n, n_outputs)."""

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    derivatives: Derivatives | None = None  # where they are known, and asked for

    def __getitem__(self, replicas: Tensor) -> Data:
        """The replicas that an index or mask selects."""
        known = self.derivatives
        return Data(
            self.x_train[replicas],
            self.y_train[replicas],
            self.x_test[replicas],
            self.y_test[replicas],
            None if known is None else known[replicas],
        )


def sample(
    source: Source,
    n_train: int,
    n_test: int,
    seeds: tuple[int, ...],
    *,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    derivatives: bool = False,
) -> Data:
    """The points of every seed, one replica a seed, computed in float64 and rounded once."""

    def stacked(*rows: Array) -> Tensor:
        return torch.from_numpy(np.stack(rows)).to(device=device, dtype=dtype)

    train = [source.train(n_train, seed) for seed in seeds]
    test = [source.test(n_test, seed) for seed in seeds]
    (x_train, y_train), (x_test, y_test) = (
        [stacked(*part) for part in zip(*points, strict=True)] for points in (train, test)
    )
    data = Data(x_train, y_train, x_test, y_test)
    few = min(MOST_POINTS, max(1, MOST_NUMBERS // x_test.shape[2] ** 2))
    known = [source.derivatives(x[:few]) for x, _ in test] if derivatives else []
    sound = [each for each in known if each is not None]
    if not sound:
        return data
    gradient, hessian = (stacked(*part) for part in zip(*sound, strict=True))
    return replace(data, derivatives=Derivatives(x_test[:, :few], gradient, hessian))
