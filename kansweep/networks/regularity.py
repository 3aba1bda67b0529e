"""The example's figure of regularity, which pykan's penalty is made of."""

from __future__ import annotations

import torch
from torch import Tensor

from kansweep.networks.compiled.edges import mean_sizes
from kansweep.networks.compiled.layout import loops_serve
from kansweep.networks.layer import Layer, edges


def regularity(layers: tuple[Layer, ...], k: int, x: Tensor) -> Tensor:
    """With v the edges' mean |output| at points over their grid's width and p = v / sum v, each
    layer adds sum v - 2 sum p log2(p + 1e-4): pykan's L1 and entropy terms with its default
    factors. (R, n, I) -> (R,)."""
    total = x.new_zeros(len(layers[0].coef))
    for layer, size in zip(layers, _edge_sizes(layers, k, x), strict=True):
        v = (size / (layer.upper - layer.lower)[:, None]).flatten(1)
        p = v / v.sum(1, keepdim=True)
        total = total + v.sum(1) - 2 * (p * torch.log2(p + 1e-4)).sum(1)
    return total


def _edge_sizes(layers: tuple[Layer, ...], k: int, x: Tensor) -> list[Tensor]:
    """Every edge's mean |output| at points (R, n, I), of each layer (R, O, I)."""
    if loops_serve(x, layers, k):
        return mean_sizes(layers, k, x)
    sizes = []
    for layer in layers:
        out = edges(layer, x, k)  # (R, n, I, O)
        sizes.append(out.abs().mean(1).mT)
        x = out.sum(2)
    return sizes
