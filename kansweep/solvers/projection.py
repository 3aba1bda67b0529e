"""Variable projection: the last layer is linear given the rest, so it is solved for, not searched.

Golub and Pereyra, "Separable nonlinear least squares: the variable projection method and its
applications", Inverse Problems 19 (2003).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from kansweep.gauge import balanced
from kansweep.jacobian import Jacobian, jacobian
from kansweep.kan import KAN, Activation, Layer
from kansweep.linalg import solve_damped
from kansweep.solvers import penalty

# A first solve moves the coefficients, a second removes the rounding of the first.
PASSES = 2


def with_best_last_layer(kan: KAN, last: Activation, y: Tensor, w: Tensor) -> KAN:
    """The KAN whose last layer minimises mean squared error + w energy; ``last`` is its activation.

    Every output has edges of its own and all share one matrix: y is (R, n, M), w is (R,).
    """
    layer, n = kan.layers[-1], y.shape[1]
    rows, system = _normal_matrix(layer, last, kan.k, w)
    # Edges share a constant (B-splines sum to one), hence a ridge of a few roundings.
    ridge = 50 * torch.finfo(y.dtype).eps
    for _ in range(PASSES):
        theta = _flat(layer)  # (R, M, p)
        forces = _flat(_penalty_force(layer, kan.k))
        descent = []
        for m in range(layer.n_outputs):
            residual = y[:, :, m] - rows.product(theta[:, m])[:, 0]
            pull = rows.transposed_product(residual[:, None]) / n
            descent.append(pull - w[:, None] * forces[:, m])
        step, _ = solve_damped(system, torch.stack(descent, dim=2), ridge)
        layer = _unflat(layer, theta + step.mT)
    return replace(kan, layers=(*kan.layers[:-1], balanced(layer)))


def _normal_matrix(layer: Layer, last: Activation, k: int, w: Tensor) -> tuple[Jacobian, Tensor]:
    """Rows and normal matrix (R, p, p) of one output's edges."""
    base = None if layer.base is None else layer.base[:, :1]
    one = KAN((replace(layer, coef=layer.coef[:, :1], base=base),), k)
    rows = jacobian(one, [last])
    system = rows.gram() / last.x.shape[1]
    penalty.add_gram(system, one, w)
    return rows, system


def _penalty_force(layer: Layer, k: int) -> Layer:
    base = None if layer.base is None else torch.zeros_like(layer.base)
    return replace(layer, coef=penalty.force(layer.coef, k), base=base)


def _flat(layer: Layer) -> Tensor:
    """Each output's own parameters, in the order of ``KAN.theta``: (R, M, p)."""
    coef = layer.coef.flatten(2)
    return coef if layer.base is None else torch.cat([coef, layer.base], dim=2)


def _unflat(layer: Layer, theta: Tensor) -> Layer:
    size = layer.coef[0, 0].numel()
    coef = theta[..., :size].reshape(layer.coef.shape)
    return replace(layer, coef=coef, base=None if layer.base is None else theta[..., size:])
