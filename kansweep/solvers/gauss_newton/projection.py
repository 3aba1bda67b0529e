"""Variable projection: the last layer is linear given the rest, so it is solved for, not searched.

Golub and Pereyra, "Separable nonlinear least squares: the variable projection method and its
applications", Inverse Problems 19 (2003).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from kansweep.networks.gauge import balanced
from kansweep.networks.jacobian import layer_rows
from kansweep.networks.kan import KAN, Layer
from kansweep.solvers.gauss_newton.linearised import Linearised, linear
from kansweep.solvers.gauss_newton.systems import system

# Beside silu the splines are ill-conditioned, and a second solve removes the rounding of the first.
PASSES, PASSES_WITH_BASE = 1, 2


def with_best_last_layer(kan: KAN, x: Tensor, y: Tensor, w: Tensor) -> KAN:
    """The KAN whose last layer minimises mean squared error + w energy on its inputs x (R, n, I).

    Every output has edges of its own and all share one matrix: y is (R, n, M), w is (R, 1, 3).
    """
    layer = kan.layers[-1]
    rows = layer_rows(layer, x, kan.k)
    outputs = [KAN((_output(layer, m),), kan.k) for m in range(layer.n_outputs)]

    def linearised(m: int) -> Linearised:
        return linear(outputs[m], rows, rows.product(outputs[m].theta())[:, 0] - y[:, :, m])

    # Edges share a constant (B-splines sum to one), hence a ridge of a few roundings.
    ridge = torch.full_like(w[:, 0, 0], 50 * torch.finfo(y.dtype).eps)
    lin = linearised(0)
    factored = system(lin).factored(w, ridge)
    for m in range(len(outputs)):
        for _ in range(PASSES if layer.base is None else PASSES_WITH_BASE):
            lin = lin if lin.kan is outputs[m] else linearised(m)
            step = factored.solve(-lin.gradient(w))[0]
            outputs[m] = outputs[m].with_theta(outputs[m].theta() + step)
    return replace(kan, layers=(*kan.layers[:-1], balanced(_joined(layer, outputs))))


def _output(layer: Layer, m: int) -> Layer:
    """The edges into one output."""
    base = None if layer.base is None else layer.base[:, m : m + 1]
    return replace(layer, coef=layer.coef[:, m : m + 1], base=base)


def _joined(layer: Layer, outputs: list[KAN]) -> Layer:
    parts = [one.layers[0] for one in outputs]
    weights = [part.base for part in parts if part.base is not None]
    coef = torch.cat([part.coef for part in parts], dim=1)
    return replace(layer, coef=coef, base=torch.cat(weights, dim=1) if weights else None)
