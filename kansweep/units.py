"""What outputs are trained in: those of a table in units of their spread."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from kansweep.protocol import Network
from kansweep.sampling import Source
from kansweep.solvers.contract import Checkpoint


@dataclass(frozen=True)
class Units:
    """What outputs are trained in; those of a target are its own, exactly."""

    offset: Tensor  # (M,)
    scale: Tensor  # (M,)

    @classmethod
    def of(cls, source: Source, y: Tensor) -> Units:
        offset, scale = (y.new_full(y.shape[-1:], number) for number in source.units)
        return cls(offset, scale)

    def scaled(self, y: Tensor) -> Tensor:
        return (y - self.offset) / self.scale

    def trained(self, net: Checkpoint | None) -> Checkpoint | None:
        if net is None:
            return None
        return replace(net, net=net.net.with_outputs(-self.offset / self.scale, 1 / self.scale))

    def restored(self, net: Network) -> Network:
        return net.with_outputs(self.offset, self.scale)
