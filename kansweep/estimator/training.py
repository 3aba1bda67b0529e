"""How a KAN is trained on arrays, and what it says at others: torch within, NumPy without."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from kansweep.config.solvers import LMConfig
from kansweep.estimator.checking import Array
from kansweep.estimator.observations import Observations
from kansweep.networks.kan import KAN, Shape
from kansweep.solvers.contract import Outcome, Problem
from kansweep.solvers.gauss_newton.lm import LM

# Points that are enough to find a basin: so many, and so many a parameter.
ENOUGH, POINTS = 20_000, 30


def trained(
    shape: Shape, grids: Sequence[int], problem: Problem, begun: KAN | None = None
) -> Outcome[KAN]:
    """A chain of grids, each extending the one before: how the last one ended. Of very many points
    a part finds what all of them then settle. It goes on from a network of the shape where one is
    given, whose grid only grows."""
    solver, part = LM(LMConfig()), problem
    edges = sum(a * b for a, b in itertools.pairwise(shape.width))
    enough = max(ENOUGH, POINTS * edges * (grids[-1] + shape.k))
    if 2 * enough < problem.x.shape[1]:
        part = problem.at(slice(0, enough))
    if begun is None:
        net = solver.start(shape, part)
    else:
        grids = [grid for grid in grids if grid >= begun.grid_size] or [begun.grid_size]
        net = begun if grids[0] == begun.grid_size else begun.refined(grids[0])
    outcome = solver.solve(net, part)
    for _, grid in itertools.pairwise(grids):
        outcome = solver.solve(outcome.net.refined(grid), part, outcome.memory)
    if part is problem:
        return outcome
    return solver.polished(outcome.net, problem, outcome.memory)


def problem_of(data: Observations, y: Array, seed: int) -> Problem:
    """Of one replica, with outputs (n, M) in units of their own."""
    low, high = map(torch.from_numpy, data.domain)
    counts = None if data.counts is None else torch.from_numpy(data.counts)[None]
    x, y_ = torch.from_numpy(data.x)[None], torch.from_numpy(y)[None]
    return Problem(x, y_, (low, high), (seed,), counts)


def values(net: Callable[[Tensor], Tensor], x: Array) -> Array:
    """(n, I) -> (n, M)."""
    with torch.inference_mode():
        found: Array = net(torch.from_numpy(np.ascontiguousarray(x))[None])[0].numpy()
    return found
