"""Where training begins: nothing, the additive model, and descents under a softening penalty."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from kansweep.networks import bspline, kan
from kansweep.networks.kan import KAN, Shape
from kansweep.solvers.contract import Problem, output_spread
from kansweep.solvers.gauss_newton.descent import Limits, descend
from kansweep.solvers.gauss_newton.projection import with_best_last_layer
from kansweep.solvers.gauss_newton.reml import Weight

DAMPING = 0.1  # much: far from an optimum the linear model holds for short steps only
# On each grid the penalty is softened from far too stiff, or deep networks wiggle between points.
STIFFNESS = (1e4, 1e2)


def blank(shape: Shape, problem: Problem) -> KAN:
    """The KAN of a shape with every edge zero, its input grids on the domain."""
    size = (problem.x.shape[0], shape.width[0])
    lower, upper = (torch.as_tensor(end).to(problem.x).expand(size) for end in problem.domain)
    domain = (lower.clone(), upper.clone())
    return kan.zeros(
        shape.width,
        shape.grid_size,
        shape.k,
        base=shape.base,
        domain=domain,
        spacing=shape.spacing,
    )


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
    return replace(net, layers=(first.layers[0], replace(last, coef=identity)))


def annealed(net: KAN, problem: Problem, w: Tensor, limits: Limits, damping: float) -> KAN:
    """The KAN after descents under penalties from far too stiff to w, (R, L, 3), which is left out."""
    for stiffness in STIFFNESS:
        net = descend(net, problem, limits, Weight.fixed(w * stiffness), damping).net
    return net


def training_error(net: KAN, problem: Problem) -> Tensor:
    """Mean squared error in units of the outputs' variance, (R,)."""
    spread = output_spread(problem.y)
    return ((net(problem.x) - problem.y) / spread[:, None]).square().mean((1, 2))
