"""Variable projection: the last layer is linear given the rest, so it is solved for, not searched.

Golub and Pereyra, "Separable nonlinear least squares: the variable projection method and its
applications", Inverse Problems 19 (2003).
"""

from __future__ import annotations

import torch
from torch import Tensor

from kansweep.config.solvers import is_direct
from kansweep.networks.points.contract import Hidden
from kansweep.solvers.gauss_newton.linalg import Cholesky, cholesky
from kansweep.solvers.gauss_newton.linearised import Linearised
from kansweep.solvers.gauss_newton.strain import restrain
from kansweep.solvers.gauss_newton.systems import ROUNDING, Iterative

# Beside silu the splines are ill-conditioned, and a second solve removes the rounding of the first.
PASSES, PASSES_WITH_BASE = 1, 2
# Edges share a constant (B-splines sum to one), hence a ridge of a few roundings.
RIDGE = 50.0


def best_last_layer(hidden: Hidden, w: Tensor) -> Tensor:
    """The last layer that minimises mean squared error + w energy behind given hidden layers, as
    ``Hidden`` has its numbers: (R, M, Q), w (R, 1, 3).

    Every output has edges of its own, and all share one matrix.
    """
    like, last = hidden.like, hidden.last
    form = _factored if is_direct(last.shape[2], hidden.n_points, like.width[-2]) else _iterated
    for _ in range(PASSES if like.layers[0].base is None else PASSES_WITH_BASE):
        last = last + form(hidden, last, w)
    return last


def _factored(hidden: Hidden, last: Tensor, w: Tensor) -> Tensor:
    """What the normal equations, formed and factored, add to such numbers: (R, M, Q)."""
    n, (gram, pull) = hidden.n_points, hidden.normal(last)
    matrix, pull = gram.contiguous(), pull.contiguous()
    most = matrix.diagonal(dim1=1, dim2=2).amax(1)
    restrain(hidden.like, n * w, last, matrix, pull)
    if not hidden.like.is_pruned:
        return -_solved(matrix, pull, most)
    steps = []
    for m, of in enumerate(pull.split(1, dim=1)):  # every output has a matrix of its own
        gone = hidden.like.last_output(m).layers[0].removed  # (R, Q)
        own = matrix.masked_fill(gone[:, None] | gone[..., None], 0.0)
        steps.append(-_solved(own, of.masked_fill(gone[:, None], 0.0), most))
    return torch.cat(steps, 1)


def _solved(matrix: Tensor, pull: Tensor, most: Tensor) -> Tensor:
    eps = torch.finfo(pull.dtype).eps
    factors: Cholesky = cholesky(matrix, RIDGE * eps, most, ROUNDING * eps)
    return factors.solve(pull.mT)[0].mT


def _iterated(hidden: Hidden, last: Tensor, w: Tensor) -> Tensor:
    """The same by conjugate gradients."""
    steps = []
    for m, own in enumerate(last.unbind(1)):
        lin = Linearised.of(hidden.like.last_output(m), hidden.data(m, own))
        ridge = torch.full_like(w[:, 0, 0], RIDGE * torch.finfo(w.dtype).eps)
        steps.append(Iterative(lin).factored(w, ridge).solve(-lin.gradient(w))[0])
    return torch.stack(steps, 1)
