"""Training and test tensors of a batch of seeds, out of a source."""

from __future__ import annotations

from collections.abc import Sequence
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
        parts = (self.x_train, self.y_train, self.x_test, self.y_test)
        known = self.derivatives
        return Data(
            *(part[replicas] for part in parts), None if known is None else known[replicas]
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

    def tensors(*rows: Sequence[Array]) -> list[Tensor]:
        return [torch.from_numpy(np.stack(row)).to(device=device, dtype=dtype) for row in rows]

    train = [source.train(n_train, seed) for seed in seeds]
    test = [source.test(n_test, seed) for seed in seeds]
    data = Data(*tensors(*zip(*train, strict=True)), *tensors(*zip(*test, strict=True)))
    if not derivatives:
        return data
    n_inputs = data.x_test.shape[2]
    few = min(MOST_POINTS, max(1, MOST_NUMBERS // n_inputs**2))
    known = [source.derivatives(x[:few]) for x, _ in test]
    sound = [each for each in known if each is not None]
    if not sound:
        return data
    return replace(data, derivatives=Derivatives(data.x_test[:, :few], *tensors(*zip(*sound, strict=True))))
