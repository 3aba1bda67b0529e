"""The penalty's weights by restricted maximum likelihood (REML).

Read as a mixed model, the penalty is a Gaussian prior on the rows C c of a layer, of variance tau^2
for each kind of them, and what a spline cannot follow, noise included, is error of variance
sigma^2; w = sigma^2 / (n tau^2). The update of Fellner and Schall (Wood and Fasiolo, Biometrics 73,
2017) moves each weight to where the likelihood of the linearised model is stationary,

    w <- sigma^2 / n (rank - w tr A^-1 B^T B) / energy.

The variance is taken from the objective, sigma^2 / n = (mse + w energy) / (observations - free):
unlike n mse / (n - edf) it stays sound where the data are interpolated and both of those vanish.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kansweep.networks.kan import KAN
from kansweep.solvers.gauss_newton import penalty
from kansweep.solvers.gauss_newton.objective import Point
from kansweep.solvers.gauss_newton.systems import System

READY = 0.3  # re-estimate once a step lowers the objective by less than this share
NEAR = 0.3  # |log| of the last change of a weight that is close enough
LARGEST = 100.0  # factor of one update
UPDATES = 8  # at most, of one replica on one grid
RELAXATION = 1.5  # of the logarithm: the update alone takes ever the same share of what is left
# A layer's own weight is trusted as far as the data are not interpolated: of the logarithm of its
# ratio to the weight that all layers would share, this many times the share of the data's degrees
# of freedom that is left over, at most all of it.
TRUST = 3.0
IDLE = 2.0  # degrees of freedom of rough rows below which their weight hardly matters
FAINT = 0.05  # likewise of what the rough rows leave free
# Below these a weight is as good as infinite, and what is left of its freedom is rounding.
GONE, ROUNDED = 1e-4, 1e-9
MOST = 1e10  # beyond it, rounding of the penalty would drown what it leaves free, at G = 100 or so


@dataclass(frozen=True)
class Weight:
    """The penalty's weights of R replicas and whether they are still to be estimated."""

    value: Tensor  # (R, L, 3), one a layer and kind of rows
    least: Tensor  # (R, L, 3), they are never smaller
    left: Tensor  # (R,), updates that may still be made; 0 once they are final

    @classmethod
    def fixed(cls, value: Tensor) -> Weight:
        return cls(value, value, torch.zeros_like(value[:, 0, 0], dtype=torch.long))

    @classmethod
    def estimated(cls, kan: KAN, n_points: int, value: Tensor, least: Tensor) -> Weight:
        """To be estimated where there is something to estimate it from."""
        usable = n_points * kan.width[-1] > 2 * unpenalised(kan)
        left = torch.full_like(value[:, 0, 0], UPDATES if usable else 0, dtype=torch.long)
        return cls(torch.maximum(value, least), least, left)

    @property
    def is_final(self) -> Tensor:
        return self.left == 0

    def __getitem__(self, replicas: Tensor) -> Weight:
        return Weight(self.value[replicas], self.least[replicas], self.left[replicas])


def updated(weight: Weight, point: Point, system: System, ready: Tensor) -> Weight:
    """The weight after one update of those replicas that are ready, (R,) of bool, and not final."""
    chosen = (ready & ~weight.is_final).nonzero()[:, 0]
    if chosen.numel() == 0:
        return weight
    w, energy = weight.value[chosen], point.energy[chosen]
    kan, observations = point.kan, point.residual[0].numel()
    trace = system.trace(weight.value, chosen)  # (r, L, 3)
    ranks = torch.tensor(penalty.ranks(kan), device=w.device).view(w.shape[1:])
    freedom = ranks - w * trace
    tiny = torch.finfo(energy.dtype).tiny  # an estimated trace may leave less than no freedom
    freedom, energy = freedom.clamp(min=tiny**0.5), energy.clamp(min=tiny)
    # What the rough rows leave free counts by its freedom and not by its energy, the same where
    # its weights are right; on a new grid they are not, and would drown what is to be seen.
    free = unpenalised(kan) + freedom[..., penalty.CURVED :].sum((1, 2))
    rough = (w * energy)[..., penalty.ROUGH].sum(1)
    variance = (point.mse[chosen] + rough) / (observations - free).clamp(min=1.0)
    each = (variance[:, None, None] * freedom / energy).log()
    shared = (variance[:, None] * freedom.sum(1) / energy.sum(1)).log()[:, None]
    edf = unpenalised(kan) + freedom.sum((1, 2))
    trust = (TRUST * (1 - edf / observations)).clamp(0, 1)[:, None, None]
    new = (shared + trust * (each - shared)).exp()
    # A weight as good as infinite grows no further; where nothing but rounding is left, it stays.
    new = torch.where((freedom < GONE) & (w > 0), torch.minimum(new, w), new)
    new = torch.where((freedom < ROUNDED) & (w > 0), w, new)
    bounded = w * ((new / w).nan_to_num(1.0) ** RELAXATION).clamp(1 / LARGEST, LARGEST)
    bounded[..., penalty.CURVED :] = torch.minimum(bounded, new)[..., penalty.CURVED :]
    new = torch.where(w > 0, bounded, new)
    new = torch.maximum(new, weight.least[chosen]).clamp(max=MOST).to(w)
    idle = torch.tensor([IDLE, FAINT, FAINT], device=w.device)
    near = ((new / w).log().abs() < NEAR) | (freedom < idle) | (ranks == 0)
    near = near.all(2).all(1) & torch.isfinite(trace).flatten(1).all(1)
    value, left = weight.value.clone(), weight.left.clone()
    value[chosen] = new
    left[chosen] = torch.where(near, 0, left[chosen] - 1)
    return replace(weight, value=value, left=left)


def unpenalised(kan: KAN) -> int:
    """Parameters that the penalty leaves free: the outputs' constants, and silu's weights."""
    silu = [part.base[0].numel() for part in kan.layers if part.base is not None]
    return kan.width[-1] + sum(silu)
