"""Damped Gauss-Newton steps of R networks in lockstep, under a ridge whose weight is estimated.

What is minimised is |r|^2 + w |t|^2, of residuals r and parameters t. The damping follows the gain
ratio by Nielsen's rule (Madsen, Nielsen and Tingleff, *Methods for Non-linear Least Squares
Problems*, 2004, algorithm 3.16), and a step is bent along the curve that the residuals describe
(geodesic acceleration: Transtrum and Sethna, arXiv:1201.5885). On exp_sin 300 steps that are bent
leave a thirtieth of the error of 300 that are not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from kansweep.networks.protocol import Gradient
from kansweep.solvers.contract import Problem, relative_gradient
from kansweep.solvers.least_squares.evidence import estimated
from kansweep.solvers.least_squares.systems import Factor, System, system
from kansweep.solvers.reasons import StopReason

FIRST_DAMPING = 1e-2  # of the mean squared norm of a column of the Jacobian
SHRINK, GROW = 1 / 3, 2.0  # of Nielsen's rule
MAX_TRIALS = 20  # by then the damping has grown by 2^210
BEND = 0.75  # most of an acceleration, relative to half the step, by which a step is bent
PROBE = 0.1  # of a step, at which the residuals' curvature is measured
EVERY = 2  # steps between estimates of the ridge
# Where no step lowers the objective: it is at its least for a gradient below the one, and the fit
# is exact, in units of the outputs' deviation, for residuals below the other.
FLAT, ROUNDING = 1e-6, 1e4
WINDOW = 10  # steps whose decreases count together


@dataclass(frozen=True)
class State:
    """R descents where they stand; all tensors have a row each."""

    net: Gradient
    residual: Tensor  # (R, n, M)
    ridge: Tensor  # w
    damping: Tensor  # NaN before the first step
    growth: Tensor
    recent: Tensor  # (R, WINDOW), relative decreases of the last steps
    grad_norm: Tensor  # of the objective, where the last step began
    accepted: Tensor  # whether the last step was

    @classmethod
    def of(cls, net: Gradient, problem: Problem, ridge: float) -> State:
        residual = net(problem.x) - problem.y
        one = residual.new_ones(len(residual))
        unknown, recent = torch.nan * one, one[:, None].expand(-1, WINDOW).clone()
        growth = GROW * one
        return cls(net, residual, ridge * one, unknown, growth, recent, unknown, one > 0)

    def __getitem__(self, replicas: Tensor | slice) -> State:
        return State(*(getattr(self, item.name)[replicas] for item in fields(self)))

    @classmethod
    def concatenated(cls, states: Sequence[State]) -> State:
        nets = [state.net for state in states]
        rest = [item.name for item in fields(cls)][1:]
        tensors = (torch.cat([getattr(state, name) for state in states]) for name in rest)
        return cls(type(nets[0]).concatenated(nets), *tensors)

    @property
    def squares(self) -> Tensor:
        return self.residual.square().sum((1, 2))

    @property
    def weights(self) -> Tensor:
        return self.net.theta().square().sum(1)

    @property
    def objective(self) -> Tensor:
        return self.squares + self.ridge * self.weights


@dataclass(frozen=True)
class Rules:
    """When a descent ends, and whether the ridge's weight is estimated on the way."""

    steps: int
    tolerance: float  # relative decrease of the objective in WINDOW steps
    estimate: bool


# Told of each step: its number, the states and which of those at the beginning they are. Says which
# of them are over.
Watch = Callable[[int, State, Tensor], Tensor]


def descend(
    state: State, problem: Problem, rules: Rules, watch: Watch
) -> tuple[State, list[StopReason], int]:
    """The states at the end, why each ended, and the steps until the last of them had.

    A state that ends leaves, and changes no more.
    """
    ended: dict[int, tuple[State, StopReason]] = {}
    running, step = torch.arange(len(state.ridge), device=problem.x.device), 0
    for step in range(1, rules.steps + 1):
        state = iterate(state, problem, rules.estimate and step % EVERY == 1)
        over = watch(step, state, running)
        going = torch.ones_like(over)
        for row, replica in enumerate(running.tolist()):
            reason = _end(state[row : row + 1], rules.tolerance, bool(over[row]))
            if reason is None and step == rules.steps:
                reason = StopReason.STEP_LIMIT
            if reason is not None:
                ended[replica] = state[row : row + 1], reason
                going[row] = False
        if not bool(going.any()):
            break
        if not bool(going.all()):
            state, problem, running = state[going], problem[going.nonzero()[:, 0]], running[going]
    states, reasons = zip(*(ended[replica] for replica in sorted(ended)), strict=True)
    return State.concatenated(states), list(reasons), step


def _end(state: State, tolerance: float, over: bool) -> StopReason | None:
    """Why the one descent ends here, None where it goes on."""
    if not bool(torch.isfinite(state.residual).all()):
        return StopReason.NON_FINITE
    if not bool(state.accepted):
        exact = state.residual.abs().max() < ROUNDING * torch.finfo(state.residual.dtype).eps
        least = bool(exact) or bool(state.grad_norm < FLAT)
        return StopReason.CONVERGED if least else StopReason.STALLED
    return StopReason.CONVERGED if over or float(state.recent.sum()) < tolerance else None


def iterate(state: State, problem: Problem, estimate: bool) -> State:
    """One step: linearise, estimate the ridge, and raise the damping until the objective falls."""
    theta, weights = state.net.theta(), state.weights
    lin = state.net.linearised(problem.x)
    linear = system(lin, state.residual, theta)
    if bool(torch.isnan(state.damping).any()):  # at the first step of all
        state = replace(state, damping=FIRST_DAMPING * linear.diagonal.mean(1))
    before, squares = state.ridge, state.squares
    if estimate:
        count = state.residual[0].numel()
        state = replace(state, ridge=estimated(linear, squares, weights, before, count))
    objective = squares + state.ridge * weights
    after = _lowered(state, problem, linear, objective)
    change = 1 - after.objective / objective + (state.ridge - before).abs() * weights / objective
    gradient = linear.gradient + state.ridge[:, None] * theta
    norm = relative_gradient(gradient, linear.diagonal + state.ridge[:, None], objective)
    recent = torch.cat([state.recent[:, 1:], change[:, None]], dim=1)
    return replace(after, recent=recent, grad_norm=norm)


def _lowered(state: State, problem: Problem, linear: System, objective: Tensor) -> State:
    """The state after a step that lowers the objective, replica by replica; where none that is
    tried does, it is what it was and marked as not accepted."""
    pending, begun = torch.arange(len(objective), device=objective.device), state
    theta, residual = state.net.theta().clone(), state.residual.clone()
    damping, growth = state.damping.clone(), state.growth.clone()
    for _ in range(MAX_TRIALS):
        some = linear if len(pending) == len(objective) else linear[pending]  # a large copy
        trial = _tried(state[pending], problem[pending], some)
        gain = (objective[pending] - trial.objective) / trial.predicted
        better = (trial.objective < objective[pending]) & (trial.predicted > 0)
        factor = (1 - (2 * gain - 1) ** 3).clamp(min=SHRINK)
        damping[pending] *= torch.where(better, factor, growth[pending])
        growth[pending] = torch.where(better, GROW, GROW * growth[pending])
        done = pending[better]
        theta[done], residual[done] = trial.theta[better], trial.residual[better]
        pending = pending[~better]
        if len(pending) == 0:
            break
        state = replace(state, damping=damping)
    accepted = torch.ones_like(state.accepted)
    accepted[pending] = False
    damping[pending], growth[pending] = begun.damping[pending], begun.growth[pending]
    return replace(
        state,
        net=state.net.with_theta(theta),
        residual=residual,
        damping=damping,
        growth=growth,
        accepted=accepted,
    )


@dataclass(frozen=True)
class _Trial:
    """Where a step leads."""

    theta: Tensor
    residual: Tensor
    objective: Tensor
    predicted: Tensor  # decrease of the objective, by the linear model without the bend


def _tried(state: State, problem: Problem, linear: System) -> _Trial:
    theta, ridge, damping = state.net.theta(), state.ridge, state.damping
    factor = Factor.of(linear.matrix, ridge + damping)
    d = linear.step(factor, theta, ridge, damping)
    gradient = linear.gradient + ridge[:, None] * theta
    predicted = (d * (damping[:, None] * d - gradient)).sum(1)

    def residual_at(theta: Tensor) -> Tensor:
        return state.net.with_theta(theta)(problem.x) - problem.y

    ahead, behind = residual_at(theta + PROBE * d), residual_at(theta - PROBE * d)
    curvature = (ahead - 2 * state.residual + behind) / PROBE**2
    bend = linear.bend(factor, curvature)
    small = 2 * bend.norm(dim=1) <= BEND * d.norm(dim=1)  # false for a NaN
    reached = theta + d + torch.where(small[:, None], bend / 2, 0.0)
    residual = residual_at(reached)
    objective = residual.square().sum((1, 2)) + ridge * reached.square().sum(1)
    return _Trial(reached, residual, objective, predicted)
