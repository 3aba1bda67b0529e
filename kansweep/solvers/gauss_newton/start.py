"""Cold starts: the additive model for one hidden node, a race of random starts for the rest."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from kansweep.data.streams import Stream, generator
from kansweep.networks import kan
from kansweep.networks.kan import KAN, Shape
from kansweep.solvers.contract import Problem, output_spread, training_error
from kansweep.solvers.gauss_newton import penalty
from kansweep.solvers.gauss_newton.descent import Limits, descend
from kansweep.solvers.gauss_newton.reml import Weight

# Input grids reach beyond the points by at most this share of their range; of n points spread
# evenly one end in 150 is further from its nearest than REACHED_BY / n.
REACH, REACHED_BY = 0.05, 5
DAMPING = 0.1  # much: far from an optimum the linear model holds for short steps only

# A race runs over these grids; after each, this many of twelve starts stay. Which start is good
# shows late: the first grids are too coarse to tell, so it goes on beyond the grid asked for.
RACE = ((3, 6), (5, 3), (10, 1))
# On each grid the penalty is softened from far too stiff, or deep networks wiggle between points.
STIFFNESS = (1e4, 1e2)
RACE_LIMITS = Limits(max_steps=40, tolerance=1e-4)
# A grid is trained on this many points a parameter and at most this share of them; all judge, so
# that a start which only wiggles through its points is found out.
POINTS, FRESH = 16, 0.9


def blank(shape: Shape, problem: Problem) -> KAN:
    """The KAN of a shape with every edge zero, its input grids on the domain, as far as the points
    reach: the rows of a table that are not trained on may lie far beyond those that are, and there
    a straight line is what is left to say."""
    x = problem.x
    low, high = x.amin(1), x.amax(1)  # (R, I)
    reach = max(REACH, REACHED_BY / x.shape[1]) * (high - low)
    lower, upper = (torch.as_tensor(end).to(x).expand_as(low) for end in problem.domain)
    varies = high > low
    lower = torch.where(varies, torch.maximum(lower, low - reach), lower)
    upper = torch.where(varies, torch.minimum(upper, high + reach), upper)
    return kan.zeros(
        shape.width,
        shape.grid_size,
        shape.k,
        base=shape.base,
        domain=(lower, upper),
        spacing=shape.spacing,
    )


def additive(shape: Shape, problem: Problem, fit: Callable[[KAN, Problem], KAN]) -> KAN:
    """y ~ sum_i phi_i(x_i), a linear model that ``fit`` trains, and the identity after it; one
    hidden node.

    The first step of a fit of Phi(sum_i phi_i(x_i)): right where Phi is monotone, or nearly.
    """
    net = blank(shape, problem)
    mean_output = (problem.y / output_spread(problem.y)[:, None]).mean(2, keepdim=True)
    first = fit(replace(net, layers=net.layers[:1]), replace(problem, y=mean_output))
    last = net.layers[1]
    identity = last.greville(shape.k)[:, None].expand_as(last.coef)
    return replace(net, layers=(first.layers[0], replace(last, coef=identity)))


def random(shape: Shape, problem: Problem, restarts: int, scale: float) -> KAN:
    """The best of ``restarts`` random starts of each seed, after a race over coarse grids.

    Every start draws from its own generator, so neither the number of starts nor the seeds in
    the batch change what one of them draws. ``scale`` multiplies ``penalty.weight``.
    """
    seeds, n = len(problem.seeds), problem.x.shape[1]
    grids = _race_grids(shape, n)
    field = problem[_repeated(seeds, restarts, problem.x.device)]
    net = blank(replace(shape, grid_size=grids[0]), field)
    draws = [
        generator(seed, Stream.START, n, r).standard_normal(net.n_params)
        for seed in problem.seeds
        for r in range(restarts)
    ]
    net = net.with_theta(torch.from_numpy(np.stack(draws)).to(problem.x))
    asked = net  # as it was on the grid that is asked for, or the last one before
    for grid_size, (_, kept) in zip(grids, RACE, strict=False):
        net = _raced(net.refined(grid_size), field, scale)
        asked = net if grid_size <= shape.grid_size else asked
        many = 1 if grid_size == grids[-1] else max(1, round(restarts * kept / 12))
        winners = best(training_error(net, field), many, seeds)
        net, asked, field = net[winners], asked[winners], field[winners]
    return asked.refined(shape.grid_size)


def _race_grids(shape: Shape, n_points: int) -> list[int]:
    """The grids of the race that the points can tell apart, the first in any case."""
    edges = sum(a * b for a, b in itertools.pairwise(shape.width))
    first = min(RACE[0][0], shape.grid_size)
    return [first] + [g for g, _ in RACE[1:] if 2 * edges * (g + shape.k) <= n_points]


def _raced(net: KAN, field: Problem, scale: float) -> KAN:
    most = max(1, int(FRESH * field.x.shape[1]))
    points = slice(0, min(POINTS * net.n_params, most))
    part = replace(field, x=field.x[:, points], y=field.y[:, points])
    w = penalty.least(net.grid_size, net.k, scale).to(field.x)
    w = w.repeat(net.n_replicas, len(net.layers), 1)
    net = annealed(net, part, w, RACE_LIMITS, DAMPING)
    return descend(net, part, RACE_LIMITS, Weight.fixed(w), DAMPING).net


def annealed(net: KAN, problem: Problem, w: Tensor, limits: Limits, damping: float) -> KAN:
    """The KAN after descents under penalties from far too stiff down to w (R, L, 3), exclusive."""
    for stiffness in STIFFNESS:
        net = descend(net, problem, limits, Weight.fixed(w * stiffness), damping).net
    return net


def _repeated(seeds: int, times: int, device: torch.device) -> Tensor:
    return torch.arange(seeds, device=device).repeat_interleave(times)


def best(score: Tensor, kept: int, seeds: int) -> Tensor:
    """Indices of the ``kept`` lowest scores of each seed, seed by seed: (seeds * starts,)."""
    table = score.nan_to_num(torch.inf).view(seeds, -1)
    chosen = table.topk(kept, dim=1, largest=False).indices
    first = torch.arange(seeds, device=score.device)[:, None] * table.shape[1]
    return (chosen + first).flatten()
