"""Whether a start ended in the right basin, as far as its points can tell."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from kansweep.networks.kan import KAN, where
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton.replicas import spread_out

TRAINED = 0.9  # of the points; the others choose among starts
# A rival must have less than this share of the RMSE, by so many standard errors; or less than that
# one, where a few points decide and the error of a mean of squares says little.
BY_FAR, SURE, BEYOND_DOUBT = 0.7, 2.0, 0.2
# Of residuals that are noise none is like that of its nearest neighbour.
ALIKE, NEIGHBOURS = 0.2, 1000


def part(problem: Problem, *, rest: bool = False) -> Problem:
    """The points on which starts are trained, or the rest, by which they are judged."""
    at = int(TRAINED * problem.x.shape[1])
    return problem.at(slice(at, None) if rest else slice(0, at))


def surpasses(rival: KAN, net: KAN, held_out: Problem) -> Tensor:
    """Whether a rival is better by far, and not by a few points, on points that neither was trained
    on, (R,) of bool; also where the other ended in a NaN."""
    spread = held_out.spread[:, None]
    theirs, own = (
        ((one(held_out.x) - held_out.y) / spread).square().mean(2) for one in (rival, net)
    )
    gain, error = held_out.mean(own - theirs)
    theirs, own = held_out.mean(theirs)[0], held_out.mean(own)[0]
    by_far = (theirs < BY_FAR**2 * own) & (gain > SURE * error)
    surpassed: Tensor = by_far | (theirs < BEYOND_DOUBT**2 * own) | (own.isnan() & ~theirs.isnan())
    return surpassed


def better(net: KAN, chosen: Tensor, problem: Problem, rival: KAN) -> KAN:
    """The KAN with the rivals of the chosen replicas (r,) where those are better."""
    lost, place = spread_out(chosen, net.n_replicas)
    lost[chosen] = surpasses(rival, net[chosen], part(problem[chosen], rest=True))
    return where(lost, rival[place], net)


def structured(net: KAN, problem: Problem) -> Tensor:
    """Whether residuals are alike in neighbouring points, (R,) of bool: something is left to fit,
    and it is wider than the distance between points."""
    residual = ((net(problem.x) - problem.y) / problem.spread[:, None]).mean(2)
    found = [_alike(x, r) for x, r in zip(problem.x, residual, strict=True)]
    return torch.tensor(found, device=problem.x.device)


def _alike(x: Tensor, residual: Tensor) -> bool:
    places, r = x.cpu().numpy(), residual.cpu().numpy()
    places = places / np.maximum(np.ptp(places, axis=0), np.finfo(places.dtype).tiny)
    some = slice(0, NEIGHBOURS)
    nearest = np.asarray(cKDTree(places).query(places[some], k=2)[1])[:, 1]
    return bool((r[some] * r[nearest]).sum() > ALIKE * (r[some] ** 2).sum())
