"""Trained networks as torch modules: the same functions, differentiable, in either precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from trained_nets import composed

from kansweep import kinds
from kansweep.networks.mlp import Shape as MLPShape
from kansweep.networks.series import SeriesKAN
from kansweep.networks.series import Shape as SeriesShape
from kansweep.trained.network import TrainedNetwork
from kansweep.trained.weights import from_arrays
from tests.nets import points, random_kan, uneven_kan

EPS = float(np.finfo(float).eps)
SERIES = [name for name, kind in kinds.KINDS.items() if kind.basis]
NETS = {
    **{name: lambda name=name: series(name) for name in SERIES},
    "kan": lambda: random_kan((2, 3, 2), replicas=1),
    "silu": lambda: random_kan((2, 2, 1), base=True, replicas=1),
    "uneven": lambda: uneven_kan((2, 2, 1), replicas=1),
    "mlp": lambda: MLPShape((2, 5, 1), "tanh").random([np.random.default_rng(0)], torch.zeros(1)),
}


def series(name: str) -> SeriesKAN:
    like = torch.zeros(1, dtype=torch.float64)
    return SeriesShape(name, (2, 3, 1), 8).random([np.random.default_rng(0)], like)


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


@pytest.mark.parametrize("name", SERIES)
def test_a_module_differs_by_what_one_rounding_of_the_coefficients_does(name: str) -> None:
    """Where large ones cancel that is more than the rounding of the values: libraries round sums
    and sines each in its way."""
    arrays = series(name).to_arrays()
    inner = f"0.{name}"
    arrays[inner] = 1e3 * arrays[inner]
    arrays[inner][:, :, 0] -= arrays[inner][:, :, 1]  # they cancel, in part
    net, (_, x) = from_arrays(arrays), trained(name)
    signs = np.random.default_rng(1).choice([-1.0, 1.0], (8, *arrays[inner].shape))
    rounded = [from_arrays({**arrays, inner: arrays[inner] * (1 + EPS * sign)}) for sign in signs]
    one_rounding = max(np.abs(other(x) - net(x)).max() for other in rounded)
    difference = np.abs(net.to_torch()(x).detach().numpy() - net(x)).max()
    assert difference < 20 * max(one_rounding, EPS * np.abs(net(x)).max())


def test_what_no_module_can_be_made_of_is_told() -> None:
    with pytest.raises(ValueError, match="`dtype` must be float64 or float32; got 'half'"):
        trained("kan")[0].to_torch("half")
    with pytest.raises(ValueError, match="was not read from weights"):
        composed().to_torch()
