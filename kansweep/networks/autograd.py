"""Products with the Jacobian of any network whose forward pass torch can differentiate."""

from __future__ import annotations

import torch
from torch import Tensor

from kansweep.networks.protocol import Gradient, Linearisation

POINTS = 256  # whose rows of the Jacobian are there at once


def linearised(net: Gradient, x: Tensor) -> Linearisation:
    """What ``Gradient.linearised`` gives, at points (R, n, I), by reverse differentiation.

    Not that of ``torch.func``, which takes twice the time for one product, some seconds to be
    imported, and not every function that a user may have written.
    """
    theta = net.theta().detach().requires_grad_()
    with torch.enable_grad():
        reached = net.with_theta(theta)(x)

    def pull(v: Tensor) -> Tensor:
        return torch.autograd.grad(reached, theta, v, retain_graph=True)[0]

    def squared_norms() -> Tensor:
        parts = (rows(net, part).square().sum(1) for part in x.split(POINTS, dim=1))
        return torch.stack(list(parts)).sum(0)

    return Linearisation(
        reached.detach(), pull, squared_norms, lambda points: rows(net, x[:, points])
    )


def rows(net: Gradient, x: Tensor) -> Tensor:
    """The Jacobian at points (R, m, I), (R, m * M, P), outputs fastest.

    Each point is given to a replica of its own, so that one backward pass gives a row of each.
    """
    replicas, m, _ = x.shape
    of_points = torch.arange(replicas, device=x.device).repeat_interleave(m)
    theta = net.theta().detach()[of_points].requires_grad_()  # (R * m, P)
    with torch.enable_grad():
        outputs = net[of_points].with_theta(theta)(x.reshape(replicas * m, 1, -1))[:, 0]
    each = [
        torch.autograd.grad(output.sum(), theta, retain_graph=True)[0]
        for output in outputs.unbind(1)
    ]
    return torch.stack(each, dim=1).reshape(replicas, m * outputs.shape[1], -1)
