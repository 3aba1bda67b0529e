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
from kansweep.solvers.gauss_newton import penalty, start
from kansweep.solvers.gauss_newton.descent import Limits, descend
from kansweep.solvers.gauss_newton.reml import Weight

WARM_DAMPING = 1e-3  # little: what is extended is near its optimum already
ROUGHLY = 1e-2  # tolerance of a cold start
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
        """A cold start. ``auto`` tries the additive model where there is one hidden node, and
        random starts too for those seeds in which that is not seen to converge."""
        one_node = len(shape.width) == 3 and shape.width[1] == 1
        if len(shape.width) == 2:
            return start.blank(shape, problem)
        if self.settings.start == "random" or not (one_node or self.settings.start == "additive"):
            return self._race(shape, problem)
        net = start.additive(shape, problem, self._weight(problem, shape.grid_size, shape.k, 1))
        if self.settings.start == "additive" or self.settings.restarts == 0:
            return net
        net = self._train(net, problem, start.DAMPING)
        doubtful = (~self._converges(net, problem)).nonzero()[:, 0]
        if doubtful.numel() == 0:
            return net
        return self._challenged(net, doubtful, shape, problem)

    @torch.inference_mode()
    def solve(
        self,
        net: KAN,
        problem: Problem,
        memory: Tensor | None = None,
        observe: Observe | None = None,
    ) -> Outcome[KAN]:
        """Train from ``net``. What is remembered is each layer's weight (R, L) as a multiple of
        ``penalty.weight`` and of G^GROWTH: a number without units that suits every grid."""
        unit = self._weight(problem, net.grid_size, net.k, len(net.layers))
        growth = net.grid_size**GROWTH
        carried = torch.ones_like(unit) if memory is None else memory * growth
        if self.settings.penalty is None:
            start_at = unit * carried.nan_to_num(1.0)
            weight = Weight.estimated(net, problem.x.shape[1], start_at, unit)
        else:
            weight = Weight.fixed(unit)
        if len(net.layers) > 2:
            net = start.annealed(net, problem, weight.value, SOFTENING, WARM_DAMPING)
        limits = Limits(self.settings.max_steps, self.settings.tolerance)
        outcome = descend(net, problem, limits, weight, WARM_DAMPING, observe)
        return replace(outcome, memory=outcome.memory / unit / growth)

    def _train(self, kan: KAN, problem: Problem, damping: float, most: int | None = None) -> KAN:
        """Far enough to be compared with others; what is chosen is trained on by ``solve``."""
        weight = Weight.fixed(self._weight(problem, kan.grid_size, kan.k, len(kan.layers)))
        limits = Limits(most or self.settings.max_steps, ROUGHLY)
        return descend(kan, problem, limits, weight, damping).net

    def _weight(self, problem: Problem, grid_size: int, k: int, n_layers: int) -> Tensor:
        w = (self.settings.penalty or 1.0) * penalty.weight(grid_size, k)
        return problem.x.new_full((problem.x.shape[0], n_layers), w)

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
        error, order = start.training_error(net, problem), net.k + 1
        finer = self._train(net.refined(2 * net.grid_size), problem, WARM_DAMPING, PROBE_STEPS)
        round_off = (1e3 * torch.finfo(error.dtype).eps) ** 2
        falls = start.training_error(finer, problem) * 2.0 ** (1.5 * order) < error
        small = error < float((2 / net.grid_size) ** (2 * order))
        converges: Tensor = (falls & small) | (error < round_off)
        return converges

    def _challenged(self, net: KAN, doubtful: Tensor, shape: Shape, problem: Problem) -> KAN:
        """The better of the additive start and the best random one, seed by seed."""
        race = self._race(shape, problem[doubtful])
        rival = self._train(race, problem[doubtful], start.DAMPING)
        current = start.training_error(net[doubtful], problem[doubtful])
        error = start.training_error(rival, problem[doubtful]).nan_to_num(torch.inf)
        better = (error >= current).logical_not()  # also where the additive one ended in a NaN
        index = torch.arange(net.n_replicas, device=doubtful.device)
        lost = torch.zeros_like(index, dtype=torch.bool)
        lost[doubtful] = better
        # Row r of the rivals, spread out to where seed r stands in the batch.
        place = torch.zeros_like(index)
        place[doubtful] = torch.arange(doubtful.numel(), device=doubtful.device)
        return where(lost, rival[place], net)
