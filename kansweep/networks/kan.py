"""KANs: the coefficients of R replicas, their forward pass, and the pieces of its Jacobian.

A layer adds one univariate function per edge,

    s_o = sum_i  w_oi silu(shift_i + scale_i x_i)  +  sum_j c_oij B_ij(x_i),

a B-spline on G intervals of [lower_i, upper_i] and, where the model has it, the silu base
branch of the KAN paper (Liu et al., arXiv:2404.19756, eq. 2.10).

Letters of shape comments, here and wherever tensors are handled:
R replicas (independent KANs computed at once), n points, I inputs and O outputs of a layer,
M outputs of the model, G grid size, K = G + k coefficients an edge, P trainable numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from kansweep.networks import bspline

# How splines go on beyond their grids; stored weights without this word are of another function.
CONTINUATION = "linear"


class Settings(Protocol):
    """What a configuration says of a KAN, beside its widths and its grid."""

    @property
    def k(self) -> int: ...

    @property
    def base(self) -> str: ...


@dataclass(frozen=True)
class Shape:
    """The KAN to be trained: layer widths, order, grid size, and whether edges have silu."""

    width: tuple[int, ...]
    k: int
    grid_size: int
    base: bool

    @property
    def size(self) -> int:
        """What a chain grows along."""
        return self.grid_size


@dataclass(frozen=True)
class Layer:
    """One KAN layer of R replicas; every edge that leaves an input shares that input's grid."""

    coef: Tensor  # (R, O, I, K)
    lower: Tensor  # (R, I)
    upper: Tensor  # (R, I)
    base: Tensor | None  # (R, O, I) weights of silu
    shift: Tensor  # (R, I): silu sees shift + scale * x, the value before any normalisation
    scale: Tensor  # (R, I)

    @property
    def n_inputs(self) -> int:
        return self.coef.shape[2]

    @property
    def n_outputs(self) -> int:
        return self.coef.shape[1]

    def refined(self, grid_size: int, k: int) -> Layer:
        return replace(self, coef=bspline.refine(self.coef, grid_size, k))

    def __getitem__(self, replicas: Tensor | slice) -> Layer:
        return replace(self, **{name: value[replicas] for name, value in _tensors(self)})


@dataclass(frozen=True)
class Activation:
    """What a layer computed at its inputs x (R, n, I), as its Jacobian needs it."""

    x: Tensor  # (R, n, I)
    interval: Tensor  # (R, n, I), the first coefficient that acts
    basis: Tensor  # (R, n, I, k+1)
    silu: Tensor | None  # (R, n, I)
    slope: Tensor  # (R, n, I, O), derivative of each edge at its input
    spline_slope: Tensor  # (R, n, I, O), the part of it that the grid's range moves

    def __getitem__(self, index: Tensor | tuple[Tensor, Tensor]) -> Activation:
        """That of some replicas, or of some points of each: an index, mask, or pair of indices."""
        return replace(self, **{name: value[index] for name, value in _tensors(self)})


@dataclass(frozen=True)
class KAN:
    """R Kolmogorov-Arnold networks of one shape, all of order ``k`` and one grid size."""

    layers: tuple[Layer, ...]
    k: int

    @classmethod
    def shape_of(cls, settings: Settings, width: tuple[int, ...], size: int) -> Shape:
        """The shape that a configuration's section ``model`` describes at one grid size."""
        return Shape(width, settings.k, size, settings.base == "silu")

    @property
    def grid_size(self) -> int:
        return self.layers[0].coef.shape[-1] - self.k

    @property
    def width(self) -> tuple[int, ...]:
        return (self.layers[0].n_inputs, *(layer.n_outputs for layer in self.layers))

    @property
    def n_replicas(self) -> int:
        return self.layers[0].coef.shape[0]

    @property
    def n_params(self) -> int:
        """Trainable numbers of one replica: edges x (G + k), plus one an edge with the base."""
        return sum(part.shape[1:].numel() for layer in self.layers for part in _trainable(layer))

    def __getitem__(self, replicas: Tensor | slice) -> KAN:
        """The replicas that an index, a mask (R,) or a slice selects."""
        return replace(self, layers=tuple(layer[replicas] for layer in self.layers))

    def forward(self, x: Tensor) -> Tensor:
        """(R, n, I) -> (R, n, M)."""
        for layer in self.layers:
            x = edges(layer, x, self.k).sum(2)
        return x

    __call__ = forward

    def activations(self, x: Tensor) -> tuple[list[Activation], Tensor]:
        """Forward pass that keeps what derivatives need: each layer's activation, and (R, n, M)."""
        kept = []
        for layer in self.layers:
            activation, x = activate(layer, x, self.k)
            kept.append(activation)
        return kept, x

    def theta(self) -> Tensor:
        """All trainable numbers, (R, P): layer by layer, the coefficients, then the base."""
        return torch.cat([p.flatten(1) for layer in self.layers for p in _trainable(layer)], dim=1)

    def with_theta(self, theta: Tensor) -> KAN:
        """The KAN with other trainable numbers, (R, P), and everything else kept."""
        sizes = [p.shape[1:].numel() for layer in self.layers for p in _trainable(layer)]
        parts = iter(theta.split(sizes, dim=1))
        layers = []
        for layer in self.layers:
            coef = next(parts).reshape(layer.coef.shape)
            base = None if layer.base is None else next(parts).reshape(layer.base.shape)
            layers.append(replace(layer, coef=coef, base=base))
        return replace(self, layers=tuple(layers))

    def refined(self, grid_size: int) -> KAN:
        """Grid extension: the same functions on ``grid_size`` intervals.

        Exact where the new grid nests in the old one, otherwise the best approximation on the
        spline space itself; it needs no data.
        """
        return replace(
            self, layers=tuple(layer.refined(grid_size, self.k) for layer in self.layers)
        )

    def with_outputs(self, mean: Tensor, spread: Tensor) -> KAN:
        """The KAN of ``mean + spread * outputs``, (R, M) each or one for all: B-splines sum to one,
        so that a constant is one to all coefficients, shared equally by an output's edges."""
        layer = self.layers[-1]
        factor, share = spread[..., None], mean[..., None] / layer.n_inputs
        coef = layer.coef * factor[..., None] + share[..., None]
        base = None if layer.base is None else layer.base * factor
        return replace(self, layers=(*self.layers[:-1], replace(layer, coef=coef, base=base)))

    def regularity(self, x: Tensor) -> Tensor:
        """The example's figure of regularity, recorded and not optimised: (R, n, I) -> (R,).

        With v the edges' mean |output| over their grid's width and p = v / sum v, each layer adds
        sum v - 2 sum p log2(p + 1e-4): pykan's L1 and entropy terms with its default factors.
        """
        total = x.new_zeros(self.n_replicas)
        for layer in self.layers:
            out = edges(layer, x, self.k)  # (R, n, I, O)
            v = (out.abs().mean(1) / (layer.upper - layer.lower)[..., None]).flatten(1)
            p = v / v.sum(1, keepdim=True)
            total = total + v.sum(1) - 2 * (p * torch.log2(p + 1e-4)).sum(1)
            x = out.sum(2)
        return total

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays, named ``<layer>.<tensor>``, plus ``k`` and ``continuation``; the inverse of
        ``from_arrays``."""
        arrays = {
            f"{index}.{name}": value.cpu().numpy()
            for index, layer in enumerate(self.layers)
            for name, value in _tensors(layer)
        }
        return {"k": np.array(self.k), "continuation": np.array(CONTINUATION), **arrays}

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray], *, device: torch.device | str = "cpu"
    ) -> KAN:
        """A KAN from ``to_arrays``; raises ``KeyError`` where an array is missing, as
        ``continuation`` is in weights whose splines went on as polynomials."""
        if str(arrays["continuation"]) != CONTINUATION:
            raise KeyError("continuation")
        layers = []
        for index in itertools.count():
            if f"{index}.coef" not in arrays:
                break
            tensors: dict[str, Any] = {"base": None}
            for field in fields(Layer):
                name = f"{index}.{field.name}"
                if field.name != "base" or name in arrays:
                    tensors[field.name] = torch.from_numpy(np.array(arrays[name])).to(device)
            layers.append(Layer(**tensors))
        return cls(tuple(layers), int(arrays["k"]))

    @classmethod
    def concatenated(cls, nets: Sequence[KAN]) -> KAN:
        """The replicas of several KANs of one shape in one."""
        layers = []
        for parts in zip(*(net.layers for net in nets), strict=True):
            names = [name for name, _ in _tensors(parts[0])]
            joined = {name: torch.cat([getattr(part, name) for part in parts]) for name in names}
            layers.append(replace(parts[0], **joined))
        return cls(tuple(layers), nets[0].k)


def where(mask: Tensor, a: KAN, b: KAN) -> KAN:
    """Replica by replica, ``a`` where the mask (R,) is true and ``b`` elsewhere."""
    layers = []
    for one, other in zip(a.layers, b.layers, strict=True):
        chosen = {}
        for name, value in _tensors(one):
            choice = mask.view(-1, *[1] * (value.dim() - 1))
            chosen[name] = torch.where(choice, value, getattr(other, name))
        layers.append(replace(one, **chosen))
    return replace(a, layers=tuple(layers))


def zeros(
    width: tuple[int, ...], grid_size: int, k: int, *, base: bool, domain: tuple[Tensor, Tensor]
) -> KAN:
    """A KAN whose every edge is zero, on grids over ``domain`` (lower, upper: (R, I) each) and,
    behind hidden nodes, over [-1, 1]. silu sees every input as on [-1, 1]."""
    lower, upper = domain
    half = (upper - lower) / 2
    shift, scale = (0.0 - (upper + lower) / 2) / half, 1 / half
    layers = []
    for n_in, n_out in itertools.pairwise(width):
        replicas = lower.shape[0]
        layers.append(
            Layer(
                coef=lower.new_zeros(replicas, n_out, n_in, grid_size + k),
                lower=lower,
                upper=upper,
                base=lower.new_zeros(replicas, n_out, n_in) if base else None,
                shift=shift,
                scale=scale,
            )
        )
        upper = scale = lower.new_ones(replicas, n_out)
        lower, shift = -upper, torch.zeros_like(upper)
    return KAN(tuple(layers), k)


def edges(layer: Layer, x: Tensor, k: int) -> Tensor:
    """Output of every edge, (R, n, I) -> (R, n, I, O)."""
    out = bspline.evaluate(x, layer.coef, layer.lower, layer.upper, k)
    if layer.base is not None:
        out = out + silu_of(layer, x)[..., None] * layer.base.mT[:, None]
    return out


def silu_of(layer: Layer, x: Tensor) -> Tensor:
    """The base function at each input, (R, n, I) -> (R, n, I)."""
    return torch.nn.functional.silu(_base_input(layer, x))


def activate(layer: Layer, x: Tensor, k: int) -> tuple[Activation, Tensor]:
    grid_size = layer.coef.shape[-1] - k
    interval, t = bspline.locate(x, layer.lower, layer.upper, grid_size)
    values, derivatives = bspline.basis_and_derivative(t, k)
    coef = bspline.local_coef(layer.coef, interval, k)  # (R, n, I, O, k+1)
    out = torch.einsum("rnios,rnis->rno", coef, values)
    per_h = (grid_size / (layer.upper - layer.lower))[:, None, :, None]
    spline_slope = torch.einsum("rnios,rnis->rnio", coef, derivatives) * per_h
    silu, slope = None, spline_slope
    if layer.base is not None:
        v = _base_input(layer, x)
        gate = torch.sigmoid(v)
        silu = v * gate
        out = out + torch.einsum("rni,roi->rno", silu, layer.base)
        silu_slope = gate * (1.0 + v * (1.0 - gate)) * layer.scale[:, None]
        slope = slope + silu_slope[..., None] * layer.base.mT[:, None]
    return Activation(x, interval, values, silu, slope, spline_slope), out


def _base_input(layer: Layer, x: Tensor) -> Tensor:
    return layer.shift[:, None] + layer.scale[:, None] * x


def _trainable(layer: Layer) -> list[Tensor]:
    return [layer.coef] if layer.base is None else [layer.coef, layer.base]


def _tensors(record: Layer | Activation) -> list[tuple[str, Tensor]]:
    """The tensors of a record by name; every one has the replicas first."""
    values = ((field.name, getattr(record, field.name)) for field in fields(record))
    return [(name, value) for name, value in values if value is not None]
