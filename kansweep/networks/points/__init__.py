"""What a second-order solver asks of a KAN at its points, compiled or in tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from kansweep.networks.compiling import available
from kansweep.networks.points.compiled import CompiledPoints
from kansweep.networks.points.contract import Points
from kansweep.networks.points.tensor import TensorPoints


def points_of(x: Tensor, y: Tensor, counts: Tensor | None = None) -> Points:
    """The points x (R, n, I) and y (R, n, M), which count as often as ``counts`` (R, n) says, as
    suits them: loops are for float64 on a CPU."""
    if x.device.type == "cpu" and x.dtype == torch.float64 and available():
        return CompiledPoints.of(x, y, counts)
    return TensorPoints(x, y, counts)
