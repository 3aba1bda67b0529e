"""Derivatives of KANs by their inputs, against autograd, the read network and differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import points, random_kan, uneven_kan
from torch import Tensor
from trained_nets import as_model

from kansweep.networks import derivatives as module
from kansweep.networks.compiled import edges
from kansweep.networks.derivatives import by_tensors, derivatives
from kansweep.networks.kan import KAN

NETS = [
    pytest.param(random_kan((2, 1, 1)), id="one node"),
    pytest.param(random_kan((3, 4, 2, 2), base=True), id="deep with silu"),
    pytest.param(random_kan((2, 3, 1), k=2, grid_size=7), id="quadratic"),
    pytest.param(uneven_kan((2, 3, 2), k=4, base=True), id="unequal intervals"),
    pytest.param(random_kan((1, 1)), id="one edge"),
]


def by_autograd(net: KAN, x: Tensor) -> tuple[Tensor, Tensor]:
    """Each point by itself: (R, n, M, D) and (R, n, M, D, D)."""
    x = x.clone().requires_grad_()
    first, second = [], []
    for output in net(x).unbind(2):
        (slope,) = torch.autograd.grad(output.sum(), x, create_graph=True)
        rows = [
            torch.autograd.grad(part.sum(), x, retain_graph=True, allow_unused=True)[0]
            for part in slope.unbind(2)
        ]
        first.append(slope.detach())
        second.append(torch.stack([torch.zeros_like(x) if r is None else r for r in rows], 2))
    return torch.stack(first, 2), torch.stack(second, 2)


@pytest.mark.parametrize("net", NETS)
def test_derivatives_are_those_of_autograd(net: KAN) -> None:
    x = 1.2 * points(net.n_replicas, 40, net.width[0])  # some beyond the grid
    known = by_autograd(net, x)
    for own in (derivatives, by_tensors):
        for found, expected in zip(own(net, x), known, strict=True):
            assert found.shape == expected.shape
            assert torch.allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_the_gradient_is_that_of_the_network_read_back() -> None:
    net = random_kan((2, 3, 1), base=True, replicas=1)
    x = points(1, 50, 2)
    first, second = derivatives(net, x)
    model = as_model(net.to_arrays())
    assert np.allclose(first[0].numpy(), model.gradient(x[0].numpy()), rtol=1e-12, atol=1e-12)
    step = 1e-5
    for i, unit in enumerate(np.eye(2)):
        ahead, behind = (model.gradient(x[0].numpy() + s * step * unit) for s in (1, -1))
        assert second is not None
        assert np.allclose(second[0, ..., i].numpy(), (ahead - behind) / (2 * step), atol=1e-4)


def test_points_in_parts_are_as_points_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = random_kan((2, 3, 1)), points(2, 30, 2)
    whole = [own(net, x) for own in (derivatives, by_tensors)]
    monkeypatch.setattr(module, "_AT_ONCE", 100)
    monkeypatch.setattr(edges, "CACHED", 100)
    for own, before in zip((derivatives, by_tensors), whole, strict=True):
        for found, expected in zip(own(net, x), before, strict=True):
            assert torch.equal(found, expected)


def test_points_of_one_replica_are_those_of_all_and_float32_stays() -> None:
    net, x = random_kan((2, 3, 1)), points(1, 30, 2)
    for one, each in zip(derivatives(net, x), derivatives(net, x.expand(2, -1, -1)), strict=True):
        assert torch.equal(one, each)
    arrays = {name: a.astype(np.float32) if a.ndim else a for name, a in net.to_arrays().items()}
    first, _ = derivatives(KAN.from_arrays(arrays), x.expand(2, -1, -1).float())
    assert first.dtype == torch.float32


def test_beyond_its_grid_an_edge_has_no_curvature_and_order_1_none_at_all() -> None:
    net = random_kan((1, 1))
    _, second = derivatives(net, torch.full((2, 1, 1), 1.5, dtype=torch.float64))
    assert (second == 0).all()
    net, x = random_kan((2, 2, 1), k=1, replicas=1), points(1, 20, 2)
    first, second = derivatives(net, x)
    assert second is None
    assert np.allclose(first[0].numpy(), as_model(net.to_arrays()).gradient(x[0].numpy()))


def test_a_network_that_diverged_shows_it() -> None:
    net = random_kan((2, 1, 1))
    first, _ = derivatives(net.with_theta(net.theta() * torch.nan), points(2, 5, 2))
    assert first.isnan().all()
