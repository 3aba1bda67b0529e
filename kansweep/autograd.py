"""Products with the Jacobian of any network whose forward pass torch can differentiate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from kansweep.protocol import Gradient, Linearisation

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

    return Linearisation(outputs, lambda v: pull(v)[0], squared_norms)
