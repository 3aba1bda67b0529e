"""KANs whose edges are series in a basis: a layer is s_o = sum_i sum_j c_oij b_j(x_i).

Which basis says the kind (``kinds``). Letters of shape comments are those of ``kan``; K is the
number of functions b_j.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from kansweep import kinds
from kansweep.networks.bases import Basis
from kansweep.networks.protocol import Linearisation

ENDS = ("shift", "scale", "mean")  # beside the layers, in the units of the data


@lru_cache
def basis_of(kind: str) -> Basis:
    """The basis of a kind's edges."""
    basis: Basis = kinds.load(str(kinds.KINDS[kind].basis))()
    return basis


class Settings(Protocol):
    """What a configuration says of such a KAN, beside its widths and its size."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class Shape:
    """Kind, layer widths and size."""

    kind: str
    width: tuple[int, ...]
    size: int

    def random(self, generators: Sequence[np.random.Generator], like: Tensor) -> SeriesKAN:
        """Normal coefficients, so that hidden nodes have the variance of what is uniform on
        [-1, 1], as the inputs are, and outputs that of 1."""
        basis, coefs = basis_of(self.kind), []
        length, unit = basis.length(self.size), basis.spread(self.size)
        spreads = [*[3**-0.5] * (len(self.width) - 2), 1.0]
        for (n_in, n_out), spread in zip(itertools.pairwise(self.width), spreads, strict=True):
            deviation = spread / (unit * n_in**0.5)
            draws = [rng.normal(0.0, deviation, (n_out, n_in, length)) for rng in generators]
            coefs.append(torch.from_numpy(np.stack(draws)).to(like))
        inputs, outputs = (like.new_zeros(len(generators), w) for w in self.width[:: len(coefs)])
        return SeriesKAN(self.kind, self.size, tuple(coefs), inputs, inputs + 1, outputs)


@dataclass(frozen=True)
class SeriesKAN:
    """R replicas: mean + layers((x - shift) / scale)."""

    kind: str
    size: int
    coefs: tuple[Tensor, ...]  # (R, O, I, K)
    shift: Tensor  # (R, I)
    scale: Tensor  # (R, I)
    mean: Tensor  # (R, M)

    def __call__(self, x: Tensor) -> Tensor:
        h = self._scaled(x)
        for coef in self.coefs:
            h = _sums(self._basis(h)[0], coef)
        return self.mean[:, None] + h

    def linearised(self, x: Tensor) -> Linearisation:
        """Outputs at points (R, n, I), and products with their Jacobian by backpropagation."""
        h, bases, slopes = self._scaled(x), [], []
        for coef in self.coefs:
            values, inner = self._basis(h)  # (R, n, I, K)
            h = _sums(values, coef)
            bases.append(values.flatten(2))
            slopes.append(torch.einsum("roik,rnik->rnoi", coef, inner))
        del slopes[0]  # nothing is asked of the inputs
        outputs = self.mean[:, None] + h

        def pull(v: Tensor) -> Tensor:
            return _joined(self._deltas(slopes, v), bases)

        def squared_norms() -> Tensor:
            total, squares = torch.zeros_like(self.theta()), [values.square() for values in bases]
            for output in torch.eye(outputs.shape[2]).to(x):
                deltas = self._deltas(slopes, output.expand_as(outputs))
                total += _joined([delta.square() for delta in deltas], squares)
            return total

        def rows(points: slice) -> Tensor:
            there = [slope[:, points] for slope in slopes]
            jacobian = x.new_empty(*outputs[:, points].shape, self.n_params)
            for index, output in enumerate(torch.eye(outputs.shape[2]).to(x)):
                deltas = self._deltas(there, output.expand_as(outputs[:, points]))
                _write_rows(deltas, [values[:, points] for values in bases], jacobian[:, :, index])
            return jacobian.flatten(1, 2)

        return Linearisation(outputs, pull, squared_norms, rows)

    def _scaled(self, x: Tensor) -> Tensor:
        return (x - self.shift[:, None]) / self.scale[:, None]

    def _basis(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return basis_of(self.kind).at(x, self.size, torch)

    def _deltas(self, slopes: list[Tensor], v: Tensor) -> list[Tensor]:
        """An output's weights (R, n, M) pulled back to the sums of each layer, (R, n, O)."""
        deltas = [v]
        for slope in reversed(slopes):
            deltas.append(torch.einsum("rno,rnoi->rni", deltas[-1], slope))
        return deltas[::-1]

    def refined(self, size: int) -> SeriesKAN:
        """The same function at a larger size, as nearly as the basis has it there."""
        matrix = torch.from_numpy(basis_of(self.kind).refinement(self.size, size))
        coefs = tuple(coef @ matrix.mT.to(coef) for coef in self.coefs)
        return replace(self, size=size, coefs=coefs)

    def of_inputs(self, shift: Tensor | float, scale: Tensor | float) -> SeriesKAN:
        """x -> self((x - shift) / scale), numbers or tensors (R, I)."""
        return replace(self, shift=shift + scale * self.shift, scale=scale * self.scale)

    def with_outputs(self, mean: Tensor, spread: Tensor) -> SeriesKAN:
        """x -> mean + spread * self(x), tensors (R, M); changes the last layer."""
        last = self.coefs[-1] * spread[..., None, None]
        return replace(self, coefs=(*self.coefs[:-1], last), mean=mean + spread * self.mean)

    def theta(self) -> Tensor:
        """All coefficients, (R, P), layer by layer."""
        return torch.cat([coef.flatten(1) for coef in self.coefs], dim=1)

    def with_theta(self, theta: Tensor) -> SeriesKAN:
        parts = theta.split([coef[0].numel() for coef in self.coefs], dim=1)
        coefs = [
            part.reshape(-1, *coef.shape[1:]) for part, coef in zip(parts, self.coefs, strict=True)
        ]
        ends = [getattr(self, name).expand(len(theta), -1) for name in ENDS]
        return self._with_tensors([*coefs, *ends])

    def regularity(self, x: Tensor) -> None:
        """None is defined."""

    @classmethod
    def shape_of(cls, settings: Settings, width: tuple[int, ...], size: int) -> Shape:
        return Shape(settings.name, width, size)

    @property
    def shape(self) -> Shape:
        return Shape(self.kind, self.width, self.size)

    @property
    def width(self) -> tuple[int, ...]:
        return (self.coefs[0].shape[2], *(coef.shape[1] for coef in self.coefs))

    @property
    def n_replicas(self) -> int:
        return len(self.shift)

    @property
    def n_params(self) -> int:
        return sum(coef[0].numel() for coef in self.coefs)

    def __getitem__(self, replicas: Tensor | slice) -> SeriesKAN:
        return self._with_tensors([tensor[replicas] for tensor in self._tensors().values()])

    @classmethod
    def concatenated(cls, nets: Sequence[SeriesKAN]) -> SeriesKAN:
        parts = zip(*(net._tensors().values() for net in nets), strict=True)
        return nets[0]._with_tensors([torch.cat(part) for part in parts])

    def to_arrays(self) -> dict[str, np.ndarray]:
        """``<layer>.<kind>`` for the coefficients, ``shift``, ``scale`` and ``mean``,
        replicas first, and ``size``."""
        arrays = {name: tensor.cpu().numpy() for name, tensor in self._tensors().items()}
        return {**arrays, "size": np.array(self.size)}

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray], *, device: torch.device | str = "cpu"
    ) -> SeriesKAN:
        """The inverse of ``to_arrays``; raises ``KeyError`` where an array is missing."""
        kind = kinds.of_arrays(arrays)
        if kind is None:
            raise KeyError("the first layer's coefficients")
        depth = sum(name.endswith(f".{kind.name}") for name in arrays)
        names = [*(f"{index}.{kind.name}" for index in range(depth)), *ENDS]
        tensors = [torch.from_numpy(np.array(arrays[name])).to(device) for name in names]
        return cls(kind.name, int(arrays["size"]), tuple(tensors[:depth]), *tensors[depth:])

    def _tensors(self) -> dict[str, Tensor]:
        coefs = {f"{index}.{self.kind}": coef for index, coef in enumerate(self.coefs)}
        return {**coefs, **{name: getattr(self, name) for name in ENDS}}

    def _with_tensors(self, tensors: Sequence[Tensor]) -> SeriesKAN:
        depth = len(self.coefs)
        return SeriesKAN(self.kind, self.size, tuple(tensors[:depth]), *tensors[depth:])


def _sums(values: Tensor, coef: Tensor) -> Tensor:
    """(R, n, I, K), (R, O, I, K) -> (R, n, O)."""
    return values.flatten(2) @ coef.flatten(2).mT


def _joined(deltas: list[Tensor], bases: list[Tensor]) -> Tensor:
    """Derivatives in the order of ``SeriesKAN.theta``, summed over points: (R, P)."""
    parts = zip(deltas, bases, strict=True)
    return torch.cat([(delta.mT @ values).flatten(1) for delta, values in parts], dim=1)


def _write_rows(deltas: list[Tensor], bases: list[Tensor], rows: Tensor) -> None:
    """What ``_joined`` sums, of each point by itself, into (R, n, P)."""
    sizes = [delta.shape[2] * values.shape[2] for delta, values in zip(deltas, bases, strict=True)]
    parts = zip(deltas, bases, rows.split(sizes, dim=2), strict=True)
    for delta, values, part in parts:
        into = part.unflatten(2, (delta.shape[2], values.shape[2]))
        torch.mul(delta[..., None], values[..., None, :], out=into)
