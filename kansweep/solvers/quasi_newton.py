"""L-BFGS for one vector of unknowns: its memory, and a search for a step that is good enough.

The memory is in the compact form of Byrd, Nocedal and Schnabel 1994 (Math. Program. 63, eq. 3.1):
some products of matrices where the two-loop recursion of ``torch.optim.LBFGS`` takes four passes
of Python over the pairs. With a hundred pairs an iteration costs half as much for it or less.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

SUFFICIENT_DECREASE, CURVATURE = 1e-4, 0.9  # Nocedal and Wright 2006, section 3.1
MAX_TRIALS = 25  # by then doubling or halving has changed the step by 2^25
SPARE = 25  # rows to fill before the oldest pairs are dropped


class Memory:
    """The last ``size`` pairs of steps s and changes y of the gradient, (P,) each."""

    def __init__(self, size: int, like: Tensor) -> None:
        rows = size + SPARE
        self.size, self.first, self.end = size, 0, 0  # the pairs are rows first to end
        self.s, self.y = like.new_zeros(rows, like.numel()), like.new_zeros(rows, like.numel())
        self.sy = like.new_zeros(rows, rows)  # s_i . y_j for i <= j, else 0
        self.yy = like.new_zeros(rows, rows)

    def add(self, s: Tensor, y: Tensor) -> None:
        """Remember a pair, unless its curvature is none or lost in rounding."""
        if not s @ y > torch.finfo(y.dtype).eps * s.norm() * y.norm():
            return
        if self.end == len(self.s):
            self._drop()
        last = self.end
        self.first, self.end = max(self.first, last + 1 - self.size), last + 1
        kept = slice(self.first, self.end)
        self.s[last], self.y[last] = s, y
        self.sy[last, :last] = 0.0  # a row that was used before
        self.sy[kept, last] = self.s[kept] @ y
        self.yy[kept, last] = self.yy[last, kept] = self.y[kept] @ y

    def direction(self, gradient: Tensor) -> Tensor:
        """-H gradient, with H the inverse Hessian that the pairs describe, (P,) -> (P,)."""
        if self.end == 0:
            return -gradient
        kept = slice(self.first, self.end)
        s, y = self.s[kept], self.y[kept]  # (m, P)
        sy, yy = self.sy[kept, kept], self.yy[kept, kept]  # (m, m)
        scale = sy[-1, -1] / yy[-1, -1]
        u = torch.linalg.solve_triangular(sy, (s @ gradient)[:, None], upper=True)[:, 0]
        inner = sy.diagonal() * u + scale * (yy @ u - y @ gradient)
        v = torch.linalg.solve_triangular(sy.mT, inner[:, None], upper=False)[:, 0]
        step: Tensor = scale * (u @ y - gradient) - v @ s
        return step

    def _drop(self) -> None:
        kept = slice(self.end - self.size + 1, self.end)
        size = self.size - 1
        for rows in (self.s, self.y):
            rows[:size] = rows[kept].clone()
        for square in (self.sy, self.yy):
            square[:size, :size] = square[kept, kept].clone()
        self.first, self.end = 0, size


@dataclass(frozen=True)
class Point:
    """The unknowns, the loss there and its gradient."""

    theta: Tensor  # (P,)
    loss: float
    gradient: Tensor  # (P,)


Loss = Callable[[Tensor], Point]


def iterate(loss: Loss, point: Point, memory: Memory) -> Point | None:
    """One iteration; None where no step along the direction lowers the loss."""
    direction = memory.direction(point.gradient)
    # The first step has no scale but the gradient's: it moves by one unit in all at most.
    step = 1.0 if memory.end else 1.0 / max(1.0, float(direction.abs().sum()))
    reached = strong_wolfe(loss, point, direction, step)
    if reached is not None:
        memory.add(reached.theta - point.theta, reached.gradient - point.gradient)
    return reached


def strong_wolfe(loss: Loss, start: Point, direction: Tensor, step: float) -> Point | None:
    """The first trial that meets the strong Wolfe conditions, by doubling and then halving.

    With none in MAX_TRIALS it is the lowest trial, and None if that is no lower than the start.
    A loss that is not finite counts as too high.
    """
    slope = float(start.gradient @ direction)
    if not slope < 0:
        return None
    low, high, best = 0.0, math.inf, start
    for _ in range(MAX_TRIALS):
        trial = loss(start.theta + step * direction)
        trial_slope = float(trial.gradient @ direction)
        if trial.loss < best.loss:
            best = trial
        if not trial.loss <= start.loss + SUFFICIENT_DECREASE * step * slope:
            high = step
        elif trial_slope < CURVATURE * slope:
            low = step
        elif trial_slope > -CURVATURE * slope:
            high = step
        else:
            return trial
        step = (low + high) / 2 if high < math.inf else 2 * step
    return None if best is start else best
