"""What outputs are trained in: those of a table in units of their spread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from torch import Tensor

from kansweep.data.sampling import Source
from kansweep.networks.protocol import Network
from kansweep.solvers.contract import Checkpoint

AnyNetwork = TypeVar("AnyNetwork", bound=Network)


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
        return None if net is None else replace(net, net=self.within(net.net))

    def within(self, net: AnyNetwork) -> AnyNetwork:
        """The inverse of ``restored``."""
        return net.with_outputs(-self.offset / self.scale, 1 / self.scale)

    def restored(self, net: Network) -> Network:
        return net.with_outputs(self.offset, self.scale)
