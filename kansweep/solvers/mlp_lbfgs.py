"""MLPs by L-BFGS with a strong Wolfe search on the full batch, the best of several starts.

Liu and Nocedal 1989 as ``torch.optim.LBFGS`` has it, from starts as in Glorot and Bengio 2010 or
He et al. 2015. It trains on inputs brought to [-1, 1] and outputs of mean 0 and deviation 1; both
maps are folded into the outer layers of the MLP that comes back.
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
from kansweep.solvers.lbfgs import LOSS_SCALE, MAX_EVALUATIONS, MAX_ITERATIONS, TOLERANCE
from kansweep.solvers.objective import output_spread
from kansweep.solvers.start import START_STREAM

HISTORY = 100
CONVERGENCE = 1e-6  # a step that lowers the mean squared error by less, relative to it, is the last


@dataclass(frozen=True)
class MLPLBFGS:
    """Settings: ``steps`` calls of the optimiser, each of at most 20 iterations, from each of
    ``restarts`` starts; the one with the least training error is kept."""

    steps: int = 200
    restarts: int = 1

    def start(self, shape: MLPShape, problem: Problem) -> MLP:
        """The first of the random starts of each seed."""
        return _Scales.of(problem).folded(_random(shape, problem, 0))

    def solve(
        self,
        kan: MLP,
        problem: Problem,
        memory: Tensor | None = None,
        observe: Observe | None = None,
    ) -> Outcome[MLP]:
        """Train from ``kan`` and from ``restarts`` - 1 random starts of its shape beside it.

        Replicas and restarts come one after the other: in a batch they are no faster, for the
        time goes into activations and products. ``steps`` are those of all restarts together,
        the rest is of the one that is kept.
        """
        runs = [
            self._solve_one(kan[replica], problem[replica], replica, observe)
            for replica in torch.arange(kan.n_replicas, device=problem.x.device).split(1)
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
    theta = net.theta().requires_grad_()

    def current() -> MLP:
        return net.with_theta(theta.detach())

    def loss() -> Tensor:
        objective, gradient = loss_and_gradient(current(), problem)
        theta.grad = 2 * LOSS_SCALE * gradient
        return LOSS_SCALE * objective

    optimiser = torch.optim.LBFGS(
        [theta],
        max_iter=MAX_ITERATIONS,
        max_eval=MAX_EVALUATIONS,
        history_size=HISTORY,
        tolerance_grad=TOLERANCE,
        tolerance_change=TOLERANCE,
        line_search_fn="strong_wolfe",
    )
    reason, step, last = STEP_LIMIT, 0, math.inf
    for step in range(1, steps + 1):
        before = float(optimiser.step(loss))  # the loss where the step began
        after_step(step, current())
        if not bool(torch.isfinite(theta).all()):
            reason = NON_FINITE
            break
        if before >= last * (1 - CONVERGENCE):
            reason = CONVERGED
            break
        last = before
    net = net.with_theta(theta.detach().clone())
    error = float(loss_and_gradient(net, problem)[0])
    return _Run(net, error, grad_norm(net, problem), step, reason)


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
    objective, gradient = loss_and_gradient(net, problem)
    inputs, slopes, f = _forward(net, problem.x)
    squares = [h.square() for h in inputs]
    diagonal = torch.zeros_like(gradient)
    for output in torch.eye(f.shape[2], dtype=f.dtype, device=f.device):
        deltas = _backward(net, slopes, output.expand_as(f))
        diagonal += _joined([delta.square() for delta in deltas], squares) / f[0].numel()
    return relative_gradient(gradient, diagonal, objective)


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
