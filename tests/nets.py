"""KANs, MLPs and problems that several tests of the numerics use."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from kansweep.data.sampling import Sampled
from kansweep.data.targets import TARGETS
from kansweep.networks import gauge, kan
from kansweep.networks.gauge import rescale_inputs, rescale_outputs
from kansweep.networks.kan import KAN, edges
from kansweep.networks.mlp import MLP
from kansweep.solvers.contract import Problem
from kansweep.sweep.samples import sample


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(size, generator=generator(seed), dtype=torch.float64)


def points(replicas: int, n: int, n_inputs: int, seed: int = 1) -> Tensor:
    """Uniform on [-1, 1]."""
    size = (replicas, n, n_inputs)
    return 2 * torch.rand(size, generator=generator(seed), dtype=torch.float64) - 1


def random_kan(
    width: tuple[int, ...],
    grid_size: int = 4,
    k: int = 3,
    *,
    base: bool = False,
    replicas: int = 2,
    seed: int = 0,
) -> KAN:
    """Normal coefficients on [-1, 1], small enough that hidden values stay near it."""
    upper = torch.ones(replicas, width[0], dtype=torch.float64)
    blank = kan.zeros(width, grid_size, k, base=base, domain=(-upper, upper))
    return blank.with_theta(0.3 * normal(replicas, blank.n_params, seed=seed))


def breaks(replicas: int, n_inputs: int, grid_size: int, seed: int = 5) -> Tensor:
    """Random ones from 0 to 1, none nearer to the next than a fifth of an equal step."""
    size = (replicas, n_inputs, grid_size)
    width = 0.25 + torch.rand(size, generator=generator(seed), dtype=torch.float64)
    inner = (width / width.sum(2, keepdim=True)).cumsum(2)[..., :-1]
    return torch.nn.functional.pad(torch.nn.functional.pad(inner, (1, 0)), (0, 1), value=1.0)


def uneven_kan(width: tuple[int, ...], **options: Any) -> KAN:
    """``random_kan`` with breaks of its own in every grid, and random coefficients there."""
    net = random_kan(width, **options)
    parts = [
        layer.on_breaks(breaks(net.n_replicas, layer.n_inputs, net.grid_size, 5 + index), net.k)
        for index, layer in enumerate(net.layers)
    ]
    return replace(net, layers=tuple(parts)).with_theta(net.theta())


def example(n_train: int, seeds: tuple[int, ...], target: str = "exp_sin") -> Problem:
    data = sample(Sampled(TARGETS[target]), n_train, 1, seeds)
    return Problem(data.x_train, data.y_train, (-1.0, 1.0), seeds)


BELOW, ABOVE = 0.03, 0.08  # margins, different so that neither can stand for the other


def mid_and_half(s: Tensor) -> tuple[Tensor, Tensor]:
    """Of the grid for values s (R, n, O), by the margins of this module: (R, O) and (R, O)."""
    margin = s.new_tensor([BELOW, ABOVE]).expand(s.shape[0], s.shape[2], 2)
    return gauge.mid_and_half(s, margin)


def normalised(kan: KAN, x: Tensor) -> KAN:
    """The KAN whose hidden values on points x (R, n, I) span their grids, but for the margins."""
    layers = list(kan.layers)
    for index in range(len(layers) - 1):
        s = edges(layers[index], x, kan.k).sum(2)  # (R, n, O)
        mid, half = mid_and_half(s)
        layers[index] = rescale_outputs(layers[index], mid, half)
        layers[index + 1] = rescale_inputs(layers[index + 1], mid, half)
        x = (s - mid[:, None]) / half[:, None]
    return replace(kan, layers=tuple(layers))


def random_mlp(
    width: tuple[int, ...], activation: str = "tanh", *, replicas: int = 2, seed: int = 0
) -> MLP:
    """Normal weights and biases."""
    pairs = list(itertools.pairwise(width))
    blank = MLP(
        tuple(torch.zeros(replicas, o, i, dtype=torch.float64) for i, o in pairs),
        tuple(torch.zeros(replicas, o, dtype=torch.float64) for _, o in pairs),
        activation,
    )
    return blank.with_theta(normal(replicas, blank.n_params, seed=seed))
