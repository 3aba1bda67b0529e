"""MLPs against torch's own layers, and the affine maps that are folded into their ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import normal, points, random_mlp
from torch import nn

from kansweep.networks.mlp import ACTIVATIONS, MLP

MODULES = {"tanh": nn.Tanh, "silu": nn.SiLU, "relu": nn.ReLU, "gelu": nn.GELU}


def sequential(net: MLP, replica: int) -> nn.Sequential:
    """The same network made of torch's modules."""
    modules: list[nn.Module] = []
    for weight, bias in zip(net.weights, net.biases, strict=True):
        linear = nn.Linear(weight.shape[2], weight.shape[1], dtype=weight.dtype)
        linear.weight.data, linear.bias.data = weight[replica], bias[replica]
        modules += [linear, MODULES[net.activation]()]
    return nn.Sequential(*modules[:-1])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("width", [(1, 1), (2, 5, 1), (3, 4, 5, 2)])
def test_forward_is_that_of_torchs_linear_layers(width, activation):
    net, x = random_mlp(width, activation), points(2, 30, width[0])
    for replica in range(2):
        expected = sequential(net, replica)(x[replica]).detach()
        np.testing.assert_allclose(net(x)[replica], expected, atol=1e-13)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_slopes_are_the_activations_derivatives(activation):
    z = normal(500).requires_grad_()
    act = ACTIVATIONS[activation]
    value = act.value(z)
    (expected,) = torch.autograd.grad(value.sum(), z)
    np.testing.assert_allclose(act.slope(z, value).detach(), expected, atol=1e-14)


def test_parameters_are_counted_as_weights_and_biases():
    assert random_mlp((2, 10, 10, 1)).n_params == 151
    assert random_mlp((2, 50, 50, 1)).n_params == 2751
    assert random_mlp((4, 20, 20, 1)).n_params == 541
    net = random_mlp((3, 4, 2))
    assert net.n_params == sum(p.numel() for p in sequential(net, 0).parameters())


def test_width_and_replicas_are_those_of_the_tensors():
    net = random_mlp((3, 4, 5, 2), replicas=3)
    assert (net.width, net.n_replicas) == ((3, 4, 5, 2), 3)


def test_theta_there_and_back_is_the_same_network():
    net, x = random_mlp((3, 4, 2)), points(2, 10, 3)
    theta = net.theta()
    assert theta.shape == (2, net.n_params)
    assert torch.equal(net.with_theta(theta)(x), net(x))
    assert not torch.equal(net.with_theta(theta + 1)(x), net(x))


@pytest.mark.parametrize(
    "replicas", [slice(1, 3), torch.tensor([1, 2]), torch.tensor([False, True, True])]
)
def test_chosen_replicas_are_those_they_were(replicas):
    net, x = random_mlp((3, 4, 2), replicas=3), points(3, 10, 3)
    assert torch.equal(net[replicas].theta(), net.theta()[1:3])
    np.testing.assert_allclose(net[replicas](x[1:3]), net(x)[1:3], atol=1e-14)


def test_concatenated_replicas_are_those_they_were():
    a, b = random_mlp((3, 4, 2), seed=1), random_mlp((3, 4, 2), replicas=1, seed=2)
    both = MLP.concatenated([a, b])
    assert both.n_replicas == 3
    assert torch.equal(both[:2].theta(), a.theta())
    assert torch.equal(both[2:].theta(), b.theta())


@pytest.mark.parametrize("width", [(1, 1), (3, 4, 5, 2)])
def test_arrays_there_and_back_are_the_same_network(width, tmp_path):
    net, x = random_mlp(width, "silu"), points(2, 10, width[0])
    np.savez(tmp_path / "state.npz", **net.to_arrays())
    with np.load(tmp_path / "state.npz", allow_pickle=False) as arrays:
        again = MLP.from_arrays(arrays)
    assert (again.width, again.activation) == (width, "silu")
    assert torch.equal(again(x), net(x))


@pytest.mark.parametrize(
    "name", ["activation", "0.weight", "0.bias", "1.weight", "1.bias", "2.weight", "2.bias"]
)
def test_an_array_that_is_missing_is_named(name):
    arrays = random_mlp((3, 4, 4, 2)).to_arrays()
    del arrays[name]
    with pytest.raises(KeyError, match=name.replace(".", r"\.")):
        MLP.from_arrays(arrays)


@pytest.mark.parametrize("width", [(3, 2), (3, 4, 2), (3, 4, 5, 2)])
def test_affine_maps_at_both_ends_are_folded_in_exactly(width):
    """Equal but for rounding, and back again by the inverse maps."""
    net, x = random_mlp(width), points(2, 40, 3)
    lower, size = normal(2, 3, seed=1), normal(2, 3, seed=2).exp()
    shift, scale = normal(2, 2, seed=3), normal(2, 2, seed=4).exp()
    folded = net.of_inputs(lower, size).with_outputs(shift, scale)
    raw = lower[:, None] + size[:, None] * x
    np.testing.assert_allclose(
        folded(raw), shift[:, None] + scale[:, None] * net(x), rtol=1e-12, atol=1e-12
    )
    back = folded.of_inputs(-lower / size, 1 / size).with_outputs(-shift / scale, 1 / scale)
    np.testing.assert_allclose(back.theta(), net.theta(), rtol=1e-12, atol=1e-12)


def test_a_number_maps_every_input_alike():
    net, x = random_mlp((3, 4, 1)), points(2, 10, 3)
    np.testing.assert_allclose(net.of_inputs(1.5, 0.5)(1.5 + 0.5 * x), net(x), atol=1e-13)


def test_dtype_is_that_of_the_weights():
    arrays = random_mlp((2, 3, 1)).to_arrays()
    net = MLP.from_arrays({n: a.astype(np.float32) if a.ndim else a for n, a in arrays.items()})
    x = points(2, 5, 2).float()
    assert net(x).dtype == torch.float32
    assert net.of_inputs(0.5, 2.0)(x).dtype == torch.float32
