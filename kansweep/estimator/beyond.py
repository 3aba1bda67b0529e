"""How a KAN goes on beyond the points that it was fitted to.

Its splines go on as straight lines, with the slopes of their ends. Few points tell those, and with
noise hardly any does: a single one far out can turn the last piece any way, and what that makes of
a point still further out is worse than any mean. So with noise an edge goes on from its outermost
value with the slope that is usual there, the median over the outermost tenth of the points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.networks.layer import Layer, activate, edges
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton.reml import CLEAN

SHARE, LEAST = 0.1, 5.0  # of the observations, the outermost ones at an end, or so many
PLACES = 101  # among them at which slopes are taken


@dataclass(frozen=True)
class End:
    """Where values into a layer end, (R, I), and its edges' usual slope there, (R, I, O)."""

    at: Tensor
    slope: Tensor


@dataclass(frozen=True)
class Beyond:
    """The lower and the upper end of every layer of R replicas, in which of them there is noise."""

    net: KAN
    ends: tuple[tuple[End, End], ...]
    noisy: Tensor  # (R,) of bool; the others go on as their splines do

    @classmethod
    @torch.inference_mode()
    def of(cls, net: KAN, problem: Problem) -> Self:
        """Of a network that was fitted to a problem."""
        left = ((net(problem.x) - problem.y) / problem.spread[:, None]).square().mean(2)
        noisy = ~(problem.mean(left)[0] <= CLEAN)
        counts = problem.x.new_ones(problem.x.shape[:2])
        counts = counts if problem.counts is None else problem.counts.to(counts)
        values, ends = problem.x, []
        for layer in net.layers:
            ends.append(_ends(layer, net.k, values, counts))
            values = edges(layer, values, net.k).sum(2)
        return cls(net, tuple(ends), noisy)

    @torch.inference_mode()
    def __call__(self, x: Tensor) -> Tensor:
        """(R, n, I) -> (R, n, M)."""
        values = self.net(x)
        low, high = (end.at[:, None] for end in self.ends[0])
        outside = ((x < low) | (x > high)).any(2) & self.noisy[:, None]
        index = outside.any(0).nonzero()[:, 0]
        if index.numel() == 0:
            return values
        there = torch.where(outside[:, index, None], self._far(x[:, index]), values[:, index])
        return values.index_copy(1, index, there)

    def _far(self, x: Tensor) -> Tensor:
        """From the nearest point within the data on: a node's own value there, ``near``, is no end,
        wherever it lies."""
        low, high = (end.at[:, None] for end in self.ends[0])
        near = x.clamp(low, high)
        for layer, (lower, upper) in zip(self.net.layers, self.ends, strict=True):
            low, high = lower.at[:, None].minimum(near), upper.at[:, None].maximum(near)
            held = x.clamp(low, high)
            below, above = (x - held).clamp(max=0), (x - held).clamp(min=0)
            x = edges(layer, held, self.net.k).sum(2)
            x = x + torch.einsum("rni,rio->rno", below, lower.slope)
            x = x + torch.einsum("rni,rio->rno", above, upper.slope)
            near = edges(layer, near, self.net.k).sum(2)
        return x


def _ends(layer: Layer, k: int, values: Tensor, counts: Tensor) -> tuple[End, End]:
    """Of values (R, n, I) that count so often, (R, n)."""
    ordered, order = values.sort(dim=1)
    below = counts[..., None].expand_as(values).gather(1, order).cumsum(1)  # (R, n, I)
    total = below[:, -1:]
    share = (SHARE * total).clamp(min=LEAST).minimum(total)
    part = (torch.arange(PLACES).to(values) + 0.5) / PLACES
    places = share * part[:, None]  # (R, PLACES, I)
    found = []
    for where, end in ((places, ordered[:, 0]), (total - places, ordered[:, -1])):
        index = torch.searchsorted(below.mT.contiguous(), where.mT.contiguous()).mT
        points = ordered.gather(1, index.clamp(max=values.shape[1] - 1))
        found.append(End(end, activate(layer, points, k)[0].slope.median(1).values))
    lower, upper = found
    return lower, upper
