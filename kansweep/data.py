"""Training and test tensors of a batch of seeds, out of a source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kansweep.sampling import Points, Source


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
    source: Source,
    n_train: int,
    n_test: int,
    seeds: tuple[int, ...],
    *,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Data:
    """The points of every seed, one replica a seed, computed in float64 and rounded once."""

    def draw(points: Callable[[int, int], Points], n: int) -> tuple[Tensor, Tensor]:
        xs, ys = zip(*(points(n, seed) for seed in seeds), strict=True)
        return (
            torch.from_numpy(np.stack(xs)).to(device=device, dtype=dtype),
            torch.from_numpy(np.stack(ys)).to(device=device, dtype=dtype),
        )

    return Data(*draw(source.train, n_train), *draw(source.test, n_test))
