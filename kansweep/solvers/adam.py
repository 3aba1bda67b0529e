"""AdamW on random batches of the points, for any network with a gradient.

Adam by Kingma and Ba, arXiv:1412.6980; the decay of weights, decoupled from the gradient, by
Loshchilov and Hutter, arXiv:1711.05101, and the cosine by the same, arXiv:1608.03983. Training sees
inputs on [-1, 1] and outputs of mean 0 and deviation 1, as that of ``lbfgs``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from kansweep.config.models import ModelConfig
from kansweep.config.solvers import AdamConfig
from kansweep.data.streams import Stream, generator
from kansweep.networks.protocol import Gradient
from kansweep.solvers.contract import Observe, Outcome, Problem
from kansweep.solvers.held_out import Split
from kansweep.solvers.lbfgs import grad_norm, iteration, loss_and_gradient
from kansweep.solvers.reasons import StopReason
from kansweep.solvers.scales import RandomStarts, Scales, concatenated, each, random_start

MEAN, SQUARE, TINY = 0.9, 0.999, 1e-8  # of Adam's averages, as in the paper and in torch


@dataclass(frozen=True)
class Adam(RandomStarts):
    """Settings: ``solver.epochs`` passes over the points from each of ``model.restarts`` starts
    (one where the model has no such key). A start keeps its weights of the epoch with the least
    error on the share ``solver.validation`` of the training points, which it is not trained on,
    and the start with the least is kept; without such a share it is the training error that
    decides."""

    settings: AdamConfig = field(default_factory=AdamConfig)
    model: ModelConfig | None = None

    def solve(
        self,
        net: Gradient,
        problem: Problem,
        memory: Tensor | None = None,
        observe: Observe | None = None,
    ) -> Outcome[Gradient]:
        """Train from ``net`` and from ``restarts`` - 1 random starts of its shape beside it.

        The starts of a replica go in lockstep, replicas one after the other, so that the seeds
        beside it change no bit of one. ``steps`` are epochs.
        """
        outcomes = [
            self._solve_one(net[replica], problem[replica], replica, observe)
            for replica in each(problem)
        ]
        return Outcome(
            concatenated([one.net for one in outcomes]),
            tuple(one.steps[0] for one in outcomes),
            tuple(one.stop_reason[0] for one in outcomes),
            torch.cat([one.grad_norm for one in outcomes]),
            problem.x.new_zeros(net.n_replicas, 0),
        )

    def _solve_one(
        self, net: Gradient, problem: Problem, replica: Tensor, observe: Observe | None
    ) -> Outcome[Gradient]:
        maps = Scales.of(problem)
        scaled = maps.scaled(problem)
        drawn = [random_start(net.shape, problem, restart) for restart in range(1, self.restarts)]
        nets = concatenated([maps.unfolded(net), *drawn])
        rng = generator(problem.seeds[0], Stream.ORDER, problem.x.shape[1])
        starts = torch.zeros(nets.n_replicas, dtype=torch.long, device=problem.x.device)
        split = Split.of(scaled[starts], self.settings.validation, rng)
        best, epoch, now = _Best.of(nets, split.error(nets)), 0, nets
        for epoch, now in enumerate(self._epochs(nets, split.training, rng), start=1):
            error = split.error(now)
            best = best.updated(now, error)
            if observe is not None:
                leader = now[error.nan_to_num(torch.inf).argmin()[None]]
                observe(iteration(epoch, replica, leader, scaled, maps))
            if best.is_over(self.settings.patience) or not bool(torch.isfinite(error).any()):
                break
        chosen = best.net[best.error.argmin()[None]]
        return Outcome(
            maps.folded(chosen),
            (epoch,),
            (self._reason(epoch, now),),
            grad_norm(chosen, scaled),
            problem.x.new_zeros(1, 0),
        )

    def _epochs(
        self, net: Gradient, training: Problem, rng: np.random.Generator
    ) -> Iterator[Gradient]:
        """The networks after each pass over the points, which come in a new order each time."""
        settings, n = self.settings, training.x.shape[1]
        batches = -(-n // (settings.batch_size or n))
        moments = _Moments.of(net.theta())
        for epoch in range(settings.epochs):
            order = torch.from_numpy(rng.permutation(n)).to(training.x.device)
            for index, points in enumerate(order.tensor_split(batches)):
                part = replace(training, x=training.x[:, points], y=training.y[:, points])
                _, half = loss_and_gradient(net, part)
                moments = moments.updated(2 * half)
                rate = self._rate((epoch + index / batches) / settings.epochs)
                theta = net.theta() * (1 - rate * settings.weight_decay)
                net = net.with_theta(theta - rate * moments.direction())
            yield net

    def _rate(self, share: float) -> float:
        """The learning rate after a share of all epochs."""
        falling = 0.5 * (1 + math.cos(math.pi * share))
        return self.settings.learning_rate * (
            falling if self.settings.schedule == "cosine" else 1.0
        )

    def _reason(self, epoch: int, nets: Gradient) -> StopReason:
        if not bool(torch.isfinite(nets.theta()).all(1).any()):
            return StopReason.NON_FINITE
        return StopReason.STEP_LIMIT if epoch == self.settings.epochs else StopReason.CONVERGED


@dataclass(frozen=True)
class _Best:
    """The networks of the least error so far, start by start, and for how long they have been."""

    net: Gradient
    error: Tensor  # (R,)
    age: Tensor  # (R,), epochs

    @classmethod
    def of(cls, net: Gradient, error: Tensor) -> _Best:
        return cls(net, error.nan_to_num(torch.inf), torch.zeros_like(error))

    def updated(self, net: Gradient, error: Tensor) -> _Best:
        better = error < self.error  # false for a NaN
        theta = torch.where(better[:, None], net.theta(), self.net.theta())
        age = torch.where(better, 0.0, self.age + 1)
        return _Best(net.with_theta(theta), torch.where(better, error, self.error), age)

    def is_over(self, patience: int | None) -> bool:
        return patience is not None and bool((self.age >= patience).all())


@dataclass(frozen=True)
class _Moments:
    """Adam's averages of the gradient and of its squares, and how many have gone into them."""

    mean: Tensor  # (R, P)
    square: Tensor  # (R, P)
    count: int

    @classmethod
    def of(cls, like: Tensor) -> _Moments:
        return cls(torch.zeros_like(like), torch.zeros_like(like), 0)

    def updated(self, gradient: Tensor) -> _Moments:
        mean = MEAN * self.mean + (1 - MEAN) * gradient
        square = SQUARE * self.square + (1 - SQUARE) * gradient.square()
        return _Moments(mean, square, self.count + 1)

    def direction(self) -> Tensor:
        """The mean over the root of the square, both without their bias towards 0."""
        mean = self.mean / (1 - MEAN**self.count)
        square = self.square / (1 - SQUARE**self.count)
        return mean / (square.sqrt() + TINY)
