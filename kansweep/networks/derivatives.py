"""Exact first and second derivatives of KANs by their inputs, in forward mode through the layers.

With J and H those of a layer's inputs by the network's, those of its outputs are

    sum_i e'_oi J_i    and    sum_i e'_oi H_i + e''_oi J_i J_i^T,

e the edges. On an interval an edge is a polynomial, beyond its grid a straight line. Letters of
shapes are those of ``kan``; D are the network's inputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kansweep.networks import uneven
from kansweep.networks.compiled import edges as compiled
from kansweep.networks.compiled.layout import loops_serve
from kansweep.networks.kan import KAN
from kansweep.networks.layer import Layer

_AT_ONCE = 2**20  # numbers of a layer's second derivatives that are in memory together


@dataclass(frozen=True)
class _Edges:
    """The edges of a layer at its inputs."""

    out: Tensor  # (R, n, O)
    slope: Tensor  # (R, n, O, I)
    curvature: Tensor  # (R, n, O, I)


def derivatives(net: KAN, x: Tensor) -> tuple[Tensor, Tensor | None]:
    """Gradient and Hessian of the outputs at points: (R, n, D) -> (R, n, M, D), (R, n, M, D, D).

    Splines of order 1 have no second derivative: None.
    """
    if loops_serve(x, net.layers, net.k):
        first, second = compiled.derivatives(net.layers, net.k, x)
    else:
        first, second = by_tensors(net, x)
    return first, second if net.k > 1 else None


def by_tensors(net: KAN, x: Tensor) -> tuple[Tensor, Tensor]:
    """The same in torch, on any device and in any dtype, second derivatives of order 1 too."""
    polynomials = [_polynomials(layer, net.k) for layer in net.layers]
    at_once = max(1, _AT_ONCE // (net.n_replicas * max(net.width[1:]) * net.width[0] ** 2))
    parts = [_at(net, polynomials, part) for part in x.split(at_once, dim=1)]
    first, second = (torch.cat(each, dim=1) for each in zip(*parts, strict=True))
    return first, second


def _at(net: KAN, polynomials: list[Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    first = edges = None
    for layer, pieces in zip(net.layers, polynomials, strict=True):
        edges = _edges(layer, pieces, x if edges is None else edges.out)
        if first is None:
            first, second = edges.slope, torch.diag_embed(edges.curvature)
            continue
        bent = torch.einsum("rnoi,rnid,rnie->rnode", edges.curvature, first, first)
        second = bent + torch.einsum("rnoi,rnide->rnode", edges.slope, second)
        first = edges.slope @ first
    if first is None:
        raise ValueError("a network has a layer, at least.")
    return first, second


def _polynomials(layer: Layer, k: int) -> Tensor:
    """Coefficients of 1, t, ..., t^k of every edge on every interval, (R, I, G, O, k+1)."""
    pieces = layer.pieces
    if pieces is None:
        pieces = uneven.pieces(layer.unit_breaks(k), k)
    return torch.einsum("roigs,rigms->rigom", layer.coef.unfold(-1, k + 1, 1), pieces)


def _edges(layer: Layer, polynomials: Tensor, x: Tensor) -> _Edges:
    """By Horner's scheme in t, from 0 to 1 on an interval."""
    k = polynomials.shape[-1] - 1
    breaks = layer.unit_breaks(k)
    interval, t = uneven.locate(x, layer.lower, layer.upper, breaks)
    terms = uneven.at(polynomials, interval)  # (R, n, I, O, k+1)
    held = t.clamp(0.0, 1.0)
    out = slope = curvature = torch.zeros_like(terms[..., 0])
    for m in range(k, -1, -1):
        curvature = curvature * held[..., None] + 2 * slope
        slope = slope * held[..., None] + out
        out = out * held[..., None] + terms[..., m]
    out = out + slope * (t - held)[..., None]
    curvature = torch.where((held == t)[..., None], curvature, 0.0)
    range_ = (layer.upper - layer.lower)[:, None]
    per_x = (1 / (range_ * uneven.widths(interval, breaks)))[..., None]
    slope, curvature = slope * per_x, curvature * per_x.square()
    if layer.base is not None:
        v = layer.shift[:, None] + layer.scale[:, None] * x
        silu = _silu(v, layer.scale[:, None])
        weights = layer.base.mT[:, None]
        out, slope, curvature = (
            spline + of_base[..., None] * weights
            for spline, of_base in zip((out, slope, curvature), silu, strict=True)
        )
    return _Edges(out.sum(2), slope.mT, curvature.mT)


def _silu(v: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """silu(v) and its derivatives by what is scaled to v."""
    gate = torch.sigmoid(v)
    slope = gate * (1.0 + v * (1.0 - gate))
    curvature = gate * (1.0 - gate) * (2.0 + v * (1.0 - 2.0 * gate))
    return v * gate, slope * scale, curvature * scale.square()
