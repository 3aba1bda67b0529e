"""Products with the Jacobian of any network whose forward pass torch can differentiate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from kansweep.networks.protocol import Gradient, Linearisation

ROWS = 256  # of the Jacobian that are there at once


def linearised(net: Gradient, x: Tensor) -> Linearisation:
    """What ``Gradient.linearised`` gives, at points (R, n, I), by reverse differentiation."""

    def outputs_at(theta: Tensor) -> Tensor:
        return net.with_theta(theta)(x)

    vjp: Any = torch.func.vjp  # its types do not know that it gives two without auxiliary output
    outputs, pull = vjp(outputs_at, net.theta())

    def squared_norms() -> Tensor:
        total = torch.zeros_like(net.theta())
        for rows in torch.arange(outputs[0].numel(), device=x.device).split(ROWS):
            units = outputs.new_zeros(len(rows), *outputs.shape)
            units.flatten(2).scatter_(2, rows[:, None, None].expand(-1, len(outputs), 1), 1.0)
            total += torch.func.vmap(pull)(units)[0].square().sum(0)
        return total

    def rows(points: slice) -> Tensor:
        there = x[:, points]
        try:
            return _rows_by_points(net, there)
        except RuntimeError:  # what torch.func cannot batch, such as a branch on a value
            return _rows_one_by_one(net, there)

    return Linearisation(outputs, lambda v: pull(v)[0], squared_norms, rows)


def _rows_by_points(net: Gradient, x: Tensor) -> Tensor:
    """The Jacobian at points (R, m, I), (R, m * M, P): each point's by itself, all at once."""
    of_each = []
    for r in range(len(x)):
        one = net[r : r + 1]

        def outputs_at(theta: Tensor, point: Tensor, one: Gradient = one) -> Tensor:
            return one.with_theta(theta)(point[None, None])[0, 0]

        of_points = torch.func.vmap(torch.func.jacrev(outputs_at), in_dims=(None, 0))
        of_each.append(of_points(one.theta(), x[r])[:, :, 0].flatten(0, 1))  # (m * M, P)
    return torch.stack(of_each)


def _rows_one_by_one(net: Gradient, x: Tensor) -> Tensor:
    """The same, a backward pass for each row."""
    theta = net.theta().detach().requires_grad_()
    with torch.enable_grad():
        outputs = net.with_theta(theta)(x)  # (R, m, M)
    rows = [
        torch.autograd.grad(row, theta, retain_graph=True)[0]
        for row in outputs.flatten(1).sum(0)  # a replica's outputs depend on its own alone
    ]
    return torch.stack(rows, dim=1)
