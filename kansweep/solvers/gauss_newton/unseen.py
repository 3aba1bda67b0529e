"""How far a KAN may be wrong where there are no points, for all that its points say.

Leave-one-out errors ask at the points. Where nodes see mixtures of many inputs, the corners of
these are empty: a spline ends on a few points, and beyond them, where none can be left out, it says
what its last interval says. The posterior (``posterior``) knows. It is asked where inputs meet as
they do in no row: every input is that of another row, so that each keeps its own distribution.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.networks.layer import tensors
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton.objective import training_error
from kansweep.solvers.gauss_newton.posterior import posterior
from kansweep.solvers.gauss_newton.spare import trained

# Corners need many places: so many are looked at, if there are rows enough. The posterior is asked
# where some hidden value is beyond those of the points, and at some of the other places; at most.
PLACES = 40_000
BEYOND, AMONG = 2000, 2000


def deviations(
    kan: KAN, problem: Problem, memory: Tensor, places: int | None = None
) -> tuple[Tensor, Tensor]:
    """Root mean squares, over places without points, of the posterior's standard deviation, and the
    deviation of what splines cannot follow, (R,) each, as shares of the outputs' spread; ``memory``
    is what the training that led there has left. A few hundred ``places``, made of as many rows, do
    where no node mixes what others made."""
    parts = torch.arange(kan.n_replicas, device=problem.x.device).split(1)
    kan, memory, x, y = _in_float64(kan), memory.double(), problem.x.double(), problem.y.double()
    counts = None if problem.counts is None else problem.counts.double()
    exact = replace(problem, x=x, y=y, counts=counts)
    found = torch.cat([_deviation(kan[r], exact[r], memory[r], places) for r in parts])
    deviation, misfit = found.to(problem.x).unbind(1)
    return deviation, misfit


def _in_float64(kan: KAN) -> KAN:
    """As the posterior is computed."""
    layers = []
    for layer in kan.layers:
        parts = {name: part for name, part in tensors(layer) if part.is_floating_point()}
        layers.append(replace(layer, **{name: part.double() for name, part in parts.items()}))
    return replace(kan, layers=tuple(layers))


def _deviation(kan: KAN, problem: Problem, memory: Tensor, places: int | None) -> Tensor:
    known, outputs = posterior(kan, problem, memory), problem.y.shape[2]
    free = max(problem.n_points - known.edf / outputs, 1.0)
    misfit = (training_error(kan, problem) * problem.n_points / free).sqrt()
    step = 1 if places is None else max(1, problem.x.shape[1] // places)
    every = mixed(problem.x[0, ::step], places or PLACES)
    squares = problem.x.new_zeros(1)
    for part, share in _parts(trained(kan), problem.x, every):
        if len(part):
            squares = squares + share * known.deviations(part).square().mean()
    return torch.stack([misfit * squares.sqrt(), misfit], 1)


def _parts(kan: KAN, x: Tensor, every: Tensor) -> list[tuple[Tensor, float]]:
    """Of places (m, I) those where some hidden value is beyond those at points x (1, n, I), and
    others, with how many of all places each stand for."""
    beyond = torch.zeros(len(every), dtype=torch.bool, device=x.device)
    for depth in range(1, len(kan.layers)):
        head = replace(kan, layers=kan.layers[:depth])
        known, values = head(x)[0], head(every[None])[0]
        beyond |= ((values < known.amin(0)) | (values > known.amax(0))).any(1)
    share = float(beyond.double().mean())
    return [(every[beyond][:BEYOND], share), (every[~beyond][:AMONG], 1 - share)]


def mixed(x: Tensor, places: int = PLACES) -> Tensor:
    """Points (n, I) -> (m n, I), each input of a row of its own if there are more rows than
    inputs."""
    n, inputs = x.shape
    times = max(1, min(-(-places // n), (n - 1) // inputs))
    step = max(1, n // (times * inputs + 1))  # in turn t input i is i t of these further on
    turns = [
        torch.stack([x[:, i].roll(i * t * step) for i in range(inputs)], 1)
        for t in range(1, times + 1)
    ]
    return torch.cat(turns)
