"""The default method: cold starts, their verification, and warm-started Levenberg-Marquardt."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kansweep.kan import KAN, where
from kansweep.solvers import Observe, Outcome, Problem, Shape, penalty, start
from kansweep.solvers.descent import Limits, descend

WARM_DAMPING = 1e-3


@dataclass(frozen=True)
class LM:
    """Settings: ``penalty`` multiplies ``penalty.weight``; ``restarts`` counts random starts."""

    start_from: str = "auto"
    restarts: int = 8
    max_steps: int = 200
    penalty: float = 1.0
    tolerance: float = 1e-6

    def start(self, shape: Shape, problem: Problem) -> KAN:
        """A cold start. ``auto`` tries the additive model where there is one hidden node, and
        random starts too for those seeds in which that is not seen to converge."""
        one_node = len(shape.width) == 3 and shape.width[1] == 1
        if len(shape.width) == 2:
            return start.blank(shape, problem)
        if self.start_from == "random" or not (one_node or self.start_from == "additive"):
            return self._race(shape, problem)
        net = start.additive(shape, problem, self._weight(problem, shape.grid_size, shape.k))
        if self.start_from == "additive" or self.restarts == 0:
            return net
        net = self._train(net, problem, start.DAMPING).kan
        doubtful = (~self._converges(net, problem)).nonzero()[:, 0]
        if doubtful.numel() == 0:
            return net
        return self._challenged(net, doubtful, shape, problem)

    def solve(self, kan: KAN, problem: Problem, observe: Observe | None = None) -> Outcome:
        return self._train(kan, problem, WARM_DAMPING, observe)

    def _train(
        self, kan: KAN, problem: Problem, damping: float, observe: Observe | None = None
    ) -> Outcome:
        limits = Limits(self.max_steps, self.tolerance)
        w = self._weight(problem, kan.grid_size, kan.k)
        return descend(kan, problem, limits, w, damping, observe)

    def _weight(self, problem: Problem, grid_size: int, k: int) -> Tensor:
        w = self.penalty * penalty.weight(grid_size, k)
        return problem.x.new_full((problem.x.shape[0],), w)

    def _race(self, shape: Shape, problem: Problem) -> KAN:
        w = self.penalty * penalty.weight(start.RACE_GRID, shape.k)
        return start.random(shape, problem, max(1, self.restarts), w)

    def _converges(self, net: KAN, problem: Problem) -> Tensor:
        """Whether twice the grid brings at least half the order of theory, (R,) of bool.

        In the right basin RMSE falls as G^-(k+1); in a wrong one a finer grid hardly helps.
        """
        error = start.training_error(net, problem)
        finer = self._train(net.refined(2 * net.grid_size), problem, WARM_DAMPING).kan
        round_off = (1e3 * torch.finfo(error.dtype).eps) ** 2
        falls = start.training_error(finer, problem) * 2.0 ** (net.k + 1) < error
        return falls | (error < round_off)

    def _challenged(self, net: KAN, doubtful: Tensor, shape: Shape, problem: Problem) -> KAN:
        """The better of the additive start and the best random one, seed by seed."""
        rival = self._train(
            self._race(shape, problem[doubtful]), problem[doubtful], start.DAMPING
        ).kan
        current = start.training_error(net[doubtful], problem[doubtful])
        better = start.training_error(rival, problem[doubtful]) < current
        index = torch.arange(net.n_replicas, device=doubtful.device)
        lost = torch.zeros_like(index, dtype=torch.bool)
        lost[doubtful] = better
        # Row r of the rivals, spread out to where seed r stands in the batch.
        place = torch.zeros_like(index)
        place[doubtful] = torch.arange(doubtful.numel(), device=doubtful.device)
        return where(lost, rival[place], net)
