"""The hidden widths of ``KANRegressor(hidden="auto")``, by the rules of ``sweep.search``, and the
grids that help.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kansweep.config.models import KANConfig
from kansweep.config.solvers import LMConfig
from kansweep.data.folds import PARTS, parts
from kansweep.estimator.beyond import Beyond
from kansweep.networks.kan import KAN, Shape
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.solvers.gauss_newton.reml import CLEAN
from kansweep.sweep import search
from kansweep.sweep.tried import AS_GOOD, Search, Trial, Width, n_edges


def found(
    problem: Problem, k: int, grids: Sequence[int], seed: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Hidden widths, and the grids up to the last that helps.

    For a problem of one replica whose points are in an order that the seed has drawn, with outputs
    of unit spread; a point is held out as often as it counts. Few points, of which none can be
    spared, get an additive model.
    """
    n = min(problem.x.shape[1], search.MOST_POINTS)
    if n < search.LEAST_POINTS:
        return (), tuple(grids)
    n -= n % PARTS
    settings, of_part = KANConfig(k=k), parts(n, seed)
    n_fitted, (n_inputs, n_outputs) = n - n // PARTS, (problem.x.shape[2], problem.y.shape[2])

    def fits(width: Width) -> bool:
        return settings.footprint(width, grids[0])[1] <= n_fitted

    known: list[HeldOut] = []

    def tried(width: Width) -> list[Trial]:
        sizes = search.sizes(grids, n_fitted)
        trials = _heard(_held_out(problem, of_part, width, k, sizes), known)
        return list(search.while_they_help(trials, sizes, n_fitted))

    ground = search.Ground(
        first=search.first([(n_outputs,)], n_inputs, n_outputs, fits),
        exponent=settings.kind.exponent(k),
        least=search.ROUND_OFF,
        fits=fits,
        tried=tried,
    )
    collections.deque(search.searched(ground, Search()), maxlen=0)
    width = _simplest(known).width
    if len(grids) == 1 or problem.x.shape[1] > search.MOST_POINTS:
        return width[1:-1], tuple(grids)  # more points than were tried may bear them all
    last = _simplest(list(_held_out(problem, of_part, width, k, grids))).size
    return width[1:-1], tuple(grid for grid in grids if grid <= last)


@dataclass(frozen=True)
class HeldOut:
    """What one shape makes of the points of all folds at one size."""

    trial: Trial
    squares: Tensor  # (n,), errors squared
    counts: Tensor  # (n,)

    def is_as_good(self, best: HeldOut) -> bool:
        """As the best: but for chance, its squares being more by no more than a standard error of
        the difference (see ``simplest``); where there is no noise, but for a factor, as in a
        sweep's search."""
        least = best.trial.rmse
        if least**2 < CLEAN:
            return self.trial.rmse <= max(AS_GOOD * least, search.ROUND_OFF)
        excess, share = self.squares - best.squares, self.counts / self.counts.sum()
        mean = (share * excess).sum()
        error = ((share * (excess - mean).square()).sum() / self.counts.sum()).sqrt()
        return bool(mean <= error)


def _simplest(tried: Sequence[HeldOut]) -> Trial:
    """Of fewest edges, then intervals, out of those that are as good as the best."""
    best = min(tried, key=lambda held: held.trial.rmse)
    good = [held.trial for held in tried if held is best or held.is_as_good(best)]
    return min(good, key=lambda each: (n_edges(each.width), len(each.width), each.size))


def _heard(tried: Iterable[HeldOut], known: list[HeldOut]) -> Iterator[Trial]:
    """The trials, of which more is kept."""
    for held in tried:
        known.append(held)
        yield held.trial


def _held_out(
    problem: Problem, of_part: np.ndarray, width: Width, k: int, sizes: Sequence[int]
) -> Iterator[HeldOut]:
    """One shape, on every fold, size after size."""
    folds = range(search.n_folds(len(of_part)))
    fitted, held = (
        _folds(problem, [np.flatnonzero((of_part == fold) == out) for fold in folds])
        for out in (False, True)
    )
    chains = [_chain(part, width, k, sizes) for part in fitted]
    for size in sizes:
        begun = time.perf_counter()
        nets = [next(chain) for chain in chains]
        goes_on = [Beyond.of(*pair) for pair in zip(nets, fitted, strict=True)]
        yield _measured(goes_on, held, size, time.perf_counter() - begun)


def _folds(problem: Problem, points: Sequence[np.ndarray]) -> list[Problem]:
    """Some points a fold: folds are replicas, but where counts make them differ in their sum."""
    x, y, counts = problem.x[0], problem.y[0], problem.counts
    index = torch.from_numpy(np.stack(points))
    if counts is None:
        return [Problem(x[index], y[index], problem.domain, tuple(range(len(points))))]
    return [
        Problem(x[one], y[one], problem.domain, (fold,), counts[0][one])
        for fold, one in enumerate(index.split(1))
    ]


def _chain(problem: Problem, width: Width, k: int, sizes: Sequence[int]) -> Iterator[KAN]:
    """The networks of one shape, each extending the one before."""
    solver = LM(LMConfig())
    outcome = solver.solve(solver.start(Shape(width, k, sizes[0], base=False), problem), problem)
    yield outcome.net
    for size in sizes[1:]:
        outcome = solver.solve(outcome.net.refined(size), problem, outcome.memory)
        yield outcome.net


@torch.inference_mode()
def _measured(
    nets: Sequence[Beyond], held: Sequence[Problem], size: int, seconds: float
) -> HeldOut:
    """The error of all folds together, with its standard error; infinite where one failed."""
    squares = torch.cat(
        [
            (net(part.x) - part.y).square().mean(2).flatten()
            for net, part in zip(nets, held, strict=True)
        ]
    )
    weights = [part.counts for part in held if part.counts is not None]
    counts = torch.cat(weights, 1)[0] if weights else torch.ones_like(squares)

    def mean(values: Tensor) -> float:
        return float((counts * values).sum() / counts.sum())

    square = mean(squares)
    rmse, certain = square**0.5, bool(np.isfinite(square))
    spread = (mean((squares - square).square()) / float(counts.sum())) ** 0.5
    trial = Trial(
        width=nets[0].net.width,
        size=size,
        n_params=nets[0].net[:1].n_params,
        rmse=rmse if certain else np.inf,
        standard_error=spread / (2 * rmse) if certain and rmse > 0 else 0.0,
        seconds=seconds,
    )
    return HeldOut(trial, squares, counts)
