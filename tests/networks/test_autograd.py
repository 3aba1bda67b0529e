"""Reverse differentiation beside the backpropagation that MLPs write out."""

from __future__ import annotations

import pytest
import torch
from nets import normal, points, random_mlp

from kansweep.networks import autograd


@pytest.mark.parametrize("width", [(2, 5, 1), (3, 4, 4, 2)])
def test_products_are_those_that_an_mlp_writes_out(width):
    net, x = random_mlp(width, "silu"), points(2, 300, width[0])
    ours, its_own = autograd.linearised(net, x), net.linearised(x)
    v = normal(*its_own.outputs.shape, seed=3)
    torch.testing.assert_close(ours.outputs, its_own.outputs)
    torch.testing.assert_close(ours.pull(v), its_own.pull(v))
    torch.testing.assert_close(ours.squared_norms(), its_own.squared_norms())
