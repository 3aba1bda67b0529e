"""Models from files: the networks that were trained, without torch, and which one is meant."""

from __future__ import annotations

import itertools
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nets import random_kan, uneven_kan
from processes import python
from scipy.interpolate import BSpline

import kansweep
from kansweep.networks import bspline
from kansweep.networks import kan as kans
from kansweep.networks.kan import KAN
from kansweep.sweep.store import Store
from kansweep.trained import weights
from kansweep.trained.activations import ACTIVATIONS
from kansweep.trained.kan import TrainedKAN
from kansweep.trained.mlp import TrainedMLP

WIDTHS = [(1, 1), (2, 1, 1), (4, 4, 2, 1), (3, 2, 3)]
TORCH = {
    "tanh": torch.nn.Tanh,
    "silu": torch.nn.SiLU,
    "relu": torch.nn.ReLU,
    "gelu": torch.nn.GELU,
}


def network(width: tuple[int, ...] = (2, 1, 1), made: Any = random_kan, **options: Any) -> KAN:
    """One replica, with an input of every kind of grid, silu's argument included."""
    net = made(width, replicas=1, **options)
    arrays = net.to_arrays()
    rng = np.random.default_rng(len(width))
    for index in range(len(width) - 1):
        shape = arrays[f"{index}.lower"].shape
        arrays[f"{index}.lower"] = rng.uniform(-1.5, -0.5, shape)
        arrays[f"{index}.upper"] = rng.uniform(0.5, 1.5, shape)
        arrays[f"{index}.shift"] = rng.normal(size=shape)
        arrays[f"{index}.scale"] = rng.uniform(0.5, 2.0, shape)
    return KAN.from_arrays(arrays)


def written(path: Path, arrays: Mapping[str, Any]) -> Path:
    np.savez(path, allow_pickle=False, **arrays, key=np.array("cell"), memory=np.zeros((1, 0)))
    return path


def loaded(path: Path, net: KAN) -> TrainedKAN:
    found = kansweep.load_model(written(path, net.to_arrays()))
    assert isinstance(found, TrainedKAN)
    return found


def points(n: int, n_inputs: int, reach: float) -> np.ndarray:
    return np.random.default_rng(n).uniform(-reach, reach, (n, n_inputs))


def forward(net: KAN, x: np.ndarray) -> np.ndarray:
    return net(torch.from_numpy(x)[None])[0].numpy()


def differences(function: Any, x: np.ndarray, h: float) -> np.ndarray:
    """Central differences, (n, n_outputs, n_inputs)."""
    steps = h * np.eye(x.shape[1])
    return np.stack([(function(x + e) - function(x - e)) / (2 * h) for e in steps], axis=-1)


# ------------------------------------------------------------------------------------------- KANs


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_model_is_the_network_that_was_written(tmp_path, width, k, base):
    """Inside the grids and out of them, where hidden values have left theirs too."""
    net = network(width, k=k, base=base)
    assert_equal_near_and_far(loaded(tmp_path / "a.npz", net), net)


def assert_equal_near_and_far(found, net):
    for reach in (0.5, 1.0, 2.0, 20.0):
        x = points(200, net.width[0], reach)
        expected = forward(net, x)
        size = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(found(x), expected, rtol=0, atol=1e-13 * size)


@pytest.mark.parametrize("grid_size", [1, 2, 100])
def test_a_grid_may_be_of_any_size(tmp_path, grid_size):
    net = network((2, 2, 1), grid_size=grid_size)
    x = points(200, 2, 1.6)
    expected = forward(net, x)
    found = loaded(tmp_path / "a.npz", net)(x)
    size = max(1.0, np.abs(expected).max())  # the slopes at the ends of a fine grid are steep
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * size)


def test_beyond_a_grid_an_edge_is_its_tangent_at_the_end(tmp_path):
    net = network((1, 1))
    lower, upper = net.layers[0].lower.item(), net.layers[0].upper.item()
    x = np.array([[lower], [upper], [lower - 0.4], [upper + 0.4], [np.nan]])
    found = loaded(tmp_path / "a.npz", net)
    np.testing.assert_allclose(found(x), forward(net, x), atol=1e-13)
    (low, high, below, above, _), slope = found(x)[:, 0], found.gradient(x)[:, 0, 0]
    assert (slope[2], slope[3]) == (slope[0], slope[1])
    np.testing.assert_allclose(below, low - 0.4 * slope[0], atol=1e-14)
    np.testing.assert_allclose(above, high + 0.4 * slope[1], atol=1e-14)


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_model_with_unequal_intervals_is_the_network_that_was_written(tmp_path, width, k, base):
    net = network(width, k=k, base=base, made=uneven_kan)
    found = loaded(tmp_path / "a.npz", net)
    assert_equal_near_and_far(found, net)
    for edge in found.edges:
        inner = net.layers[edge.layer].knots(k)[0, edge.source, k:-k]
        np.testing.assert_allclose(edge.knots, inner, atol=1e-14)
        assert (edge.knots[0], edge.knots[-1]) == pytest.approx((edge.lower, edge.upper))


def test_the_knots_of_an_edge_are_in_the_units_of_its_source(tmp_path):
    net = network((3, 1))
    edge = loaded(tmp_path / "a.npz", net).edge(0, 2, 0)
    np.testing.assert_allclose(edge.knots, np.linspace(edge.lower, edge.upper, 5), atol=1e-14)


@pytest.mark.parametrize("width", WIDTHS)
def test_weights_of_before_go_on_by_their_end_pieces(tmp_path, width):
    net = network(width, base=True)
    arrays = net.to_arrays()
    del arrays["continuation"]
    found = kansweep.load_model(written(tmp_path / "a.npz", arrays))
    x = points(100, width[0], 2.0)
    values, k = x, 3
    for layer in net.layers:
        knots = bspline.knots(layer.lower, layer.upper, 4, k)[0].numpy()
        out = (
            kans.silu_of(layer, torch.from_numpy(values)[None])[0].numpy()
            @ layer.base[0].mT.numpy()
        )
        for i, t in enumerate(knots):
            out = out + BSpline(t, layer.coef[0, :, i].mT.numpy(), k, extrapolate=True)(
                values[:, i]
            )
        values = out
    np.testing.assert_allclose(found(x), values, rtol=1e-12, atol=1e-12)
    assert np.abs(found(x) - forward(net, x)).max() > 0.1


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_gradient_is_that_of_finite_differences(tmp_path, width, k, base):
    found, h = loaded(tmp_path / "a.npz", network(width, k=k, base=base)), 1e-6
    x = points(60, width[0], 1.6)
    gradient = found.gradient(x)
    assert gradient.shape == (60, width[-1], width[0])
    finite = differences(found, x, h)
    if k == 1:  # but where a difference spans a knot, at which the slope jumps
        close = np.isclose(gradient, finite, rtol=1e-6, atol=1e-6)
        assert close.mean() > 0.99
    else:
        size = max(1.0, np.abs(gradient).max())
        np.testing.assert_allclose(gradient, finite, rtol=1e-6, atol=1e-6 * size)


def test_the_gradient_is_that_of_torch(tmp_path):
    net = network((3, 2, 2), base=True)
    x = torch.from_numpy(points(40, 3, 1.6))
    rows = torch.func.vmap(torch.func.jacrev(lambda p: net(p[None, None])[0, 0]))(x)
    found = loaded(tmp_path / "a.npz", net).gradient(x.numpy())
    np.testing.assert_allclose(found, rows, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("base", [False, True])
def test_edges_add_up_to_the_nodes_and_know_their_range(tmp_path, base):
    net = network((3, 2, 1), base=base)
    found, x = loaded(tmp_path / "a.npz", net), points(30, 3, 1.2)
    for sink in range(2):
        parts = [found.edge(0, source, sink).values(x[:, source]) for source in range(3)]
        np.testing.assert_allclose(sum(parts), found.nodes(x)[1][:, sink], atol=1e-14)
    edge = found.edge(0, 2, 1)
    assert (edge.lower, edge.upper) == (net.layers[0].lower[0, 2], net.layers[0].upper[0, 2])
    h, at = 1e-6, np.linspace(-1.9, 1.9, 24).reshape(2, 3, 4)
    finite = (edge.values(at + h) - edge.values(at - h)) / (2 * h)
    np.testing.assert_allclose(edge.derivative(at), finite, rtol=1e-6, atol=1e-6)
    assert edge.values(0.3).shape == ()
    places = [(edge.layer, edge.source, edge.sink) for edge in found.edges]
    first = [(0, source, sink) for sink in range(2) for source in range(3)]
    assert places == [*first, (1, 0, 0), (1, 1, 0)]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ((2, 0, 0), "`layer` must be from 0 to 1; got 2."),
        ((0, 3, 0), "`source` must be from 0 to 2; got 3."),
        ((0, -1, 0), "`source` must be from 0 to 2; got -1."),
        ((1, 0, 1), "`sink` must be from 0 to 0; got 1."),
    ],
)
def test_an_edge_that_is_not_there_is_refused(tmp_path, place, message):
    with pytest.raises(ValueError, match=message):
        loaded(tmp_path / "a.npz", network((3, 2, 1))).edge(*place)


def test_a_model_tells_its_shape(tmp_path):
    for base in (False, True):
        net = network((4, 4, 2, 1), grid_size=7, k=2, base=base)
        found = loaded(tmp_path / "a.npz", net)
        assert (found.width, found.k, found.grid_size) == ((4, 4, 2, 1), 2, 7)
        assert found.n_params == net.n_params
        assert repr(found) == "TrainedKAN(width=(4, 4, 2, 1), k=2, grid_size=7)"


def test_one_point_is_one_answer(tmp_path):
    found = loaded(tmp_path / "a.npz", network((2, 2, 3)))
    both = found([[0.1, 0.2], [0.3, 0.4]])
    assert both.shape == (2, 3)
    np.testing.assert_array_equal(found([0.3, 0.4]), both[1])
    assert found.gradient([0.3, 0.4]).shape == (3, 2)
    for x in (0.3, [0.3], [[0.1, 0.2, 0.3]], [[[0.1, 0.2]]]):
        with pytest.raises(ValueError, match=r"`x` must be \(n, 2\), or \(2,\) for one point; got"):
            found(x)


def test_weights_of_single_precision_are_evaluated_in_double(tmp_path):
    arrays = {
        name: value.astype(np.float32) if value.ndim else value
        for name, value in network((2, 2, 1), base=True).to_arrays().items()
    }
    found = kansweep.load_model(written(tmp_path / "a.npz", arrays))
    x = points(50, 2, 1.0)
    assert found(x).dtype == np.float64
    single = KAN.from_arrays(arrays)(torch.from_numpy(x).float()[None])[0]
    np.testing.assert_allclose(found(x), single, atol=1e-5)


# ------------------------------------------------------------------------------------------- MLPs


def perceptron(activation: str, width: tuple[int, ...] = (3, 5, 4, 2)) -> torch.nn.Sequential:
    layers: list[torch.nn.Module] = []
    for n_in, n_out in itertools.pairwise(width):
        layers += [torch.nn.Linear(n_in, n_out, dtype=torch.float64), TORCH[activation]()]
    net = torch.nn.Sequential(*layers[:-1])
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(generator=generator)
    return net


def its_arrays(net: torch.nn.Sequential, activation: str) -> dict[str, np.ndarray]:
    arrays = {"activation": np.array(activation)}
    for index, layer in enumerate(net[::2]):
        arrays[f"{index}.weight"] = layer.weight.detach().numpy()[None]
        arrays[f"{index}.bias"] = layer.bias.detach().numpy()[None]
    return arrays


@pytest.mark.parametrize("activation", TORCH)
def test_an_mlp_is_that_of_torch(tmp_path, activation):
    net = perceptron(activation)
    found = kansweep.load_model(written(tmp_path / "a.npz", its_arrays(net, activation)))
    assert isinstance(found, TrainedMLP)
    assert (found.width, found.n_params) == ((3, 5, 4, 2), 15 + 5 + 20 + 4 + 8 + 2)
    x = torch.from_numpy(points(60, 3, 3.0))
    np.testing.assert_allclose(found(x.numpy()), net(x).detach(), rtol=0, atol=1e-13)
    rows = torch.func.vmap(torch.func.jacrev(net))(x).detach()
    np.testing.assert_allclose(found.gradient(x.numpy()), rows, rtol=0, atol=1e-12)
    assert found.gradient(x[0].numpy()).shape == (2, 3)


@pytest.mark.parametrize("name", ["edges", "edge", "k", "grid_size"])
def test_an_mlp_has_no_edges(tmp_path, name):
    net = perceptron("tanh")
    found = kansweep.load_model(written(tmp_path / "a.npz", its_arrays(net, "tanh")))
    with pytest.raises(AttributeError, match=f"an MLP has no `{name}`: only KANs have"):
        getattr(found, name)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = found.nonsense


# ------------------------------------------------------------------------------ what is no weights

WHOLE = network((2, 1, 1)).to_arrays()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": None}, "there is no `k` of one value"),
        ({"k": np.array(0)}, "`k` is 0"),
        ({"k": np.array(3.5)}, "`k` is 3.5"),
        ({"continuation": np.array("cubic")}, "`continuation` is 'cubic', not linear"),
        ({"0.coef": None}, "there is no `0.coef`"),
        ({"1.scale": None}, "there is no `1.scale` of floating-point numbers"),
        ({"1.lower": np.array([["a"]])}, "there is no `1.lower` of floating-point numbers"),
        ({"0.coef": WHOLE["0.coef"][0]}, r"`0.coef` has the shape \(1, 2, 7\)"),
        ({"0.coef": np.zeros((2, 1, 2, 7))}, r"`0.coef` has the shape \(2, 1, 2, 7\)"),
        ({"0.coef": np.zeros((1, 1, 2, 3))}, "`0.coef` has 3 coefficients an edge at k = 3"),
        ({"0.coef": np.zeros((1, 1, 3, 7))}, "`0.lower` does not fit the other arrays"),
        ({"1.coef": np.zeros((1, 1, 1, 8))}, "`1.coef` does not fit the other arrays"),
        ({"0.lower": WHOLE["0.upper"]}, "`0.lower` is not below `0.upper`"),
        ({"0.lower": WHOLE["0.lower"] * np.nan}, "`0.lower` is not below `0.upper`"),
        ({"0.breaks": np.ones((1, 2, 4))}, "`0.breaks` does not fit the other arrays"),
        ({"1.breaks": np.ones((1, 1, 5))}, "`1.breaks` do not ascend from 0 to 1"),
        ({"1.breaks": np.array([[[0, 0.5, 0.4, 0.6, 1]]])}, "`1.breaks` do not ascend from 0 to 1"),
        ({"activation": np.array("step")}, "`activation` is 'step', not one of tanh, silu, relu"),
        ({"activation": np.array("tanh")}, "there is no `0.weight`"),
    ],
)
def test_what_is_wrong_with_the_arrays_is_named(tmp_path, change, message):
    arrays = {name: value for name, value in {**WHOLE, **change}.items() if value is not None}
    path = written(tmp_path / "a.npz", arrays)
    with pytest.raises(ValueError, match=rf"a\.npz is no file of weights: {message}.*\.$"):
        kansweep.load_model(path)


def test_layers_of_an_mlp_that_do_not_fit_are_named(tmp_path):
    arrays = its_arrays(perceptron("tanh"), "tanh")
    for change in ({"1.weight": np.zeros((1, 4, 9))}, {"1.bias": np.zeros((1, 3))}):
        path = written(tmp_path / "a.npz", {**arrays, **change})
        with pytest.raises(ValueError, match=r"`1\.(weight|bias)` does not fit the other arrays"):
            kansweep.load_model(path)


def test_a_file_that_is_none_of_weights_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    whole = written(tmp_path / "whole.npz", WHOLE).read_bytes()
    for content in (b"", b"plain text", whole[: len(whole) // 2], b"PK" + bytes(100)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is no file of weights: it is no NPZ file, or"):
            kansweep.load_model(path)
    np.save(tmp_path / "b.npy", np.zeros(3))
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("0.coef", "no array")
    for name in ("b.npy", "c.zip"):
        with pytest.raises(ValueError, match="is no file of weights: there is no `k`"):
            kansweep.load_model(tmp_path / name)


def test_a_file_that_holds_objects_runs_no_code(tmp_path):
    class Owned:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "owned"),)

    arrays = {**WHOLE, "1.shift": np.array([[Owned()]], dtype=object)}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match="is no file of weights"):
        kansweep.load_model(tmp_path / "a.npz")
    assert not (tmp_path / "owned").exists()


def test_a_file_damaged_anywhere_is_refused_or_read(tmp_path):
    """Whatever bit is wrong, it is one of our sentences; a CRC finds what no check of ours can."""
    path, rng = tmp_path / "a.npz", np.random.default_rng(0)
    whole = written(path, WHOLE).read_bytes()
    said = []
    for place in rng.integers(len(whole), size=400):
        content = bytearray(whole)
        content[place] ^= 1 << rng.integers(8)
        path.write_bytes(content)
        try:
            kansweep.load_model(path)
        except ValueError as error:
            said.append(str(error))
    assert len(said) > 200
    assert all("is no file of weights" in text for text in said)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*nothing\.npz\."):
        kansweep.load_model(tmp_path / "nothing.npz")


def test_evaluating_needs_no_torch_and_no_pandas(tmp_path):
    path = written(tmp_path / "a.npz", WHOLE)
    script = """
import sys
import kansweep

model = kansweep.load_model(sys.argv[1])
model([0.1, 0.2]), model.gradient([0.1, 0.2]), model.edge(0, 1, 0).values(0.3)
assert not {"torch", "pandas", "pyarrow", "matplotlib"} & set(sys.modules)
"""
    assert python(script, str(path)) == ""


# ----------------------------------------------------------------------------- of a sweep's folder


def cell(n_train: int, seed: int, grid_size: int, rmse: float | None, **more: Any) -> dict:
    key = f"n{n_train}-s{seed}-G{grid_size}-0"
    known = {"key": key, "data": "exp_sin", "n_train": n_train, "seed": seed}
    return {**known, "grid_size": grid_size, "test_rmse": rmse, "status": "ok", **more}


CELLS = [
    cell(300, 4, 5, 1e-3),
    cell(300, 4, 10, 1e-4),
    cell(300, 2, 5, 1e-9),
    cell(1000, 4, 5, 1e-3),
    cell(1000, 4, 10, 1e-5),
    cell(1000, 4, 20, 2e-5),
    cell(1000, 2, 10, 1e-9),
    cell(3000, 4, 5, None, status="diverged"),
    cell(3000, 4, 20, 1e-12, status="failed"),
]


@pytest.fixture
def sweep(tmp_path) -> Path:
    """A sweep's folder in which the grid size and the first coefficient tell the network."""
    store = Store(tmp_path / "outputs" / "trial")
    for part in ("cells", "states"):
        (store.folder / part).mkdir(parents=True)
    for index, row in enumerate(CELLS):
        arrays = random_kan((2, 1, 1), row["grid_size"], replicas=1).to_arrays()
        arrays["0.coef"][0, 0, 0, 0] = index
        arrays["memory"] = np.zeros((1, 0))
        store.write_cell(row, arrays if row["status"] == "ok" else None)
    store.write_results([row["key"] for row in CELLS])
    return store.folder


def number(found: TrainedKAN | TrainedMLP) -> int:
    assert isinstance(found, TrainedKAN)
    return int(found.layers[0].coef[0, 0, 0])


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ({}, 4),  # the largest data that trained well, their first seed, its best grid
        ({"n_train": 300}, 1),
        ({"seed": 2}, 6),
        ({"size": 20}, 5),
        ({"n_train": 300, "seed": 2}, 2),
        ({"n_train": 1000, "seed": 4, "size": 5}, 3),
        ({"size": 5}, 3),
    ],
)
def test_what_is_unset_is_chosen(sweep, asked, index):
    found = kansweep.load_model(str(sweep), **asked)
    assert number(found) == index
    assert found.data == "exp_sin"


def test_a_column_of_sizes_comes_before_the_grid_size(sweep):
    results = weights._results(sweep)
    sized = results.assign(size=range(100, 100 + len(results)))
    assert weights.chosen(sized, sweep, size=101)["key"] == CELLS[1]["key"]
    assert weights.chosen(sized, sweep)["size"] == 104
    partly = sized.assign(size=sized["size"].where(sized["n_train"] == 300))
    assert weights.chosen(partly, sweep, size=20)["key"] == CELLS[5]["key"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"n_train": 3000}, "of n_train=3000 with status ok; `n_train` may be 300, 1000"),
        ({"n_train": 300, "seed": 7}, "n_train=300, seed=7 with .*; `seed` may be 2, 4"),
        ({"seed": 2, "size": 50}, "seed=2, size=50 with .*; `size` may be 5, 10"),
    ],
)
def test_a_cell_that_is_not_there_is_refused_with_those_that_are(sweep, asked, message):
    with pytest.raises(ValueError, match=rf"trial has no cell .*{message}\.$"):
        kansweep.load_model(sweep, **asked)


@pytest.mark.parametrize("asked", [{"seed": "2"}, {"seed": True}, {"size": [5]}, {"n_train": 0.5}])
def test_what_is_no_number_chooses_nothing(sweep, asked):
    ((name, value),) = asked.items()
    with pytest.raises(ValueError, match=rf"^`{name}` must be an integer, 0 or more; got ") as told:
        kansweep.load_model(sweep, **asked)
    assert str(told.value).endswith(f"got {value!r}.")
    assert kansweep.load_model(sweep, seed=np.int64(2)).width


def test_of_many_options_the_first_are_named(sweep):
    many = weights._results(sweep).iloc[[0] * 30].assign(seed=range(30))
    with pytest.raises(ValueError, match=r"may be 0, 1, .* 11 and 18 more\.$"):
        weights.chosen(many, sweep, seed=99)


def test_a_cell_without_weights_is_named(sweep):
    (sweep / "states" / f"{CELLS[4]['key']}.npz").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"The weights of n1000-s4-G10-0 are not in .*trial"
    ):
        kansweep.load_model(sweep)


def test_a_folder_without_results_or_without_good_ones_is_refused(sweep, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There are no results of a sweep in .*outputs;"):
        kansweep.load_model(sweep.parent)
    Store(sweep).write_results([CELLS[-1]["key"]])
    with pytest.raises(ValueError, match="trial has no cell with status ok"):
        kansweep.load_model(sweep)


def test_a_choice_is_for_folders(sweep):
    path = sweep / "states" / f"{CELLS[0]['key']}.npz"
    assert number(kansweep.load_model(path)) == 0
    with pytest.raises(ValueError, match="`n_train`, `seed` and `size` choose from a folder, and"):
        kansweep.load_model(path, seed=4)


def test_a_target_to_plot_against_must_be_known(sweep):
    with pytest.raises(
        ValueError, match=r"`target` must be one of exp_sin, bessel, .*; got 'sine'"
    ):
        kansweep.plot_edges(kansweep.load_model(sweep), "sine")


def test_the_edges_of_an_mlp_cannot_be_plotted(tmp_path):
    net = perceptron("tanh")
    loaded = kansweep.load_model(written(tmp_path / "a.npz", its_arrays(net, "tanh")))
    with pytest.raises(ValueError, match="must have a function on every edge; TrainedMLP"):
        kansweep.plot_edges(loaded)
    with pytest.raises(AttributeError, match="an MLP has no `edges`: only KANs have"):
        loaded.edges  # noqa: B018


def test_every_activation_is_tried() -> None:
    assert set(TORCH) == set(ACTIVATIONS)
