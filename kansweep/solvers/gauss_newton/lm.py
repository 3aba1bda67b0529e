"""The default method: cold starts, their verification, and warm-started Levenberg-Marquardt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from kansweep.config.models import ModelConfig
from kansweep.config.solvers import LMConfig
from kansweep.networks.kan import KAN, Shape
from kansweep.solvers.contract import Observe, Outcome, Problem
from kansweep.solvers.gauss_newton import (
    basins,
    placing,
    race,
    simplest,
    smoothest,
    spectral,
    start,
    weights,
)
from kansweep.solvers.gauss_newton.deepening import has_one_node, is_deep
from kansweep.solvers.gauss_newton.descent import DAMPING_FLOOR, Limits, descend
from kansweep.solvers.gauss_newton.ends import mended
from kansweep.solvers.gauss_newton.leaner import followed, rivals
from kansweep.solvers.gauss_newton.objective import training_error
from kansweep.solvers.gauss_newton.pruning import pruned
from kansweep.solvers.gauss_newton.reml import Weight
from kansweep.solvers.gauss_newton.replicas import among, replaced
from kansweep.solvers.gauss_newton.smoother import smoothed
from kansweep.solvers.gauss_newton.steady import steadied
from kansweep.solvers.gauss_newton.weights import Memory

WARM_DAMPING = 1e-4  # little: what is extended is near its optimum already
# Several nodes leave directions that no coarser grid told apart, and so does a base function, which
# splines nearly make up for. Their curvature is of the size of the misfit, and so is the damping
# with which such networks begin (Fan and Yuan, Computing 74, 2005); the way along them is long and
# takes this share of the tolerance.
VALLEY = 0.3
ROUGHLY = 1e-2  # tolerance of a cold start
PROBE_STEPS = 2  # on twice the grid, to see whether errors fall
WORSE = 1.5  # times the error that a refined network begins with
SOFTENING = Limits(max_steps=20, tolerance=1e-2)  # on every grid of a deep network


@dataclass(frozen=True)
class LM:
    """Levenberg-Marquardt for KANs of B-splines.

    ``penalty`` of its settings is a multiple of ``penalty.weight``, or None to estimate it by REML.
    What it must know of the model, the network says.
    """

    settings: LMConfig = field(default_factory=LMConfig)
    model: ModelConfig | None = None

    @torch.inference_mode()
    def start(self, shape: Shape, problem: Problem) -> KAN:
        """A cold start. ``auto`` tries the additive model where there is one hidden node, then,
        in those seeds in which that is not seen to converge, what the gradients of the data say,
        along which sums they are smooth, and random starts."""
        if len(shape.width) == 2:
            return start.blank(shape, problem)
        if self.settings.start == "additive":
            return self._additive(shape, problem)
        if self.settings.start == "random" or not has_one_node(shape.width):
            return self._race(shape, problem)
        part = basins.part(problem)
        net = self._train(self._additive(shape, part), part, start.DAMPING)
        raced = [self._raced] * bool(self.settings.restarts)
        for rival in (*self._spectral(shape, part), self._smoothest, *raced):
            doubtful = basins.doubtful(net, self._finer(net, part), part).nonzero()[:, 0]
            if doubtful.numel() == 0:
                break
            asked = basins.poor(net, part, doubtful) if rival == self._smoothest else doubtful
            if asked.numel():
                net = basins.better(net, asked, problem, rival(shape, part[asked]))
        return net

    @torch.inference_mode()
    def solve(
        self,
        net: KAN,
        problem: Problem,
        memory: Tensor | None = None,
        observe: Observe | None = None,
    ) -> Outcome[KAN]:
        """Train from ``net``. What is remembered is a ``Memory``."""
        last = None if memory is None else Memory.of(memory)
        retrain = partial(self._train, damping=WARM_DAMPING)
        if self.settings.penalty is not None:
            outcome = self._searched(net, problem, last, observe)
        else:
            weigh = partial(self._solved, soften=False)
            thin = partial(rivals, self._searched, self._descended, weigh, retrain)
            search = partial(steadied, self._searched, self._descended, self._race, thin)
            search = partial(followed, search, self._searched)
            search = partial(simplest.solved, search, self._solved)
            outcome = smoothed(search, self._descended, net, problem, last, observe)
        share = 0.0 if self.model is None else self.model.pruning
        if share:
            begun = torch.ones_like(problem.x[:, 0, 0]).bool()
            begun = begun if last is None else last.grid_size.isnan()
            outcome = pruned(outcome, begun, problem, share, retrain, self._searched, observe)
        return mended(outcome, problem, observe)

    @torch.inference_mode()
    def polished(self, net: KAN, problem: Problem, memory: Tensor) -> Outcome[KAN]:
        """Trained on, with more points than those that left ``memory``; no other start is tried."""
        found = followed(self._kept, self._kept, net, problem, Memory.of(memory), None)
        return mended(found, problem, None)

    def _searched(
        self, net: KAN, problem: Problem, last: Memory | None, observe: Observe | None
    ) -> Outcome[KAN]:
        """The network trained, on trial of other starts and judged where points are enough."""
        net = self._spaced(net, problem, last)
        if len(net.layers) == 1 or 2 * net.n_params >= problem.n_points:
            return self._kept(net, problem, last, observe)  # linear, or not for points to judge
        # Weights of data without noise are tried before those of REML.
        light = last is not None and not has_one_node(net.width) and self.settings.penalty is None
        outcome = self._kept(net, problem, last, observe, light=light)
        doubtful = ~self._falls(outcome, problem, last, basins.ORDER)
        if last is not None:  # from what resolved nothing this is a start, and may be a wrong one
            doubtful |= last.order == 0
        if net.spacing != "uniform":  # placing knots lowers the error in a wrong basin too
            doubtful |= Memory.of(outcome.memory).error > basins.small(net)
        lost, others = (mask.nonzero()[:, 0] for mask in (doubtful, ~doubtful))
        if has_one_node(net.width):
            if last is not None and self.settings.start == "auto" and not net.is_pruned:
                outcome = self._rescued(outcome, lost, problem, observe)
        elif self.settings.penalty is None and last is None:
            outcome = self._lightened(outcome, lost, problem, observe)
        elif self.settings.penalty is None and last is not None:
            outcome = self._weighed(outcome, lost, net, problem, last, observe)
            now = Memory.of(outcome.memory)
            outcome = self._weighed(outcome, others, outcome.net, problem, now, observe)
        if last is not None and not has_one_node(net.width):
            outcome = self._begun_anew(outcome, lost, problem, last, observe)
        stuck = doubtful & ~self._falls(outcome, problem, last, basins.STUCK)
        return basins.judged(outcome, stuck, problem)

    def _kept(
        self,
        net: KAN,
        problem: Problem,
        last: Memory | None,
        observe: Observe | None,
        *,
        light: bool = False,
    ) -> Outcome[KAN]:
        """The outcome, with those replicas trained without softening that it led out of the basin
        in which the coarser grid, or of deep ones the race, had left them."""
        outcome = self._solved(net, problem, last, observe, light=light)
        if len(net.layers) <= 2 or (last is None and not is_deep(net.width)):
            return outcome
        before = training_error(net, problem).sqrt()
        left = (Memory.of(outcome.memory).error > WORSE * before).nonzero()[:, 0]
        if left.numel() == 0:
            return outcome
        seen = among(observe, left)
        again = self._solved(net[left], problem[left], None, seen, soften=False, light=light)
        return replaced(outcome, left, again)

    def _lightened(
        self, outcome: Outcome[KAN], at: Tensor, problem: Problem, observe: Observe | None
    ) -> Outcome[KAN]:
        """The outcome with those of the replicas ``at`` (r,) trained on at the weights of data
        without noise that are better by far.

        Layers make up for each other: where one has become stiff, the others bend in its place,
        what cannot be bent away passes for noise, and so the weight stays.
        """
        if at.numel() == 0:
            return outcome
        unit = Weight.fixed(weights.unit(outcome.net[at], None))
        light = self._descended(outcome.net[at], problem[at], unit, among(observe, at))
        return replaced(outcome, at, light, weights.is_by_far(light, outcome.memory[at], problem))

    def _weighed(
        self,
        outcome: Outcome[KAN],
        at: Tensor,
        net: KAN,
        problem: Problem,
        last: Memory,
        observe: Observe | None,
    ) -> Outcome[KAN]:
        """The outcome, at weights of data without noise, with those of the replicas ``at`` (r,)
        trained from ``net`` at those of REML that are not worse by far."""
        if at.numel() == 0:
            return outcome
        other = self._solved(net[at], problem[at], last[at], among(observe, at), soften=False)
        light = replace(outcome, net=outcome.net[at], memory=outcome.memory[at])
        return replaced(outcome, at, other, ~weights.is_by_far(light, other.memory, problem))

    def _solved(
        self,
        net: KAN,
        problem: Problem,
        memory: Memory | None,
        observe: Observe | None,
        *,
        soften: bool = True,
        light: bool = False,
    ) -> Outcome[KAN]:
        weight = weights.begun(net, problem, self.settings.penalty, memory)
        weight = weights.light(weight, net) if light else weight
        if soften and len(net.layers) > 2 and net.layers[0].base is None:
            net = start.annealed(net, problem, weight.value, SOFTENING, WARM_DAMPING)
        return self._descended(net, problem, weight, observe)

    def _descended(
        self,
        net: KAN,
        problem: Problem,
        weight: Weight,
        observe: Observe | None,
        damping: float | None = None,
    ) -> Outcome[KAN]:
        """Trained to the end, with what is to be remembered."""
        limits = Limits(self.settings.max_steps, self.settings.tolerance)
        usual: float | Tensor = WARM_DAMPING
        if not has_one_node(net.width) or net.layers[0].base is not None:
            usual = training_error(net, problem).clamp(DAMPING_FLOOR, WARM_DAMPING)
            limits = replace(limits, tolerance=VALLEY * limits.tolerance)
        outcome = descend(net, problem, limits, weight, damping or usual, observe)
        error = training_error(outcome.net, problem).sqrt()
        left = Memory.left(outcome.memory.view_as(weight.value), error, net.grid_size, net.beyond)
        return replace(outcome, memory=left.numbers)

    def _spaced(self, net: KAN, problem: Problem, memory: Memory | None) -> KAN:
        rough = replace(self, settings=replace(self.settings, tolerance=ROUGHLY))
        return placing.spaced(
            net, problem, lambda kan: rough._solved(kan, problem, memory, None).net
        )

    # ------------------------------------------------------------------------ what is doubtful

    def _rescued(
        self, outcome: Outcome[KAN], lost: Tensor, problem: Problem, observe: Observe | None
    ) -> Outcome[KAN]:
        """The outcome with those replicas that a cold start on this grid would have led further."""
        lost = lost[~basins.is_noise(outcome.net[lost], problem[lost])]
        if lost.numel() == 0:
            return outcome
        net, whole = outcome.net, problem[lost]
        best, part = net[lost], basins.part(whole)
        every, shape = torch.arange(lost.numel(), device=lost.device), race.shape_of(net)
        for rival in (self._additive, *self._spectral(shape, part), self._smoothest):
            asked = basins.poor(best, part, every) if rival == self._smoothest else every
            if asked.numel():
                some = part[asked]
                fresh = self._spaced(rival(shape, some), some, None)
                fresh = self._train(fresh, some, start.DAMPING)
                best = basins.better(best, asked, whole, fresh)
        found = training_error(best, part) != training_error(net[lost], part)
        if not bool(found.any()):
            return outcome
        chosen = lost[found]
        again = self._solved(best[found], problem[chosen], None, among(observe, chosen))
        return replaced(outcome, chosen, again)

    def _begun_anew(
        self,
        outcome: Outcome[KAN],
        lost: Tensor,
        problem: Problem,
        last: Memory,
        observe: Observe | None,
    ) -> Outcome[KAN]:
        """The outcome with those replicas begun on this grid that a race would have led further.

        A chain has begun with what its race's winner was on the first grid. Trained to the end
        there it may go another way, which shows where the race's last grid is reached.
        """
        net, finest = outcome.net, race.GRIDS[-1][0]
        lost = lost[last.grid_size[lost] < finest]
        if lost.numel() == 0 or net.grid_size < finest or net.is_pruned:
            return outcome
        poor = Memory.of(outcome.memory).error[lost] > basins.small(net)
        lost = lost[poor & basins.structured(net[lost], problem[lost])]
        if lost.numel() == 0:
            return outcome
        part = basins.part(problem[lost])
        fresh = self._race(race.shape_of(net), problem[lost])
        rival = self._train(self._spaced(fresh, part, None), part, start.DAMPING)
        held_out = basins.part(problem[lost], rest=True)
        found = basins.surpasses(rival, net[lost], held_out).nonzero()[:, 0]
        if found.numel() == 0:
            return outcome
        chosen = lost[found]
        again = self._searched(fresh[found], problem[chosen], None, among(observe, chosen))
        return replaced(outcome, chosen, again)

    def _falls(
        self, outcome: Outcome[KAN], problem: Problem, memory: Memory | None, share: float
    ) -> Tensor:
        """Whether the error falls by this share of the theory's order from the last grid to this
        one, (R,), or where this is the first from here to twice the grid."""
        net, now = outcome.net, Memory.of(outcome.memory).error
        order = share * (net.k + 1)
        falls = now < basins.round_off(now)
        if memory is None:
            falls |= now < basins.small(net)  # what is so small has come down already
            first = ~falls
        else:
            falls |= now <= memory.error * (memory.grid_size / net.grid_size) ** order
            first = memory.error.isnan() & ~falls
        unknown = first.nonzero()[:, 0]
        if unknown.numel():
            finer = training_error(self._finer(net[unknown], problem[unknown]), problem[unknown])
            falls[unknown] = finer.sqrt() * 2.0**order <= now[unknown]
        return falls

    def _finer(self, net: KAN, problem: Problem) -> KAN:
        """The KAN on twice the grid, after a few steps."""
        return self._train(net.refined(2 * net.grid_size), problem, WARM_DAMPING, PROBE_STEPS)

    # ------------------------------------------------------------------------------ its starts

    def _additive(self, shape: Shape, problem: Problem) -> KAN:
        return start.additive(shape, problem, lambda net, of: self._train(net, of, WARM_DAMPING))

    def _spectral(self, shape: Shape, problem: Problem) -> list[Callable[[Shape, Problem], KAN]]:
        """What the gradients of the data say on several grids, brought onto the cell's."""
        fit = partial(self._train, damping=start.DAMPING)
        grids = spectral.grids(shape, problem.x.shape[1])
        return [partial(spectral.trained, fit=fit, grid_size=grid_size) for grid_size in grids]

    def _smoothest(self, shape: Shape, problem: Problem) -> KAN:
        """Where outputs oscillate; there all but the right sum leave nearly everything."""
        return smoothest.trained(shape, problem, partial(self._train, damping=start.DAMPING))

    def _raced(self, shape: Shape, problem: Problem) -> KAN:
        return self._train(self._race(shape, problem), problem, start.DAMPING)

    def _race(self, shape: Shape, problem: Problem, first: int = 0) -> KAN:
        restarts = max(1, self.settings.restarts)
        return race.run(shape, problem, restarts, self.settings.penalty or 1.0, first)

    def _train(self, kan: KAN, problem: Problem, damping: float, most: int | None = None) -> KAN:
        """Far enough to be compared with others; what is chosen is trained on by ``solve``."""
        weight = weights.first(kan, problem, self.settings.penalty)
        limits = Limits(most or self.settings.max_steps, ROUGHLY)
        return descend(kan, problem, limits, weight, damping).net
