"""Where the knots of a cell go: by a finer spline that is trained on the same data.

A grid cannot see what is narrower than its intervals, so that its own spline tells little of where
its knots are missing. One on a few times as many does. Its knots are placed and it is trained in
turns, which follows a layer or a singularity inwards; then the grid of the cell is the one that
suits it. How much that gains is seen before anything is trained on it: the finer spline, brought
onto the candidates, follows the points so well or so badly.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from kansweep.networks import uneven
from kansweep.networks.kan import KAN, edges, where
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton.objective import training_error

FINER = (4, 2)  # times as many intervals, the first for which there are points enough
POINTS = 4  # a parameter of the finer spline, at least
DETERMINED = 0.3  # parameters a point, at most, for which knots are placed at all
ROUNDS = 8  # of placing and training, at most
STILL = 0.97  # of the RMSE: another grid is taken if it leaves less than this share
Train = Callable[[KAN], KAN]


def placed(net: KAN, problem: Problem, train: Train) -> KAN:
    """The KAN on the knots that suit its grid size, not trained on them."""
    if net.n_params > DETERMINED * problem.n_points:
        return net
    size = net.grid_size
    finer = _followed(train(net.refined(_finer(net, problem.n_points) * size)), problem, train)
    best = finer.on_breaks([_equal(layer.lower, size) for layer in net.layers])
    for breaks in (_breaks(net), _asked(finer, problem, size)):
        best = _better(best, finer.on_breaks(breaks), problem)
    return best


def _finer(net: KAN, n_points: float) -> int:
    per_interval = net.n_params / (net.grid_size + net.k)
    for factor in FINER:
        if POINTS * per_interval * (factor * net.grid_size + net.k) <= n_points:
            return factor
    return 1


def _followed(net: KAN, problem: Problem, train: Train) -> KAN:
    """A trained KAN after rounds of placing and training, as long as they gain."""
    for step in range(ROUNDS):
        asked = _asked(net, problem, net.grid_size)
        if step % 2:  # half a step, for knots that would jump to and fro
            asked = [(a + b) / 2 for a, b in zip(asked, _breaks(net), strict=True)]
        new = _better(net, train(net.on_breaks(asked)), problem)
        if new is net:
            break
        net = new
    return net


def _asked(net: KAN, problem: Problem, grid_size: int) -> list[Tensor]:
    """The breaks that the splines ask for, as far as the points bear them."""
    x, held = problem.x, []
    for layer, breaks in zip(net.layers, net.asked_breaks(grid_size), strict=True):
        u = (x - layer.lower[:, None]) / (layer.upper - layer.lower)[:, None]
        held.append(uneven.held(breaks, u))
        x = edges(layer, x, net.k).sum(2)
    return held


def _breaks(net: KAN) -> list[Tensor]:
    return [layer.unit_breaks(net.k) for layer in net.layers]


def _better(net: KAN, rival: KAN, problem: Problem) -> KAN:
    """Replica by replica the rival where it follows the points clearly better."""
    gains = training_error(rival, problem) < STILL**2 * training_error(net, problem)
    return where(gains, rival, net) if bool(gains.any()) else net


def _equal(like: Tensor, grid_size: int) -> Tensor:
    even = torch.linspace(0.0, 1.0, grid_size + 1, dtype=torch.float64)
    return even.to(like).repeat(*like.shape, 1)
