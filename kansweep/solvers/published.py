"""The published recipe: L-BFGS from small noise, hidden grids updated from the samples.

Liu et al., pykan 0.0.1, example 8: 50 steps of ``torch.optim.LBFGS``; every third of the first
30 begins by moving all grids to the samples' range. Mean squared error, no penalty. A bias on
every node is trained too: splines sum to one, so it adds no function, but it is the direction
in which hidden values move as a whole, and without it more seeds end in a local minimum.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from kansweep.config.models import ModelConfig
from kansweep.config.solvers import LBFGSConfig
from kansweep.data.streams import Stream, generator
from kansweep.networks import bspline
from kansweep.networks.jacobian import jacobian
from kansweep.networks.kan import KAN, Shape, edges
from kansweep.solvers.contract import Iteration, Observe, Outcome, Problem, relative_gradient
from kansweep.solvers.gauss_newton.start import blank
from kansweep.solvers.reasons import StopReason

# Of pykan 0.0.1: KANLayer's noise scale, the margin of its grids in units of the inputs, the steps
# that update grids, and torch.optim.LBFGS with 20 iterations and 5/4 as many evaluations a step.
NOISE = 0.1
MARGIN = 0.01
GRID_UPDATE_EVERY, GRID_UPDATE_UNTIL = 3, 30
MAX_ITERATIONS, MAX_EVALUATIONS, HISTORY, TOLERANCE = 20, 25, 10, 1e-32
# torch skips curvature pairs below 1e-10, which pykan's copy does not; the method has no other
# scale, so the loss is magnified until that threshold is out of reach.
LOSS_SCALE = 1e12


@dataclass(frozen=True)
class PublishedRecipe:
    """Settings: ``steps`` calls of the optimiser, each of at most 20 iterations."""

    settings: LBFGSConfig = field(default_factory=LBFGSConfig)
    model: ModelConfig | None = None

    def start(self, shape: Shape, problem: Problem) -> KAN:
        """Splines through noise of size 0.1 / G at the knots; base weights 1/sqrt(I) and noise."""
        net = blank(shape, problem)
        n = problem.x.shape[1]
        generators = [generator(seed, Stream.START, n) for seed in problem.seeds]
        points = np.linspace(0.0, 1.0, shape.grid_size + 1)
        fit = np.linalg.pinv(bspline.design_matrix(points, shape.grid_size, shape.k))
        layers = []
        for layer in net.layers:
            size = (layer.n_outputs, layer.n_inputs)
            noise = [rng.uniform(-0.5, 0.5, (*size, len(points))) @ fit.T for rng in generators]
            coef = torch.from_numpy(np.stack(noise)).to(layer.coef) * (NOISE / shape.grid_size)
            base = layer.base
            if base is not None:
                draws = [NOISE * (2 * rng.standard_normal(size) - 1) for rng in generators]
                base = torch.from_numpy(np.stack(draws)).to(base) + layer.n_inputs**-0.5
            layers.append(replace(layer, coef=coef, base=base))
        return replace(net, layers=tuple(layers))

    def solve(
        self,
        net: KAN,
        problem: Problem,
        memory: Tensor | None = None,
        observe: Observe | None = None,
    ) -> Outcome[KAN]:
        """Replicas one after the other: the optimiser knows one at a time."""
        device = problem.x.device
        done = [
            self._solve_one(net, problem, index, observe)
            for index in torch.arange(net.n_replicas, device=device).split(1)
        ]
        return Outcome(
            KAN.concatenated([one.net for one in done]),
            tuple(steps for one in done for steps in one.steps),
            tuple(reason for one in done for reason in one.stop_reason),
            torch.cat([one.grad_norm for one in done]),
            torch.cat([one.memory for one in done]),
        )

    def _solve_one(
        self, kan: KAN, problem: Problem, replica: Tensor, observe: Observe | None
    ) -> Outcome[KAN]:
        kan, problem = kan[replica], problem[replica]
        lift = _bias_to_theta(kan)  # (P, H)
        variables = torch.cat([kan.theta(), kan.theta().new_zeros(1, lift.shape[1])], dim=1)
        variables.requires_grad_()

        def current() -> KAN:
            theta, bias = variables.detach().split(lift.shape, dim=1)
            return kan.with_theta(theta + bias @ lift.mT)

        def loss() -> Tensor:
            objective, gradient, _ = _loss_and_gradient(current(), problem)
            variables.grad = 2 * LOSS_SCALE * torch.cat([gradient, gradient @ lift], dim=1)
            return LOSS_SCALE * objective

        optimiser = torch.optim.LBFGS(
            [variables],
            max_iter=MAX_ITERATIONS,
            max_eval=MAX_EVALUATIONS,
            history_size=HISTORY,
            tolerance_grad=TOLERANCE,
            tolerance_change=TOLERANCE,
            line_search_fn="strong_wolfe",
        )
        reason, step = StopReason.STEP_LIMIT, 0
        for step in range(1, self.settings.steps + 1):
            if step <= GRID_UPDATE_UNTIL and step % GRID_UPDATE_EVERY == 1:
                before = current()
                kan = _with_grids_on(before, problem.x)
                variables.data[:, : lift.shape[0]] += kan.theta() - before.theta()
            optimiser.step(loss)
            if observe is not None:
                observe(_iteration(step, replica, current(), problem))
            if not bool(torch.isfinite(variables).all()):
                reason = StopReason.NON_FINITE
                break
        kan = current()
        grad_norm = _iteration(step, replica, kan, problem).grad_norm
        return Outcome(kan, (step,), (reason,), grad_norm, kan.theta().new_zeros(1, 0))


def _iteration(step: int, replica: Tensor, kan: KAN, problem: Problem) -> Iteration:
    objective, gradient, diagonal = _loss_and_gradient(kan, problem)
    return Iteration(
        step=step,
        replicas=replica,
        net=lambda: kan,
        rmse=objective.sqrt(),
        grad_norm=relative_gradient(gradient, diagonal, objective),
        accepted=torch.isfinite(objective),
    )


def _bias_to_theta(kan: KAN) -> Tensor:
    """What a bias on each node adds to theta, (P, H): one to all coefficients of its first edge."""
    columns, first = [], 0
    for layer in kan.layers:
        for node in range(layer.n_outputs):
            column = torch.zeros(kan.n_theta, dtype=layer.coef.dtype, device=layer.coef.device)
            start = first + layer.coef[0, :node].numel()
            column[start : start + layer.coef.shape[-1]] = 1.0
            columns.append(column)
        first += layer.coef[0].numel() + (0 if layer.base is None else layer.base[0].numel())
    return torch.stack(columns, dim=1)


def _loss_and_gradient(kan: KAN, problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    """Mean squared error (R,), half its gradient (R, P), and the Gauss-Newton diagonal (R, P)."""
    activations, f = kan.activations(problem.x)
    residual = (f - problem.y).mT  # (R, M, n)
    count = residual.shape[1] * residual.shape[2]
    rows = jacobian(kan, activations)
    objective = residual.square().mean((1, 2))
    return objective, rows.transposed_product(residual) / count, rows.squared_norms() / count


def _with_grids_on(kan: KAN, x: Tensor) -> KAN:
    """Every grid on the range of the samples that reach it, with a margin, its knots where the
    spacing has them; splines refitted."""
    layers = []
    for layer in kan.layers:
        lower, upper = x.amin(1) - MARGIN, x.amax(1) + MARGIN
        layer = layer.on_range(lower, upper, kan.k)
        layers.append(layer.on_quantiles(x, kan.k) if kan.spacing == "quantile" else layer)
        x = edges(layers[-1], x, kan.k).sum(2)
    kan = replace(kan, layers=tuple(layers))
    return kan.respaced() if kan.spacing == "adaptive" else kan
