"""Cold starts: the additive model for one hidden node, a race of random starts for the rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from kansweep import bspline, kan
from kansweep.kan import KAN
from kansweep.solvers import Problem, Shape
from kansweep.solvers.descent import Limits, descend
from kansweep.solvers.objective import output_spread
from kansweep.solvers.projection import with_best_last_layer
from kansweep.solvers.reml import Weight

START_STREAM = 2  # the streams of data.py are 0 and 1
DAMPING = 0.1

# A race begins on a grid too coarse to wiggle, with the penalty far too stiff; each round keeps
# this share of the starts of a seed, by training error, and softens the penalty.
RACE_GRID = 3
RACE = ((1e4, 0.5), (1e2, 0.5), (1.0, 0.0))  # (stiffness, share kept)
RACE_LIMITS = Limits(max_steps=40, tolerance=1e-4)


def blank(shape: Shape, problem: Problem) -> KAN:
    """The KAN of a shape with every edge zero, its input grids on the domain."""
    size = (problem.x.shape[0], shape.width[0])
    domain = (
        problem.x.new_full(size, problem.domain[0]),
        problem.x.new_full(size, problem.domain[1]),
    )
    return kan.zeros(shape.width, shape.grid_size, shape.k, base=shape.base, domain=domain)


def additive(shape: Shape, problem: Problem, w: Tensor) -> KAN:
    """y ~ sum_i phi_i(x_i) by linear least squares, and the identity after it; one hidden node.

    The first step of a fit of Phi(sum_i phi_i(x_i)): right where Phi is monotone, or nearly.
    """
    net = blank(shape, problem)
    first = KAN(net.layers[:1], shape.k)
    mean_output = (problem.y / output_spread(problem.y)[:, None]).mean(2, keepdim=True)
    first = with_best_last_layer(first, problem.x, mean_output, w)
    last = net.layers[1]
    line = bspline.greville(last.lower, last.upper, shape.grid_size, shape.k)  # (R, 1, K)
    identity = line[:, None].expand_as(last.coef)
    return KAN((first.layers[0], replace(last, coef=identity)), shape.k)


def random(shape: Shape, problem: Problem, restarts: int, w: float) -> KAN:
    """The best of ``restarts`` random starts of each seed, after a race on a coarse grid.

    Every start draws from its own generator, so neither the number of starts nor the seeds in
    the batch change what one of them draws.
    """
    seeds, n = len(problem.seeds), problem.x.shape[1]
    coarse = replace(shape, grid_size=min(RACE_GRID, shape.grid_size))
    which = torch.arange(seeds, device=problem.x.device).repeat_interleave(restarts)
    field = problem[which]
    net = blank(coarse, field)
    draws = [
        np.random.default_rng([seed, START_STREAM, n, r]).standard_normal(net.n_params)
        for seed in problem.seeds
        for r in range(restarts)
    ]
    net = net.with_theta(torch.from_numpy(np.stack(draws)).to(problem.x))
    for stiffness, share in RACE:
        weights = problem.x.new_full((len(field.seeds), len(net.layers)), w * stiffness)
        net = descend(net, field, RACE_LIMITS, Weight.fixed(weights), DAMPING).kan
        kept = max(1, round(share * len(field.seeds) / seeds))
        winners = best(training_error(net, field), kept, seeds)
        net, field = net[winners], field[winners]
    return net.refined(shape.grid_size)


def best(score: Tensor, kept: int, seeds: int) -> Tensor:
    """Indices of the ``kept`` lowest scores of each seed, seed by seed: (seeds * starts,)."""
    table = score.nan_to_num(torch.inf).view(seeds, -1)
    chosen = table.topk(kept, dim=1, largest=False).indices
    first = torch.arange(seeds, device=score.device)[:, None] * table.shape[1]
    return (chosen + first).flatten()


def training_error(net: KAN, problem: Problem) -> Tensor:
    """Mean squared error in units of the outputs' variance, (R,)."""
    spread = output_spread(problem.y)
    return ((net(problem.x) - problem.y) / spread[:, None]).square().mean((1, 2))
