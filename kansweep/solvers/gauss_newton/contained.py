"""The models without hidden nodes that a KAN contains: additive ones, and linear regression."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from kansweep.networks import gauge
from kansweep.networks.kan import KAN, Layer
from kansweep.solvers.contract import Problem, output_spread


def blank(net: KAN) -> KAN:
    """The KAN of one layer on a network's input grids, every edge zero."""
    first, n_outputs = net.layers[0], net.width[-1]
    edges = first.coef.new_zeros(net.n_replicas, n_outputs, *first.coef.shape[2:])
    base = None if first.base is None else edges[..., 0]
    return replace(net, layers=(replace(first, coef=edges, base=base, kept=None),))


def linear(flat: KAN, problem: Problem) -> tuple[KAN, Tensor]:
    """Linear regression as a KAN of one layer, and what it would be wrong by at each point without
    that one: squares (R, n), summed over outputs of unit variance. The mean alone where it is wrong
    by less, as it is of noise."""
    x, y = problem.x.double(), problem.y.double()
    mean, spread = _mean(y, problem), output_spread(y, problem.counts)
    middle, width = _mean(x, problem), output_spread(x)
    target = (y - mean[:, None]) / spread[:, None]
    along = (x - middle[:, None]) / width[:, None]
    if problem.counts is None:
        root = own = torch.ones_like(x[..., :1])
    else:
        root = problem.counts[..., None].to(x).sqrt()
        own, along, target = root.square().clamp(min=1.0), root * along, root * target
    u, s, vt = torch.linalg.svd(along, full_matrices=False)
    determined = s > torch.finfo(problem.x.dtype).eps * max(x.shape[1:]) * s[:, :1]
    u = u * determined[:, None]
    slope = vt.mT @ ((u.mT @ target) / s.clamp(min=torch.finfo(s.dtype).tiny)[..., None])
    n, tiny = problem.n_points, torch.finfo(s.dtype).eps
    # Of a point that counts more than once one is left out, else the part that there is.
    alone = root.square() / own
    left = 1 - alone / n - u.square().sum(2, keepdim=True) / own
    error = (target - u @ (u.mT @ target)) / root / left.clamp(min=tiny)
    of_mean = (target / root / (1 - alone / n).clamp(min=tiny)).square().sum(2)
    error = error.square().sum(2)
    tells = problem.mean(error)[0] < problem.mean(of_mean)[0]
    slope, error = slope * tells[:, None, None], torch.where(tells[:, None], error, of_mean)
    layer = flat.layers[0]
    lines = (layer.greville(flat.k) - middle[..., None]) / width[..., None]  # (R, I, K)
    coef = (slope.mT[..., None] * lines[:, None]).to(layer.coef)
    net = replace(flat, layers=(replace(layer, coef=coef),))
    return net.with_outputs(mean.to(coef), spread.to(coef)), error


def _mean(values: Tensor, problem: Problem) -> Tensor:
    """Over points, (R, n, .) -> (R, .)."""
    if problem.counts is None:
        return values.mean(1)
    return (problem.counts[..., None].to(values) * values).sum(1) / problem.n_points


def within(flat: KAN, net: KAN, problem: Problem) -> KAN:
    """The KAN of a network's shape that is one of one layer, its nodes' values on their grids."""
    if len(net.layers) == 1:
        return flat
    s = flat(problem.x)
    mid, half = gauge.mid_and_half(s, s.new_zeros(*s.shape[::2], 2))
    first = gauge.rescale_outputs(flat.layers[0], mid, half)
    layers = [_widened(first, net.width[1])]
    for layer in net.layers[1:]:
        passed = torch.eye(layer.n_outputs, layer.n_inputs).to(s)
        passed[net.width[-1] :] = 0
        coef = passed[..., None] * layer.greville(net.k)[:, None]
        base = None if layer.base is None else torch.zeros_like(layer.base)
        layers.append(replace(layer, coef=coef, base=base))
    return replace(net, layers=tuple(layers)).with_outputs(mid, half)


def _widened(layer: Layer, n_outputs: int) -> Layer:
    """The layer with idle outputs after its own."""
    more = n_outputs - layer.n_outputs
    pad = torch.nn.functional.pad
    base = None if layer.base is None else pad(layer.base, (0, 0, 0, more))
    return replace(layer, coef=pad(layer.coef, (0, 0, 0, 0, 0, more)), base=base)
