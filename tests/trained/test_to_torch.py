"""Trained networks as torch modules: the same functions, differentiable, in either precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from trained_nets import composed

from kansweep.networks.mlp import Shape as MLPShape
from kansweep.trained.network import TrainedNetwork
from kansweep.trained.weights import from_arrays
from tests.nets import points, random_kan, uneven_kan

NETS = {
    "kan": lambda: random_kan((2, 3, 2), replicas=1),
    "silu": lambda: random_kan((2, 2, 1), base=True, replicas=1),
    "uneven": lambda: uneven_kan((2, 2, 1), replicas=1),
    "mlp": lambda: MLPShape((2, 5, 1), "tanh").random([np.random.default_rng(0)], torch.zeros(1)),
}


def trained(name: str) -> tuple[TrainedNetwork, Tensor]:
    arrays = {
        key: value.astype(float) if value.dtype.kind == "f" else value
        for key, value in NETS[name]().to_arrays().items()
    }
    return from_arrays(arrays), 1.3 * points(1, 40, 2)[0]  # some beyond the grids


@pytest.mark.parametrize("name", NETS)
def test_a_module_is_the_same_function_with_the_same_derivatives(name: str) -> None:
    net, x = trained(name)
    module = net.to_torch()
    x.requires_grad_()
    values = module(x)
    np.testing.assert_allclose(values.detach(), net(x.detach()), rtol=1e-12, atol=1e-12)
    for output in range(values.shape[1]):
        (slope,) = torch.autograd.grad(values[:, output].sum(), x, retain_graph=True)
        np.testing.assert_allclose(slope, net.gradient(x.detach())[:, output], atol=1e-10)
    single = net.to_torch("float32")
    assert single(x.detach().float()).dtype == torch.float32
    np.testing.assert_allclose(single(x.detach().float()).detach(), net(x.detach()), atol=1e-4)


@pytest.mark.parametrize("name", NETS)
def test_a_module_learns_is_cast_and_stored(name: str) -> None:
    net, x = trained(name)
    module, again = net.to_torch(), net.to_torch()
    target = torch.zeros(40, net.width[-1]).double()
    first = (module(x) - target).square().mean().item()
    optimiser = torch.optim.Adam(module.parameters(), 1e-2)
    for _ in range(20):
        optimiser.zero_grad()
        loss = (module(x) - target).square().mean()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.9 * first
    again.load_state_dict(module.state_dict())
    torch.testing.assert_close(again(x), module(x))
    torch.testing.assert_close(module.float().double()(x), again(x), rtol=1e-3, atol=1e-4)


def test_what_no_module_can_be_made_of_is_told() -> None:
    with pytest.raises(ValueError, match="`dtype` must be float64 or float32; got 'half'"):
        trained("kan")[0].to_torch("half")
    with pytest.raises(ValueError, match="was not read from weights"):
        composed().to_torch()
