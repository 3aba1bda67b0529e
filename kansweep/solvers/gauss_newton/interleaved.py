"""Nodes that are alike, whose grids have their knots between each other's.

Two nodes of the same value add nothing to each other while their knots coincide. With those of one
in the middle of the other's intervals, the splines behind both make one on half the intervals: for
k = 3 a sixteenth of the error. So what a network has of nodes that its target does not need is
spent on copies of those that it needs (``doubled``), and wherever nodes are alike their grids are
moved against each other by shares of an interval (``apart``), of which they lose one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.networks.layer import Layer
from kansweep.solvers.gauss_newton.spare import Edges, nodes

ALIKE = 1e-3  # what nodes' squared correlation may want of 1


def doubled(net: KAN, edges: Edges) -> KAN:
    """The same function of one replica in which hidden nodes without ``edges`` are copies, in turn,
    of those with them; what leads on is shared equally."""
    layers = list(net.layers)
    for depth, there in enumerate(nodes(edges)[1:-1]):
        many = layers[depth].n_outputs
        source = torch.arange(many, device=there.device)
        spare = source[~torch.isin(source, there)]
        source[spare] = there[torch.arange(len(spare), device=there.device) % len(there)]
        layers[depth] = _outputs(layers[depth], source)
        layers[depth + 1] = _inputs(layers[depth + 1], source)
    return replace(net, layers=tuple(layers))


def apart(kan: KAN, x: Tensor) -> list[Tensor]:
    """By how many intervals the grids of each hidden layer's nodes are to reach further below and
    above, so that those of nodes that are alike at points (R, n, I) interleave: (R, O, 2) each."""
    found = []
    for depth in range(1, len(kan.layers)):
        nodes = kan.layers[depth].n_inputs
        if nodes == 1 or kan.is_pruned:  # what pruning left of a node alike may lead nowhere
            found.append(kan.layers[depth].lower.new_zeros(kan.n_replicas, nodes, 2))
        else:
            values = replace(kan, layers=kan.layers[:depth])(x)
            found.append(torch.stack([_apart(each) for each in values]))
    return found


def copies(kan: KAN, x: Tensor) -> Tensor:
    """Whether some nodes are alike at points (R, n, I), (R,) of bool."""
    moved = [more.flatten(1).any(1) for more in apart(kan, x)]
    return torch.stack(moved).any(0)


def _apart(values: Tensor) -> Tensor:
    """Of one layer's nodes (n, O) in one replica, (O, 2)."""
    centred = values - values.mean(0)
    unit = centred / centred.norm(dim=0).clamp(min=torch.finfo(values.dtype).tiny)
    product = unit.mT @ unit
    alike = (product.square() > 1 - ALIKE).fill_diagonal_(True)  # a constant only to itself
    first = alike.to(torch.uint8).argmax(0)  # the first of each group
    found = torch.zeros_like(values[:2].mT)
    for leader in first.unique().tolist():
        group = (first == leader).nonzero()[:, 0]
        if len(group) > 1:
            below = torch.arange(len(group)).to(found) / len(group)
            below = torch.where(product[leader, group] > 0, below, 1 - below)
            found[group] = torch.stack([below, 1 - below], 1)
    return found


def _outputs(layer: Layer, source: Tensor) -> Layer:
    base = None if layer.base is None else layer.base[:, source]
    return replace(layer, coef=layer.coef[:, source], base=base)


def _inputs(layer: Layer, source: Tensor) -> Layer:
    names: Sequence[str] = ("lower", "upper", "shift", "scale", "breaks", "pieces")
    grids = {
        name: getattr(layer, name)[:, source] for name in names if getattr(layer, name) is not None
    }
    share = 1 / torch.bincount(source, minlength=len(source)).to(layer.coef)[source]
    coef = layer.coef[:, :, source] * share[:, None]
    base = None if layer.base is None else layer.base[:, :, source] * share
    return replace(layer, coef=coef, base=base, **grids)
