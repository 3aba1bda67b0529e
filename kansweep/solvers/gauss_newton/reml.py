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

import numpy as np
import torch
from torch import Tensor

from kansweep.networks.compiling import inner, loop
from kansweep.networks.kan import KAN
from kansweep.solvers.gauss_newton import penalty
from kansweep.solvers.gauss_newton.objective import Point
from kansweep.solvers.gauss_newton.strain.loops import Array, Index
from kansweep.solvers.gauss_newton.systems import System

# Shares of the objective that the next step may gain: below the first weights are estimated anew,
# below the second they may be final.
READY, SETTLED = 0.3, 0.05
CLEAN = 1e-4  # of the variance: where no more is left, all parameters counted, nothing is noise
# |log| of the last change of a weight that is close enough, and where nothing is noise and the last
# step took less than this share of the objective, so that weights hardly matter.
NEAR, ROUGHLY, FLAT = 0.3, 1.0, 0.003
LARGEST = 100.0  # factor of one update
UPDATES = 8  # at most, of one replica on one grid
# The update alone takes ever the same share of what a logarithm is wrong by: all of it where the
# data determine a kind's rows, less where they do not, or where few are left over to tell the
# variance. So it is taken up to so much further.
FURTHER = 0.5
# A layer's own weight is trusted as far as the data are not interpolated: of the logarithm of its
# ratio to the weight that all layers would share, this many times the share of the data's degrees
# of freedom that is left over, at most all of it.
TRUST = 3.0
IDLE = 2.0  # degrees of freedom of rough rows below which their weight hardly matters
FAINT = 0.05  # likewise of what the rough rows leave free
# Below these a weight is as good as infinite, and what is left of its freedom is rounding.
GONE, ROUNDED = 1e-4, 1e-9
TINY = 1e-150  # in place of nothing, where a logarithm is taken
MOST = 1e10  # beyond it, rounding of the penalty would drown what it leaves free, at G = 100 or so


@dataclass(frozen=True)
class Weight:
    """The penalty's weights of R replicas and whether they are still to be estimated."""

    value: Tensor  # (R, L, 3), one a layer and kind of rows
    least: Tensor  # (R, L, 3), they are never smaller
    left: Tensor  # (R,), updates that may still be made; 0 once they are final
    most: float = MOST  # rough ones are never larger

    @classmethod
    def fixed(cls, value: Tensor) -> Weight:
        return cls(value, value, torch.zeros_like(value[:, 0, 0], dtype=torch.long))

    @classmethod
    def estimated(cls, kan: KAN, n_points: float, value: Tensor, least: Tensor) -> Weight:
        """To be estimated where there is something to estimate it from."""
        usable = n_points * kan.width[-1] > 2 * unpenalised(kan)
        left = torch.full_like(value[:, 0, 0], UPDATES if usable else 0, dtype=torch.long)
        return cls(torch.maximum(value, least), least, left)

    @property
    def is_final(self) -> Tensor:
        return self.left == 0

    def __getitem__(self, replicas: Tensor) -> Weight:
        return replace(
            self,
            value=self.value[replicas],
            least=self.least[replicas],
            left=self.left[replicas],
        )


def updated(weight: Weight, point: Point, system: System, fall: Tensor) -> Weight:
    """The weight after one update of those replicas that are not final and ready for it: ``fall``
    (R, 2) are the shares of the objective that the last step took, and that it left."""
    chosen = ((fall.amin(1) < READY) & ~weight.is_final).nonzero()[:, 0]
    if chosen.numel() == 0:
        return weight
    trace = system.trace(weight.value, chosen)  # (r, L, 3)
    like, device = point.at.like, trace.device
    parts = (weight.value, weight.least, point.energy, trace, point.mse)
    numbers = [part.double().cpu().numpy() for part in parts]
    counts = penalty.freedoms(like), weight.left, chosen, fall
    numbers += [part.contiguous().cpu().numpy() for part in counts]
    given = float(point.observations), unpenalised(like), weight.most
    value, left = _update(*given, *numbers)
    new = torch.from_numpy(value).to(weight.value)
    return replace(weight, value=new, left=torch.from_numpy(left).to(device))


@loop
def _update(
    observations: float, unpenalised: int, most: float, w: Array, least: Array, energy: Array,
    trace: Array, mse: Array, ranks: Index, left: Index, chosen: Index, fall: Array,
) -> tuple[Array, Index]:  # fmt: skip
    """Weights, their least values and energies, (R, L, 3), traces of the chosen replicas (r,),
    (r, L, 3), mse (R,), ranks (R, L, 3), updates left (R,) and shares of the objective (R, 2) as
    in ``updated``: the next weights, and how many updates are left then, none where a replica's
    weights are final."""
    new, left = w.copy(), left.copy()
    for i in range(len(chosen)):
        r = chosen[i]
        near = fall[r].min() < SETTLED
        left[r] -= 1
        if not np.isfinite(trace[i]).all():  # where A was not factored, nothing is known
            continue
        # An estimate may leave less than none.
        freedom = np.maximum(ranks[r] - w[r] * trace[i], TINY)
        size = np.maximum(energy[r], TINY)
        # What the rough rows leave free counts by its freedom and not by its energy, the same where
        # its weights are right; on a new grid they are not, and would drown what is to be seen.
        free = unpenalised + freedom[:, 1:].sum()
        rough = (w[r, :, 0] * size[:, 0]).sum()
        variance = max((mse[r] + rough) / max(observations - free, 1.0), TINY)
        edf = unpenalised + freedom.sum()
        left_over = max(1.0 - edf / observations, 0.0)
        trust = min(TRUST * left_over, 1.0)
        flat = fall[r, 0] < FLAT and mse[r] < CLEAN * left_over**2
        enough = ROUGHLY if flat else NEAR
        for kind in range(3):
            shared = np.log(variance * freedom[:, kind].sum() / size[:, kind].sum())
            for layer in range(ranks.shape[1]):
                own = freedom[layer, kind]
                each = np.log(variance * own / size[layer, kind])
                asked = np.exp(shared + trust * (each - shared))
                before = w[r, layer, kind]
                loose = 1.0 - own / max(ranks[r, layer, kind], 1)
                further = 1.0 + FURTHER * max(loose, edf / observations)
                after = max(_bounded(before, asked, own, further, kind), least[r, layer, kind])
                after = min(after, most if kind == 0 else MOST)
                new[r, layer, kind] = after
                idle = own < (IDLE if kind == 0 else FAINT) or ranks[r, layer, kind] == 0
                near &= idle or (before > 0.0 and abs(np.log(after / before)) < enough)
        if near:
            left[r] = 0
    return new, left


@inner
def _bounded(before: float, asked: float, freedom: float, further: float, kind: int) -> float:
    """The next of a weight for which the update asks, its logarithm taken ``further``."""
    if before == 0.0:
        return asked
    # A weight as good as infinite grows no further; where nothing but rounding is left, it stays.
    if freedom < ROUNDED:
        asked = before
    elif freedom < GONE:
        asked = min(asked, before)
    factor = min(max((asked / before) ** further, 1.0 / LARGEST), LARGEST)
    bounded: float = before * factor
    return bounded if kind == 0 else min(bounded, asked)


def unpenalised(kan: KAN) -> int:
    """Parameters that the penalty leaves free: the outputs' constants, and silu's weights."""
    silu = [part.edges_kept.sum((1, 2)).max() for part in kan.layers if part.base is not None]
    return kan.width[-1] + sum(map(int, silu))
