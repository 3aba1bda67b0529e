"""Whether a start ended in the right basin, as far as its points can tell."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from kansweep.networks.kan import KAN, where
from kansweep.networks.layer import edges
from kansweep.solvers.contract import Outcome, Problem
from kansweep.solvers.gauss_newton.objective import training_error
from kansweep.solvers.gauss_newton.replicas import spread_out
from kansweep.solvers.reasons import StopReason

TRAINED = 0.9  # of the points; the others choose among starts
# A rival must have less than this share of the RMSE, by so many standard errors; or less than that
# one, where a few points decide and the error of a mean of squares says little.
BY_FAR, SURE, BEYOND_DOUBT = 0.7, 2.0, 0.2
# Of the theory's order, by which errors fall in the right basin, and below which they hardly move.
ORDER, STUCK = 0.75, 0.125
# Of residuals that are noise none is like that of its nearest neighbour, but by chance: in one case
# of twenty their correlation is more than CHANCE / sqrt(n).
ALIKE, CHANCE, NEIGHBOURS = 0.2, 2.0, 1000
# In a wrong basin neighbours may differ as well, where outputs vary from one to the next, but then
# more than FAINT of them is left, which is more than noise of a tenth; unless there are fewer than
# TELLING points a parameter, which a wrong network goes through.
FAINT, TELLING = 0.11, 6
OTHERS, AT_ONCE = 10_000, 100  # points among which the nearest is looked for; of how many at once


def doubtful(net: KAN, finer: KAN, problem: Problem) -> Tensor:
    """Whether a KAN of one hidden node is not seen to be in the right basin, (R,) of bool, by its
    error and that of a ``finer`` one, on twice the grid.

    In the right basin errors are small and fall as G^-(k+1); in a wrong one a finer grid hardly
    helps, unless there are few points, and then the fit is poor to begin with. Of one relevant
    input any inner function has an outer one: all basins are right and none says that another is
    not better by far. Otherwise no start leaves less of what is noise.
    """
    error, less = (training_error(each, problem).sqrt() for each in (net, finer))
    converges = (less * 2.0 ** (ORDER * (net.k + 1)) < error) & (error < small(net))
    lost: Tensor = ~(converges | (error < round_off(error)))
    at = lost.nonzero()[:, 0]
    lost[at] = ~is_noise(net[at], problem[at])
    return lost | _is_of_one(net, problem, error)


def _is_of_one(net: KAN, problem: Problem, error: Tensor) -> Tensor:
    """Whether what all inputs but one contribute is less than an error, (R,) of bool."""
    each = edges(net.layers[0], problem.x, net.k).std(1, correction=0).sum(2)  # (R, I)
    all_but_one = each.sum(1) - each.amax(1)
    below: Tensor = all_but_one < error * each.sum(1)
    return below


def poor(net: KAN, problem: Problem, at: Tensor) -> Tensor:
    """Of the replicas ``at`` (r,) those whose errors are no small share of what outputs vary by."""
    return at[training_error(net[at], problem[at]).sqrt() > FAINT]


def part(problem: Problem, *, rest: bool = False) -> Problem:
    """The points on which starts are trained, or the rest, by which they are judged."""
    at = int(TRAINED * problem.x.shape[1])
    return problem.at(slice(at, None) if rest else slice(0, at))


def surpasses(rival: KAN, net: KAN, held_out: Problem) -> Tensor:
    """Whether a rival is better by far, and not by a few points, on points that neither was trained
    on, (R,) of bool; also where the other ended in a NaN."""
    theirs, own = (_squares(one, held_out, held_out.spread) for one in (rival, net))
    gain, error = held_out.mean(own - theirs)
    theirs, own = held_out.mean(theirs)[0], held_out.mean(own)[0]
    by_far = (theirs < BY_FAR**2 * own) & (gain > SURE * error)
    surpassed: Tensor = by_far | (theirs < BEYOND_DOUBT**2 * own) | (own.isnan() & ~theirs.isnan())
    return surpassed


def _squares(net: KAN, problem: Problem, spread: Tensor) -> Tensor:
    """The mean square of each point's errors in units of a spread (R, M), (R, n)."""
    squares: Tensor = ((net(problem.x) - problem.y) / spread[:, None]).square().mean(2)
    return squares


def better(net: KAN, chosen: Tensor, problem: Problem, rival: KAN) -> KAN:
    """The KAN with the rivals of the chosen replicas (r,) where those are better, on points that
    they were not trained on: than the KAN is there or, where that hangs on too few of its errors,
    than it is on all points, though it may have been trained on these."""
    own, whole = net[chosen], problem[chosen]
    held_out = part(whole, rest=True)
    theirs, error = held_out.mean(_squares(rival, held_out, whole.spread))
    by_far = theirs + SURE * error < BY_FAR**2 * training_error(own, whole)
    lost, place = spread_out(chosen, net.n_replicas)
    lost[chosen] = surpasses(rival, own, held_out) | by_far
    return where(lost, rival[place], net)


def judged(outcome: Outcome[KAN], stuck: Tensor, problem: Problem) -> Outcome[KAN]:
    """The outcome with ``poor fit`` where errors hardly fall from grid to grid, a mask (R,), and
    what is left is no noise."""
    which, poor = stuck.nonzero()[:, 0], stuck.clone()
    if which.numel() == 0:
        return outcome
    poor[which] = structured(outcome.net[which], problem[which])
    reasons = tuple(
        StopReason.POOR_FIT if lost and why is StopReason.CONVERGED else why
        for why, lost in zip(outcome.stop_reason, poor.tolist(), strict=True)
    )
    return replace(outcome, stop_reason=reasons)


def structured(net: KAN, problem: Problem) -> Tensor:
    """Whether residuals are alike in neighbouring points, (R,) of bool: something is left to fit,
    and it is wider than the distance between points."""
    return _alike(net, problem) > ALIKE


def is_noise(net: KAN, problem: Problem) -> Tensor:
    """Whether little is left and neighbouring points know nothing of each other's, (R,) of bool: no
    start would be better by far."""
    n, outputs = problem.x.shape[1], problem.y.shape[2]
    if net.n_replicas == 0 or min(n, problem.n_points) < TELLING * net.n_params:
        return torch.zeros_like(problem.x[:, 0, 0], dtype=torch.bool)
    noise = training_error(net, problem) * outputs < FAINT**2
    which = noise.nonzero()[:, 0]
    if which.numel():
        alike = _alike(net[which], problem[which])
        chance = min(ALIKE, CHANCE / min(n, NEIGHBOURS) ** 0.5)
        # What alternates from point to point is no noise either; a fit leaves a little of that.
        noise[which] = (alike < chance) & (alike > -ALIKE)
    return noise


def _alike(net: KAN, problem: Problem) -> Tensor:
    """How like residuals are that of the nearest point, (R,): their correlation, of the output of
    which it is most."""
    some = problem.at(slice(0, OTHERS))
    residual = (net(some.x) - some.y) / problem.spread[:, None]
    found = [_correlation(x, r) for x, r in zip(some.x, residual, strict=True)]
    return torch.tensor(found, device=problem.x.device)


def _correlation(x: Tensor, residual: Tensor) -> float:
    """Of residuals (n, M) of the first points x (n, I) with those of the nearest elsewhere."""
    places, r = (each.double().cpu() for each in (x, residual))
    places = places / (places.amax(0) - places.amin(0)).clamp(min=torch.finfo(places.dtype).tiny)
    alike = torch.zeros_like(r[0])
    for some, own in zip(places[:NEIGHBOURS].split(AT_ONCE), r.split(AT_ONCE), strict=False):
        # Not as a difference of squares: rows of one place are told by a distance of nothing.
        apart = torch.cdist(some, places, compute_mode="donot_use_mm_for_euclid_dist")
        nearest = apart.masked_fill_(apart == 0, torch.inf).argmin(1)
        alike += (own * r[nearest]).sum(0)
    squares = r[:NEIGHBOURS].square().sum(0)
    return float((alike / squares.clamp(min=torch.finfo(r.dtype).tiny)).max())


def small(net: KAN) -> float:
    """An error, as a share of the outputs' spread, that shows a grid at work."""
    return float((1.5 / net.grid_size) ** (net.k + 1))


def round_off(error: Tensor) -> float:
    return 1e3 * torch.finfo(error.dtype).eps
