"""The default method: cold starts, their verification, and warm-started Levenberg-Marquardt."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from kansweep.config.models import ModelConfig
from kansweep.config.solvers import LMConfig
from kansweep.networks.kan import KAN, Shape, where
from kansweep.solvers.contract import Observe, Outcome, Problem
from kansweep.solvers.gauss_newton import penalty, race, spectral, start
from kansweep.solvers.gauss_newton.descent import Limits, descend
from kansweep.solvers.gauss_newton.reml import Weight

WARM_DAMPING = 1e-3  # little: what is extended is near its optimum already
ROUGHLY = 1e-2  # tolerance of a cold start
COARSE = 6  # the grid on which inner functions follow from rough gradients
RESCUE = 0.7  # of the training error: what a cold start must reach to replace a warm one
PROBE_STEPS = 2  # on twice the grid, for ``_converges``
RACE_WORK = 2_000_000  # points times edges of all starts of a race; some hundreds of megabytes
SOFTENING = Limits(max_steps=20, tolerance=1e-2)  # on every grid of a deep network
# The weight that data ask for grows with the grid, in units of ``penalty.weight`` about like this.
GROWTH = 2


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
        in those seeds in which that is not seen to converge, what the gradients of the data say
        and random starts."""
        if len(shape.width) == 2:
            return start.blank(shape, problem)
        if self.settings.start == "random" or not (_one_node(shape) or self._is_additive):
            return self._race(shape, problem)
        if self._is_additive:
            return self._additive(shape, problem)
        net = self._train(self._additive(shape, problem), problem, start.DAMPING)
        rivals = [self._coarse_spectral, self._spectral]
        rivals += [self._raced] if self.settings.restarts else []
        for rival in rivals:
            doubtful = (~self._converges(net, problem)).nonzero()[:, 0]
            if doubtful.numel() == 0:
                break
            net = self._better(net, doubtful, problem, rival(shape, problem[doubtful]))
        return net

    @torch.inference_mode()
    def solve(
        self,
        net: KAN,
        problem: Problem,
        memory: Tensor | None = None,
        observe: Observe | None = None,
    ) -> Outcome[KAN]:
        """Train from ``net``. What is remembered is each layer's weight (R, L) as a multiple of
        ``penalty.weight`` and of G^GROWTH: a number without units that suits every grid; then the
        grid and the training error on it, a share of the outputs' spread."""
        outcome = self._solved(net, problem, memory, observe)
        if memory is not None and _one_node(net) and self.settings.start == "auto":
            lost = (~_falls(outcome, memory)).nonzero()[:, 0]
            if lost.numel() and 2 * net.n_params < problem.x.shape[1]:
                outcome = self._rescued(outcome, lost, problem, observe)
        return outcome

    def _rescued(
        self, outcome: Outcome[KAN], lost: Tensor, problem: Problem, observe: Observe | None
    ) -> Outcome[KAN]:
        """The outcome with those replicas that a cold start on this grid would have led further."""
        part, net = problem[lost], outcome.net
        shape = Shape(net.width, net.k, net.grid_size, net.layers[0].base is not None)
        best = net[lost]
        every = torch.arange(lost.numel(), device=lost.device)
        for rival in (self._additive, self._coarse_spectral, self._spectral):
            fresh = self._train(rival(shape, part), part, start.DAMPING)
            best = self._better(best, every, part, fresh)
        error = start.training_error(best, part)
        found = error < RESCUE**2 * start.training_error(net[lost], part)
        if not bool(found.any()):
            return outcome
        again = self._solved(best[found], part[found.nonzero()[:, 0]], None, observe)
        return _replaced(outcome, lost[found], again)

    def _solved(
        self, net: KAN, problem: Problem, memory: Tensor | None, observe: Observe | None
    ) -> Outcome[KAN]:
        unit = self._weight(problem, net.grid_size, net.k, len(net.layers))
        # What is remembered of rough rows' weights has no units; the others have none anyway.
        units = unit.clone()
        units[..., penalty.ROUGH] *= net.grid_size**GROWTH
        units[..., 1:] = 1.0
        if self.settings.penalty is None:
            carried = unit
            if memory is not None:
                remembered = memory[:, : unit[0].numel()].view(unit.shape)
                carried = torch.where(remembered.isnan(), unit, remembered * units)
            least = unit * min(1.0, net.n_params / problem.x.shape[1])
            weight = Weight.estimated(net, problem.x.shape[1], carried, least)
        else:
            weight = Weight.fixed(unit)
        if len(net.layers) > 2:
            net = start.annealed(net, problem, weight.value, SOFTENING, WARM_DAMPING)
        limits = Limits(self.settings.max_steps, self.settings.tolerance)
        outcome = descend(net, problem, limits, weight, WARM_DAMPING, observe)
        error = start.training_error(outcome.net, problem).sqrt()
        ended = [outcome.memory / units.flatten(1), error[:, None]]
        ended.append(torch.full_like(ended[-1], net.grid_size))
        return replace(outcome, memory=torch.cat(ended, dim=1))

    @property
    def _is_additive(self) -> bool:
        return self.settings.start == "additive"

    def _additive(self, shape: Shape, problem: Problem) -> KAN:
        return start.additive(shape, problem, self._weight(problem, shape.grid_size, shape.k, 1))

    def _spectral(self, shape: Shape, problem: Problem) -> KAN:
        net = spectral.start(start.blank(shape, problem), problem)
        return self._train(net, problem, start.DAMPING)

    def _coarse_spectral(self, shape: Shape, problem: Problem) -> KAN:
        coarse = replace(shape, grid_size=min(shape.grid_size, COARSE))
        net = self._spectral(coarse, problem).refined(shape.grid_size)
        return self._train(net, problem, start.DAMPING)

    def _raced(self, shape: Shape, problem: Problem) -> KAN:
        return self._train(self._race(shape, problem), problem, start.DAMPING)

    def _train(self, kan: KAN, problem: Problem, damping: float, most: int | None = None) -> KAN:
        """Far enough to be compared with others; what is chosen is trained on by ``solve``."""
        weight = Weight.fixed(self._weight(problem, kan.grid_size, kan.k, len(kan.layers)))
        limits = Limits(most or self.settings.max_steps, ROUGHLY)
        return descend(kan, problem, limits, weight, damping).net

    def _weight(self, problem: Problem, grid_size: int, k: int, n_layers: int) -> Tensor:
        least = penalty.least(grid_size, k, self.settings.penalty or 1.0).to(problem.x)
        return least.repeat(problem.x.shape[0], n_layers, 1)

    def _race(self, shape: Shape, problem: Problem) -> KAN:
        """A few seeds at a time, as many as memory bears with all their starts."""
        restarts, seeds = max(1, self.settings.restarts), torch.arange(len(problem.seeds))
        edges = sum(a * b for a, b in itertools.pairwise(shape.width))
        at_once = max(1, RACE_WORK // (restarts * problem.x.shape[1] * edges))
        parts = seeds.to(problem.x.device).split(at_once)
        scale = self.settings.penalty or 1.0
        return KAN.concatenated([race.run(shape, problem[p], restarts, scale) for p in parts])

    def _converges(self, net: KAN, problem: Problem) -> Tensor:
        """Whether the fit is small, and three quarters of the theory's order smaller on twice the
        grid, (R,) of bool.

        In the right basin RMSE falls as G^-(k+1); in a wrong one a finer grid hardly helps, unless
        there are few points, and then the fit is poor to begin with.
        """
        error, order = start.training_error(net, problem), net.k + 1
        finer = self._train(net.refined(2 * net.grid_size), problem, WARM_DAMPING, PROBE_STEPS)
        round_off = (1e3 * torch.finfo(error.dtype).eps) ** 2
        falls = start.training_error(finer, problem) * 2.0 ** (1.5 * order) < error
        small = error < float((2 / net.grid_size) ** (2 * order))
        converges: Tensor = (falls & small) | (error < round_off)
        return converges

    def _better(self, net: KAN, chosen: Tensor, problem: Problem, rival: KAN) -> KAN:
        """The KAN with the rivals (r replicas) of the chosen replicas (r,) where those fit better."""
        current = start.training_error(net[chosen], problem[chosen])
        error = start.training_error(rival, problem[chosen]).nan_to_num(torch.inf)
        better = (error >= current).logical_not()  # also where the current one ended in a NaN
        lost = torch.zeros(net.n_replicas, dtype=torch.bool, device=chosen.device)
        lost[chosen] = better
        # Row r of the rivals, spread out to where seed r stands in the batch.
        place = torch.zeros_like(lost, dtype=torch.long)
        place[chosen] = torch.arange(chosen.numel(), device=chosen.device)
        return where(lost, rival[place], net)


def _one_node(shape: Shape | KAN) -> bool:
    return len(shape.width) == 3 and shape.width[1] == 1


def _falls(outcome: Outcome[KAN], memory: Tensor) -> Tensor:
    """Whether the training error is three quarters of the theory's order smaller than on the last
    grid, (R,); also where there was none."""
    (before, coarse), (now, fine) = memory[:, -2:].unbind(1), outcome.memory[:, -2:].unbind(1)
    order = 0.75 * (outcome.net.k + 1)
    round_off = 1e3 * torch.finfo(now.dtype).eps
    return (now <= before * (coarse / fine) ** order) | (now < round_off) | before.isnan()


def _replaced(outcome: Outcome[KAN], at: Tensor, other: Outcome[KAN]) -> Outcome[KAN]:
    """The outcome with the replicas ``at`` (r,) taken from another of r replicas."""
    steps, reasons = list(outcome.steps), list(outcome.stop_reason)
    place = torch.zeros(len(steps), dtype=torch.long, device=at.device)
    mask = torch.zeros_like(place, dtype=torch.bool)
    for row, r in enumerate(at.tolist()):
        steps[r] += other.steps[row]
        reasons[r] = other.stop_reason[row]
        place[r], mask[r] = row, True
    return Outcome(
        where(mask, other.net[place], outcome.net),
        tuple(steps),
        tuple(reasons),
        torch.where(mask, other.grad_norm[place], outcome.grad_norm),
        torch.where(mask[:, None], other.memory[place], outcome.memory),
    )
