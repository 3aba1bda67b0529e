"""Where training begins: nothing, the additive model, and descents under a softening penalty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from kansweep.networks import kan
from kansweep.networks.kan import KAN, Shape
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton.descent import Limits, descend
from kansweep.solvers.gauss_newton.reml import Weight

# Input grids reach beyond the points by at most this share of their range; of n points spread
# evenly one end in 150 is further from its nearest than REACHED_BY / n.
REACH, REACHED_BY = 0.05, 5
DAMPING = 0.1  # much: far from an optimum the linear model holds for short steps only
# On each grid the penalty is softened from far too stiff, or deep networks wiggle between points.
STIFFNESS = (1e4, 1e2)


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
    mean_output = (problem.y / problem.spread[:, None]).mean(2, keepdim=True)
    first = fit(replace(net, layers=net.layers[:1]), replace(problem, y=mean_output))
    last = net.layers[1]
    identity = last.greville(shape.k)[:, None].expand_as(last.coef)
    return replace(net, layers=(first.layers[0], replace(last, coef=identity)))


def annealed(net: KAN, problem: Problem, w: Tensor, limits: Limits, damping: float) -> KAN:
    """The KAN after descents under penalties from far too stiff down to w (R, L, 3), exclusive."""
    for stiffness in STIFFNESS:
        net = descend(net, problem, limits, Weight.fixed(w * stiffness), damping).net
    return net
