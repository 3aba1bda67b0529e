"""KANs against SciPy, pykan's own forward pass, and the laws of grid extension."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import normal, points, random_kan
from places import DATA
from scipy.interpolate import BSpline
from scipy.special import expit

from kansweep.networks import bspline
from kansweep.networks import kan as kans
from kansweep.networks.kan import KAN, Layer

PYKAN = DATA / "pykan_forward.npz"


def naive_forward(net: KAN, x: np.ndarray, replica: int) -> np.ndarray:
    """Every edge by SciPy, one at a time: (n, I) -> (n, M)."""
    for layer in net.layers:
        grid_size = layer.coef.shape[-1] - net.k
        t = bspline.knots(layer.lower, layer.upper, grid_size, net.k)[replica].numpy()
        out = np.zeros((len(x), layer.n_outputs))
        for o in range(layer.n_outputs):
            for i in range(layer.n_inputs):
                spline = BSpline(t[i], layer.coef[replica, o, i].numpy(), net.k)
                held = np.clip(x[:, i], t[i, net.k], t[i, -net.k - 1])
                out[:, o] += spline(held) + spline(held, 1) * (x[:, i] - held)
                if layer.base is not None:
                    v = layer.shift[replica, i].item() + layer.scale[replica, i].item() * x[:, i]
                    out[:, o] += layer.base[replica, o, i].item() * v * expit(v)
        x = out
    return x


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("width", [(1, 1), (2, 1, 1), (3, 2, 2, 1), (2, 3, 2)])
def test_forward_is_that_of_scipy_edge_by_edge(width, k, base):
    net, x = random_kan(width, k=k, base=base), points(2, 50, width[0])
    for replica in range(2):
        expected = naive_forward(net, x[replica].numpy(), replica)
        np.testing.assert_allclose(net(x)[replica], expected, atol=1e-11)


def test_forward_is_that_of_pykan_with_the_same_weights():
    arrays = np.load(PYKAN)
    k, layers = int(arrays["k"]), []
    for index in range(2):
        grid, coef = (torch.from_numpy(arrays[f"{index}.{name}"]) for name in ("grid", "coef"))
        sp, base = (torch.from_numpy(arrays[f"{index}.scale_{name}"]) for name in ("sp", "base"))
        lower, upper = grid[None, :, k], grid[None, :, -k - 1]
        ours = (coef * sp[..., None]).transpose(0, 1)[None]
        zero = torch.zeros_like(lower)
        layers.append(Layer(ours, lower, upper, base.mT[None], zero, zero + 1))
    net = KAN(tuple(layers), k)
    y = net(torch.from_numpy(arrays["x"])[None])[0]
    np.testing.assert_allclose(y, arrays["y"], rtol=0, atol=1e-12)


def test_activations_give_the_same_output_as_the_forward_pass():
    net, x = random_kan((3, 2, 1), base=True), points(2, 40, 3)
    np.testing.assert_allclose(net.activations(x)[1], net(x), atol=1e-14)


@pytest.mark.parametrize("base", [False, True])
def test_slopes_are_the_edges_derivatives(base):
    net, x, h = random_kan((3, 2), base=base), points(2, 40, 3), 1e-6
    layer = net.layers[0]
    finite = (kans.edges(layer, x + h, 3) - kans.edges(layer, x - h, 3)) / (2 * h)
    slope = kans.activate(layer, x, 3)[0].slope
    np.testing.assert_allclose(slope, finite, atol=1e-7)


@pytest.mark.parametrize("base", [False, True])
def test_extending_to_a_nested_grid_preserves_the_function(base):
    net, x = random_kan((3, 2, 2, 1), base=base), points(2, 200, 3)
    np.testing.assert_allclose(net.refined(20)(x), net(x), atol=1e-12)


def test_extending_to_another_grid_loses_no_more_than_its_resolution():
    """Twice extended: to a grid that does not nest and is far finer, hardly anything is lost."""
    net, x = random_kan((2, 1, 1)), points(2, 200, 2)
    assert (net.refined(13)(x) - net(x)).abs().max() > 1e-6  # it does not nest
    errors = [(net.refined(g)(x) - net(x)).abs().max().item() for g in (41, 163)]
    assert errors[1] < errors[0] / 20


def test_a_replica_does_not_know_of_the_others():
    net, x = random_kan((2, 2, 1), base=True, replicas=5), points(5, 30, 2)
    alone = torch.cat([net[r : r + 1](x[r : r + 1]) for r in range(5)])
    assert torch.equal(net(x), alone)


def test_a_base_branch_adds_nothing_at_first_and_sees_hidden_values_on_their_grids():
    net, x = random_kan((2, 3, 1), base=False), points(2, 50, 2)
    other = net.with_base()
    torch.testing.assert_close(other(x), net(x), rtol=0, atol=0)
    theta = torch.cat(
        [
            torch.cat([layer.coef.flatten(1), 1 + layer.base.flatten(1)], 1)
            for layer in other.layers
        ],
        1,
    )
    hidden = KAN(net.layers[:1], net.k)(x) + torch.nn.functional.silu(
        net.layers[0].shift[:, None] + net.layers[0].scale[:, None] * x
    ).sum(2, keepdim=True)
    last = KAN(net.layers[1:], net.k)(hidden)
    expected = last + torch.nn.functional.silu(hidden).sum(2, keepdim=True)
    torch.testing.assert_close(other.with_theta(theta)(x), expected)


@pytest.mark.parametrize("base", [False, True])
def test_theta_there_and_back_is_the_same_network(base):
    net, x = random_kan((3, 2, 1), base=base), points(2, 10, 3)
    theta = net.theta()
    assert theta.shape == (2, net.n_params)
    assert torch.equal(net.with_theta(theta)(x), net(x))
    assert not torch.equal(net.with_theta(theta + 1)(x), net(x))


def test_parameters_are_counted_as_edges_times_coefficients_and_the_base():
    assert random_kan((2, 1, 1), grid_size=7).n_params == 3 * (7 + 3)
    assert random_kan((4, 4, 2, 1), grid_size=7, base=True).n_params == 26 * (7 + 3 + 1)


@pytest.mark.parametrize("base", [False, True])
def test_arrays_there_and_back_are_the_same_network(base):
    net, x = random_kan((3, 2, 1), base=base), points(2, 10, 3)
    again = KAN.from_arrays(net.to_arrays())
    assert again.width == (3, 2, 1)
    assert torch.equal(again(x), net(x))


def test_an_array_that_is_missing_is_named():
    arrays = random_kan((3, 2, 1)).to_arrays()
    del arrays["1.scale"]
    with pytest.raises(KeyError, match=r"1\.scale"):
        KAN.from_arrays(arrays)


def test_weights_whose_splines_went_on_as_polynomials_are_not_extended():
    arrays = random_kan((2, 1)).to_arrays()
    for change in ({}, {"continuation": np.array("cubic")}):
        others = {name: value for name, value in arrays.items() if name != "continuation"}
        with pytest.raises(KeyError, match="continuation"):
            KAN.from_arrays(others | change)


def test_concatenated_and_chosen_replicas_are_those_they_were():
    a, b, x = random_kan((2, 1), seed=1), random_kan((2, 1), seed=2), points(1, 9, 2)
    both = KAN.concatenated([a, b])
    assert torch.equal(both[2:3](x), b[:1](x))
    mixed = kans.where(torch.tensor([True, False]), a, b)
    assert torch.equal(mixed[:1](x), a[:1](x))
    assert torch.equal(mixed[1:](x), b[1:](x))


def test_dtype_is_that_of_the_coefficients():
    net = random_kan((2, 1, 1), base=True)
    single = KAN.from_arrays(
        {n: a.astype(np.float32) if a.ndim else a for n, a in net.to_arrays().items()}
    )
    x = normal(2, 5, 2).float()
    assert single(x).dtype == torch.float32
    assert single.refined(9)(x).dtype == torch.float32
