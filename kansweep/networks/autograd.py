"""Products with the Jacobian of any network whose forward pass torch can differentiate."""

from __future__ import annotations

import torch
from torch import Tensor

from kansweep.networks.protocol import Gradient, Linearisation

ROWS = 256  # of the Jacobian that are there at once


def linearised(net: Gradient, x: Tensor) -> Linearisation:
    """What ``Gradient.linearised`` gives, at points (R, n, I), by reverse differentiation."""
    theta = net.theta().detach().requires_grad_()
    with torch.enable_grad():
        reached = net.with_theta(theta)(x)
    outputs = reached.detach()

    def pull(v: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(reached, theta, v, retain_graph=True)

    def squared_norms() -> Tensor:
        total = torch.zeros_like(theta)
        for rows in torch.arange(outputs[0].numel(), device=x.device).split(ROWS):
            units = outputs.new_zeros(len(rows), *outputs.shape)
            units.flatten(2).scatter_(2, rows[:, None, None].expand(-1, len(outputs), 1), 1.0)
            total += _pulled(reached, theta, units).square().sum(0)
        return total.detach()

    return Linearisation(outputs, lambda v: pull(v)[0], squared_norms)


def _pulled(outputs: Tensor, theta: Tensor, units: Tensor) -> Tensor:
    """The pullbacks (m, R, P) of several v (m, R, n, M), at once where torch can batch them."""
    try:
        (rows,) = torch.autograd.grad(
            outputs, theta, units, retain_graph=True, is_grads_batched=True
        )
    except RuntimeError:  # a function of a user's own that cannot be batched
        each = (torch.autograd.grad(outputs, theta, v, retain_graph=True)[0] for v in units)
        rows = torch.stack(list(each))
    return rows
