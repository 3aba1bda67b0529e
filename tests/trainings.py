"""Trainings of exp_sin, and their errors at points that nobody has seen."""

from __future__ import annotations

import torch

from kansweep.config.solvers import LMConfig
from kansweep.data.sampling import Sampled
from kansweep.data.targets import TARGETS
from kansweep.networks.kan import KAN, Shape
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.sweep.samples import sample

EXAMPLE = Shape((2, 1, 1), 3, 5, False)


def fresh_rmse(net: KAN, seeds: tuple[int, ...], target: str = "exp_sin") -> torch.Tensor:
    data = sample(Sampled(TARGETS[target]), 1, 10_000, seeds)
    return (net(data.x_test) - data.y_test).square().mean((1, 2)).sqrt()


def additive(problem: Problem) -> KAN:
    """The additive start of the example, before any step on the whole network."""
    return LM(LMConfig(start="additive")).start(EXAMPLE, problem)


def trained(problem: Problem, grid_sizes: tuple[int, ...], solver: LM | None = None) -> list[KAN]:
    solver = solver or LM()
    width = (problem.x.shape[2], 1, 1)
    net, nets = solver.start(Shape(width, 3, grid_sizes[0], False), problem), []
    memory = None
    for grid_size in grid_sizes:
        outcome = solver.solve(net.refined(grid_size), problem, memory)
        net, memory = outcome.net, outcome.memory
        nets.append(net)
    return nets
