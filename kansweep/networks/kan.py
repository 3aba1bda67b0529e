"""KANs: the coefficients of R replicas, their forward pass, and the pieces of its Jacobian.

Layers with their edges stand in ``layer``.

Letters of shape comments, here and wherever tensors are handled:
R replicas (independent KANs computed at once), n points, I inputs and O outputs of a layer,
M outputs of the model, G grid size, K = G + k coefficients an edge, P trainable numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from kansweep.data.knots import Spacing, adapted
from kansweep.networks import uneven
from kansweep.networks.compiled import forward
from kansweep.networks.compiled.layout import loops_serve
from kansweep.networks.layer import (
    Activation,
    Layer,
    activate,
    alike,
    edges,
    silu_of,
    tensors,
    trainable,
)
from kansweep.networks.regularity import regularity

__all__ = ["KAN", "Activation", "Layer", "Shape", "activate", "edges", "silu_of", "where", "zeros"]


# How splines go on beyond their grids; stored weights without this word are of another function.
CONTINUATION = "linear"
USUAL = 2  # the order of the differences that are to be small, less the splines' own


class Settings(Protocol):
    """What a configuration says of a KAN, beside its widths and its grid."""

    @property
    def k(self) -> int: ...

    @property
    def base(self) -> str: ...


@dataclass(frozen=True)
class Shape:
    """The KAN to be trained: layer widths, order, grid size, whether edges have silu, and where
    its knots are to be."""

    width: tuple[int, ...]
    k: int
    grid_size: int
    base: bool
    spacing: Spacing = "uniform"

    @property
    def size(self) -> int:
        """What a chain grows along."""
        return self.grid_size

    @property
    def n_edges(self) -> int:
        return sum(n_in * n_out for n_in, n_out in itertools.pairwise(self.width))


@dataclass(frozen=True)
class KAN:
    """R Kolmogorov-Arnold networks of one shape, all of order ``k`` and one grid size.

    ``spacing`` says where training is to put the knots: at equal steps, where ``respaced`` has them
    or ``on_quantiles``. Finer grids have theirs at equal steps of the breaks there are. ``beyond``
    tells training which differences of coefficients are to be small, those of order k + ``beyond``;
    it is not stored.
    """

    layers: tuple[Layer, ...]
    k: int
    spacing: Spacing = "uniform"
    beyond: int = USUAL

    @classmethod
    def shape_of(
        cls, settings: Settings, width: tuple[int, ...], size: int, spacing: Spacing = "uniform"
    ) -> Shape:
        """The shape that a configuration's section ``model`` describes at one grid size."""
        return Shape(width, settings.k, size, settings.base == "silu", spacing)

    @cached_property
    def grid_size(self) -> int:
        return self.layers[0].coef.shape[-1] - self.k

    @cached_property
    def width(self) -> tuple[int, ...]:
        return (self.layers[0].n_inputs, *(layer.n_outputs for layer in self.layers))

    @property
    def n_replicas(self) -> int:
        return self.layers[0].coef.shape[0]

    @cached_property
    def n_theta(self) -> int:
        """Numbers of one replica: edges x (G + k), plus one an edge with the base."""
        return sum(part.shape[1:].numel() for layer in self.layers for part in trainable(layer))

    @cached_property
    def n_params(self) -> int:
        """Trainable numbers of one replica, without those of edges that were pruned; of several
        replicas the most."""
        if self.removed is None:
            return self.n_theta
        return self.n_theta - int(self.removed.sum(1).min())

    @property
    def is_pruned(self) -> bool:
        return any(layer.kept is not None for layer in self.layers)

    @cached_property
    def removed(self) -> Tensor | None:
        """Which numbers belong to edges that were pruned and stay as they are, (R, P) of bool; None
        where none were."""
        return torch.cat([each.removed for each in self.layers], 1) if self.is_pruned else None

    def last_output(self, index: int) -> KAN:
        """The edges that lead to one output."""
        return replace(self, layers=(self.layers[-1].output(index),))

    def __getitem__(self, replicas: Tensor | slice) -> KAN:
        """The replicas that an index, a mask (R,) or a slice selects."""
        return replace(self, layers=tuple(layer[replicas] for layer in self.layers))

    def forward(self, x: Tensor) -> Tensor:
        """(R, n, I) -> (R, n, M)."""
        if loops_serve(x, self.layers, self.k):
            return forward.values(self.layers, self.k, x)
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
        return torch.cat([p.flatten(1) for layer in self.layers for p in trainable(layer)], dim=1)

    def with_theta(self, theta: Tensor) -> KAN:
        """The KAN with other trainable numbers, (R, P), and everything else kept."""
        sizes = [p.shape[1:].numel() for layer in self.layers for p in trainable(layer)]
        parts = iter(theta.split(sizes, dim=1))
        layers = []
        for layer in self.layers:
            coef = next(parts).reshape(layer.coef.shape)
            base = None if layer.base is None else next(parts).reshape(layer.base.shape)
            layers.append(replace(layer, coef=coef, base=base))
        return replace(self, layers=tuple(layers))

    def with_base(self) -> KAN:
        """The same function of splines, with a base branch on every edge that adds nothing yet and
        sees what ``zeros`` has it see."""
        first, *others = (
            replace(layer, base=torch.zeros_like(layer.coef[..., 0])) for layer in self.layers
        )
        even = (
            replace(layer, shift=torch.zeros_like(layer.shift), scale=torch.ones_like(layer.scale))
            for layer in others
        )
        return replace(self, layers=(first, *even))

    def refined(self, grid_size: int) -> KAN:
        """Grid extension: the same functions on ``grid_size`` intervals.

        Exact where the new grid nests in the old one, otherwise the best approximation on the
        spline space itself; it needs no data.
        """
        return replace(
            self, layers=tuple(layer.refined(grid_size, self.k) for layer in self.layers)
        )

    def respaced(self, grid_size: int | None = None) -> KAN:
        """The nearest KAN with the knots that ``asked_breaks`` are."""
        return self.on_breaks(self.asked_breaks(grid_size or self.grid_size))

    def asked_breaks(self, grid_size: int) -> list[Tensor]:
        """Breaks (R, I, G' + 1) of each layer where the k-th derivatives of its splines ask for
        them (``kansweep.data.knots``)."""
        spreads = self._node_ranges()
        pairs = zip(self.layers, spreads, strict=True)
        return [_adapted(layer, spread, self.k, grid_size) for layer, spread in pairs]

    def on_breaks(self, breaks: Sequence[Tensor]) -> KAN:
        """The nearest KAN on other breaks, (R, I, G' + 1) of each layer."""
        pairs = zip(self.layers, breaks, strict=True)
        return replace(self, layers=tuple(layer.on_breaks(b, self.k) for layer, b in pairs))

    def on_quantiles(self, x: Tensor) -> KAN:
        """The nearest KAN whose knots are at quantiles of what reaches each layer from points
        (R, n, I), as pykan's grids are."""
        layers = []
        for layer in self.layers:
            layers.append(layer.on_quantiles(x, self.k))
            x = edges(layers[-1], x, self.k).sum(2)
        return replace(self, layers=tuple(layers))

    def _node_ranges(self) -> list[Tensor]:
        """Of each layer's outputs, (R, O) each: their grids' widths, and of the last ones no more
        than they can vary by."""
        hidden = [layer.upper - layer.lower for layer in self.layers[1:]]
        last = self.layers[-1].coef
        return [*hidden, (last.amax(3) - last.amin(3)).sum(2)]

    def with_outputs(self, mean: Tensor, spread: Tensor) -> KAN:
        """The KAN of ``mean + spread * outputs``, (R, M) each or one for all: B-splines sum to one,
        so that a constant is one to all coefficients, shared equally by an output's edges."""
        layer = self.layers[-1]
        factor, share = spread[..., None], mean[..., None] / layer.n_inputs
        coef = layer.coef * factor[..., None] + share[..., None]
        base = None if layer.base is None else layer.base * factor
        return replace(self, layers=(*self.layers[:-1], replace(layer, coef=coef, base=base)))

    def regularity(self, x: Tensor) -> Tensor:
        """``regularity`` of its layers, recorded and not optimised: (R, n, I) -> (R,)."""
        return regularity(self.layers, self.k, x)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays, named ``<layer>.<tensor>``, plus ``k``, ``continuation`` and, where it is
        not uniform, ``spacing``; the inverse of ``from_arrays``."""
        arrays = {
            f"{index}.{name}": value.cpu().numpy()
            for index, layer in enumerate(self.layers)
            for name, value in tensors(layer)
            if name != "pieces"
        }
        if self.spacing != "uniform":
            arrays["spacing"] = np.array(self.spacing)
        return {"k": np.array(self.k), "continuation": np.array(CONTINUATION), **arrays}

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray], *, device: torch.device | str = "cpu"
    ) -> KAN:
        """A KAN from ``to_arrays``; raises ``KeyError`` where an array is missing, as
        ``continuation`` is in weights whose splines went on as polynomials."""
        if str(arrays["continuation"]) != CONTINUATION:
            raise KeyError("continuation")
        k, layers = int(arrays["k"]), []
        for index in itertools.count():
            if f"{index}.coef" not in arrays:
                break
            given: dict[str, Any] = {"base": None}
            for name in (field.name for field in fields(Layer) if field.name != "pieces"):
                if f"{index}.{name}" in arrays or name not in ("base", "breaks", "kept"):
                    given[name] = torch.from_numpy(np.array(arrays[f"{index}.{name}"])).to(device)
            if "breaks" in given:
                given["pieces"] = uneven.pieces(given["breaks"], k)
            layers.append(Layer(**given))
        spacing = str(arrays["spacing"]) if "spacing" in arrays else "uniform"
        return cls(tuple(layers), k, cast(Spacing, spacing))

    @classmethod
    def concatenated(cls, nets: Sequence[KAN]) -> KAN:
        """The replicas of several KANs of one shape in one."""
        if len(nets) == 1:
            return nets[0]
        layers = []
        for parts in zip(*(net.layers for net in nets), strict=True):
            parts = alike(parts, nets[0].k)
            names = [name for name, _ in tensors(parts[0])]
            joined = {name: torch.cat([getattr(part, name) for part in parts]) for name in names}
            layers.append(replace(parts[0], **joined))
        return replace(nets[0], layers=tuple(layers))


def where(mask: Tensor, a: KAN, b: KAN) -> KAN:
    """Replica by replica, ``a`` where the mask (R,) is true and ``b`` elsewhere."""
    layers = []
    for pair in zip(a.layers, b.layers, strict=True):
        one, other = alike(pair, a.k)
        chosen = {}
        for name, value in tensors(one):
            choice = mask.view(-1, *[1] * (value.dim() - 1))
            chosen[name] = torch.where(choice, value, getattr(other, name))
        layers.append(replace(one, **chosen))
    return replace(a, layers=tuple(layers))


def _adapted(layer: Layer, spread: Tensor, k: int, grid_size: int) -> Tensor:
    """Breaks (R, I, G' + 1) for the edges of each input, weighed by what they are in their node's
    range (R, O)."""
    unit = layer.unit_breaks(k)
    derivatives = uneven.top_derivatives(layer.coef, unit, k)
    tiny = torch.finfo(spread.dtype).tiny
    derivatives = derivatives / spread.clamp(min=tiny)[..., None, None]  # (R, O, I, G)
    finite = derivatives.double().nan_to_num(0.0, 0.0, 0.0)  # equal steps where a network diverged
    given, breaks = finite.cpu().numpy(), unit.double().cpu().numpy()
    placed = np.empty((*breaks.shape[:2], grid_size + 1))
    for r, i in np.ndindex(*breaks.shape[:2]):
        placed[r, i] = adapted(breaks[r, i], given[r, :, i], k, grid_size)
    return torch.from_numpy(placed).to(layer.coef)


def zeros(
    width: tuple[int, ...],
    grid_size: int,
    k: int,
    *,
    base: bool,
    domain: tuple[Tensor, Tensor],
    spacing: Spacing = "uniform",
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
    return KAN(tuple(layers), k, spacing)
