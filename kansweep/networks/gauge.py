"""The affine freedom of hidden nodes: their values stay inside [-1, 1], whatever theta does.

A hidden value s is replaced by u = (s - mid) / half: because B-splines sum to one, the incoming
coefficients take c -> (c - mid / I) / half exactly. The outgoing ones stay as they are, so their
grid stretches with the range of what reaches it. No coefficient is then out of the data's reach
and no penalty can be dodged by shrinking the scale; and how the model changes is known to first
order, ranges included (``range_terms``).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from kansweep.networks.jacobian import jacobian, sensitivities
from kansweep.networks.kan import KAN
from kansweep.networks.layer import Activation, Layer, edges

# Hidden grids reach beyond the training values as far as fresh ones can go on the domain, but by no
# more than this share of the range. The composed best splines need that range too; a grid that
# stops short of it leaves a straight line to a few fresh points, and one that goes far beyond the
# data leaves them a polynomial.
MARGIN = 0.2
_PLACES = 4  # of each interval at which the extremes of a spline are looked for


def margins(layer: Layer, s: Tensor, k: int) -> Tensor:
    """By which share of the range of its outputs s (R, n, O) the grids for them reach beyond the
    low and the high end: (R, O, 2)."""
    low, high = s.amin(1), s.amax(1)
    grid_size = layer.coef.shape[3] - k
    places = torch.linspace(0, 1, _PLACES * grid_size + 1, dtype=s.dtype, device=s.device)
    x = layer.lower[:, None] + (layer.upper - layer.lower)[:, None] * places[:, None]
    values = edges(layer, x, k)  # (R, q, I, O)
    beyond = torch.stack([low - values.amin(1).sum(1), values.amax(1).sum(1) - high], dim=2)
    span = (high - low)[..., None]
    return (beyond / span).nan_to_num(MARGIN).clamp(0, MARGIN)


def mid_and_half(s: Tensor, margin: Tensor) -> tuple[Tensor, Tensor]:
    """Middle and half-width of the grid for values s and margins of its ends: (R, n, O) and
    (R, O, 2) -> (R, O) and (R, O)."""
    low, high = s.amin(1), s.amax(1)
    span, (below, above) = high - low, margin.unbind(2)
    least = torch.finfo(s.dtype).eps * torch.maximum(high.abs(), low.abs())
    half = torch.maximum(span / 2, least.clamp(min=torch.finfo(s.dtype).tiny))
    return (high + low + (above - below) * span) / 2, (1 + below + above) * half


def balanced(layer: Layer) -> Layer:
    """The same layer with every node's constant shared equally by its edges.

    Which edge carries a constant is the other freedom that splines leave; left open, it would
    drift by rounding, and figures that look at single edges with it.
    """
    constant = layer.coef.mean(3, keepdim=True)  # (R, O, I, 1)
    return replace(layer, coef=layer.coef - constant + constant.mean(2, keepdim=True))


def rescale_outputs(layer: Layer, mid: Tensor, half: Tensor) -> Layer:
    """The layer whose outputs are (s - mid) / half, exactly."""
    layer = balanced(layer)
    coef = (layer.coef - (mid / layer.n_inputs)[..., None, None]) / half[..., None, None]
    base = None if layer.base is None else layer.base / half[..., None]
    return replace(layer, coef=coef, base=base)


def rescale_inputs(layer: Layer, mid: Tensor, half: Tensor) -> Layer:
    """The layer on the inputs u, where they were mid + half u: its splines stretch, silu does not.

    It sees what it saw, by shift and scale.
    """
    return replace(layer, shift=layer.shift + layer.scale * mid, scale=layer.scale * half)


def range_terms(kan: KAN, activations: list[Activation]) -> tuple[Tensor, Tensor, Tensor]:
    """Low-rank part of the Jacobian that comes from hidden ranges moving with theta.

    With the ends (high, low) of the grids of all H hidden nodes as variables rho, the derivative
    of the normalised KAN is J + U V^T: U = df/drho (R, M, n, 2H) and V = drho/dtheta (R, P, 2H).
    The ends follow the values at two extreme points, so V needs the Jacobian of the first layers
    there only. Third comes the derivative of the grids' half-widths (R, P, H).
    """
    outer = range_sensitivity(kan, activations)
    halves = []
    inner = activations[0].x.new_zeros(kan.n_replicas, kan.n_theta, 0)
    replica = torch.arange(kan.n_replicas, device=inner.device)[:, None]
    for depth in range(1, len(kan.layers)):
        head = KAN(kan.layers[:depth], kan.k)
        s = activations[depth].x  # (R, n, O)
        extremes = torch.cat([s.argmax(1), s.argmin(1)], dim=1)  # (R, 2O)
        points = [activation[replica, extremes] for activation in activations[:depth]]
        rows = _own_rows(head, points, kan.n_theta)  # (R, P, 2O)
        if depth > 1:
            nodes = s.shape[2]
            chain = range_sensitivity(head, points)  # (R, O, 2O points, 2H')
            ends = torch.arange(2 * nodes, device=s.device)
            rows = rows + inner @ chain[:, ends % nodes, ends].mT
        high, low = rows.chunk(2, dim=2)
        # The ends of the values lie at -1 + 2 below / total and 1 - 2 above / total of the grid.
        first, last = s.amin(1), s.amax(1)
        span = last - first
        below, above = ((1 + first) / span)[:, None], ((1 - last) / span)[:, None]
        mid = (high + low + (above - below) * (high - low)) / 2
        half = (1 + below + above) * (high - low) / 2
        inner = torch.cat([inner, mid + half, mid - half], dim=2)
        halves.append(half)
    return outer, inner, torch.cat(halves, dim=2)


def range_sensitivity(kan: KAN, activations: list[Activation]) -> Tensor:
    """df/drho for the (high, low) of every hidden node at its normalised state: (R, M, n, 2H).

    Only splines follow the range: silu sees the value before normalisation.
    """
    parts = []
    for back, activation in zip(sensitivities(kan, activations)[1:], activations[1:], strict=True):
        at_node = torch.einsum("rnmo,rnio->rnmi", back, activation.spline_slope)
        u = activation.x[:, :, None]  # (R, n, 1, I)
        parts += [-at_node * (1 + u) / 2, -at_node * (1 - u) / 2]
    return torch.cat(parts, dim=3).permute(0, 2, 1, 3)


def _own_rows(head: KAN, points: list[Activation], n_theta: int) -> Tensor:
    """Jacobian rows of node o at its own extreme points: (R, P, 2O)."""
    part = jacobian(head, points)
    nodes = head.width[-1]
    ends = torch.arange(2 * nodes, device=part.values.device)
    values = part.values[:, ends % nodes, :, ends]  # (2O, R, nnz)
    rows = values.new_zeros(head.n_replicas, n_theta, 2 * nodes)
    return rows.scatter_(1, part.columns, values.permute(1, 2, 0))
