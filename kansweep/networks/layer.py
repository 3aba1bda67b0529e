"""One layer of a KAN: its edges' values, their slopes, and where its splines have their knots.

A layer adds one univariate function per edge,

    s_o = sum_i  w_oi silu(shift_i + scale_i x_i)  +  sum_j c_oij B_ij(x_i),

a B-spline on G intervals of [lower_i, upper_i] and, where the model has it, the silu base
branch of the KAN paper (Liu et al., arXiv:2404.19756, eq. 2.10). The intervals are equal, or end
at ``breaks``. Shapes have the letters of ``kan``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from kansweep.networks import bspline, uneven


@dataclass(frozen=True)
class Layer:
    """One KAN layer of R replicas; every edge that leaves an input shares that input's grid."""

    coef: Tensor  # (R, O, I, K)
    lower: Tensor  # (R, I)
    upper: Tensor  # (R, I)
    base: Tensor | None  # (R, O, I) weights of silu
    shift: Tensor  # (R, I): silu sees shift + scale * x, the value before any normalisation
    scale: Tensor  # (R, I)
    breaks: Tensor | None = None  # (R, I, G+1) from 0 to 1; None where intervals are equal
    pieces: Tensor | None = None  # (R, I, G, k+1, k+1), ``uneven.pieces`` of the breaks
    kept: Tensor | None = None  # (R, O, I) of bool, edges that pruning left; None where all are

    @property
    def n_inputs(self) -> int:
        return self.coef.shape[2]

    @property
    def n_outputs(self) -> int:
        return self.coef.shape[1]

    @property
    def edges_kept(self) -> Tensor:
        """``kept``, also where all are: (R, O, I)."""
        return torch.ones_like(self.coef[..., 0]).bool() if self.kept is None else self.kept

    @property
    def removed(self) -> Tensor:
        """Which of its numbers belong to edges that were pruned, (R, P) of bool."""
        gone = ~self.edges_kept
        parts = [gone[..., None].expand_as(self.coef)] + [gone] * (self.base is not None)
        return torch.cat([part.flatten(1) for part in parts], 1)

    def output(self, index: int) -> Layer:
        """The edges that lead to one output."""
        one = slice(index, index + 1)
        base = None if self.base is None else self.base[:, one]
        kept = None if self.kept is None else self.kept[:, one]
        return replace(self, coef=self.coef[:, one], base=base, kept=kept)

    def input(self, index: int) -> Layer:
        """The edges that leave one input."""
        one, of_edges = slice(index, index + 1), ("coef", "base", "kept")
        return replace(
            self,
            **{
                name: value[:, :, one] if name in of_edges else value[:, one]
                for name, value in tensors(self)
            },
        )

    def knots(self, k: int) -> Tensor:
        """Extended knots in the units of the inputs, (R, I, G + 2k + 1)."""
        if self.breaks is None:
            return bspline.knots(self.lower, self.upper, self.coef.shape[-1] - k, k)
        width = (self.upper - self.lower)[..., None]
        return self.lower[..., None] + width * uneven.knots(self.breaks, k)

    def greville(self, k: int) -> Tensor:
        """Coefficients of the identity, (R, I, K)."""
        return self.knots(k)[..., 1:-1].unfold(-1, k, 1).mean(-1)

    def unit_breaks(self, k: int) -> Tensor:
        """The breaks, (R, I, G + 1), also where intervals are equal."""
        if self.breaks is not None:
            return self.breaks
        even = torch.linspace(0.0, 1.0, self.coef.shape[-1] - k + 1, dtype=torch.float64)
        return even.to(self.coef).repeat(*self.lower.shape, 1)

    def spaced(self, k: int) -> Layer:
        """The same layer with its breaks said."""
        breaks = self.unit_breaks(k)
        return replace(self, breaks=breaks, pieces=uneven.pieces(breaks, k))

    def refined(self, grid_size: int, k: int) -> Layer:
        if self.breaks is None:
            return replace(self, coef=bspline.refine(self.coef, grid_size, k))
        return self.on_breaks(uneven.resampled(self.breaks, grid_size), k)

    def on_breaks(self, breaks: Tensor, k: int) -> Layer:
        """The same splines on other breaks, (R, I, G' + 1), exactly where these hold the old ones
        and else as nearly as they allow."""
        coef = uneven.transferred(self.coef, self.unit_breaks(k), breaks, k)
        return replace(self, coef=coef, breaks=breaks, pieces=uneven.pieces(breaks, k))

    def on_quantiles(self, x: Tensor, k: int) -> Layer:
        """The same splines, between whose breaks the points x (R, n, I) are equally many."""
        u = (x - self.lower[:, None]) / (self.upper - self.lower)[:, None]
        return self.on_breaks(uneven.quantiles(u, self.coef.shape[-1] - k), k)

    def on_range(self, lower: Tensor, upper: Tensor, k: int) -> Layer:
        """The same splines on another range, (R, I) each, with which the breaks stretch."""
        if self.breaks is None:
            coef = bspline.regrid(self.coef, (self.lower, self.upper), (lower, upper), k)
        else:
            points = uneven.gauss_points(self.breaks, k)
            x = lower[:, None] + (upper - lower)[:, None] * points
            coef = uneven.fitted(splines(self, x, k), self.breaks, k)
        return replace(self, coef=coef, lower=lower, upper=upper)

    def fitted(self, values: Tensor, k: int) -> Layer:
        """The layer of splines nearest to values (R, q, I, O) at its ``uneven.gauss_points``."""
        if self.breaks is None:
            coef = bspline.fitted(values, self.coef.shape[-1] - k, k)
        else:
            coef = uneven.fitted(values, self.breaks, k)
        return replace(self, coef=coef)

    def __getitem__(self, replicas: Tensor | slice) -> Layer:
        return replace(self, **{name: value[replicas] for name, value in tensors(self)})


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
        return replace(self, **{name: value[index] for name, value in tensors(self)})

    def where(self, mask: Tensor, other: Activation) -> Activation:
        """Replica by replica, this where the mask (R,) is true and the other elsewhere."""
        chosen = {}
        for name, value in tensors(self):
            choice = mask.view(-1, *[1] * (value.dim() - 1))
            chosen[name] = torch.where(choice, value, getattr(other, name))
        return replace(self, **chosen)


def basis(layer: Layer, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The first coefficient that acts at each input, (R, n, I), and the values of the k + 1
    basis functions that act, (R, n, I, k+1)."""
    interval, t = _located(layer, x, k)
    if layer.pieces is None:
        return interval, bspline.basis(t, k)
    return interval, uneven.basis(interval, t, layer.pieces)


def splines(layer: Layer, x: Tensor, k: int) -> Tensor:
    """Every edge without its base, (R, n, I) -> (R, n, I, O)."""
    interval, values = basis(layer, x, k)
    return torch.einsum("rnios,rnis->rnio", bspline.local_coef(layer.coef, interval, k), values)


def edges(layer: Layer, x: Tensor, k: int) -> Tensor:
    """Output of every edge, (R, n, I) -> (R, n, I, O)."""
    out = splines(layer, x, k)
    if layer.base is not None:
        out = out + silu_of(layer, x)[..., None] * layer.base.mT[:, None]
    return out


def silu_of(layer: Layer, x: Tensor) -> Tensor:
    """The base function at each input, (R, n, I) -> (R, n, I)."""
    return torch.nn.functional.silu(_base_input(layer, x))


def activate(layer: Layer, x: Tensor, k: int) -> tuple[Activation, Tensor]:
    interval, t = _located(layer, x, k)
    range_ = (layer.upper - layer.lower)[:, None]
    if layer.breaks is None or layer.pieces is None:
        values, derivatives = bspline.basis_and_derivative(t, k)
        per_x = (layer.coef.shape[-1] - k) / range_
    else:
        values, derivatives = uneven.basis_and_derivative(interval, t, layer.pieces)
        per_x = 1 / (range_ * uneven.widths(interval, layer.breaks))
    coef = bspline.local_coef(layer.coef, interval, k)  # (R, n, I, O, k+1)
    out = torch.einsum("rnios,rnis->rno", coef, values)
    spline_slope = torch.einsum("rnios,rnis->rnio", coef, derivatives) * per_x[..., None]
    silu, slope = None, spline_slope
    if layer.base is not None:
        v = _base_input(layer, x)
        gate = torch.sigmoid(v)
        silu = v * gate
        out = out + torch.einsum("rni,roi->rno", silu, layer.base)
        silu_slope = gate * (1.0 + v * (1.0 - gate)) * layer.scale[:, None]
        slope = slope + silu_slope[..., None] * layer.base.mT[:, None]
    return Activation(x, interval, values, silu, slope, spline_slope), out


def alike(layers: tuple[Layer, ...], k: int) -> tuple[Layer, ...]:
    """The same layers, of which all say their breaks if one does, and which edges are kept."""
    if any(layer.kept is not None for layer in layers):
        layers = tuple(replace(layer, kept=layer.edges_kept) for layer in layers)
    if all(layer.breaks is None for layer in layers):
        return layers
    return tuple(layer.spaced(k) if layer.breaks is None else layer for layer in layers)


def trainable(layer: Layer) -> list[Tensor]:
    return [layer.coef] if layer.base is None else [layer.coef, layer.base]


def tensors(record: Layer | Activation) -> list[tuple[str, Tensor]]:
    """The tensors of a record by name; every one has the replicas first."""
    values = ((field.name, getattr(record, field.name)) for field in fields(record))
    return [(name, value) for name, value in values if value is not None]


def _located(layer: Layer, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    if layer.breaks is None:
        return bspline.locate(x, layer.lower, layer.upper, layer.coef.shape[-1] - k)
    return uneven.locate(x, layer.lower, layer.upper, layer.breaks)


def _base_input(layer: Layer, x: Tensor) -> Tensor:
    return layer.shift[:, None] + layer.scale[:, None] * x
