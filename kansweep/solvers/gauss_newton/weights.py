"""The penalty's weights with which a descent begins, and what is remembered for the next grid.

REML lowers weights more safely than it raises them: what was stiff softens in a few steps, and a
network that has come to follow noise has no misfit left to tell the noise by.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from kansweep.networks.kan import KAN, USUAL
from kansweep.solvers.contract import Outcome, Problem
from kansweep.solvers.gauss_newton import penalty, strain
from kansweep.solvers.gauss_newton.basins import BY_FAR
from kansweep.solvers.gauss_newton.linearised import without_removed
from kansweep.solvers.gauss_newton.objective import training_error
from kansweep.solvers.gauss_newton.reml import Weight

STIFF = (1.0, 1.0, 0.1)  # of the three kinds of rows, on outputs of unit variance


@dataclass(frozen=True)
class Memory:
    """What a grid leaves to the next one, NaN in replicas of which nothing is known."""

    weight: Tensor  # (R, L, 3), infinite behind what is simple (``simplest``)
    error: Tensor  # (R,), training RMSE as a share of the outputs' spread
    grid_size: Tensor  # (R,)
    beyond: Tensor  # (R,), the order of the network's differences (``smoother``), less its degree
    left_out: Tensor  # (R,), its mean squared leave-one-out error, or infinite
    kept: Tensor  # (R, L, 3), the network's weights where that order is another, else the same

    @classmethod
    def of(cls, numbers: Tensor) -> Memory:
        """From ``Outcome.memory``, (R, L * 6 + 4); (R, L * 3 + 2) before there was ``smoother``."""
        if numbers.shape[1] % penalty.KINDS == 2:
            weight = numbers[:, :-2].unflatten(1, (-1, penalty.KINDS))
            return cls.left(weight, numbers[:, -2], numbers[:, -1])
        size = (numbers.shape[1] - 4) // 2
        weight, one, kept = numbers.split((size, 4, size), 1)
        weight, kept = (part.unflatten(1, (-1, penalty.KINDS)) for part in (weight, kept))
        error, grid_size, beyond, left_out = one.unbind(1)
        return cls(weight, error, grid_size, beyond, left_out, kept)

    @classmethod
    def left(
        cls, weight: Tensor, error: Tensor, grid_size: Tensor | int, beyond: int = USUAL
    ) -> Memory:
        """By a network that was trained with these weights."""
        order, none = torch.full_like(error, beyond), torch.full_like(error, torch.inf)
        return cls(weight, error, torch.ones_like(error) * grid_size, order, none, weight)

    def __getitem__(self, replicas: Tensor) -> Memory:
        parts = {each.name: getattr(self, each.name)[replicas] for each in fields(self)}
        return Memory(**parts)

    @property
    def simple(self) -> Tensor:
        """Which replicas were left to the simplest KANs, (R,) of bool (``simplest``)."""
        return self.weight[:, -1].isinf().all(1)

    @property
    def of_first_layer(self) -> Memory:
        """What an additive model is to know, nothing where all was linear."""
        weight = self.weight[:, :1]
        return replace(self, weight=torch.where(weight.isinf(), torch.nan, weight))

    @property
    def numbers(self) -> Tensor:
        """The inverse of ``of``."""
        one = torch.stack([self.error, self.grid_size, self.beyond, self.left_out], 1)
        return torch.cat([self.weight.flatten(1), one, self.kept.flatten(1)], 1)

    @property
    def order(self) -> Tensor:
        """About the order at which errors have fallen so far, (R,): that of G^-order. What is still
        above 1 / G is noise or not resolved, and counts as none."""
        order = -self.error.log() / self.grid_size.log()
        return torch.where(order < 1, 0.0, order)

    def carried(self, grid_size: int, k: int) -> Tensor:
        """The weights for the next grid, (R, L, 3).

        A weight is the ratio of the misfit's variance to that of differences, and the latter falls
        as G^-(2m-1) for any function, m their order. Noise stays; what splines cannot follow falls
        as G^-(2k+2).
        """
        return self._grown(self.weight, grid_size, k, torch.full_like(self.beyond, USUAL))

    def kept_on(self, grid_size: int, k: int) -> Tensor:
        """``carried`` of those that led to the network."""
        return self._grown(self.kept, grid_size, k, self.beyond)

    def _grown(self, weight: Tensor, grid_size: int, k: int, beyond: Tensor) -> Tensor:
        power = 2 * (k + beyond) - 1 - 2 * self.order.clamp(max=k + 1)
        weight = weight.clone()
        weight[..., penalty.ROUGH] *= ((grid_size / self.grid_size) ** power)[:, None]
        return weight


def unit(kan: KAN, scale: float | None) -> Tensor:
    """``penalty.least`` of every replica and layer, (R, L, 3), as a multiple or once."""
    least = penalty.least(kan.grid_size, kan.k, scale or 1.0).to(kan.layers[0].coef)
    return least.repeat(kan.n_replicas, len(kan.layers), 1)


def first(kan: KAN, problem: Problem, scale: float | None) -> Weight:
    """To begin a start with: fixed multiples, or to be estimated (None) from the unit; from stiff
    ones where there are few points."""
    units, n_points = unit(kan, scale), problem.n_points
    if scale is not None:
        return Weight.fixed(units)
    value = units
    if 2 * kan.n_params >= n_points:
        value = torch.maximum(units, units.new_tensor(STIFF).expand_as(units))
    least = units * min(1.0, kan.n_params / n_points)
    return Weight.estimated(kan, n_points, value, least)


def light(weight: Weight, kan: KAN) -> Weight:
    """Of rough rows no more than the unit, now and later: those of data without noise."""
    most = penalty.weight(kan.grid_size, kan.k)
    value = weight.value.clone()
    value[..., penalty.ROUGH] = value[..., penalty.ROUGH].clamp(max=most)
    return replace(weight, value=value, most=most)


def is_by_far(light: Outcome[KAN], memory: Tensor, problem: Problem) -> Tensor:
    """Whether light weights have the better error by far than those that left ``memory``, (R,) of
    bool: by generalised cross-validation with all their parameters counted, none of the others."""
    share = BY_FAR * (1 - light.net.n_params / (problem.n_points * problem.y.shape[2]))
    better: Tensor = Memory.of(light.memory).error < share * Memory.of(memory).error
    return better


def begun(kan: KAN, problem: Problem, scale: float | None, memory: Memory | None) -> Weight:
    """To begin a cell with: those of the last grid, carried on; without it, what REML would say at
    the start that was found."""
    weight = first(kan, problem, scale)
    if bool(weight.is_final.all()):
        return weight
    value = torch.maximum(weight.value, _suggested(kan, problem))
    linear = len(kan.layers) == 1 and 2 * kan.n_params < problem.n_points
    if memory is None or linear:  # where all leads to the same, what is too stiff is no help
        return replace(weight, value=value)
    carried = memory.carried(kan.grid_size, kan.k)
    value = torch.maximum(torch.where(carried.isnan(), value, carried), weight.least)
    # Where a coarse grid's misfit is noise and points are few, finer grids tell no more.
    known = (memory.order == 0) & (kan.n_params >= problem.n_points)
    return replace(weight, value=value, left=torch.where(known, 0, weight.left))


def _suggested(kan: KAN, problem: Problem) -> Tensor:
    """The weights of REML's first update if all rows were free, at most ``STIFF``: (R, L, 3)."""
    energy = strain.energy(kan, without_removed(kan, kan.theta()))
    ranks = penalty.freedoms(kan)
    misfit = training_error(kan, problem)[:, None, None] / problem.n_points
    tiny = torch.finfo(energy.dtype).tiny
    return torch.minimum(misfit * ranks / energy.clamp(min=tiny), energy.new_tensor(STIFF))
