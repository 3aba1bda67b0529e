"""Layers that a deep network can begin without, and their insertion as identities.

Random starts of many layers are hardly ever right, those of a few often are. A spline is the
identity where its coefficients are its Greville abscissae, so a shallower network is a deeper one
of the same function, if the layer between is no narrower than one of its neighbours.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from kansweep.networks.gauge import rescale_inputs
from kansweep.networks.kan import KAN, Layer

Width = tuple[int, ...]
# Hidden layers of which random starts are still right often enough, and of which those of deeper
# networks are made: the fewer, the more often.
MOST, LAYERS = 4, 3


def has_one_node(width: Width) -> bool:
    """Whether there is one hidden node: where its values lead the data themselves can say."""
    return width[1:-1] == (1,)


def is_deep(width: Width) -> bool:
    """Whether there are more hidden layers than random starts bear."""
    return len(width) - 2 > MOST


def widths(width: Width) -> list[Width]:
    """``width`` and, if it is deep, what is left as one layer after the other goes, down to
    ``LAYERS`` hidden ones."""
    found = [width]
    while is_deep(width) and len(found[-1]) - 2 > LAYERS:
        at = spare(found[-1])
        found.append(found[-1][:at] + found[-1][at + 1 :])
    return found


def spare(width: Width) -> int:
    """The narrowest hidden layer, and of these the first, that can be an identity in parts; not a
    single last node, before which starts are trained on scores (``race``)."""
    some = range(1, len(width) - 1 - (width[-2] == 1))
    wide = [at for at in some if width[at] >= min(width[at - 1], width[at + 1])]
    return min(wide, key=lambda at: width[at])


def inserted(net: KAN, drawn: KAN) -> KAN:
    """The same function with the spare layer of ``drawn``, a KAN of that width on the same grid;
    both of splines alone.

    Nodes that the function does not need have their edges from ``drawn`` and lead nowhere yet.
    """
    at = spare(drawn.width)
    old, first, second = net.layers[at - 1], *drawn.layers[at - 1 : at + 1]
    line = second.greville(net.k)[:, :1]
    if first.n_outputs >= old.n_inputs:
        inputs = {name: getattr(old, name) for name in ("lower", "upper", "shift", "scale")}
        head = _identity(replace(first, **inputs), old.n_inputs, line)
        tail = _reading(old, second)
    else:
        head, tail = _beside(old, first), _identity(second, old.n_outputs, line)
    return replace(net, layers=(*net.layers[: at - 1], head, tail, *net.layers[at:]))


def _identity(layer: Layer, many: int, line: Tensor) -> Layer:
    """The layer whose first ``many`` outputs are its first inputs, put where a ``line`` (R, 1, K)
    has the ends of their grids."""
    coef, node = layer.coef.clone(), torch.arange(many, device=line.device)
    coef[:, :many] = 0.0
    coef[:, node, node] = line
    return replace(layer, coef=coef)


def _reading(old: Layer, like: Layer) -> Layer:
    """The old layer on the grids of another, of whose inputs further ones do not count."""
    old = rescale_inputs(old, (old.upper + old.lower) / 2, (old.upper - old.lower) / 2)
    more = slice(old.n_inputs, None)
    coef = torch.cat([old.coef, torch.zeros_like(like.coef[:, :, more])], 2)
    shift, scale = (
        torch.cat([own, other[:, more]], 1)
        for own, other in ((old.shift, like.shift), (old.scale, like.scale))
    )
    return replace(like, coef=coef, shift=shift, scale=scale)


def _beside(old: Layer, other: Layer) -> Layer:
    """The old layer with the further outputs of another."""
    more = slice(old.n_outputs, None)
    return replace(old, coef=torch.cat([old.coef, other.coef[:, more]], 1))
