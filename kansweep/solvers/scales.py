"""What general optimisers train on: inputs on [-1, 1], outputs of mean 0 and deviation 1; and the
random starts that they begin from there.

Both maps are folded into the network that comes back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kansweep.config.models import ModelConfig
from kansweep.data.streams import Stream, generator
from kansweep.networks.protocol import Gradient, GradientShape
from kansweep.solvers.contract import Problem, output_spread


@dataclass(frozen=True)
class Scales:
    """The affine maps between what is given and what is trained on."""

    middle: float | Tensor  # (I,) or one for all inputs
    half: float | Tensor
    mean: Tensor  # (R, M)
    spread: Tensor  # (R, M)

    @classmethod
    def of(cls, problem: Problem) -> Scales:
        low, high = problem.domain
        return cls((high + low) / 2, (high - low) / 2, problem.y.mean(1), output_spread(problem.y))

    def scaled(self, problem: Problem) -> Problem:
        y = (problem.y - self.mean[:, None]) / self.spread[:, None]
        return replace(problem, x=(problem.x - self.middle) / self.half, y=y, domain=(-1.0, 1.0))

    def folded(self, net: Gradient) -> Gradient:
        return net.of_inputs(self.middle, self.half).with_outputs(self.mean, self.spread)

    def unfolded(self, net: Gradient) -> Gradient:
        net = net.of_inputs(-self.middle / self.half, 1 / self.half)
        return net.with_outputs(-self.mean / self.spread, 1 / self.spread)


def concatenated(nets: list[Gradient]) -> Gradient:
    return type(nets[0]).concatenated(nets)


def each(problem: Problem) -> list[Tensor]:
    """The index of every replica, (1,) each."""
    return list(torch.arange(len(problem.x), device=problem.x.device).split(1))


def start(shape: GradientShape, problem: Problem) -> Gradient:
    """The first of the random starts of each seed, for the problem as it is given.

    One by one: a mean over a batch may round otherwise, and thousands of iterations magnify it.
    """
    parts = [problem[replica] for replica in each(problem)]
    return concatenated([Scales.of(p).folded(random_start(shape, p, 0)) for p in parts])


class RandomStarts:
    """What methods share that begin from random starts; the first of each seed is the start."""

    model: ModelConfig | None

    @property
    def restarts(self) -> int:
        """How many are trained to the end: one where the model has no such key."""
        return getattr(self.model, "restarts", 1)

    def start(self, shape: GradientShape, problem: Problem) -> Gradient:
        """The first of the random starts of each seed."""
        return start(shape, problem)


def random_start(shape: GradientShape, problem: Problem, restart: int) -> Gradient:
    """A start for scaled inputs and outputs. Each draws from its own generator, so neither the
    seeds beside it nor the number of restarts change it."""
    n = problem.x.shape[1]
    generators = [generator(seed, Stream.START, n, restart) for seed in problem.seeds]
    return shape.random(generators, problem.x)
