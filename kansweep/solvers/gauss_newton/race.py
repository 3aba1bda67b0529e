"""A race of random starts, for what no other start leads to: networks of more than one node.

All starts of a seed run over a few coarse grids and the better part stays after each. Whether the
winner is in a right basin shows in the last two grids: there its error falls by most of the
theory's order. Where it does not, further races run with fresh draws.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

from kansweep.data.streams import Stream, generator
from kansweep.data.targets import Array
from kansweep.networks.kan import KAN, Shape, where
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton import basins, deepening, penalty, pursuit, start
from kansweep.solvers.gauss_newton.deepening import Width
from kansweep.solvers.gauss_newton.descent import Limits, descend
from kansweep.solvers.gauss_newton.objective import training_error
from kansweep.solvers.gauss_newton.reml import Weight
from kansweep.solvers.gauss_newton.replicas import spread_out

# A race runs over these grids; after each, this many of twelve starts stay. Which start is good
# shows late: the first grids are too coarse to tell, so it goes on beyond the grid asked for, to
# the last one if there its order can be told. What stands on heads (``_with_heads``) can be far off
# on the first grid and right on the next, so there all of these stay.
GRIDS = ((3, 6), (5, 4), (10, 3), (20, 1))
LIMITS = Limits(max_steps=40, tolerance=1e-4)
# A grid is trained on this many points a parameter and at most this share of them; all judge, so
# that a start which only wiggles through its points is found out.
POINTS, FRESH = 16, 0.9
NEAR = 1e-3  # the damping near an optimum
# The last grid on which the penalty is softened: finer ones only judge, and there a start from the
# grid before comes as far without it, in a third of the steps.
SOFTENED = GRIDS[1][0]
ALIKE = 3e-3  # by less than this share the errors of starts in one basin differ
RACES = 5  # at most
# Of these so many begin on the coarsest grid. What is alike there in all basins, as sums of steep
# functions are, is not led anywhere: the others begin on the last, a quarter of the starts of each,
# where ``pursuit`` says.
COARSE = 2
# Of the theory's order, from the last grid but one to the last: what a right basin shows, and what
# it shows at least where these grids are still coarse for the target. The latter counts once
# another race did not do better.
FALL, LEAST_FALL = 0.75, 0.65
BETTER = 0.9
# Two races that end at the same error on grids that hardly differ: that is noise.
SAME, HARDLY = 0.03, 0.08  # in the logarithm of the error; of the order
# Of fewer points a parameter on the last grid nothing is asked: errors fall with any parameter.
TELLING = 4
WORK = 2_000_000  # points times edges of all starts at once; some hundreds of megabytes


@dataclass(frozen=True)
class Winners:
    """The best start of each seed, on the race's last grid."""

    net: KAN
    error: Tensor  # (R,), RMSE there
    order: Tensor  # (R,), share of the theory's order by which that fell; infinite if not known

    def with_better(self, at: Tensor, other: Winners) -> Winners:
        """With those of other winners for the seeds ``at`` (r,) that fit better."""
        better = (other.error < self.error[at]) | self.error[at].isnan()
        at = at[better]
        mask, place = spread_out(at, self.net.n_replicas)
        rival = other.net[better.nonzero()[:, 0]]
        error, order = self.error.clone(), self.order.clone()
        error[at], order[at] = other.error[better], other.order[better]
        net = where(mask, rival[place], self.net) if at.numel() else self.net
        return Winners(net, error, order)


def shape_of(net: KAN) -> Shape:
    """The shape of a network, to begin another one in."""
    base = net.layers[0].base is not None
    return Shape(net.width, net.k, net.grid_size, base, net.spacing)


def run(shape: Shape, problem: Problem, restarts: int, scale: float, first: int = 0) -> KAN:
    """The best random start of each seed, after a race of ``restarts`` of them, the one numbered
    ``first``, or up to ``RACES`` where none is seen to be in a right basin. Those of several nodes
    are of splines alone: stiff ones would leave the work to a base function, which comes later.

    Every start draws from its own generator, so neither the number of starts nor the seeds in
    the batch change what one of them draws. Seeds go a few at a time, as many as memory bears with
    all their starts. Winners are remembered, since a later grid may ask for the same race, and are
    the same in any batch but for rounding. ``scale`` multiplies ``penalty.weight``.
    """
    at_once = max(1, WORK // (restarts * problem.x.shape[1] * shape.n_edges))
    later = shape.base and not deepening.has_one_node(shape.width)
    coarse = min(GRIDS[0][0], shape.grid_size)
    raced = replace(shape, base=shape.base and not later, grid_size=coarse)
    every = torch.arange(len(problem.seeds), device=problem.x.device)
    won = [remembered(_digest(problem[r], raced, restarts, scale, first)) for r in every.split(1)]
    new = [r for r, slot in enumerate(won) if not slot]
    for at in range(0, len(new), at_once):
        part = new[at : at + at_once]
        winners = _of_some(raced, problem[every[part]], restarts, scale, first)
        for place, r in zip(every.split(1), part, strict=False):
            won[r].append(winners[place])
    net = KAN.concatenated([slot[0] for slot in won]).refined(shape.grid_size)
    return net.with_base() if later else net


@lru_cache(maxsize=256)
def remembered(digest: bytes) -> list[KAN]:
    """Where the winner of one seed's race is kept, on the race's last grid."""
    return []


def _digest(one: Problem, *what: object) -> bytes:
    """What tells one seed's race from all others."""
    ends = (torch.as_tensor(end, dtype=torch.float64) for end in one.domain)
    parts = [one.x, one.y, *ends]
    if one.counts is not None:
        parts.append(one.counts)
    kinds = [(each.shape, each.dtype, each.device) for each in parts]
    digest = blake2b(repr((one.seeds, kinds, *what)).encode())
    for each in parts:
        digest.update(each.cpu().double().numpy().tobytes())
    return digest.digest()


def _of_some(shape: Shape, problem: Problem, restarts: int, scale: float, first: int) -> KAN:
    """The winners on the race's last grid."""
    found = _race(shape, problem, restarts, scale, first)
    doubtful = (found.order < FALL).nonzero()[:, 0]
    # One hidden node has other starts beside a race (``LM.start``), and all of them are verified.
    races = 1 if deepening.has_one_node(shape.width) else RACES
    for index in range(first + 1, first + races):
        if doubtful.numel() == 0:
            break
        again = _race(shape, problem[doubtful], restarts, scale, index)
        settled = _is_settled(found, doubtful, again, problem)
        found = found.with_better(doubtful, again)
        doubtful = doubtful[~settled & (found.order[doubtful] < FALL)]
    if races > 1 and problem.x.shape[1] < TELLING * found.net.n_params:
        found = _rivalled(found, shape, problem, restarts, scale, first + COARSE)
    return found.net


def _rivalled(
    found: Winners, shape: Shape, problem: Problem, restarts: int, scale: float, index: int
) -> Winners:
    """Winners of few points, with those of a late race that are better by far on points that
    neither was trained on, where what is left is large and alike in neighbouring points."""
    lost = (found.error > basins.small(found.net)) & basins.structured(found.net, problem)
    at = lost.nonzero()[:, 0]
    if at.numel() == 0:
        return found
    again = _race(shape, problem[at], restarts, scale, index)
    held_out = problem[at].at(slice(int(FRESH * problem.x.shape[1]), None))
    surpasses = basins.surpasses(again.net, found.net[at], held_out)
    again = replace(again, error=torch.where(surpasses, again.error, torch.inf))
    return found.with_better(at, again)


def _is_settled(found: Winners, at: Tensor, again: Winners, problem: Problem) -> Tensor:
    """Whether another race of the seeds ``at`` (r,) says that the earlier result is all there is:
    (r,) of bool."""
    gain = again.error / found.error[at]
    confirmed = (found.order[at] >= LEAST_FALL) & (gain > BETTER)
    noise = (gain.log().abs() < SAME) & (found.order[at].abs() < HARDLY)
    if bool(noise.any()):
        which = noise.nonzero()[:, 0]
        noise[which] = ~basins.structured(again.net[which], problem[at[which]])
    return confirmed | noise


def _race(shape: Shape, problem: Problem, restarts: int, scale: float, index: int) -> Winners:
    """The race of an index, whose starts no other has. Those of many layers begin with a few and
    have the others from the last grid but one on."""
    seeds, n = len(problem.seeds), problem.x.shape[1]
    grids, widths = _grids(shape, n), deepening.widths(shape.width)
    late, first = index % RACES >= COARSE, index * restarts
    stages, many = list(zip(grids, GRIDS, strict=False)), restarts
    if late:
        stages, many = stages[-1:], max(1, restarts // 4)
    every = torch.arange(seeds, device=problem.x.device)
    field = problem[every.repeat_interleave(many)]
    number = first + torch.arange(many).repeat(seeds)
    begun = replace(shape, width=widths[-1], grid_size=stages[0][0])
    net = _drawn(begun, field, number.tolist(), scale, late=late)
    error = torch.full_like(net.layers[0].coef[:, 0, 0, 0], torch.nan)
    for grid_size, (_, kept) in stages:
        soften = net.width == widths[-1] and grid_size <= max(SOFTENED, begun.grid_size)
        net = _trained(net.refined(grid_size), field, scale, soften=soften)
        before, error = error, training_error(net, field).sqrt()
        kept = 12 if grid_size == grids[0] and _is_narrow(shape) else kept
        many = 1 if grid_size == grids[-1] else max(1, round(restarts * kept / 12))
        winners = _best(error, many, seeds)
        net, field = net[winners], field[winners]
        number = number[winners.cpu()]
        before, error = before[winners], error[winners]
        if len(widths) > 1 and grid_size == stages[-2:][0][0]:
            net = _deepened(net, widths, field, number.tolist())
            net = _trained(net, field, scale, soften=False)
            error = training_error(net, field).sqrt()
    if late and len(grids) > 1:
        coarser = _trained(net.refined(grids[-2]), field, scale, soften=False)
        before = training_error(coarser, field).sqrt()
    order = _share_of_order(grids, shape.k, before, error)
    # What is not small may have come down from far above: then another race is to confirm it.
    small = (error < basins.small(net)) | order.isinf()
    order = torch.where(small, order, order.clamp(max=LEAST_FALL))
    telling = n >= TELLING * net.n_params
    return Winners(net, error, order if telling else torch.full_like(order, torch.inf))


def _share_of_order(grids: list[int], k: int, before: Tensor, error: Tensor) -> Tensor:
    """By how much of the order k + 1 errors fell between the last two grids, (R,); infinite at
    rounding, and where there are points for one grid only."""
    if len(grids) == 1:
        return torch.full_like(error, torch.inf)
    share = (before / error).log() / (np.log(grids[-1] / grids[-2]) * (k + 1))
    round_off = 1e3 * torch.finfo(error.dtype).eps
    return torch.where(error < round_off, torch.inf, share.nan_to_num(-torch.inf))


def _grids(shape: Shape, n_points: int) -> list[int]:
    """The grids of the race that the points can tell apart, the first in any case, the last only
    if the order is asked for there."""
    first = min(GRIDS[0][0], shape.grid_size)
    points = dict.fromkeys((g for g, _ in GRIDS[1:-1]), 2) | {GRIDS[-1][0]: TELLING}
    return [first] + [g for g, p in points.items() if p * shape.n_edges * (g + shape.k) <= n_points]


def _drawn(shape: Shape, field: Problem, numbers: list[int], scale: float, *, late: bool) -> KAN:
    """Every start of the field, drawn: one in four with smooth edges, the others with independent
    coefficients, which find trees sooner. Behind a single last node one in two is smooth and goes
    through ``_with_heads``. In late races all are smooth behind what is pursued."""
    narrow = _is_narrow(shape)
    net = start.blank(shape, field)
    draws, one_in = [], 1 if late else 2 if narrow else 4
    for r, (number, seed) in enumerate(zip(numbers, field.seeds, strict=True)):
        rng = generator(seed, Stream.START, field.x.shape[1], number)
        smooth = number % one_in == 0
        drawn = _smooth(net, rng) if smooth else rng.standard_normal(net.n_theta)
        if late:
            y = field.y[r] / field.spread[r]
            first = pursuit.pursued(net[r : r + 1], field.x[r], y, rng).flatten()
            drawn[: len(first)] = first.numpy()
        draws.append(drawn)
    net = net.with_theta(torch.from_numpy(np.stack(draws)).to(field.x))
    if not narrow:
        return net
    headed = torch.tensor(numbers, device=field.x.device) % one_in == 0
    return _with_heads(net, field, headed, scale) if bool(headed.any()) else net


def _deepened(net: KAN, widths: list[Width], field: Problem, numbers: list[int]) -> KAN:
    """The same function with the layers that the first of ``widths`` has beside those of the last.
    What nodes it does not need begin with is drawn for each start by its number."""
    for width in widths[-2::-1]:
        like = Shape(width, net.k, net.grid_size, base=False)
        drawn = start.blank(like, field)
        draws = [
            _smooth(drawn, generator(seed, Stream.START, field.x.shape[1], number, len(width)))
            for seed, number in zip(field.seeds, numbers, strict=True)
        ]
        net = deepening.inserted(
            net, drawn.with_theta(torch.from_numpy(np.stack(draws)).to(field.x))
        )
    return net


def _is_narrow(shape: Shape) -> bool:
    """Whether all goes through a single last node, behind others."""
    return shape.width[-2] == 1 and len(shape.width) > 3


def _smooth(net: KAN, rng: np.random.Generator) -> Array:
    """Coefficients (P,) of random polynomials of low degree, without silu."""
    shapes = pursuit.places(net.grid_size + net.k).mT.numpy()
    parts = []
    for layer in net.layers:
        edges = layer.n_outputs * layer.n_inputs
        drawn = rng.standard_normal((edges, len(pursuit.PARTS))) * np.array(pursuit.PARTS)
        parts.append((drawn @ shapes).ravel())
        if layer.base is not None:
            parts.append(np.zeros(edges))
    return np.concatenate(parts)


def _with_heads(net: KAN, field: Problem, mask: Tensor, scale: float) -> KAN:
    """The KAN whose replicas of a mask (R,) have all layers but the last trained on scores.

    f = Phi(g) with a single g: where Phi is monotone, the normal scores of f are those of g, which
    a sum makes nearly normal. The head is the easier problem, its last layer being linear.
    """
    chosen = mask.nonzero()[:, 0]
    part = field[chosen]
    scores = _scores(part.y.mean(2, keepdim=True))
    head = replace(net, layers=tuple(layer[chosen] for layer in net.layers[:-1]))
    head = _trained(head, replace(part, y=scores), scale, soften=True)
    last = net.layers[-1][chosen]
    whole = replace(net, layers=(*head.layers, last))
    return where(mask, whole[spread_out(chosen, net.n_replicas)[1]], net)


def _scores(y: Tensor) -> Tensor:
    """Normal scores of outputs over points, (R, n, M)."""
    rank = y.argsort(dim=1, stable=True).argsort(dim=1).to(y)
    scores: Tensor = torch.special.ndtri((rank + 0.5) / y.shape[1])
    return scores


def _trained(net: KAN, field: Problem, scale: float, *, soften: bool) -> KAN:
    """Far enough to be compared, on a part of the points; near an optimum there is no softening."""
    most = max(1, int(FRESH * field.x.shape[1]))
    points = slice(0, min(POINTS * net.n_params, most))
    part = field.at(points)
    w = penalty.least(net.grid_size, net.k, scale).to(field.x)
    w = w.repeat(net.n_replicas, len(net.layers), 1)
    if soften:
        net = start.annealed(net, part, w, LIMITS, start.DAMPING)
    damping = start.DAMPING if soften else NEAR
    return descend(net, part, LIMITS, Weight.fixed(w), damping).net


def _best(score: Tensor, kept: int, seeds: int) -> Tensor:
    """Indices of the ``kept`` lowest scores of each seed, seed by seed: (seeds * starts,).

    Starts of one score are in one basin: the first of them goes before all the others.
    """
    scores, order = score.nan_to_num(torch.inf).view(seeds, -1).sort(dim=1, stable=True)
    known = torch.zeros_like(scores, dtype=torch.bool)
    known[:, 1:] = scores[:, 1:] <= (1 + ALIKE) * scores[:, :-1]
    chosen = order.gather(1, known.to(torch.uint8).argsort(dim=1, stable=True)[:, :kept])
    first = torch.arange(seeds, device=score.device)[:, None] * scores.shape[1]
    return (chosen + first).flatten()
