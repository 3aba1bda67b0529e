"""The weight of a ridge by the evidence: that at which the data are most probable.

Parameters are read as normal about 0 with variance 1/a, residuals with variance 1/b, and the
weight is their ratio w = a/b. Where the likelihood of the linearised model is stationary in both,
a |t|^2 = g and b |r|^2 = N - g with g the effective number of parameters (MacKay, *Neural
Computation* 4, 1992, eqs. 4.7 to 4.10; with Gauss-Newton steps: Foresee and Hagan, *Proc. ICNN*,
1997). It is to a dense network what REML is to a KAN's splines.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kansweep.solvers.least_squares.systems import System, effective


def estimated(
    linear: System, squares: Tensor, weights: Tensor, ridge: Tensor, count: int
) -> Tensor:
    """The next ridge, (R,), by the effective number of parameters at the last one.

    ``squares`` are |r|^2 of ``count`` residuals and ``weights`` |t|^2, (R,) each. Where rounding
    leaves no factor to estimate by, the ridge stays what it was; and it is no less than what
    rounding adds to the matrix anyway.
    """
    free = effective(linear, ridge)
    wanted = free / (count - free) * squares / weights
    least = torch.finfo(torch.float64).eps * linear.diagonal.amax(1)
    sound = torch.isfinite(wanted) & (wanted > 0)
    return torch.where(sound, torch.maximum(wanted, least), ridge)
