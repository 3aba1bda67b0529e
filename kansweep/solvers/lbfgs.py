"""L-BFGS with a strong Wolfe search on the full batch, for any network with a gradient.

The best of several random starts stays. Training sees inputs on [-1, 1] and outputs of mean 0 and
deviation 1; both maps are folded into the network that comes back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from kansweep.config.models import ModelConfig
from kansweep.config.solvers import LBFGSConfig
from kansweep.networks.protocol import Gradient
from kansweep.solvers.contract import (
    Iteration,
    Observe,
    Outcome,
    Problem,
    relative_gradient,
)
from kansweep.solvers.quasi_newton import Memory, Point, iterate
from kansweep.solvers.reasons import StopReason
from kansweep.solvers.scales import RandomStarts, Scales, concatenated, each, random_start

MAX_ITERATIONS = 20  # in a step, as in ``published``
HISTORY = 100  # pairs; on exp_sin ten leave three times the error, three hundred gain nothing
CONVERGENCE = 1e-6  # a step that lowers the mean squared error by less, relative to it, is the last


@dataclass(frozen=True)
class LBFGS(RandomStarts):
    """Settings: ``solver.steps`` of at most 20 iterations, from each of ``model.restarts`` starts
    (one where the model has no such key); the one with the least training error is kept."""

    settings: LBFGSConfig = field(default_factory=LBFGSConfig)
    model: ModelConfig | None = None

    def solve(
        self,
        net: Gradient,
        problem: Problem,
        memory: Tensor | None = None,
        observe: Observe | None = None,
    ) -> Outcome[Gradient]:
        """Train from ``net`` and from ``restarts`` - 1 random starts of its shape beside it.

        Replicas and restarts come one after the other, so that the seeds beside it change no bit
        of one; in a batch they are no faster, for the time goes into activations and products.
        ``steps`` are those of all restarts together, the rest is of the one that is kept.
        """
        runs = [
            self._solve_one(net[replica], problem[replica], replica, observe)
            for replica in each(problem)
        ]
        return Outcome(
            concatenated([run.net for run in runs]),
            tuple(run.steps for run in runs),
            tuple(run.stop_reason for run in runs),
            torch.cat([run.grad_norm for run in runs]),
            problem.x.new_zeros(net.n_replicas, 0),
        )

    def _solve_one(
        self, net: Gradient, problem: Problem, replica: Tensor, observe: Observe | None
    ) -> _Run:
        maps = Scales.of(problem)
        shape, scaled = net.shape, maps.scaled(problem)
        runs: list[_Run] = []
        for restart in range(self.restarts):
            start = random_start(shape, problem, restart) if restart else maps.unfolded(net)
            before = sum(run.steps for run in runs)

            def after_step(step: int, now: Gradient, before: int = before) -> None:
                if observe is not None:
                    observe(iteration(before + step, replica, now, scaled, maps))

            runs.append(_descend(start, scaled, self.settings.steps, after_step))
        best = min(runs, key=lambda run: run.error if math.isfinite(run.error) else math.inf)
        return replace(best, net=maps.folded(best.net), steps=sum(run.steps for run in runs))


@dataclass(frozen=True)
class _Run:
    """What became of one start of one replica."""

    net: Gradient
    error: float  # mean squared, of the scaled outputs
    grad_norm: Tensor  # (1,)
    steps: int
    stop_reason: StopReason


def _descend(
    net: Gradient, problem: Problem, steps: int, after_step: Callable[[int, Gradient], None]
) -> _Run:
    """Train one replica on scaled data."""

    def loss(theta: Tensor) -> Point:
        objective, gradient = loss_and_gradient(net.with_theta(theta[None]), problem)
        return Point(theta, float(objective), 2 * gradient[0])

    point = loss(net.theta()[0])
    memory = Memory(HISTORY, point.theta)
    reason, step = StopReason.STEP_LIMIT, 0
    for step in range(1, steps + 1):
        last = point.loss
        for _ in range(MAX_ITERATIONS):
            reached = iterate(loss, point, memory)
            if reached is None:  # what is remembered may mislead: once more without it
                memory = Memory(HISTORY, point.theta)
                reached = iterate(loss, point, memory)
            if reached is None:
                break
            point = reached
        after_step(step, net.with_theta(point.theta[None]))
        if not math.isfinite(point.loss):
            reason = StopReason.NON_FINITE
            break
        if point.loss >= last * (1 - CONVERGENCE):
            reason = StopReason.CONVERGED
            break
    net = net.with_theta(point.theta[None])
    return _Run(net, point.loss, grad_norm(net, problem), step, reason)


def iteration(
    step: int, replica: Tensor, net: Gradient, problem: Problem, maps: Scales
) -> Iteration:
    """What is reported of one network of the scaled problem, in its own units."""
    residual = (net(problem.x) - problem.y) * maps.spread[:, None]
    rmse = residual.square().mean((1, 2)).sqrt()
    return Iteration(
        step=step,
        replicas=replica,
        net=lambda: maps.folded(net),
        rmse=rmse,
        grad_norm=grad_norm(net, problem),
        accepted=torch.isfinite(rmse),
    )


def loss_and_gradient(net: Gradient, problem: Problem) -> tuple[Tensor, Tensor]:
    """Mean squared error (R,) and half its gradient (R, P)."""
    at_net = net.linearised(problem.x)
    residual = at_net.outputs - problem.y  # (R, n, M)
    return residual.square().mean((1, 2)), at_net.pull(residual) / residual[0].numel()


def grad_norm(net: Gradient, problem: Problem) -> Tensor:
    """``relative_gradient`` of the mean squared error, (R,)."""
    at_net = net.linearised(problem.x)
    residual = at_net.outputs - problem.y  # (R, n, M)
    return relative_gradient(
        at_net.pull(residual), at_net.squared_norms(), residual.square().sum((1, 2))
    )
