"""The penalty's rows near a KAN, compiled or in tensors."""

from __future__ import annotations

from torch import Tensor

from kansweep.networks.compiling import available
from kansweep.networks.kan import KAN
from kansweep.solvers.gauss_newton import penalty
from kansweep.solvers.gauss_newton.strain.compiled import CompiledStrain, compiled_energy
from kansweep.solvers.gauss_newton.strain.contract import Strain
from kansweep.solvers.gauss_newton.strain.tensor import TensorStrain


def strain_of(kan: KAN, half: Tensor) -> Strain:
    """Of a normalised KAN with the derivatives of its grids' half-widths (R, P, H)."""
    if half.device.type == "cpu" and available():
        return CompiledStrain(kan, half)
    return TensorStrain(kan, half)


def energy(kan: KAN) -> Tensor:
    """Squared rows summed by layer and kind, (R, L, 3)."""
    if kan.layers[0].coef.device.type == "cpu" and available():
        return compiled_energy(kan)
    return penalty.energy(kan)
