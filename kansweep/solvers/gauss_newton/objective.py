"""What is minimised, and the points at which it is looked at: settled KANs.

The objective is mean |f - y|^2 + sum_l w_l energy_l for outputs of unit variance, with one weight
a layer. A point is settled: what can be had for free has been taken, hidden values onto their
grids and the last layer to its optimum, so that only what is truly nonlinear is left to search.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kansweep.networks.gauge import margins, mid_and_half, rescale_inputs, rescale_outputs
from kansweep.networks.kan import KAN, Activation, activate
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton import penalty
from kansweep.solvers.gauss_newton.projection import with_best_last_layer


@dataclass(frozen=True)
class Point:
    """A settled KAN and what was computed there."""

    kan: KAN
    activations: list[Activation]
    residual: Tensor  # (R, n, M)
    mse: Tensor  # (R,), summed over outputs
    energy: Tensor  # (R, L, 3), of each layer's edges by kind

    def objective(self, w: Tensor) -> Tensor:
        return self.mse + (w * self.energy).sum((1, 2))

    def __getitem__(self, replicas: Tensor) -> Point:
        return Point(
            self.kan[replicas],
            [activation[replicas] for activation in self.activations],
            self.residual[replicas],
            self.mse[replicas],
            self.energy[replicas],
        )


# A polynomial that goes on for m intervals beyond the points may be wrong by (1 + m)^(k+1) times
# what it is wrong by among them; beyond this share of the outputs' spread a straight line is safer.
# Where weights are so many times what they are without noise, splines are smooth on a wider scale.
WILD, SMOOTH = 0.3, 1e3


def hidden_margins(kan: KAN, problem: Problem, w: Tensor) -> tuple[Tensor, ...]:
    """The margins of every hidden layer's grids, (R, O, 2) each, for outputs of unit variance and
    at weights w (R, L, 3); the gauge does not matter."""
    found, x = [], problem.x
    for layer in kan.layers:
        x = activate(layer, x, kan.k)[1]
        found.append(x)
    error = (x - problem.y).square().mean((1, 2)).sqrt()
    intervals = (WILD / error.clamp(min=torch.finfo(error.dtype).tiny)) ** (1 / (kan.k + 1)) - 1
    smooth = w[:, -1, penalty.ROUGH] > SMOOTH * penalty.weight(kan.grid_size, kan.k)
    most = (intervals / kan.grid_size).clamp(min=0).nan_to_num(0.0)
    most = torch.where(smooth, torch.inf, most)[:, None, None]
    pairs = zip(kan.layers, found[:-1], strict=False)
    return tuple(torch.minimum(margins(layer, s, kan.k), most) for layer, s in pairs)


def settle(kan: KAN, problem: Problem, w: Tensor, margin: tuple[Tensor, ...]) -> Point:
    """Hidden values onto their grids, the last layer to its optimum at weights w (R, L, 3)."""
    layers, activations, x = list(kan.layers), [], problem.x
    for index in range(len(layers) - 1):
        activation, s = activate(layers[index], x, kan.k)
        mid, half = mid_and_half(s, margin[index])
        layers[index] = rescale_outputs(layers[index], mid, half)
        activations.append(_rescaled(activation, half))
        layers[index + 1] = rescale_inputs(layers[index + 1], mid, half)
        x = (s - mid[:, None]) / half[:, None]
    kan = with_best_last_layer(replace(kan, layers=tuple(layers)), x, problem.y, w[:, -1:])
    last, f = activate(kan.layers[-1], x, kan.k)
    return _point(kan, [*activations, last], f, problem)


def evaluate(kan: KAN, problem: Problem) -> Point:
    """The point of a KAN that is already normalised."""
    activations, f = kan.activations(problem.x)
    return _point(kan, activations, f, problem)


def _point(kan: KAN, activations: list[Activation], f: Tensor, problem: Problem) -> Point:
    residual = f - problem.y
    mse = residual.square().mean(1).sum(1)
    return Point(kan, activations, residual, mse, penalty.energy(kan))


def _rescaled(activation: Activation, half: Tensor) -> Activation:
    """The activation of a layer whose outputs were divided by their half-ranges (R, O)."""
    per = half[:, None, None]
    return replace(
        activation, slope=activation.slope / per, spline_slope=activation.spline_slope / per
    )


def scaled_output(kan: KAN, factor: Tensor) -> KAN:
    """The KAN with every output multiplied by a factor (R, M)."""
    layer = kan.layers[-1]
    base = None if layer.base is None else layer.base * factor[:, :, None]
    last = replace(layer, coef=layer.coef * factor[:, :, None, None], base=base)
    return replace(kan, layers=(*kan.layers[:-1], last))
