"""What a second-order solver asks of a KAN at its points, compiled or in tensors."""

from __future__ import annotations

from torch import Tensor

from kansweep.networks.compiled.layout import loops_run
from kansweep.networks.points.compiled import CompiledPoints
from kansweep.networks.points.contract import Points
from kansweep.networks.points.tensor import TensorPoints


def points_of(x: Tensor, y: Tensor, counts: Tensor | None = None, *, k: int) -> Points:
    """The points x (R, n, I) and y (R, n, M), which count as often as ``counts`` (R, n) says, as
    suits them and KANs of order k: loops are for float64 on a CPU."""
    if loops_run(x, k):
        return CompiledPoints.of(x, y, counts)
    return TensorPoints(x, y, counts)
