"""pykan's models from files: the functions that were trained, without torch or pykan."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nets import example, points, random_kan, uneven_kan
from processes import python

from kansweep.config.solvers import LBFGSConfig
from kansweep.networks.pykan import PykanKAN, Shape
from kansweep.solvers.pykan import Pykan
from kansweep.trained import weights
from kansweep.trained.kan import TrainedKAN
from kansweep.trained.pykan import TrainedPykan

Arrays = dict[str, np.ndarray]

READING = """
import sys

import kansweep

path, expected = sys.argv[1:]
model = kansweep.load_model(path)
assert abs(model([0.5, -0.25])[0] - float(expected)) < 1e-13
assert not {"torch", "kan"} & set(sys.modules)
"""


@pytest.fixture(scope="module")
def net() -> PykanKAN:
    """Of two hidden nodes, trained a little, its outputs in other units."""
    problem, solver = example(40, (0,)), Pykan(LBFGSConfig(steps=1))
    start = solver.start(Shape((2, 2, 1), 4, 3, "quantile"), problem)
    trained = solver.solve(start, problem).net
    return trained.with_outputs(torch.tensor([0.3]), torch.tensor([2.5]))


def read(arrays: Arrays) -> TrainedPykan:
    found = weights.from_arrays(arrays, "exp_sin")
    assert isinstance(found, TrainedPykan)
    return found


def test_values_are_those_of_the_network_also_beyond_its_grids(net: PykanKAN) -> None:
    x = 2.0 * points(1, 300, 2)
    model = read(net.to_arrays())
    np.testing.assert_allclose(model(x[0].numpy()), net(x)[0], rtol=0, atol=1e-13)
    assert (model.width, model.k, model.grid_size) == ((2, 2, 1), 3, 4)
    assert model.n_params == net.n_params == 6 * 9


def test_the_gradient_is_that_of_torch(net: PykanKAN) -> None:
    x = (1.2 * points(1, 50, 2)).requires_grad_()
    (expected,) = torch.autograd.grad(net(x).sum(), x)
    gradient = read(net.to_arrays()).gradient(x[0].detach().numpy())
    np.testing.assert_allclose(gradient[:, 0], expected[0], rtol=0, atol=1e-11)


def test_edges_add_up_to_the_nodes(net: PykanKAN) -> None:
    model, x = read(net.to_arrays()), points(1, 50, 2)[0].numpy()
    nodes = model.nodes(x)
    for layer, (before, after) in enumerate(itertools.pairwise(nodes)):
        for sink, values in enumerate(after.T):
            edges = [model.edge(layer, i, sink) for i in range(before.shape[1])]
            total = sum(edge.values(before[:, i]) for i, edge in enumerate(edges))
            shift = model.bias[sink] if layer == 1 else 0.0
            np.testing.assert_allclose(total + shift, values, atol=1e-13)
    edge = model.edge(0, 1, 0)
    assert (edge.knots[0], edge.knots[-1], len(edge.knots)) == (edge.lower, edge.upper, 5)


def test_it_is_read_without_torch_or_pykan(net: PykanKAN, tmp_path: Path) -> None:
    np.savez(tmp_path / "weights.npz", allow_pickle=False, **net.to_arrays())
    x = torch.tensor([[[0.5, -0.25]]], dtype=torch.float64)
    complaint = python(READING, str(tmp_path / "weights.npz"), repr(float(net(x))))
    assert complaint == ""


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("act_fun.0.grid", lambda a: a[:, :, :8], "`0.grid` has 8 knots beside 7 splines"),
        ("act_fun.1.scale_sp", lambda a: a[:, :1], "`1.scale_sp` does not fit the other arrays"),
        ("node_bias_1", lambda a: a.astype(int), "no `node_bias_1` of floating-point numbers"),
        ("act_fun.1.coef", lambda a: a[:, :1], "`1.scale_base` does not fit"),
    ],
)
def test_what_is_wrong_with_weights_is_named(net: PykanKAN, name, change, why) -> None:
    arrays = net.to_arrays()
    with pytest.raises(ValueError, match=re.escape(why)):
        weights.from_arrays({**arrays, name: change(arrays[name])})


@pytest.mark.parametrize("made", [random_kan, uneven_kan])
@pytest.mark.parametrize("width", [(2, 1, 1), (3, 2, 2)])
def test_a_kan_as_a_model_of_pykan_is_the_same_within_its_grids_and_not_beyond(
    made: Any, width: tuple[int, ...]
) -> None:
    model = weights.from_arrays(made(width, replicas=1).to_arrays())
    assert isinstance(model, TrainedKAN)
    x = points(1, 300, width[0])[0].numpy()
    for index, layer in enumerate(model.layers):
        values = model.nodes(x)[index]
        x = x[((values >= layer.lower) & (values <= layer.upper)).all(axis=1)]
    assert len(x) > 30
    theirs = model.to_pykan()
    with torch.no_grad():
        assert abs(theirs(torch.from_numpy(x)).numpy() - model(x)).max() < 1e-12
        far = np.full((2, width[0]), 2.5)
        assert abs(theirs(torch.from_numpy(far)).numpy() - model(far)).max() > 1e-3


def test_what_pykan_made_goes_back_to_it(net: PykanKAN) -> None:
    x, model = 2.0 * points(1, 300, 2)[0], read(net.to_arrays())
    with torch.no_grad():
        outputs = model.to_pykan()(x).numpy()
    np.testing.assert_allclose(outputs, model(x.numpy()), rtol=0, atol=1e-12)


def test_a_base_function_that_pykan_does_not_have_is_refused() -> None:
    arrays = random_kan((2, 1), base=True, replicas=1).to_arrays()
    weights.from_arrays(arrays).to_pykan()
    arrays["0.shift"] += 0.5
    with pytest.raises(ValueError, match="pykan has silu"):
        weights.from_arrays(arrays).to_pykan()
