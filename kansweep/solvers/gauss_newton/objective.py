"""What is minimised, and the points at which it is looked at: settled KANs.

The objective is mean |f - y|^2 + sum_l w_l energy_l for outputs of unit variance, with one weight
a layer. A point is settled: what can be had for free has been taken, hidden values onto their
grids and the last layer to its optimum, so that only what is truly nonlinear is left to search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.networks.points import points_of
from kansweep.networks.points.contract import Hidden, Points, Settled
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton import penalty
from kansweep.solvers.gauss_newton.deepening import is_deep
from kansweep.solvers.gauss_newton.linearised import Linearised, without_removed
from kansweep.solvers.gauss_newton.projection import best_last_layer
from kansweep.solvers.gauss_newton.strain import energy


@dataclass(frozen=True)
class Point:
    """A settled KAN and what was computed there."""

    at: Settled
    energy: Tensor  # (R, L, 3), of each layer's edges by kind

    @classmethod
    def of(cls, at: Settled) -> Point:
        return cls(at, energy(at.like, without_removed(at.like, at.theta)))

    @property
    def kan(self) -> KAN:
        return self.at.kan

    @property
    def residual(self) -> Tensor:
        """(R, n, M)."""
        return self.at.residual

    @property
    def mse(self) -> Tensor:
        """Summed over outputs, (R,)."""
        return self.at.mse

    @property
    def observations(self) -> float:
        """Numbers to be learned, as often as they count."""
        return self.at.n_points * self.residual.shape[2]

    def objective(self, w: Tensor) -> Tensor:
        """What weights w (R, L, 3) make of this point, (R,): what a solver of one's own lowers."""
        return self.mse + (w * self.energy).sum((1, 2))

    def linearised(self) -> Linearised:
        return Linearised.of(self.at.like, self.at.data())

    def __getitem__(self, replicas: Tensor) -> Point:
        return Point(self.at[replicas], self.energy[replicas])

    def where(self, mask: Tensor, other: Point) -> Point:
        """Replica by replica, this where the mask (R,) is true and the other elsewhere."""
        energy = torch.where(mask[:, None, None], self.energy, other.energy)
        return Point(self.at.where(mask, other.at), energy)


# A polynomial that goes on for m intervals beyond the points may be wrong by (1 + m)^(k+1) times
# what it is wrong by among them; beyond this share of the outputs' spread a straight line is safer.
# Where weights are so many times what they are without noise, splines are smooth on a wider scale.
WILD, SMOOTH = 0.3, 1e3
# Trained on other points, values may leave a grid by this share of it; it is so many times as wide
# as they are, at most: both margins, and what a few points more or less make of them.
OFF, WIDEST = 0.01, 1.5


def hidden_margins(
    kan: KAN, points: Points, w: Tensor, between: Sequence[Tensor] | None = None
) -> tuple[Tensor, ...]:
    """The margins of every hidden layer's grids, (R, O, 2) each, for outputs of unit variance and
    at weights w (R, L, 3); the gauge does not matter. Grids reach further by the intervals of
    ``interleaved.apart``, if these are given."""
    reached, mse = points.margins(kan)
    error = mse.sqrt()
    intervals = (WILD / error.clamp(min=torch.finfo(error.dtype).tiny)) ** (1 / (kan.k + 1)) - 1
    smooth = w[:, -1, penalty.ROUGH] > SMOOTH * penalty.weight(kan.grid_size, kan.k)
    most = (intervals / kan.grid_size).clamp(min=0).nan_to_num(0.0)
    most = torch.where(smooth, torch.inf, most)[:, None, None]
    share = 1 / max(kan.grid_size - 1, 1)  # that an interval more is of the others
    found = []
    for depth, reach in enumerate(reached):
        margin = torch.minimum(reach, most)
        more = 0.0 if between is None else between[depth]
        found.append(margin + share * more * (1 + margin.sum(2, keepdim=True)))
    return tuple(found)


def on_margins(
    kan: KAN, points: Points, margins: Sequence[Tensor], between: Sequence[Tensor]
) -> KAN:
    """A KAN that is deep or has grids to be interleaved, with its hidden splines fitted to grids of
    other margins (R, O, 2), so that what it says changes no more than a fit changes it; others as
    they are.

    Put on such grids as they are, splines stretch: a step makes that good behind one layer, nothing
    does behind five. Values that are off their grids are those of starts, which are to stretch.
    """
    fitted = torch.full_like(kan.layers[0].coef[:, 0, 0, 0], is_deep(kan.width)).bool()
    for more in between:
        fitted |= (more > 0).any(2).any(1)
    if not bool(fitted.any()):
        return kan
    layers = [kan.layers[0]]
    pairs = zip(kan.layers[1:], points.extremes(kan), margins, strict=True)
    for layer, ends, margin in pairs:
        least, most = ends.unbind(2)
        width, span = layer.upper - layer.lower, most - least
        off = torch.maximum(layer.lower - least, most - layer.upper)
        fits = (off < OFF * width) & (span * WIDEST > width) & fitted[:, None]
        below, above = (margin * span[..., None]).unbind(2)
        lower = torch.where(fits, least - below, layer.lower)
        upper = torch.where(fits, most + above, layer.upper)
        # One by one: a product of all would round as their number has it, and starts part by less.
        every = torch.arange(kan.n_replicas, device=lower.device).split(1)
        moved = torch.cat([layer[r].on_range(lower[r], upper[r], kan.k).coef for r in every])
        coef = torch.where(fits[:, None, :, None], moved, layer.coef)
        layers.append(replace(layer, coef=coef))
    return replace(kan, layers=tuple(layers))


def settle(hidden: Hidden, w: Tensor) -> Point:
    """The last layer to its optimum at weights w (R, L, 3)."""
    return Point.of(hidden.settled(best_last_layer(hidden, w[:, -1:])))


def training_error(kan: KAN, problem: Problem) -> Tensor:
    """Mean squared error in units of the outputs' variance, (R,)."""
    spread = problem.spread
    points = points_of(problem.x, problem.y / spread[:, None], problem.counts, k=kan.k)
    return points.settled(scaled_output(kan, 1 / spread)).mse / problem.y.shape[2]


def scaled_output(kan: KAN, factor: Tensor) -> KAN:
    """The KAN with every output multiplied by a factor (R, M)."""
    layer = kan.layers[-1]
    base = None if layer.base is None else layer.base * factor[:, :, None]
    last = replace(layer, coef=layer.coef * factor[:, :, None, None], base=base)
    return replace(kan, layers=(*kan.layers[:-1], last))
