"""MLPs: the weights and biases of R replicas, their forward pass, and the affine maps at its ends.

A layer is s = W x + b as in ``torch.nn.Linear``; the activation stands between layers and
nowhere else. It is the model that KANs are compared with (Liu et al., arXiv:2404.19756, Fig. 3.1).

Letters of shape comments as in ``kan``: R replicas, n points, I inputs and O outputs of a layer,
M outputs of the model, P trainable numbers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from kansweep.networks.protocol import Linearisation


@dataclass(frozen=True)
class Activation:
    """A function of each hidden node, and its slope at z where its value there is known."""

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor, Tensor], Tensor]  # of z and value(z)


def _silu_slope(z: Tensor, value: Tensor) -> Tensor:
    gate = torch.sigmoid(z)
    return gate + value * (1.0 - gate)


def _gelu_slope(z: Tensor, value: Tensor) -> Tensor:
    """Phi(z) + z phi(z), with Phi and phi those of the normal distribution."""
    cumulative = 0.5 * (1.0 + torch.erf(z / math.sqrt(2.0)))
    return cumulative + z * torch.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(torch.tanh, lambda z, value: 1.0 - value * value),
    "silu": Activation(functional.silu, _silu_slope),
    "relu": Activation(torch.relu, lambda z, value: (z > 0).to(z.dtype)),
    "gelu": Activation(functional.gelu, _gelu_slope),
}


class Settings(Protocol):
    """What a configuration says of an MLP, beside its widths."""

    @property
    def activation(self) -> str: ...


@dataclass(frozen=True)
class Shape:
    """The MLP to be trained: layer widths and a name in ``ACTIVATIONS``."""

    width: tuple[int, ...]
    activation: str

    @property
    def size(self) -> int:
        """The width of its hidden layers."""
        return self.width[1]

    def random(self, generators: Sequence[np.random.Generator], like: Tensor) -> MLP:
        """Weights uniform with Glorot's variance for tanh and He's for the rest, biases uniform
        within 1/sqrt(I) as in ``torch.nn.Linear``: with none, silu often ends in a poor minimum.

        One replica a generator. Glorot and Bengio 2010; He et al. 2015.
        """
        weights: list[Tensor] = []
        biases: list[Tensor] = []
        for n_in, n_out in itertools.pairwise(self.width):
            fan = n_in + n_out if self.activation == "tanh" else n_in
            for parts, bound, size in (
                (weights, math.sqrt(6 / fan), (n_out, n_in)),
                (biases, math.sqrt(1 / n_in), (n_out,)),
            ):
                draws = np.stack([rng.uniform(-bound, bound, size) for rng in generators])
                parts.append(torch.from_numpy(draws).to(like))
        return MLP(tuple(weights), tuple(biases), self.activation)


@dataclass(frozen=True)
class MLP:
    """R multilayer perceptrons of one shape."""

    weights: tuple[Tensor, ...]  # (R, O, I) each
    biases: tuple[Tensor, ...]  # (R, O) each
    activation: str  # a name in ACTIVATIONS

    @classmethod
    def shape_of(cls, settings: Settings, width: tuple[int, ...], size: int) -> Shape:
        """The shape that a configuration's section ``model`` describes; its size is in the
        widths."""
        return Shape(width, settings.activation)

    @property
    def shape(self) -> Shape:
        return Shape(self.width, self.activation)

    @property
    def width(self) -> tuple[int, ...]:
        return (self.weights[0].shape[2], *(bias.shape[1] for bias in self.biases))

    @property
    def n_replicas(self) -> int:
        return self.weights[0].shape[0]

    @property
    def n_params(self) -> int:
        """Trainable numbers of one replica: weights and biases."""
        return sum(part.shape[1:].numel() for part in self._parts())

    def __getitem__(self, replicas: Tensor | slice) -> MLP:
        """The replicas that an index, a mask (R,) or a slice selects."""
        return self._with_parts([part[replicas] for part in self._parts()])

    def forward(self, x: Tensor) -> Tensor:
        """(R, n, I) -> (R, n, M)."""
        act = ACTIVATIONS[self.activation].value
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias[:, None], x if index == 0 else act(x), weight.mT)  # (R, n, O)
        return x

    __call__ = forward

    def theta(self) -> Tensor:
        """All trainable numbers, (R, P): layer by layer, the weights, then the biases."""
        return torch.cat([part.flatten(1) for part in self._parts()], dim=1)

    def with_theta(self, theta: Tensor) -> MLP:
        """The MLP with other trainable numbers, (R, P), as many replicas as those have."""
        sizes = [part.shape[1:].numel() for part in self._parts()]
        parts = theta.split(sizes, dim=1)
        shapes = [part.shape[1:] for part in self._parts()]
        return self._with_parts(
            [part.reshape(-1, *shape) for part, shape in zip(parts, shapes, strict=True)]
        )

    def linearised(self, x: Tensor) -> Linearisation:
        """Outputs at points (R, n, I), and products with their Jacobian by backpropagation."""
        inputs, slopes, outputs = self._forward(x)

        def pull(v: Tensor) -> Tensor:
            return _joined(self._backward(slopes, v), inputs)

        def squared_norms() -> Tensor:
            total, squares = torch.zeros_like(self.theta()), [h.square() for h in inputs]
            for output in torch.eye(outputs.shape[2], dtype=x.dtype, device=x.device):
                deltas = self._backward(slopes, output.expand_as(outputs))
                total += _joined([delta.square() for delta in deltas], squares)
            return total

        def rows(points: slice) -> Tensor:
            inputs_there = [h[:, points] for h in inputs]
            slopes_there = [slope[:, points] for slope in slopes]
            there = outputs[:, points]  # (R, m, M)
            jacobian = x.new_empty(*there.shape, self.n_params)
            for index, output in enumerate(
                torch.eye(there.shape[2], dtype=x.dtype, device=x.device)
            ):
                deltas = self._backward(slopes_there, output.expand_as(there))
                _write_rows(deltas, inputs_there, jacobian[:, :, index])
            return jacobian.flatten(1, 2)

        return Linearisation(outputs, pull, squared_norms, rows)

    def _forward(self, x: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """What each layer takes in (R, n, I), the slopes between layers, and (R, n, M)."""
        act = ACTIVATIONS[self.activation]
        inputs, slopes = [x], []
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            z = torch.baddbmm(bias[:, None], inputs[-1], weight.mT)  # (R, n, O)
            inputs.append(act.value(z))
            slopes.append(act.slope(z, inputs[-1]))
        last = torch.baddbmm(self.biases[-1][:, None], inputs[-1], self.weights[-1].mT)
        return inputs, slopes, last

    def _backward(self, slopes: list[Tensor], output: Tensor) -> list[Tensor]:
        """An output's weights (R, n, M) pulled back to the sums of each layer, (R, n, O)."""
        deltas = [output]
        for weight, slope in zip(self.weights[:0:-1], slopes[::-1], strict=True):
            deltas.append((deltas[-1] @ weight) * slope)
        return deltas[::-1]

    def regularity(self, x: Tensor) -> None:
        """None is defined of an MLP."""

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays ``<layer>.weight`` and ``<layer>.bias``, replicas first, and ``activation``
        as a string array; the inverse of ``from_arrays``."""
        arrays = {"activation": np.array(self.activation)}
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            arrays[f"{index}.weight"] = weight.cpu().numpy()
            arrays[f"{index}.bias"] = bias.cpu().numpy()
        return arrays

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray], *, device: torch.device | str = "cpu"
    ) -> MLP:
        """An MLP from ``to_arrays``; raises ``KeyError`` where an array is missing."""
        ends = [
            int(name.partition(".")[0]) for name in arrays if name.endswith((".weight", ".bias"))
        ]

        def tensors(name: str) -> tuple[Tensor, ...]:
            return tuple(
                torch.from_numpy(np.array(arrays[f"{index}.{name}"])).to(device)
                for index in range(max(ends, default=0) + 1)
            )

        return cls(tensors("weight"), tensors("bias"), str(arrays["activation"]))

    @classmethod
    def concatenated(cls, nets: Sequence[MLP]) -> MLP:
        """The replicas of several MLPs of one shape in one."""
        return nets[0].with_theta(torch.cat([net.theta() for net in nets]))

    def of_inputs(self, shift: Tensor | float, scale: Tensor | float) -> MLP:
        """x -> self((x - shift) / scale), numbers or tensors (R, I); changes the first layer."""
        weight, bias = self.weights[0], self.biases[0]
        size = (weight.shape[0], weight.shape[2])
        shift, scale = (
            torch.as_tensor(value, dtype=weight.dtype, device=weight.device).expand(size)
            for value in (shift, scale)
        )
        weight = weight / scale[:, None]
        bias = bias - (weight @ shift[..., None])[..., 0]
        return replace(self, weights=(weight, *self.weights[1:]), biases=(bias, *self.biases[1:]))

    def with_outputs(self, shift: Tensor, scale: Tensor) -> MLP:
        """x -> shift + scale * self(x), tensors (R, M); changes the last layer."""
        weight = self.weights[-1] * scale[..., None]
        bias = shift + self.biases[-1] * scale
        return replace(self, weights=(*self.weights[:-1], weight), biases=(*self.biases[:-1], bias))

    def _parts(self) -> list[Tensor]:
        return list(itertools.chain(*zip(self.weights, self.biases, strict=True)))

    def _with_parts(self, parts: list[Tensor]) -> MLP:
        return replace(self, weights=tuple(parts[::2]), biases=tuple(parts[1::2]))


def _joined(deltas: list[Tensor], inputs: list[Tensor]) -> Tensor:
    """Derivatives by weights and biases in the order of ``MLP.theta``, summed over points."""
    parts = []
    for delta, h in zip(deltas, inputs, strict=True):
        parts += [(delta.mT @ h).flatten(1), delta.sum(1)]
    return torch.cat(parts, dim=1)  # (R, P)


def _write_rows(deltas: list[Tensor], inputs: list[Tensor], rows: Tensor) -> None:
    """What ``_joined`` sums, of each point by itself, into (R, n, P)."""
    at = 0
    for delta, h in zip(deltas, inputs, strict=True):
        n_out, n_in = delta.shape[2], h.shape[2]
        weights = rows[..., at : at + n_out * n_in].unflatten(2, (n_out, n_in))
        torch.mul(delta[..., None], h[..., None, :], out=weights)
        at += n_out * n_in
        rows[..., at : at + n_out] = delta
        at += n_out
