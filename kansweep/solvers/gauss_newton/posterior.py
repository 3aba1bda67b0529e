"""How well a trained KAN is known: the Gaussian posterior of its parameters, linearised.

Read as a mixed model (``reml``), the penalised solution is the mode of a posterior whose precision
is n A / sigma^2, the Gauss-Newton matrix at the solution with the weights of REML. A value f(x)
then has the variance sigma^2 g^T (n A)^-1 g, g its gradient by the parameters (Nychka, *JASA* 83,
1988, shows that such intervals cover f on average over x; Marra and Wood, *Scand. J. Statist.* 39,
2012). Hidden grids move with the parameters, and so g has those terms, too.

The weights are estimates themselves. A variance that f effective degrees of freedom tell is known
to 2 / f in its logarithm, and what the solution moves by with it is added to the covariance, for
each weight on its own (Wood, Pya and Saefken, *JASA* 111, 2016, have the whole matrix).

Where the solver has kept a simplest KAN (``simplest``), the posterior is that one's: of an additive
model, or of a linear regression.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kansweep.networks.gauge import range_sensitivity
from kansweep.networks.jacobian import jacobian
from kansweep.networks.kan import KAN
from kansweep.networks.points import points_of
from kansweep.solvers.contract import Problem, output_spread
from kansweep.solvers.gauss_newton import contained, penalty
from kansweep.solvers.gauss_newton.linearised import Linearised
from kansweep.solvers.gauss_newton.objective import Point, scaled_output
from kansweep.solvers.gauss_newton.spare import trained
from kansweep.solvers.gauss_newton.systems import Direct
from kansweep.solvers.gauss_newton.weights import Memory

STILL = 1e-9  # of the outputs' spread: what varies by less is constant
AT_ONCE = 4_000_000  # numbers of a dense Jacobian that are held


@dataclass(frozen=True)
class Posterior:
    """Of one replica: the covariance of its parameters, over sigma^2, is root root^T."""

    kan: KAN  # whose parameters they are, outputs in units of their spread
    ends: Tensor  # (1, P, 2H), derivatives of the ends of hidden grids
    root: Tensor  # (1, P, Q)
    edf: float  # effective degrees of freedom, of all outputs

    def deviations(self, x: Tensor) -> Tensor:
        """The standard deviation of f over that of the noise, (n, I) -> (n, M)."""
        many = max(1, AT_ONCE // (self.root.shape[1] * self.kan.width[-1]))
        return torch.cat([self._deviations(part) for part in x.split(many)])

    def _deviations(self, x: Tensor) -> Tensor:
        return (self.gradients(x) @ self.root).square().sum(2).sqrt().mT

    def gradients(self, x: Tensor) -> Tensor:
        """Of the outputs by all parameters, hidden grids following: (n, I) -> (M, n, P)."""
        activations, _ = self.kan.activations(x[None])
        rows = jacobian(self.kan, activations)
        dense = rows.values.new_zeros(*rows.values.shape[:2], rows.n_params, x.shape[0])
        dense.scatter_(2, rows.columns[:, None].expand_as(rows.values), rows.values)
        if not self.ends.shape[2]:
            return dense.mT[0]
        outer = range_sensitivity(self.kan, activations)  # (1, M, n, 2H)
        gradients: Tensor = dense.mT + outer @ self.ends.mT[:, None]
        return gradients[0]


@torch.inference_mode()
def posterior(net: KAN, problem: Problem, memory: Tensor) -> Posterior:
    """Of a network of one replica, trained on a problem, with what its method remembers."""
    left = Memory.of(memory)
    net = replace(net, beyond=int(left.beyond))
    flat, values = contained.blank(net), net(problem.x)
    span = (values.amax(1) - values.amin(1)).amax()
    if bool(span < STILL * problem.spread.amin()):
        return _of_line(flat, problem, slopes=False)
    if not bool(left.simple.all()):
        return _of_weights(trained(net), problem, left.kept)
    if bool(left.weight[:, 0].isfinite().all()):
        return _of_weights(flat, problem, left.weight[:, :1])
    return _of_line(flat, problem, slopes=True)


def _of_weights(net: KAN, problem: Problem, w: Tensor) -> Posterior:
    spread = problem.spread
    points = points_of(problem.x, problem.y / spread[:, None], problem.counts, k=net.k)
    kan = scaled_output(net, 1 / spread)
    point = Point.of(points.settled(kan))
    lin = point.linearised()
    root, edf, trace = Direct(lin).covariance(w)
    ranks = torch.tensor(penalty.ranks(kan), device=w.device).view(w.shape[1:])
    freedom = ranks - w * trace
    free = max(point.observations - edf, 1.0)
    noise = (point.observations * point.mse / (free * problem.y.shape[2])).sqrt()
    moved = _by_weights(lin, w, root) * (2 / freedom.clamp(min=1.0)).sqrt().flatten(1)[:, None]
    tiny = torch.finfo(root.dtype).tiny
    root = torch.cat([root, moved / noise.clamp(min=tiny)[:, None, None]], 2)
    return Posterior(kan, lin.data.inner, root, edf)


def _by_weights(lin: Linearised, w: Tensor, root: Tensor) -> Tensor:
    """Derivatives of the solution by the logarithms of weights w (1, L, 3), (1, P, L 3)."""
    each = torch.diag_embed(w.flatten(1)).unflatten(2, w.shape[1:])  # (1, L 3, L, 3)
    pulls = [lin.strain.pull(one, lin.strain.rows) for one in each.unbind(1)]
    return -root @ (root.mT @ (lin.n_points * torch.stack(pulls, 2)))


def _of_line(flat: KAN, problem: Problem, *, slopes: bool) -> Posterior:
    """Of a linear regression, or of the mean alone."""
    layer, n_outputs, x = flat.layers[0], flat.width[-1], problem.x.double()
    middle, width = x.mean(1), output_spread(x)
    design = torch.cat([torch.ones_like(x[..., :1]), (x - middle[:, None]) / width[:, None]], 2)
    lines = (layer.greville(flat.k) - middle[..., None]) / width[..., None]  # (1, I, K)
    constant = torch.ones_like(lines).view(1, -1, 1) / flat.width[0]
    each = torch.block_diag(*(line[:, None] for line in lines[0]))  # (I K, I)
    basis = torch.cat([constant, each[None]], 2)
    if not slopes:
        design, basis = design[..., :1], basis[..., :1]
    if problem.counts is not None:
        design = design * problem.counts[..., None].sqrt()
    _, s, vt = torch.linalg.svd(design, full_matrices=False)
    kept = int((s > torch.finfo(s.dtype).eps * max(design.shape[1:]) * s[:, :1]).sum())
    one = basis @ (vt.mT[..., :kept] / s[:, None, :kept])  # (1, I K, Q)
    root = torch.block_diag(*[one[0]] * n_outputs)[None]
    ends = root.new_zeros(1, flat.n_params, 0)
    return Posterior(flat, ends, root, float(kept * n_outputs))
