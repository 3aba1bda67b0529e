"""KANs of series: what every network with a gradient is asked, for each family of functions."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from nets import normal, points
from torch import Tensor

from kansweep import kinds
from kansweep.config.models import ModelConfig
from kansweep.networks import autograd
from kansweep.networks.series import SeriesKAN, Shape, basis_of
from kansweep.trained import weights

SERIES = [kind.name for kind in kinds.KINDS.values() if kind.basis]
every_kind = pytest.mark.parametrize("kind", SERIES)


def random_net(
    kind: str, width: tuple[int, ...] = (3, 2, 4, 2), size: int = 4, replicas: int = 2
) -> SeriesKAN:
    """Drawn at random, and its ends moved."""
    generators = [np.random.default_rng(seed) for seed in range(replicas)]
    net = Shape(kind, width, size).random(generators, normal(1))
    net = net.of_inputs(0.1 * normal(replicas, width[0], seed=1), 1.5)
    return net.with_outputs(normal(replicas, width[-1], seed=2), normal(width[-1], seed=3).exp())


@every_kind
def test_a_layer_is_a_sum_of_series(kind: str) -> None:
    net, x = random_net(kind, (3, 2), 5), points(2, 20, 3)
    for r in range(2):
        u = ((x[r] - net.shift[r]) / net.scale[r]).numpy()
        expected = np.zeros((20, 2))
        for o, i in np.ndindex(2, 3):
            expected[:, o] += basis_of(kind).at(u[:, i], 5, np)[0] @ net.coefs[0][r, o, i].numpy()
        expected += net.mean[r].numpy()
        np.testing.assert_allclose(net(x)[r], expected, rtol=1e-12, atol=1e-13)


@every_kind
def test_the_jacobian_is_that_of_finite_differences(kind: str) -> None:
    net, x, v = random_net(kind), points(2, 30, 3), normal(2, 30, 2, seed=4)
    at_net, theta, h = net.linearised(x), net.theta(), 1e-6
    columns = [
        (net.with_theta(theta + step)(x) - net.with_theta(theta - step)(x)) / (2 * h)
        for step in h * torch.eye(net.n_params, dtype=torch.float64)[:, None]
    ]
    jacobian = torch.stack(columns, dim=-1).flatten(1, 2)  # (R, n M, P)
    close = {"rtol": 1e-6, "atol": 1e-7}
    np.testing.assert_allclose(at_net.outputs, net(x), rtol=1e-14)
    pulled = (v.flatten(1)[:, None] @ jacobian)[:, 0]
    np.testing.assert_allclose(at_net.pull(v), pulled, **close)
    np.testing.assert_allclose(at_net.squared_norms(), jacobian.square().sum(1), **close)
    blocks = [at_net.rows(slice(first, first + 20)) for first in (0, 20)]
    np.testing.assert_allclose(torch.cat(blocks, dim=1), jacobian, **close)


@every_kind
def test_products_are_those_of_reverse_differentiation(kind: str) -> None:
    net, x, v = random_net(kind), points(2, 30, 3), normal(2, 30, 2, seed=4)
    ours, expected = net.linearised(x), autograd.linearised(net, x)
    torch.testing.assert_close(ours.pull(v), expected.pull(v))
    torch.testing.assert_close(ours.squared_norms(), expected.squared_norms())


@every_kind
def test_parameters_are_the_coefficients_alone(kind: str) -> None:
    net = random_net(kind)
    assert net.n_params == (3 * 2 + 2 * 4 + 4 * 2) * basis_of(kind).length(4)
    theta = net.theta()
    assert theta.shape == (2, net.n_params)
    x = points(2, 10, 3)
    assert torch.equal(net.with_theta(theta)(x), net(x))
    assert not torch.equal(net.with_theta(theta + 1)(x), net(x))
    assert torch.equal(net[:1].with_theta(theta).coefs[1], net.coefs[1])


@every_kind
def test_replicas_are_chosen_and_joined_as_they_were(kind: str) -> None:
    net, x = random_net(kind, replicas=3), points(3, 10, 3)
    for chosen in (slice(1, 3), torch.tensor([1, 2]), torch.tensor([False, True, True])):
        np.testing.assert_allclose(net[chosen](x[1:]), net(x)[1:], rtol=1e-13)
    assert torch.equal(SeriesKAN.concatenated([net[:1], net[1:]])(x), net(x))
    assert (net.n_replicas, net[1:].n_replicas, net.width) == (3, 2, (3, 2, 4, 2))


@every_kind
def test_arrays_there_and_back_are_the_same_network(kind: str) -> None:
    net, x = random_net(kind), points(2, 10, 3)
    arrays = net.to_arrays()
    assert kinds.KINDS[kind].mark in arrays
    again = SeriesKAN.from_arrays(arrays)
    assert again.shape == net.shape
    assert torch.equal(again(x), net(x))
    for name in arrays:
        if name != f"2.{kind}":  # without its last layer it is another network
            with pytest.raises(KeyError):
                SeriesKAN.from_arrays({other: arrays[other] for other in arrays if other != name})


@every_kind
def test_stored_it_is_the_same_function_without_torch(kind: str) -> None:
    net = random_net(kind, replicas=1)
    x = points(1, 40, 3)[0].requires_grad_()
    found = weights.from_arrays(net.to_arrays())
    np.testing.assert_allclose(found(x.detach().numpy()), net(x[None])[0].detach(), rtol=1e-12)
    assert (found.width, found.n_params) == (net.width, net.n_params)  # type: ignore[attr-defined]

    def outputs(point: Tensor) -> Tensor:
        return net(point[None, None])[0, 0]

    expected = torch.func.vmap(torch.func.jacrev(outputs))(x.detach())
    np.testing.assert_allclose(found.gradient(x.detach().numpy()), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": np.array(5)}, "`0.chebyshev` does not fit the other arrays: 5 beside 6"),
        ({"size": np.array(0.5)}, "`size` is 0.5"),
        ({"scale": np.ones((1, 2))}, "`scale` does not fit the other arrays"),
        ({"mean": None}, "no `mean` of floating-point numbers"),
        ({"1.chebyshev": np.ones((1, 4, 3, 5))}, "`1.chebyshev` does not fit the other arrays"),
    ],
)
def test_what_is_wrong_with_stored_arrays_is_named(change: dict, message: str) -> None:
    arrays = {**random_net("chebyshev", replicas=1).to_arrays(), **change}
    with pytest.raises(ValueError, match=message):
        weights.from_arrays({name: each for name, each in arrays.items() if each is not None})


@every_kind
def test_affine_maps_at_both_ends_are_there_and_back(kind: str) -> None:
    net, x = random_net(kind), points(2, 40, 3)
    lower, size = normal(2, 3, seed=5), normal(2, 3, seed=6).exp()
    shift, scale = normal(2, 2, seed=7), normal(2, 2, seed=8).exp()
    folded = net.of_inputs(lower, size).with_outputs(shift, scale)
    raw = lower[:, None] + size[:, None] * x
    expected = shift[:, None] + scale[:, None] * net(x)
    np.testing.assert_allclose(folded(raw), expected, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(net.of_inputs(1.5, 0.5)(1.5 + 0.5 * x), net(x), rtol=1e-11)
    back = folded.of_inputs(-lower / size, 1 / size).with_outputs(-shift / scale, 1 / scale)
    np.testing.assert_allclose(back.theta(), net.theta(), rtol=1e-12)
    np.testing.assert_allclose(back(x), net(x), rtol=1e-11, atol=1e-12)


@every_kind
def test_one_that_was_made_constant_can_be_trained_again(kind: str) -> None:
    net, x = random_net(kind), points(2, 30, 3)
    flat = net.with_outputs(torch.zeros(2), torch.zeros(2))
    assert (flat(x) == flat.mean[:, None]).all()
    assert (flat.linearised(x).squared_norms() > 0).any()


@pytest.mark.parametrize(("kind", "most"), [("chebyshev", 1e-13), ("fourier", 1e-13)])
def test_an_extension_is_the_same_function(kind: str, most: float) -> None:
    net, x = random_net(kind, size=3), points(2, 40, 3)
    larger = net.refined(8)
    assert larger.shape == replace(net.shape, size=8)
    np.testing.assert_allclose(larger(x), net(x), rtol=most, atol=most)


@pytest.mark.parametrize(("kind", "most"), [("rbf", 0.05), ("efficient_kan", 1e-12)])
def test_an_extension_on_a_grid_is_as_near_as_the_grid_allows(kind: str, most: float) -> None:
    """One layer, on the grid: relative to the spread of what is extended."""
    net = random_net(kind, (2, 1), 4).of_inputs(0.0, 1.0)
    x = 1.5 * 0.7 * points(2, 400, 2)
    error = (net.refined(8)(x) - net(x)).square().mean((1, 2)).sqrt()
    assert (error < most * net(x).std((1, 2))).all()


@every_kind
def test_a_start_has_the_variance_of_its_data_and_is_its_seeds_alone(kind: str) -> None:
    generators = [np.random.default_rng(seed) for seed in range(200)]
    shape, x = Shape(kind, (2, 5, 1), 4), points(200, 50, 2)
    outputs = shape.random(generators, x)(x)
    assert 0.3 < outputs.square().mean().sqrt().item() < 1.5
    alone = shape.random([np.random.default_rng(7)], x)
    np.testing.assert_allclose(alone(x[7:8]), outputs[7:8], rtol=1e-12)


@every_kind
def test_a_shape_comes_from_its_section_and_goes_to_other_processes(kind: str) -> None:
    settings = ModelConfig.variants[kind]()
    shape = SeriesKAN.shape_of(settings, (2, 1), 7)
    assert pickle.loads(pickle.dumps((settings, shape))) == (settings, shape)
    assert shape == Shape(kind, (2, 1), 7)
    assert shape.random([np.random.default_rng(0)], normal(1)).shape == shape
