"""How far fits to simulated data lie from the fit, beside what the linearised posterior says.

A network with hidden nodes can follow noise in ways that its linearisation does not know: other
slopes of the same nodes, other weights of the penalty, another basin. So data are simulated from
the fit with its noise, and the same network is trained on them from nothing (the parametric
bootstrap, Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, section 6.5). As many
times as these fits lie further away, on average over the points, deviations are larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from kansweep.data.streams import Stream, generator
from kansweep.estimator import training
from kansweep.networks.kan import KAN, Shape
from kansweep.solvers.contract import Outcome, Problem
from kansweep.solvers.gauss_newton.objective import training_error
from kansweep.solvers.gauss_newton.posterior import Posterior
from kansweep.solvers.gauss_newton.reml import CLEAN
from kansweep.solvers.gauss_newton.weights import Memory
from kansweep.sweep.schedule import BATCH_SQUARES
from kansweep.sweep.tried import n_edges
from kansweep.sweep.worker import one_thread

SETS = 8
ENOUGH = 10  # points a parameter for which the linearisation is right, and refits say too much


@dataclass(frozen=True)
class Refits:
    """What was fitted, to be fitted again: a problem of one replica whose outputs are the fit's."""

    shape: Shape
    grids: Sequence[int]
    problem: Problem
    unit: Tensor  # (M,), of its outputs

    @classmethod
    @torch.inference_mode()
    def of(
        cls,
        shape: Shape,
        grids: Sequence[int],
        problem: Problem,
        outcome: Outcome[KAN],
        unit: Tensor,
    ) -> Self | None:
        """Of a network and the problem that it was fitted to; None where its linearisation is
        enough: of an additive model, without noise, and where points are many."""
        net, fit = outcome.net, outcome.net(problem.x)
        noisy = bool(training_error(net, problem) > CLEAN)
        few = problem.n_points < ENOUGH * net.n_params
        kept = len(shape.width) > 2 and not bool(Memory.of(outcome.memory).simple.any())
        if not (few and noisy and kept):
            return None
        grids = (*(grid for grid in grids if grid < net.grid_size), net.grid_size)
        begun = replace(shape, grid_size=grids[0])
        return cls(begun, grids, replace(problem, y=fit), unit)

    def factor(self, posterior: Posterior, noise: Tensor) -> Tensor:
        """By what deviations of the posterior are to be multiplied, (M,), 1 or more, with noise of
        deviations (M,)."""
        with torch.inference_mode(), one_thread():
            noise = noise / self.unit
            simulated = self._simulated(noise)
            net = self._fitted(simulated)
            moved = (net(self.problem.x.expand(SETS, -1, -1)) - self.problem.y).square()
            told = (noise * posterior.deviations(self.problem.x[0])).square()
            weight = torch.ones_like(told[:, :1])
            if self.problem.counts is not None:
                weight = self.problem.counts[0, :, None]
            ratio = (weight * moved).sum(1) / (weight * told).sum(0)  # (SETS, M)
            usable = ratio.isfinite()  # not of an output that is constant, or a fit that diverged
            mean = ratio.where(usable, 0.0).sum(0) / usable.sum(0).clamp(min=1)
            return mean.sqrt().clamp(min=1.0)

    def _fitted(self, simulated: Problem) -> KAN:
        """Trained as many at a time as a sweep's batch holds."""
        n_params = n_edges(self.shape.width) * (self.grids[-1] + self.shape.k)
        at_once = max(1, BATCH_SQUARES // n_params**2)
        parts = [simulated[part] for part in torch.arange(SETS).split(at_once)]
        return KAN.concatenated([training.trained(self.shape, self.grids, p).net for p in parts])

    def _simulated(self, noise: Tensor) -> Problem:
        """``SETS`` replicas. A point that counts c > 1 times is two of c / 2, at the mean of c
        observations and on both sides of it, as far as these differ."""
        x, y, counts = self.problem.x, self.problem.y, self.problem.counts
        (seed,) = self.problem.seeds
        drawn = generator(seed, Stream.NOISE).standard_normal((SETS, *y.shape[1:]))
        error = noise * torch.from_numpy(drawn).to(y)
        if counts is not None:
            own = counts[..., None]
            apart = noise * (1 - 1 / own).clamp(min=0).sqrt()
            y, x = torch.cat([y + apart, y - apart], 1), torch.cat([x, x], 1)
            error = (error / own.sqrt()).repeat(1, 2, 1)
            counts = (counts / 2).repeat(SETS, 2)
        seeds = tuple(range(seed, seed + SETS))
        return Problem(x.expand(SETS, -1, -1), y + error, self.problem.domain, seeds, counts)
