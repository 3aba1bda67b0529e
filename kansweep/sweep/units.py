"""What outputs are trained in, and what their errors are told in: of tables and of several outputs
units of their spread."""

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
    """Tensors of ``Outputs``; what a target's single output is trained in is its own, exactly."""

    offset: Tensor  # (M,)
    scale: Tensor  # (M,)
    unit: Tensor  # (M,)

    @classmethod
    def of(cls, source: Source, y: Tensor) -> Units:
        outputs = source.outputs
        return cls(*map(y.new_tensor, (outputs.offset, outputs.scale, outputs.unit)))

    def errors(self, net: Network, x: Tensor, y: Tensor) -> Tensor:
        """Of a network at points, each output's in its unit, (R, n, M)."""
        return (net(x) - y) / self.unit

    def scaled(self, y: Tensor) -> Tensor:
        return (y - self.offset) / self.scale

    def trained(self, net: Checkpoint | None) -> Checkpoint | None:
        return None if net is None else replace(net, net=self.within(net.net))

    def within(self, net: AnyNetwork) -> AnyNetwork:
        """The inverse of ``restored``."""
        return net.with_outputs(-self.offset / self.scale, 1 / self.scale)

    def restored(self, net: Network) -> Network:
        return net.with_outputs(self.offset, self.scale)
