"""Levenberg-Marquardt for any network with a gradient: a race of random starts, of which the best
are trained to the end and one stays.

Training sees inputs on [-1, 1] and outputs of mean 0 and deviation 1, as that of ``lbfgs``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from kansweep.config.models import ModelConfig
from kansweep.config.solvers import LMConfig
from kansweep.networks.protocol import Gradient, GradientShape
from kansweep.solvers import scales
from kansweep.solvers.contract import Iteration, Observe, Outcome, Problem
from kansweep.solvers.least_squares.descent import Rules, State, descend
from kansweep.solvers.reasons import StopReason
from kansweep.solvers.scales import Scales, concatenated, each, random_start

RACE = 20  # steps, after which the best starts go on
FIRST_PENALTY = 1e-8  # where the evidence is to choose it
SQUARES = 2**22  # numbers in the matrices of those that go together; they share a core's cache


@dataclass(frozen=True)
class LevenbergMarquardt:
    """Settings: ``solver.restarts`` random starts are raced beside the first for a few steps, and
    ``model.restarts`` of all (one where the model has no such key) are trained to the end, of
    which the one that generalised cross-validation prefers is kept. ``solver.penalty`` is the
    weight of the parameters' squares beside the mean square of the residuals."""

    settings: LMConfig = field(default_factory=LMConfig)
    model: ModelConfig | None = None

    @property
    def finalists(self) -> int:
        return min(getattr(self.model, "restarts", 1), 1 + self.settings.restarts)

    def start(self, shape: GradientShape, problem: Problem) -> Gradient:
        """The first of the random starts of each seed."""
        return scales.start(shape, problem)

    def solve(
        self,
        net: Gradient,
        problem: Problem,
        memory: Tensor | None = None,
        observe: Observe | None = None,
    ) -> Outcome[Gradient]:
        """Train from ``net`` and from random starts of its shape beside it.

        The starts of a replica go in lockstep, replicas one after the other, so that the seeds
        beside it change no bit of one. ``steps`` are those in lockstep, the race's included.
        """
        outcomes = []
        for replica in each(problem):
            carried = None if memory is None else float(memory[replica, 0])
            given = net[replica], problem[replica], carried
            outcomes.append(self._solve_one(*given, replica, observe))
        return Outcome(
            concatenated([one.net for one in outcomes]),
            tuple(one.steps[0] for one in outcomes),
            tuple(one.stop_reason[0] for one in outcomes),
            torch.cat([one.grad_norm for one in outcomes]),
            torch.cat([one.memory for one in outcomes]),
        )

    def _solve_one(
        self,
        net: Gradient,
        problem: Problem,
        carried: float | None,
        replica: Tensor,
        observe: Observe | None,
    ) -> Outcome[Gradient]:
        maps, fixed = Scales.of(problem), self.settings.penalty
        warm = carried is not None and not math.isnan(carried)
        weight = fixed or (carried if carried is not None and warm else FIRST_PENALTY)
        training = _Training(maps.scaled(problem), maps, fixed is None, replica, observe)
        nets = [maps.unfolded(net)]
        if not warm:
            restarts = range(1, 1 + self.settings.restarts)
            nets += [random_start(net.shape, problem, restart) for restart in restarts]
        runs = training.begun(nets, weight)
        if len(runs) > self.finalists:
            training.train(runs, RACE, 0.0)
            runs = sorted(runs, key=lambda run: run.error)[: self.finalists]
        training.train(runs, self.settings.max_steps, self.settings.tolerance)
        return training.outcome(min(runs, key=lambda run: run.error))


@dataclass
class _Run:
    """One start of one replica, as far as it has come."""

    state: State  # of one row
    stop_reason: StopReason = StopReason.STEP_LIMIT

    @property
    def error(self) -> float:
        return float(self.state.expected)


@dataclass
class _Training:
    """One replica in training, all starts of it."""

    problem: Problem  # scaled
    maps: Scales
    estimate: bool
    replica: Tensor  # (1,)
    observe: Observe | None
    steps: int = 0

    def begun(self, nets: list[Gradient], penalty: float) -> list[_Run]:
        ridge = penalty * self.problem.x.shape[1]
        return [_Run(State.of(net, self.problem, ridge)) for net in nets]

    def train(self, runs: list[_Run], steps: int, tolerance: float) -> None:
        """Train them on, as many in lockstep as ``SQUARES`` allows."""
        unknowns = min(runs[0].state.net.n_params, self.problem.y[0].numel())
        together = max(1, SQUARES // unknowns**2)
        for first in range(0, len(runs), together):
            some = runs[first : first + together]
            state = State.concatenated([run.state for run in some])
            problem = self.problem[
                torch.zeros(len(some), dtype=torch.long, device=state.ridge.device)
            ]
            rules = Rules(steps, tolerance, self.estimate)
            state, reasons, taken = descend(state, problem, rules, self._told)
            self.steps += taken
            for index, (run, reason) in enumerate(zip(some, reasons, strict=True)):
                run.state, run.stop_reason = state[index : index + 1], reason

    def _told(self, step: int, state: State) -> None:
        """Report the best of those in lockstep."""
        if self.observe is None:
            return
        best = state[state.expected.argmin()[None]]
        residual = best.residual * self.maps.spread[:, None]
        self.observe(
            Iteration(
                step=self.steps + step,
                replicas=self.replica,
                net=lambda: self.maps.folded(best.net),
                rmse=residual.square().mean((1, 2)).sqrt(),
                grad_norm=best.grad_norm,
                accepted=best.accepted,
                damping=best.damping,
                penalty=best.ridge / self.problem.x.shape[1],
            )
        )

    def outcome(self, run: _Run) -> Outcome[Gradient]:
        state = run.state
        return Outcome(
            self.maps.folded(state.net),
            (self.steps,),
            (run.stop_reason,),
            state.grad_norm,
            state.ridge[:, None] / self.problem.x.shape[1],
        )
