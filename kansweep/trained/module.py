"""A trained torch module as a function of NumPy arrays; torch comes with the first that is read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kansweep.data.targets import Array
from kansweep.kinds import Unusable
from kansweep.trained.network import TrainedNetwork
from kansweep.trained.weights import NotReadBack

if TYPE_CHECKING:
    from torch import Tensor, nn

    from kansweep.networks.module import ModuleNetwork


@dataclass(frozen=True, eq=False, repr=False)
class TrainedModule(TrainedNetwork):
    """A module with the numbers that training gave it, and the maps at its ends."""

    network: ModuleNetwork  # of one replica
    data: str | None = None

    @property
    def width(self) -> tuple[int, ...]:
        """Numbers of inputs and outputs; what is between them is the module's own."""
        return self.network.width

    @property
    def n_params(self) -> int:
        return self.network.n_params

    @property
    def module(self) -> nn.Module:
        """The module itself, which was trained on inputs from -1 to 1 and scaled outputs."""
        (module,) = self.network.modules()
        return module

    def nodes(self, x: Array) -> list[Array]:
        return [x, self.network(self._tensor(x))[0].double().numpy()]

    def _slopes(self, x: Array) -> Iterator[Array]:
        import torch

        points = self._tensor(x).requires_grad_()
        outputs = self.network(points)  # (1, n, M), each of its own point alone
        slopes = [
            torch.autograd.grad(output.sum(), points, retain_graph=True)[0][0]
            for output in outputs.unbind(2)
        ]
        yield torch.stack(slopes, dim=1).double().numpy()

    def _tensor(self, x: Array) -> Tensor:
        import torch

        return torch.from_numpy(np.array(x)[None]).to(self.network.shift)

    def __repr__(self) -> str:
        return f"TrainedModule(width={self.width}, module={type(self.module).__name__})"


def from_arrays(arrays: Mapping[str, Any], data: str | None) -> TrainedModule:
    """The module of a cell's weights, made by the factory that they name, which is imported.

    Raises ValueError that names what is wrong with them, and warns where the factory is not what it
    was when they were trained.
    """
    from kansweep.networks.inspection import fingerprint
    from kansweep.networks.module import ModuleNetwork

    try:
        network = ModuleNetwork.from_arrays(arrays)
    except KeyError as error:
        raise ValueError(f"there is no `{error.args[0]}`") from error
    except Unusable as error:
        raise NotReadBack(f"is of a factory that {error}") from error
    factory = network.skeleton.factory
    if factory.sha256 not in (None, fingerprint(factory, network.shift)):
        warnings.warn(
            f"{factory.target} has changed since these weights were trained.", stacklevel=2
        )
    return TrainedModule(network, data)
