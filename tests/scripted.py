"""Solvers that cost nothing and do as they are asked."""

from __future__ import annotations

import torch

from kansweep.solvers.contract import Outcome
from kansweep.solvers.gauss_newton import start


def converged(net, seen):
    """The outcome of a solver that took one step; ``seen`` (R, M) is what it remembers."""
    n = len(seen)
    return Outcome(net, (1,) * n, ("converged",) * n, torch.zeros(n), seen)


class Scripted:
    """A solver whose weights are the seed and that does to each (grid size, seed) as it is told."""

    def __init__(self, script):
        self.script, self.cold, self.memories = script, [], []

    def start(self, shape, problem):
        self.cold += [(shape.grid_size, seed) for seed in problem.seeds]
        blank = start.blank(shape, problem)
        return blank.with_theta(blank.theta() + torch.tensor(problem.seeds)[:, None])

    def solve(self, kan, problem, memory=None, observe=None):
        theta = kan.theta()
        for r, seed in enumerate(problem.seeds):
            match self.script.get((kan.grid_size, seed)):
                case "raise":
                    raise RuntimeError(f"no luck with seed {seed}")
                case "nan":
                    theta[r] = torch.nan
        self.memories.append(memory)
        seen = torch.tensor(problem.seeds, dtype=torch.float64)[:, None]
        return converged(kan.with_theta(theta), seen)


class Recording:
    """A solver that costs nothing: its weights tell how a KAN came about, and it can fail."""

    def __init__(self) -> None:
        self.trained: list[tuple[int, int, int]] = []
        self.failing: set[tuple[int, int, int]] = set()
        self.diverging: set[tuple[int, int, int]] = set()

    def start(self, shape, problem):
        blank = start.blank(shape, problem)
        return blank.with_theta(blank.theta() + 1.0)

    def solve(self, kan, problem, memory=None, observe=None):
        cells = [(problem.x.shape[1], seed, kan.grid_size) for seed in problem.seeds]
        if self.failing.intersection(cells):
            raise FloatingPointError("as asked")
        self.trained += cells
        chapter = torch.tensor(cells).sum(1, dtype=kan.theta().dtype)
        theta = kan.theta() * (1 + chapter[:, None] / 1000)
        theta[[cell in self.diverging for cell in cells]] = torch.nan
        return converged(kan.with_theta(theta), torch.zeros(len(cells), 0))
