"""The penalty's rows near a KAN: loops against tensors, and those against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from machines import DEVICES
from nets import normal, random_kan, uneven_kan

from kansweep.networks.kan import KAN
from kansweep.solvers.gauss_newton import penalty
from kansweep.solvers.gauss_newton.strain import strain_of
from kansweep.solvers.gauss_newton.strain.compiled import (
    CompiledStrain,
    compiled_energy,
    compiled_restraint,
)
from kansweep.solvers.gauss_newton.strain.tensor import TensorStrain, tensor_restraint

SOME = torch.tensor([2, 0])


def pair(net: KAN, device: str = "cpu") -> tuple[TensorStrain, CompiledStrain]:
    """With derivatives of half-widths of which most are zero, as they are at extreme points; the
    tensors on a device."""
    size = (net.n_replicas, net.n_params, sum(net.width[1:-1]))
    half = normal(*size, seed=4) * (normal(*size, seed=5) > 0.8)
    there = KAN.from_arrays(net.to_arrays(), device=device)
    tensor = TensorStrain(there, there.theta(), half.to(device))
    return tensor, CompiledStrain(net, net.theta(), half)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    scale = expected.abs().max().item() if expected.numel() else 1.0
    np.testing.assert_allclose(found.cpu(), expected.cpu(), rtol=0, atol=1e-13 * scale)


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("width", [(2, 1, 1), (3, 2, 2, 1), (2, 3, 2), (1, 1)])
@pytest.mark.parametrize(("k", "grid_size"), [(1, 9), (3, 1), (3, 2), (3, 9), (5, 7)])
@pytest.mark.parametrize("make", [random_kan, uneven_kan])
@pytest.mark.parametrize("device", DEVICES)
def test_compiled_loops_and_tensors_agree(device, make, k, grid_size, width, base):
    if make is uneven_kan and grid_size == 1:
        pytest.skip("one interval has no inner knots")
    net = make(width, grid_size=grid_size, k=k, base=base, replicas=3)
    tensor, compiled = pair(net, device)
    w, d = normal(3, len(width) - 1, 3, seed=2).square(), normal(3, net.n_params, seed=3)
    u = normal(*tensor.rows.shape, seed=9)
    close(compiled_energy(net, net.theta()), penalty.energy(tensor.kan))
    close(compiled.rows, tensor.rows)
    close(compiled.change(d), tensor.change(d.to(device)))
    close(compiled.pull(w, u), tensor.pull(w.to(device), u.to(device)))
    root = normal(2, net.n_params, net.n_params, seed=11)
    some, lower = SOME.to(device), root.tril()
    close(compiled.trace(lower, SOME), tensor.trace(lower.to(device), some))
    here = root + root.mT
    there = here.to(device, copy=True)
    hold = torch.tensor([2.0, 3.0]).double()
    compiled.add_to(here, w[SOME], SOME)
    compiled.hold(here, hold, SOME)
    tensor.add_to(there, w.to(device)[some], some)
    tensor.hold(there, hold.to(device), some)
    close(there.tril(), here.tril())


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("make", [random_kan, uneven_kan])
@pytest.mark.parametrize("form", [compiled_restraint, tensor_restraint])
def test_restraint_of_the_last_layer_is_that_of_each_output(form, make, base):
    net = make((3, 2, 3), base=base, replicas=3)
    w, none = normal(3, 1, 3, seed=2).square(), torch.zeros(3, net.last_output(0).n_params, 0)
    last, pull = normal(3, 3, none.shape[1], seed=7), normal(3, 3, none.shape[1], seed=8)
    matrix = normal(3, none.shape[1], none.shape[1], seed=9)
    found = matrix.clone(), pull.clone()
    form(net, w, last, *found)
    for m, own in enumerate(last.unbind(1)):
        one = net.last_output(m).with_theta(own)
        strain = TensorStrain(one, own, none.double())
        close(found[1][:, m], pull[:, m] + strain.pull(w, strain.rows))
    eye = torch.eye(none.shape[1]).double()
    rows = torch.stack([penalty.strain(one, row.expand(3, -1)) for row in eye], dim=2)
    square = rows.mT @ (penalty.per_row(one, w)[..., None] * rows)
    close(found[0].tril(), (matrix + square).tril())


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("form", [0, 1])
def test_the_square_its_diagonal_and_its_trace_are_those_of_the_changes(form, base):
    net = random_kan((3, 2, 2, 1), base=base, replicas=3)
    strain = pair(net)[form]
    eye = torch.eye(net.n_params).double()
    rows = torch.stack([strain.change(row.expand(3, -1)) for row in eye], dim=2)  # (R, S, P), B
    w = normal(3, 3, 3, seed=2).square()
    square = rows.mT @ (penalty.per_row(net, w)[..., None] * rows)
    matrix = torch.zeros(2, net.n_params, net.n_params).double()
    strain.add_to(matrix, w[SOME], SOME)
    close(matrix.tril(), square[SOME].tril())
    close(strain.diagonal(w), square.diagonal(dim1=1, dim2=2))
    root = normal(2, net.n_params, net.n_params, seed=11).tril()
    inverse = root.mT @ root
    own = (rows[SOME] @ inverse * rows[SOME]).sum(2).split(penalty.ranks(net), dim=1)
    expected = torch.stack([part.sum(1) for part in own], dim=1).unflatten(1, (3, 3))
    close(strain.trace(root, SOME), expected)


def test_a_cpu_takes_the_loops():
    assert isinstance(strain_of(*_given()), CompiledStrain)


def _given() -> tuple[KAN, torch.Tensor, torch.Tensor]:
    net = random_kan((2, 1, 1))
    return net, net.theta(), normal(2, net.n_params, 1)
