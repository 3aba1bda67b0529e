"""Reverse differentiation beside the backpropagation that MLPs write out."""

from __future__ import annotations

import pytest
import torch
from nets import normal, points, random_mlp
from torch import Tensor

from kansweep.networks import autograd
from kansweep.networks.mlp import MLP


@pytest.mark.parametrize("width", [(2, 5, 1), (3, 4, 4, 2)])
def test_products_are_those_that_an_mlp_writes_out(width):
    net, x = random_mlp(width, "silu"), points(2, 300, width[0])
    ours, its_own = autograd.linearised(net, x), net.linearised(x)
    v = normal(*its_own.outputs.shape, seed=3)
    torch.testing.assert_close(ours.outputs, its_own.outputs)
    torch.testing.assert_close(ours.pull(v), its_own.pull(v))
    torch.testing.assert_close(ours.squared_norms(), its_own.squared_norms())
    for some in (slice(0, 7), slice(290, 300)):
        torch.testing.assert_close(ours.rows(some), its_own.rows(some))


@pytest.mark.parametrize("width", [(2, 5, 1), (3, 4, 4, 2)])
def test_rows_are_those_that_products_are_of(width):
    net, x = random_mlp(width, "gelu"), points(2, 20, width[0])
    for lin in (net.linearised(x), autograd.linearised(net, x)):
        v = normal(*lin.outputs.shape, seed=3)
        products = (lin.rows(slice(0, 20)).mT @ v.flatten(1)[..., None])[..., 0]
        torch.testing.assert_close(lin.pull(v), products)


class Branching(MLP):
    """One that asks whether a value is positive, which torch.func cannot batch over points."""

    def forward(self, x: Tensor) -> Tensor:
        outputs = super().forward(x)
        return outputs if bool(outputs.sum() > -1e9) else 0 * outputs

    __call__ = forward


def test_rows_of_what_cannot_be_batched_come_one_by_one():
    net, x = random_mlp((2, 5, 2), "silu"), points(2, 30, 2)
    branching = Branching(net.weights, net.biases, net.activation)
    rows = autograd.linearised(branching, x).rows(slice(3, 9))
    torch.testing.assert_close(rows, net.linearised(x).rows(slice(3, 9)))
