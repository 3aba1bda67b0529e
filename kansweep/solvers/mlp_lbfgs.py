"""MLPs by L-BFGS with a strong Wolfe search on the full batch, the best of several starts.

The starts are those of Glorot and Bengio 2010 or He et al. 2015. Training sees inputs on [-1, 1]
and outputs of mean 0 and deviation 1; both maps are folded into the outer layers of the MLP that
comes back.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from kansweep.mlp import ACTIVATIONS, MLP, concatenate
from kansweep.solvers import (
    CONVERGED,
    NON_FINITE,
    STEP_LIMIT,
    Iteration,
    MLPShape,
    Observe,
    Outcome,
    Problem,
    relative_gradient,
)
from kansweep.solvers.objective import output_spread
from kansweep.solvers.quasi_newton import Memory, Point, iterate
from kansweep.solvers.start import START_STREAM

MAX_ITERATIONS = 20  # in a step, as in ``lbfgs``
HISTORY = 100  # pairs; on exp_sin ten leave three times the error, three hundred gain nothing
CONVERGENCE = 1e-6  # a step that lowers the mean squared error by less, relative to it, is the last


@dataclass(frozen=True)
class MLPLBFGS:
    """Settings: ``steps`` of at most 20 iterations, from each of ``restarts`` starts; the one
    with the least training error is kept."""

    steps: int = 200
    restarts: int = 1

    def start(self, shape: MLPShape, problem: Problem) -> MLP:
        """The first of the random starts of each seed."""
        # One by one: a mean over a batch may round otherwise, and 4000 iterations magnify it.
        parts = [problem[replica] for replica in _each(problem)]
        return concatenate([_Scales.of(p).folded(_random(shape, p, 0)) for p in parts])

    def solve(
        self,
        kan: MLP,
        problem: Problem,
        memory: Tensor | None = None,
        observe: Observe | None = None,
    ) -> Outcome[MLP]:
        """Train from ``kan`` and from ``restarts`` - 1 random starts of its shape beside it.

        Replicas and restarts come one after the other, so that the seeds beside it change no bit
        of one; in a batch they are no faster, for the time goes into activations and products.
        ``steps`` are those of all restarts together, the rest is of the one that is kept.
        """
        runs = [
            self._solve_one(kan[replica], problem[replica], replica, observe)
            for replica in _each(problem)
        ]
        return Outcome(
            concatenate([run.net for run in runs]),
            tuple(run.steps for run in runs),
            tuple(run.stop_reason for run in runs),
            torch.cat([run.grad_norm for run in runs]),
            problem.x.new_zeros(kan.n_replicas, 0),
        )

    def _solve_one(
        self, net: MLP, problem: Problem, replica: Tensor, observe: Observe | None
    ) -> _Run:
        scales = _Scales.of(problem)
        shape, scaled = MLPShape(net.width, net.activation), scales.scaled(problem)
        runs: list[_Run] = []
        for restart in range(self.restarts):
            start = _random(shape, problem, restart) if restart else scales.unfolded(net)
            before = sum(run.steps for run in runs)

            def after_step(step: int, now: MLP, before: int = before) -> None:
                if observe is not None:
                    observe(_iteration(before + step, replica, now, scaled, scales))

            runs.append(_descend(start, scaled, self.steps, after_step))
        best = min(runs, key=lambda run: run.error if math.isfinite(run.error) else math.inf)
        return replace(best, net=scales.folded(best.net), steps=sum(run.steps for run in runs))


@dataclass(frozen=True)
class _Run:
    """What became of one start of one replica."""

    net: MLP
    error: float  # mean squared, of the scaled outputs
    grad_norm: Tensor  # (1,)
    steps: int
    stop_reason: str


@dataclass(frozen=True)
class _Scales:
    """The affine maps between what is given and what is trained on."""

    middle: float | Tensor  # (I,) or one for all inputs
    half: float | Tensor
    mean: Tensor  # (R, M)
    spread: Tensor  # (R, M)

    @classmethod
    def of(cls, problem: Problem) -> _Scales:
        low, high = problem.domain
        return cls((high + low) / 2, (high - low) / 2, problem.y.mean(1), output_spread(problem.y))

    def scaled(self, problem: Problem) -> Problem:
        y = (problem.y - self.mean[:, None]) / self.spread[:, None]
        return replace(problem, x=(problem.x - self.middle) / self.half, y=y, domain=(-1.0, 1.0))

    def folded(self, net: MLP) -> MLP:
        return net.of_inputs(self.middle, self.half).with_outputs(self.mean, self.spread)

    def unfolded(self, net: MLP) -> MLP:
        net = net.of_inputs(-self.middle / self.half, 1 / self.half)
        return net.with_outputs(-self.mean / self.spread, 1 / self.spread)


def _each(problem: Problem) -> list[Tensor]:
    """The index of every replica, (1,) each."""
    return list(torch.arange(len(problem.x), device=problem.x.device).split(1))


def _random(shape: MLPShape, problem: Problem, restart: int) -> MLP:
    """Weights uniform with Glorot's variance for tanh and He's for the rest, biases uniform
    within 1/sqrt(I) as in ``torch.nn.Linear``: with none, silu often ends in a poor minimum.

    Every start draws from its own generator, so neither the seeds beside it nor the number of
    restarts change it. It is one for scaled inputs and outputs.
    """
    n = problem.x.shape[1]
    generators = [np.random.default_rng([s, START_STREAM, n, restart]) for s in problem.seeds]
    weights: list[Tensor] = []
    biases: list[Tensor] = []
    for n_in, n_out in itertools.pairwise(shape.width):
        fan = n_in + n_out if shape.activation == "tanh" else n_in
        for parts, bound, size in (
            (weights, math.sqrt(6 / fan), (n_out, n_in)),
            (biases, math.sqrt(1 / n_in), (n_out,)),
        ):
            draws = np.stack([rng.uniform(-bound, bound, size) for rng in generators])
            parts.append(torch.from_numpy(draws).to(problem.x))
    return MLP(tuple(weights), tuple(biases), shape.activation)


def _descend(
    net: MLP, problem: Problem, steps: int, after_step: Callable[[int, MLP], None]
) -> _Run:
    """Train one replica on scaled data."""

    def loss(theta: Tensor) -> Point:
        objective, gradient = loss_and_gradient(net.with_theta(theta[None]), problem)
        return Point(theta, float(objective), 2 * gradient[0])

    point = loss(net.theta()[0])
    memory = Memory(HISTORY, point.theta)
    reason, step = STEP_LIMIT, 0
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
            reason = NON_FINITE
            break
        if point.loss >= last * (1 - CONVERGENCE):
            reason = CONVERGED
            break
    net = net.with_theta(point.theta[None])
    return _Run(net, point.loss, grad_norm(net, problem), step, reason)


def _iteration(
    step: int, replica: Tensor, net: MLP, problem: Problem, scales: _Scales
) -> Iteration:
    residual = (net(problem.x) - problem.y) * scales.spread[:, None]
    rmse = residual.square().mean((1, 2)).sqrt()
    return Iteration(
        step=step,
        replicas=replica,
        kan=lambda: scales.folded(net),
        rmse=rmse,
        grad_norm=grad_norm(net, problem),
        accepted=torch.isfinite(rmse),
    )


def loss_and_gradient(net: MLP, problem: Problem) -> tuple[Tensor, Tensor]:
    """Mean squared error (R,) and half its gradient (R, P), by backpropagation."""
    inputs, slopes, f = _forward(net, problem.x)
    residual = f - problem.y  # (R, n, M)
    gradient = _joined(_backward(net, slopes, residual), inputs) / residual[0].numel()
    return residual.square().mean((1, 2)), gradient


def grad_norm(net: MLP, problem: Problem) -> Tensor:
    """``relative_gradient`` of the mean squared error, (R,)."""
    inputs, slopes, f = _forward(net, problem.x)
    residual = f - problem.y  # (R, n, M)
    gradient = _joined(_backward(net, slopes, residual), inputs)
    diagonal, squares = torch.zeros_like(gradient), [h.square() for h in inputs]
    for output in torch.eye(f.shape[2], dtype=f.dtype, device=f.device):
        deltas = _backward(net, slopes, output.expand_as(f))
        diagonal += _joined([delta.square() for delta in deltas], squares)
    return relative_gradient(gradient, diagonal, residual.square().sum((1, 2)))


def _forward(net: MLP, x: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """What each layer takes in (R, n, I), the slopes between layers, and (R, n, M)."""
    act = ACTIVATIONS[net.activation]
    inputs, slopes = [x], []
    for weight, bias in zip(net.weights[:-1], net.biases[:-1], strict=True):
        z = torch.baddbmm(bias[:, None], inputs[-1], weight.mT)  # (R, n, O)
        inputs.append(act.value(z))
        slopes.append(act.slope(z, inputs[-1]))
    return inputs, slopes, torch.baddbmm(net.biases[-1][:, None], inputs[-1], net.weights[-1].mT)


def _backward(net: MLP, slopes: list[Tensor], output: Tensor) -> list[Tensor]:
    """An output's weights (R, n, M) pulled back to the sums of each layer, (R, n, O)."""
    deltas = [output]
    for weight, slope in zip(net.weights[:0:-1], slopes[::-1], strict=True):
        deltas.append((deltas[-1] @ weight) * slope)
    return deltas[::-1]


def _joined(deltas: list[Tensor], inputs: list[Tensor]) -> Tensor:
    """Derivatives by weights and biases in the order of ``MLP.theta``, summed over points."""
    parts = []
    for delta, h in zip(deltas, inputs, strict=True):
        parts += [(delta.mT @ h).flatten(1), delta.sum(1)]
    return torch.cat(parts, dim=1)  # (R, P)
