"""Edges that are constant, and the network of the others.

A network of several nodes whose target needs fewer may be left with some of its edges constant
(``leaner``). What was trained is then the smaller network: without those edges, and without the
nodes that serve nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.networks.layer import Layer, alike

Edges = tuple[Tensor, ...]
"""Some edges of all layers, (O, I) of bool each."""
CONSTANT = 200.0  # roundings of a layer's largest coefficient: what varies by less is constant


def serving(edges: Sequence[Tensor]) -> Edges:
    """Those of some edges through which an input leads to an output."""
    kept = [part.clone() for part in edges]
    for _ in kept:  # what serves nothing more, from layer to layer
        for into, out in pairwise(kept):
            alive = into.any(1) & out.any(0)
            into &= alive[:, None]
            out &= alive
    return tuple(kept)


def varying(net: KAN) -> Edges:
    """The edges of one replica that are not constant and lead from an input to an output."""
    return serving([_varies(layer) for layer in net.layers])


def trained(net: KAN) -> KAN:
    """The network of one replica without constant edges; itself where there are none, where edges
    were pruned, where all are constant, or nothing is hidden."""
    if net.is_pruned or len(net.layers) == 1:
        return net
    edges = varying(net)
    every, some = (all(bool(test(part)) for part in edges) for test in (torch.all, torch.any))
    return net if every or not some else narrowed(net, edges)


def narrowed(net: KAN, edges: Edges) -> KAN:
    """The network of one replica with those edges alone, others being constants, and without the
    nodes that have none."""
    there = nodes(edges)
    parts = zip(net.layers, edges, there, there[1:], strict=False)
    layers = tuple(_part(*each) for each in parts)
    if all(bool(layer.edges_kept.all()) for layer in layers):
        layers = tuple(replace(layer, kept=None) for layer in layers)
    return replace(net, layers=layers)


def within(lean: KAN, net: KAN, edges: Edges) -> KAN:
    """The inverse: a network that ``narrowed`` has made of those edges, in the shape of ``net``,
    whose nodes that it does not need lead nowhere."""
    there = nodes(edges)
    parts = zip(net.layers, lean.layers, there, there[1:], strict=False)
    return replace(net, layers=tuple(_placed(*each, net.k) for each in parts))


def _varies(layer: Layer) -> Tensor:
    coef = layer.coef[0]
    rounding = CONSTANT * torch.finfo(coef.dtype).eps * coef.abs().amax()
    varies = coef.amax(2) - coef.amin(2) > rounding
    return varies if layer.base is None else varies | (layer.base[0] != 0)


def nodes(edges: Edges) -> list[Tensor]:
    """Which inputs, hidden nodes layer by layer, and outputs there are: all of the first and the
    last, of the others those with edges."""
    first, last = torch.ones_like(edges[0][0]), torch.ones_like(edges[-1][:, 0])
    there = [first, *(part.any(1) for part in edges[:-1]), last]
    return [part.nonzero()[:, 0] for part in there]


def _part(layer: Layer, edges: Tensor, into: Tensor, out: Tensor) -> Layer:
    """The edges between some nodes. The constants of the others, a node's edges share."""
    kept = edges[None]
    level = layer.coef.mean(3, keepdim=True)
    gone = torch.where(kept, 0.0, level[..., 0]).sum(2) / kept.sum(2).clamp(min=1)
    coef = torch.where(kept[..., None], layer.coef + gone[..., None, None], 0.0)
    base = None if layer.base is None else layer.base.masked_fill(~kept, 0.0)
    inputs = {
        name: getattr(layer, name)[:, into]
        for name in ("lower", "upper", "shift", "scale", "breaks", "pieces")
        if getattr(layer, name) is not None
    }
    return replace(
        layer,
        coef=coef[:, out][:, :, into],
        base=None if base is None else base[:, out][:, :, into],
        kept=kept[:, out][:, :, into],
        **inputs,
    )


def _placed(whole: Layer, part: Layer, into: Tensor, out: Tensor, k: int) -> Layer:
    """A layer with those of a part between some of its nodes, and nothing else into these."""
    whole, part = alike((whole, replace(part, kept=None)), k)
    new = {name: getattr(whole, name).clone() for name in ("lower", "upper", "shift", "scale")}
    for name in ("breaks", "pieces"):
        if getattr(whole, name) is not None:
            new[name] = getattr(whole, name).clone()
    for name, value in new.items():
        value[:, into] = getattr(part, name)
    for name in ("coef", "base"):
        if getattr(whole, name) is not None:
            value = new[name] = getattr(whole, name).clone()
            value[:, out] = 0.0
            value[:, out[:, None], into] = getattr(part, name)
    return replace(whole, **new)
