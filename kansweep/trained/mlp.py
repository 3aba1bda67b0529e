"""A trained multilayer perceptron as a function; NumPy and SciPy only."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kansweep.data.targets import Array
from kansweep.trained.activations import ACTIVATIONS
from kansweep.trained.arrays import agree, array, layer_indices, scalar
from kansweep.trained.network import TrainedNetwork


@dataclass(frozen=True, eq=False, repr=False)
class TrainedMLP(TrainedNetwork):
    """A trained multilayer perceptron: linear layers, the activation between them."""

    weights: tuple[Array, ...]  # (O, I) each
    biases: tuple[Array, ...]  # (O,) each
    activation: str
    data: str | None = None

    @property
    def width(self) -> tuple[int, ...]:
        return (self.weights[0].shape[1], *(weight.shape[0] for weight in self.weights))

    @property
    def n_params(self) -> int:
        return sum(array.size for array in (*self.weights, *self.biases))

    def nodes(self, x: Array) -> list[Array]:
        """Values of all nodes, the inputs first and hidden ones before the activation."""
        values = [x]
        for depth, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            given = values[-1] if depth == 0 else ACTIVATIONS[self.activation].values(values[-1])
            values.append(given @ weight.T + bias)
        return values

    def _slopes(self, x: Array) -> Iterator[Array]:
        for depth, (weight, values) in enumerate(zip(self.weights, self.nodes(x), strict=False)):
            slope = np.ones_like(values)
            if depth > 0:
                slope = ACTIVATIONS[self.activation].slope(values)
            yield weight * slope[:, None]

    def __getattr__(self, name: str) -> Any:
        if name in ("edges", "edge", "k", "grid_size"):
            raise AttributeError(
                f"an MLP has no `{name}`: only KANs have a function on every edge."
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"TrainedMLP(width={self.width}, activation={self.activation!r})"


def from_arrays(arrays: Mapping[str, Any], data: str | None) -> TrainedMLP:
    """The MLP of a cell's weights; raises ValueError that names what is wrong with them."""
    activation = scalar(arrays, "activation")
    if activation not in ACTIVATIONS:
        raise ValueError(f"`activation` is {activation!r}, not one of {', '.join(ACTIVATIONS)}")
    weights = [array(arrays, f"{index}.weight", 2) for index in layer_indices(arrays, "weight")]
    biases = [
        array(arrays, f"{index}.bias", 1, weight.shape[:1]) for index, weight in enumerate(weights)
    ]
    for index, (one, other) in enumerate(itertools.pairwise(weights)):
        agree(f"{index + 1}.weight", other.shape[1], one.shape[0])
    return TrainedMLP(tuple(weights), tuple(biases), str(activation), data)
