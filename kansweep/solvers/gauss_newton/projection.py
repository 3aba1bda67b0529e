"""Variable projection: the last layer is linear given the rest, so it is solved for, not searched.

Golub and Pereyra, "Separable nonlinear least squares: the variable projection method and its
applications", Inverse Problems 19 (2003).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from kansweep.networks.gauge import balanced
from kansweep.networks.kan import KAN, Layer
from kansweep.networks.points.contract import Hidden
from kansweep.solvers.gauss_newton.linearised import Linearised
from kansweep.solvers.gauss_newton.systems import system

# Beside silu the splines are ill-conditioned, and a second solve removes the rounding of the first.
PASSES, PASSES_WITH_BASE = 1, 2


def best_last_layer(hidden: Hidden, w: Tensor) -> Layer:
    """The last layer that minimises mean squared error + w energy behind given hidden layers.

    Every output has edges of its own and all share one matrix; w is (R, 1, 3).
    """
    kan = hidden.kan
    layer = kan.layers[-1]
    outputs = [KAN((_output(layer, m),), kan.k) for m in range(layer.n_outputs)]

    def linearised(m: int) -> Linearised:
        return Linearised.of(outputs[m], hidden.last(m, outputs[m].layers[0]))

    # Edges share a constant (B-splines sum to one), hence a ridge of a few roundings.
    ridge = torch.full_like(w[:, 0, 0], 50 * torch.finfo(w.dtype).eps)
    lin = linearised(0)
    factored = system(lin).factored(w, ridge)
    for m in range(len(outputs)):
        for _ in range(PASSES if layer.base is None else PASSES_WITH_BASE):
            lin = lin if lin.kan is outputs[m] else linearised(m)
            step = factored.solve(-lin.gradient(w))[0]
            outputs[m] = outputs[m].with_theta(outputs[m].theta() + step)
    return balanced(_joined(layer, outputs))


def _output(layer: Layer, m: int) -> Layer:
    """The edges into one output."""
    base = None if layer.base is None else layer.base[:, m : m + 1]
    return replace(layer, coef=layer.coef[:, m : m + 1], base=base)


def _joined(layer: Layer, outputs: list[KAN]) -> Layer:
    parts = [one.layers[0] for one in outputs]
    weights = [part.base for part in parts if part.base is not None]
    coef = torch.cat([part.coef for part in parts], dim=1)
    return replace(layer, coef=coef, base=torch.cat(weights, dim=1) if weights else None)
