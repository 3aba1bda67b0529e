"""A trained network as a ``torch.nn.Module``, to be trained on or to be a part of another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
from torch import Tensor, nn


class TorchNetwork(nn.Module):
    """One network whose trainable numbers are the parameter ``theta`` (1, P).

    Differentiable by them and by its inputs, in the dtype and on the device of ``theta``. Grids and
    whatever else is not trained stay as they are, and are no part of its ``state_dict``.
    """

    def __init__(self, network: type[Any], arrays: Mapping[str, np.ndarray]) -> None:
        """From the class of one replica's weights and these as they are stored.

        Raises ValueError where the class has no vector of all its parameters.
        """
        super().__init__()
        if not hasattr(network, "with_theta"):
            raise ValueError(f"{network.__name__} has no vector of all that is trained.")
        self._network, self._arrays = network, dict(arrays)
        self._net = network.from_arrays(self._arrays)
        self.theta = nn.Parameter(self._net.theta().clone())

    def forward(self, x: Tensor) -> Tensor:
        """(n, n_inputs) -> (n, n_outputs)."""
        values: Tensor = self._net.with_theta(self.theta)(x[None])[0]
        return values

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        """What moves or casts the parameters does so with all that belongs to them."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        kind = str(self.theta.dtype).removeprefix("torch.")
        cast = {
            name: value.astype(kind) if value.dtype.kind == "f" else value
            for name, value in self._arrays.items()
        }
        self._net = self._network.from_arrays(cast, device=self.theta.device)
        return self
