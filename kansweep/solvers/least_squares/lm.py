"""Levenberg-Marquardt for any network with a gradient: a race of random starts, of which the best
are trained to the end and one stays.

Training sees inputs on [-1, 1] and outputs of mean 0 and deviation 1, as that of ``lbfgs``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from kansweep.config.models import ModelConfig
from kansweep.config.solvers import LMConfig
from kansweep.data.streams import Stream, generator
from kansweep.networks.protocol import Gradient
from kansweep.solvers.contract import Iteration, Observe, Outcome, Problem
from kansweep.solvers.held_out import Split, typical
from kansweep.solvers.least_squares.descent import Rules, State, descend
from kansweep.solvers.reasons import StopReason
from kansweep.solvers.scales import RandomStarts, Scales, concatenated, each, random_start

# Steps of all starts, then of the better half of them. Before them the evidence would call
# everything noise; the first alone say little of where a start ends.
RACE = 20
FIRST_PENALTY = 1e-8  # where the evidence is to choose it
HELD_OUT = 0.1  # of the points, where the evidence is to choose the weight
# A start over-fits whose mean square there is so many times its least, for so many steps, and so
# many times that of the points it is trained on.
WORSE, PATIENCE, APART = 1.1, 20, 4.0
LAST = 20  # most steps with all points
SQUARES = 2**22  # numbers in the matrices of those that go together; they share a core's cache


@dataclass(frozen=True)
class LevenbergMarquardt(RandomStarts):
    """Settings: ``solver.restarts`` random starts are raced beside the first for a few steps, and
    ``model.restarts`` of all (one where the model has no such key) are trained to the end, of
    which one is kept. ``solver.penalty`` is the weight of the parameters' squares beside the mean
    square of the residuals; where the evidence chooses it, held-out points choose the start."""

    settings: LMConfig = field(default_factory=LMConfig)
    model: ModelConfig | None = None

    @property
    def starts(self) -> int:
        """The first, those raced beside it, and what else it takes for as many to go on."""
        return max(1 + self.settings.restarts, self.restarts)

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
        warm = carried is not None and not math.isnan(carried)
        maps, fixed = Scales.of(problem), self.settings.penalty
        weight = fixed or (carried if carried is not None and warm else FIRST_PENALTY)
        scaled = maps.scaled(problem)
        rng = generator(problem.seeds[0], Stream.ORDER, problem.x.shape[1])
        split = Split.of(scaled, HELD_OUT if fixed is None else 0.0, rng)
        training = _Training(split, maps, fixed is None, replica, observe)
        nets = [maps.unfolded(net)]
        if not warm:
            nets += [random_start(net.shape, problem, index) for index in range(1, self.starts)]
        runs = training.begun(nets, weight)
        if not warm:
            for left in (max(self.restarts, math.ceil(self.starts / 2)), self.restarts):
                training.train(runs, Rules(RACE, 0.0, estimate=False))
                runs = sorted(runs, key=lambda run: run.error)[:left]
        rules = Rules(self.settings.max_steps, self.settings.tolerance, estimate=fixed is None)
        training.train(runs, rules)
        best = min(runs, key=lambda run: run.error)
        if fixed is None:
            best = training.finished(best, scaled, replace(rules, steps=LAST))
        return training.outcome(best)


@dataclass
class _Run:
    """One start of one replica, as far as it has come."""

    state: State  # of one row
    best: State  # that of the least error
    error: float  # mean squared, of the points that choose
    age: int = 0  # steps since then
    last_error: float = math.inf
    stop_reason: StopReason = StopReason.STEP_LIMIT

    def update(self, state: State, error: float) -> None:
        self.state, self.last_error, self.age = state, error, self.age + 1
        if error < self.error:
            self.best, self.error, self.age = state, error, 0

    @property
    def has_lost(self) -> bool:
        """Whether it predicts worse than it did, by what it has learned of its own points alone;
        true where it predicts nothing any more."""
        if self.last_error <= WORSE * self.error:
            return False
        return not self.last_error <= APART * float(typical(self.state.residual))

    @property
    def over_fits(self) -> bool:
        return self.age >= PATIENCE and self.has_lost


@dataclass
class _Training:
    """One replica in training, all starts of it."""

    split: Split  # scaled
    maps: Scales
    estimate: bool
    replica: Tensor  # (1,)
    observe: Observe | None
    steps: int = 0

    def begun(self, nets: list[Gradient], penalty: float) -> list[_Run]:
        training = self.split.training
        states = [State.of(net, training, penalty * training.x.shape[1]) for net in nets]
        return [_Run(state, state, math.inf) for state in states]

    def train(self, runs: list[_Run], rules: Rules) -> None:
        """Train them on, as many in lockstep as ``SQUARES`` allows."""
        unknowns = min(runs[0].state.net.n_params, self.split.training.y[0].numel())
        together = max(1, SQUARES // unknowns**2)
        for first in range(0, len(runs), together):
            some = runs[first : first + together]
            state = State.concatenated([run.state for run in some])
            split = self.split[torch.zeros_like(state.accepted, dtype=torch.long)]

            def watch(step: int, now: State, running: Tensor, some: list[_Run] = some) -> Tensor:
                return self._watched(step, now, [some[index] for index in running.tolist()])

            _, reasons, taken = descend(state, split.training, rules, watch)
            self.steps += taken
            for run, reason in zip(some, reasons, strict=True):
                run.stop_reason = reason

    def _watched(self, step: int, state: State, runs: list[_Run]) -> Tensor:
        """Note the errors of runs in lockstep, report the best, and say which over-fit."""
        errors = self.split[torch.zeros_like(state.accepted, dtype=torch.long)].typical_error(
            state.net
        )
        for row, (run, error) in enumerate(zip(runs, errors.tolist(), strict=True)):
            run.update(
                state[row : row + 1], error if self.estimate else float(state.objective[row])
            )
        self._report(step, state[errors.nan_to_num(torch.inf).argmin()[None]])
        return torch.tensor([run.over_fits for run in runs], device=errors.device)

    def _report(self, step: int, state: State) -> None:
        if self.observe is None:
            return
        residual = state.residual * self.maps.spread[:, None]
        self.observe(
            Iteration(
                step=self.steps + step,
                replicas=self.replica,
                net=lambda: self.maps.folded(state.net),
                rmse=residual.square().mean((1, 2)).sqrt(),
                grad_norm=state.grad_norm,
                accepted=state.accepted,
                damping=state.damping,
                penalty=state.ridge / state.residual.shape[1],
            )
        )

    def finished(self, run: _Run, whole: Problem, rules: Rules) -> _Run:
        """A run that did not over-fit is trained on with all points, one that did stays at its
        best; where that predicts no better than the mean, the mean is left."""
        if not math.isfinite(run.error):
            return run
        held_out = self.split.held_out
        residual = run.best.net(held_out.x) - held_out.y
        gained = (held_out.y.square() - residual.square()).sum(2)[0]  # (n,)
        if not bool(gained.mean() > gained.std(correction=0) / math.sqrt(len(gained))):
            nothing = torch.zeros_like(self.maps.mean)
            flat = run.best.net.with_outputs(nothing, nothing)
            state = replace(State.of(flat, whole, math.nan), grad_norm=run.best.grad_norm)
            return replace(run, state=state)
        if run.has_lost:
            return replace(run, state=run.best)
        n = self.split.training.x.shape[1]
        more = whole.x.shape[1] / n
        state = State.of(run.state.net, whole, float(run.state.ridge) * more)
        last = replace(run, state=replace(state, damping=run.state.damping * more))
        on = replace(self, split=Split(whole, whole))
        on.train([last], rules)
        self.steps = on.steps
        return replace(last, stop_reason=run.stop_reason)

    def outcome(self, run: _Run) -> Outcome[Gradient]:
        state = run.state
        return Outcome(
            self.maps.folded(state.net),
            (self.steps,),
            (run.stop_reason,),
            state.grad_norm,
            state.ridge[:, None] / state.residual.shape[1],
        )
