"""The penalty's rows near a KAN, compiled or in tensors."""

from __future__ import annotations

from torch import Tensor

from kansweep.networks.compiling import available
from kansweep.networks.kan import KAN
from kansweep.solvers.gauss_newton import penalty
from kansweep.solvers.gauss_newton.strain.compiled import (
    CompiledStrain,
    compiled_energy,
    compiled_restraint,
)
from kansweep.solvers.gauss_newton.strain.contract import Strain
from kansweep.solvers.gauss_newton.strain.tensor import TensorStrain, tensor_restraint


def strain_of(like: KAN, theta: Tensor, half: Tensor) -> Strain:
    """Of a normalised KAN, whose numbers are theta (R, P), with the derivatives of its grids'
    half-widths (R, P, H)."""
    if half.device.type == "cpu" and available():
        return CompiledStrain(like, theta, half)
    return TensorStrain(like, theta, half)


def energy(like: KAN, theta: Tensor) -> Tensor:
    """Squared rows of numbers theta (R, P) summed by layer and kind, (R, L, 3)."""
    if theta.device.type == "cpu" and available():
        return compiled_energy(like, theta)
    return penalty.energy(like.with_theta(theta))


def restrain(like: KAN, w: Tensor, last: Tensor, matrix: Tensor, pull: Tensor) -> None:
    """Add C^T W C to the lower triangles of float64 matrices (R, Q, Q) and C^T W C c to pull
    (R, M, Q), in place: C are the rows of the last layer's edges to one output, c the numbers
    ``last`` (R, M, Q) of every output, and w (R, 1, 3) the layer's weights."""
    form = compiled_restraint if w.device.type == "cpu" and available() else tensor_restraint
    form(like, w, last, matrix, pull)
