"""The default method: cold starts, their verification, and warm-started Levenberg-Marquardt."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from kansweep.config.models import ModelConfig
from kansweep.config.solvers import LMConfig
from kansweep.networks.kan import KAN, Shape, where
from kansweep.solvers.contract import Observe, Outcome, Problem, training_error
from kansweep.solvers.gauss_newton import basins, penalty, placing, spectral, start
from kansweep.solvers.gauss_newton.descent import Limits, descend
from kansweep.solvers.gauss_newton.reml import Weight
from kansweep.solvers.reasons import StopReason

WARM_DAMPING = 1e-3  # little: what is extended is near its optimum already
ROUGHLY = 1e-2  # tolerance of a cold start
COARSE = 6  # the grid on which inner functions follow from rough gradients
STIFF = (1.0, 1.0, 0.1)  # weights of the three kinds of rows, on outputs of unit variance
# Of the theory's order, by which errors fall in the right basin, and by which they do not move.
ORDER, STUCK = 0.75, 0.125
PROBE_STEPS = 2  # on twice the grid, for ``_converges``
RACE_WORK = 2_000_000  # points times edges of all starts of a race; some hundreds of megabytes
SOFTENING = Limits(max_steps=20, tolerance=1e-2)  # on every grid of a deep network
# Of ``_carried``: the growth of a rough weight from grid to grid where errors fall at full order.
GROWTH = 1


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
        whole, problem = problem, basins.part(problem)
        net = self._train(self._additive(shape, problem), problem, start.DAMPING)
        rivals = [self._coarse_spectral, self._spectral]
        rivals += [self._raced] if self.settings.restarts else []
        for rival in rivals:
            doubtful = (~self._converges(net, problem)).nonzero()[:, 0]
            if doubtful.numel() == 0:
                break
            net = self._better(net, doubtful, whole, rival(shape, problem[doubtful]))
        return net

    @torch.inference_mode()
    def solve(
        self,
        net: KAN,
        problem: Problem,
        memory: Tensor | None = None,
        observe: Observe | None = None,
    ) -> Outcome[KAN]:
        """Train from ``net``. What is remembered are the weights (R, L * 3), the training error as
        a share of the outputs' spread, and the grid."""
        net = self._spaced(net, problem, memory)
        outcome = self._solved(net, problem, memory, observe)
        if len(net.layers) == 1 or 2 * net.n_params >= problem.x.shape[1]:
            return outcome  # linear, or not for the points to judge
        doubtful = ~self._falls(outcome, problem, memory, ORDER)
        if memory is not None and _one_node(net) and self.settings.start == "auto":
            lost = doubtful.nonzero()[:, 0]
            if lost.numel():
                outcome = self._rescued(outcome, lost, problem, observe)
        return self._judged(outcome, problem, memory, doubtful)

    def _judged(
        self, outcome: Outcome[KAN], problem: Problem, memory: Tensor | None, doubtful: Tensor
    ) -> Outcome[KAN]:
        """The outcome with ``poor fit`` where training ended and what is left is no noise, and
        grids no finer."""
        which = doubtful.nonzero()[:, 0]
        if which.numel() == 0:
            return outcome
        stuck = ~self._falls(outcome, problem, memory, STUCK)
        stuck[which] &= basins.structured(outcome.net[which], problem[which])
        poor = (stuck & doubtful).tolist()
        reasons = tuple(
            StopReason.POOR_FIT if lost and why is StopReason.CONVERGED else why
            for why, lost in zip(outcome.stop_reason, poor, strict=True)
        )
        return replace(outcome, stop_reason=reasons)

    def _falls(
        self, outcome: Outcome[KAN], problem: Problem, memory: Tensor | None, order: float
    ) -> Tensor:
        """Whether the error falls by this share of the theory's order from the last grid to this
        one, (R,), or where this is the first from here to twice the grid."""
        net, now = outcome.net, outcome.memory[:, -2]
        share = order * (net.k + 1)
        falls = now < 1e3 * torch.finfo(now.dtype).eps
        if memory is None:  # what is so small has come down already
            falls |= now < (2 / net.grid_size) ** (net.k + 1)
        before = torch.full_like(now, torch.nan) if memory is None else memory[:, -2]
        if memory is not None:
            falls |= now <= before * (memory[:, -1] / net.grid_size) ** share
        first = (before.isnan() & ~falls).nonzero()[:, 0]
        if first.numel():
            finer = self._finer(net[first], problem[first])
            error = training_error(finer, problem[first]).sqrt()
            falls[first] = error * 2.0**share <= now[first]
        return falls

    def _finer(self, net: KAN, problem: Problem) -> KAN:
        """The KAN on twice the grid, after a few steps."""
        return self._train(net.refined(2 * net.grid_size), problem, WARM_DAMPING, PROBE_STEPS)

    def _rescued(
        self, outcome: Outcome[KAN], lost: Tensor, problem: Problem, observe: Observe | None
    ) -> Outcome[KAN]:
        """The outcome with those replicas that a cold start on this grid would have led further."""
        part, net = basins.part(problem[lost]), outcome.net
        shape = Shape(net.width, net.k, net.grid_size, net.layers[0].base is not None)
        best = net[lost]
        every = torch.arange(lost.numel(), device=lost.device)
        for rival in (self._additive, self._coarse_spectral, self._spectral):
            fresh = self._train(rival(shape, part), part, start.DAMPING)
            best = self._better(best, every, problem[lost], fresh)
        found = training_error(best, part) != training_error(net[lost], part)
        if not bool(found.any()):
            return outcome
        whole = problem[lost[found]]
        placed = self._spaced(best[found], whole, None)
        again = self._solved(placed, whole, None, observe)
        return _replaced(outcome, lost[found], again)

    def _spaced(self, net: KAN, problem: Problem, memory: Tensor | None) -> KAN:
        """The KAN with its knots where its spacing has them."""
        if net.spacing == "quantile":
            return net.on_quantiles(problem.x)
        if net.spacing == "adaptive":
            rough = replace(self, settings=replace(self.settings, tolerance=ROUGHLY))
            return placing.placed(
                net, problem, lambda kan: rough._solved(kan, problem, memory, None).net
            )
        return net

    def _solved(
        self, net: KAN, problem: Problem, memory: Tensor | None, observe: Observe | None
    ) -> Outcome[KAN]:
        weight = self._estimated(net, problem)
        if not bool(weight.is_final.all()):
            value = torch.maximum(weight.value, _suggested(net, problem, weight.value))
            left = weight.left
            if memory is not None:
                value = _carried(value, weight.least, net, memory)
                # Where a coarse grid's misfit is noise and points are few, finer ones tell no more.
                noisy = memory[:, -2] > 1 / memory[:, -1]
                if 2 * net.n_params >= problem.x.shape[1]:
                    left = torch.where(noisy, 0, left)
            weight = replace(weight, value=value, left=left)
        if len(net.layers) > 2:
            net = start.annealed(net, problem, weight.value, SOFTENING, WARM_DAMPING)
        limits = Limits(self.settings.max_steps, self.settings.tolerance)
        outcome = descend(net, problem, limits, weight, WARM_DAMPING, observe)
        error = training_error(outcome.net, problem).sqrt()[:, None]
        grid = torch.full_like(error, net.grid_size)
        return replace(outcome, memory=torch.cat([outcome.memory, error, grid], dim=1))

    @property
    def _is_additive(self) -> bool:
        return self.settings.start == "additive"

    def _additive(self, shape: Shape, problem: Problem) -> KAN:
        return start.additive(shape, problem, lambda net, of: self._train(net, of, WARM_DAMPING))

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
        weight = self._estimated(kan, problem)
        limits = Limits(most or self.settings.max_steps, ROUGHLY)
        return descend(kan, problem, limits, weight, damping).net

    def _estimated(self, kan: KAN, problem: Problem) -> Weight:
        """The weights to begin with. Where there are few points, stiff ones: a network that has
        come to interpolate noise has no error left to tell it from."""
        unit = self._weight(problem, kan.grid_size, kan.k, len(kan.layers))
        if self.settings.penalty is not None:
            return Weight.fixed(unit)
        n_points = problem.x.shape[1]
        value = unit
        if 2 * kan.n_params >= n_points:
            value = torch.maximum(value, unit.new_tensor(STIFF).expand_as(unit))
        least = unit * min(1.0, kan.n_params / n_points)
        return Weight.estimated(kan, n_points, value, least)

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
        return KAN.concatenated([start.random(shape, problem[p], restarts, scale) for p in parts])

    def _converges(self, net: KAN, problem: Problem) -> Tensor:
        """Whether the fit is small, and three quarters of the theory's order smaller on twice the
        grid, (R,) of bool.

        In the right basin RMSE falls as G^-(k+1); in a wrong one a finer grid hardly helps, unless
        there are few points, and then the fit is poor to begin with.
        """
        error, order = training_error(net, problem), net.k + 1
        finer = self._finer(net, problem)
        round_off = (1e3 * torch.finfo(error.dtype).eps) ** 2
        falls = training_error(finer, problem) * 2.0 ** (2 * ORDER * order) < error
        small = error < float((2 / net.grid_size) ** (2 * order))
        converges: Tensor = (falls & small) | (error < round_off)
        return converges

    def _better(self, net: KAN, chosen: Tensor, problem: Problem, rival: KAN) -> KAN:
        """The KAN with the rivals of the chosen replicas (r,) where those are better."""
        better = basins.surpasses(rival, net[chosen], basins.part(problem[chosen], rest=True))
        lost = torch.zeros(net.n_replicas, dtype=torch.bool, device=chosen.device)
        lost[chosen] = better
        # Row r of the rivals, spread out to where seed r stands in the batch.
        place = torch.zeros_like(lost, dtype=torch.long)
        place[chosen] = torch.arange(chosen.numel(), device=chosen.device)
        return where(lost, rival[place], net)


def _one_node(shape: Shape | KAN) -> bool:
    return len(shape.width) == 3 and shape.width[1] == 1


def _suggested(kan: KAN, problem: Problem, unit: Tensor) -> Tensor:
    """The weights that REML would begin with at a network, (R, L, 3), as if all rows were free."""
    rows = penalty.ranks(kan)
    ranks = torch.tensor(rows, device=unit.device).view(unit.shape[1:])
    misfit = training_error(kan, problem)[:, None, None] / problem.x.shape[1]
    energy = penalty.energy(kan)
    stiff = unit.new_tensor(STIFF)
    return torch.minimum(misfit * ranks / energy.clamp(min=torch.finfo(unit.dtype).tiny), stiff)


def _carried(fresh: Tensor, least: Tensor, net: KAN, memory: Tensor) -> Tensor:
    """The weights to begin with on the next grid, (R, L, 3); ``fresh`` where nothing is remembered.

    REML's weight is the ratio of the misfit's variance to that of differences, and these fall as
    G^-(2k+3) for any function. Where the misfit is noise it stays, where it is what splines cannot
    follow it falls as G^-(2k+2); the error on the last grid tells about which. What was stiff
    softens in a few steps, and what has come to follow noise stays with it.
    """
    error, coarse = memory[:, -2], memory[:, -1]
    order = (-error.log() / coarse.log()).clamp(0, net.k + 1)
    order = torch.where(order < 1, 0.0, order)
    growth = (net.grid_size / coarse) ** (GROWTH + 2 * (net.k + 1 - order))
    value = memory[:, :-2].view(fresh.shape).clone()
    value[..., penalty.ROUGH] *= growth[:, None]
    return torch.maximum(torch.where(value.isnan(), fresh, value), least)


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
