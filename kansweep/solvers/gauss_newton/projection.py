"""Variable projection: the last layer is linear given the rest, so it is solved for, not searched.

Golub and Pereyra, "Separable nonlinear least squares: the variable projection method and its
applications", Inverse Problems 19 (2003).
"""

from __future__ import annotations

import torch
from torch import Tensor

from kansweep.networks.points.contract import Hidden
from kansweep.solvers.gauss_newton.linearised import Linearised
from kansweep.solvers.gauss_newton.systems import Factored, system

# Beside silu the splines are ill-conditioned, and a second solve removes the rounding of the first.
PASSES, PASSES_WITH_BASE = 1, 2


def best_last_layer(hidden: Hidden, w: Tensor) -> Tensor:
    """The last layer that minimises mean squared error + w energy behind given hidden layers, as
    ``Hidden`` has its numbers: (R, M, Q).

    Every output has edges of its own and all share one matrix; w is (R, 1, 3).
    """
    outputs = list(hidden.last.unbind(1))
    factored: Factored | None = None
    for m in range(len(outputs)):
        one = hidden.like.last_output(m)
        if one.is_pruned:  # then every output has a matrix of its own
            factored = None
        for _ in range(PASSES if one.layers[0].base is None else PASSES_WITH_BASE):
            lin = Linearised.of(one, hidden.data(m, outputs[m]))
            if factored is None:
                # Edges share a constant (B-splines sum to one), hence a ridge of a few roundings.
                ridge = torch.full_like(w[:, 0, 0], 50 * torch.finfo(w.dtype).eps)
                factored = system(lin).factored(w, ridge)
            outputs[m] = outputs[m] + factored.solve(-lin.gradient(w))[0]
    return _balanced(torch.stack(outputs, 1), one.width[0], one.grid_size + one.k)


def _balanced(last: Tensor, n_inputs: int, n_coef: int) -> Tensor:
    """``gauge.balanced`` of the last layer's numbers, in place."""
    coef = last[..., : n_inputs * n_coef].unflatten(2, (n_inputs, n_coef))
    constant = coef.mean(3, keepdim=True)
    coef.sub_(constant).add_(constant.mean(2, keepdim=True))
    return last
