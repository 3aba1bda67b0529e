"""Networks of torch modules: what the protocol asks, whatever the module does."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import normal, points
from user_nets import MODULES

from kansweep import kinds
from kansweep.kinds import Unusable
from kansweep.networks import factories
from kansweep.networks.factories import Factory
from kansweep.networks.global_draws import global_draws
from kansweep.networks.module import ModuleNetwork, Shape

LIKE = torch.empty((), dtype=torch.float64)
BATCHED = [name for name in MODULES if name not in ("Branching", "Cubes")]


def factory(name: str, n_inputs: int = 2, n_outputs: int = 1, **parameters) -> Factory:
    return Factory(f"user_nets:{name}", json.dumps(parameters), n_inputs, n_outputs)


def net_of(name: str, *widths: int, size: int = 4, replicas: int = 2, first: int = 0):
    shape = Shape(factory(name, *widths), size)
    return shape.random([np.random.default_rng(first + r) for r in range(replicas)], LIKE)


def each(net: ModuleNetwork, x: torch.Tensor) -> torch.Tensor:
    """What the modules themselves give, one after another."""
    with factories.default_dtype(torch.float64):
        return torch.stack([m(x[r].clone()).detach() for r, m in enumerate(net.modules())])


@pytest.mark.parametrize("name", MODULES)
def test_outputs_are_those_of_the_modules_in_whatever_way_they_are_computed(name):
    net, x = net_of(name, 3, 2), points(2, 20, 3)
    np.testing.assert_allclose(net(x), each(net, x), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(net.skeleton.in_turn(net.state, x.clone()), each(net, x), atol=1e-13)
    if name in BATCHED:
        together = net.skeleton.together(net.state, x.clone())
        np.testing.assert_allclose(together, each(net, x), atol=1e-13)
    assert net(x).dtype == torch.float64


@pytest.mark.parametrize("name", MODULES)
def test_a_call_changes_neither_the_network_nor_its_points(name):
    net, x = net_of(name), points(2, 20, 2)
    before, given = {n: t.clone() for n, t in net.state.items()}, x.clone()
    own = {n: t.clone() for n, t in net.skeleton.state.items()}
    assert torch.equal(net(x), net(x))
    net.linearised(x).squared_norms()
    assert torch.equal(x, given)
    assert all(torch.equal(net.state[n], tensor) for n, tensor in before.items())
    assert all(torch.equal(net.skeleton.state[n], tensor) for n, tensor in own.items())


@pytest.mark.parametrize("name", MODULES)
def test_derivatives_are_those_by_differences(name):
    net, x = net_of(name, 2, 2, size=3), points(2, 6, 2)
    at_net, v = net.linearised(x), normal(2, 6, 2, seed=3)
    theta, step = net.theta(), 1e-6
    columns = []
    for index in range(net.n_params):
        change = torch.zeros_like(theta)
        change[:, index] = step
        ends = (net.with_theta(theta + sign * change)(x) for sign in (1, -1))
        columns.append((next(ends) - next(ends)).flatten(1) / (2 * step))
    jacobian = torch.stack(columns, dim=2)  # (R, n M, P)
    torch.testing.assert_close(at_net.outputs, net(x))
    expected = (jacobian * v.flatten(1)[..., None]).sum(1)
    np.testing.assert_allclose(at_net.pull(v), expected, rtol=1e-6, atol=1e-7)
    norms = jacobian.square().sum(1)
    np.testing.assert_allclose(at_net.squared_norms(), norms, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", MODULES)
def test_what_is_taken_apart_and_put_together_is_what_it_was(name, tmp_path):
    net, other, x = net_of(name), net_of(name, replicas=1, first=5), points(3, 10, 2)
    theta = net.theta()
    assert theta.shape == (2, net.n_params)
    assert torch.equal(net.with_theta(theta)(x[:2]), net(x[:2]))
    assert not torch.equal(net.with_theta(theta + 1)(x[:2]), net(x[:2]))
    both = ModuleNetwork.concatenated([net, other])
    assert (both.n_replicas, both.width, both.shape.size) == (3, (2, 1), 4)
    np.testing.assert_allclose(both(x)[:2], net(x[:2]), atol=1e-13)
    for chosen in (slice(2, 3), torch.tensor([2]), torch.tensor([False, False, True])):
        assert torch.equal(both[chosen].theta(), other.theta())
        np.testing.assert_allclose(both[chosen](x[2:]), other(x[2:]), atol=1e-13)
    np.savez(tmp_path / "state.npz", allow_pickle=False, **both.to_arrays())
    with np.load(tmp_path / "state.npz", allow_pickle=False) as arrays:
        again = ModuleNetwork.from_arrays(arrays)
    assert torch.equal(again(x), both(x))
    assert again.seed.tolist() == both.seed.tolist()


def test_weights_are_stored_under_the_modules_own_names():
    module, arrays = MODULES["Odd"](2, 1, 4), net_of("Odd").to_arrays()
    own = {*dict(module.named_parameters()), *dict(module.named_buffers())}
    assert own - {"memory"} < set(arrays)  # which is the solver's, in a cell's file
    assert {name for name in arrays if name[0] != "."} == own - {"memory"}
    assert arrays["first.weight"].shape == (2, 4, 2)
    assert arrays[".memory"].shape == (2, 1)
    assert net_of("Odd").n_params == 4 * 2 + 4 + 4 + 4 + 1  # neither twice, nor what is frozen


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["tanh_net", "Hats", "Branching"]), st.booleans())
def test_maps_at_both_ends_are_folded_in_one_after_another(seed, name, alike):
    net, x = net_of(name, 2, 2), points(2, 8, 2)
    expected, raw = net(x), x
    for step in range(3):
        lower, size = normal(2, 2, seed=seed + step), normal(2, 2, seed=seed + 9 + step).exp()
        shift, scale = normal(2, 2, seed=seed + 20 + step), normal(2, 2, seed=seed + 30).exp()
        if alike:
            lower, size, shift, scale = 0.3, 2.5, shift[0], scale[0]
        net = net.of_inputs(lower, size).with_outputs(shift, scale)
        raw = (lower if alike else lower[:, None]) + (size if alike else size[:, None]) * raw
        ends = (shift, scale) if alike else (shift[:, None], scale[:, None])
        expected = ends[0] + ends[1] * expected
    np.testing.assert_allclose(net(raw), expected, rtol=1e-8, atol=1e-8)
    again = ModuleNetwork.from_arrays(net.to_arrays())
    assert torch.equal(again(raw), net(raw))


def test_whatever_a_module_calls_its_numbers_it_is_known_as_one():
    """Other kinds are known by names that it may have too."""
    arrays = net_of("tanh_net").to_arrays()
    marks = {kind.mark: np.zeros(1) for kind in kinds.KINDS.values() if kind.mark not in arrays}
    assert kinds.of_arrays(arrays | marks) is kinds.KINDS["module"]


def test_a_replica_is_drawn_from_its_generator_and_nothing_else():
    alone, among = net_of("tanh_net", replicas=1, first=1), net_of("tanh_net", replicas=3)
    assert torch.equal(alone.theta(), among.theta()[1:2])
    assert len({tuple(row.tolist()) for row in among.theta()}) == 3
    with global_draws(5):
        again = net_of("tanh_net", replicas=3)
    assert torch.equal(again.theta(), among.theta())


@pytest.mark.parametrize("name", ["reckless", "drawing"])
def test_global_generators_are_what_they_were(name):
    def states():
        return torch.get_rng_state().tolist(), repr(np.random.get_state()), random.getstate()  # noqa: NPY002

    before = states()
    net = net_of(name, replicas=2)
    assert states() == before
    assert torch.equal(net_of(name).theta(), net.theta())
    assert torch.get_default_dtype() == torch.float32


def test_what_a_module_makes_itself_has_the_digits_of_its_dtype():
    grid = net_of("Hats", size=10).state["grid"][0]
    np.testing.assert_allclose(grid, np.linspace(-1, 1, 11), rtol=0, atol=1e-15)
    single = Shape(factory("Hats"), 10).random([np.random.default_rng(0)], LIKE.float())
    assert single(points(1, 5, 2).float()).dtype == torch.float32


def test_what_cannot_be_batched_is_said_once(caplog):
    factories._is_batched.cache_clear()
    factories._tell.cache_clear()
    for size in (3, 4):
        net_of("Branching", size=size)(points(2, 5, 2))
        net_of("tanh_net", size=size)(points(2, 5, 2))
        net_of("Branching", size=size, replicas=1)(points(1, 5, 2))
    (said,) = (record.getMessage() for record in caplog.records)
    assert said.startswith("kansweep: user_nets:Branching cannot be batched by torch.func.vmap;")
    assert len(said.splitlines()) == 1


def test_a_refinement_is_the_modules_own_and_keeps_the_maps_at_the_ends():
    coarse, x = net_of("Hats", size=3).of_inputs(1.0, 2.0), points(2, 30, 2)
    coarse = coarse.with_outputs(normal(2, 1, seed=1), normal(2, 1, seed=2))
    fine = coarse.refined(6)
    assert (fine.shape.size, fine.state["key"].shape) == (6, (2, 1, 2, 7))
    np.testing.assert_allclose(fine(x), coarse(x), atol=1e-13)
    assert torch.equal(ModuleNetwork.from_arrays(fine.to_arrays())(x), fine(x))


def test_an_array_that_is_missing_or_of_another_shape_is_named():
    arrays = net_of("tanh_net").to_arrays()
    for name in ("0.weight", ".shift", ".target", ".size"):
        with pytest.raises(KeyError, match=name.replace(".", r"\.")):
            ModuleNetwork.from_arrays({n: a for n, a in arrays.items() if n != name})
    other = {**arrays, "2.bias": arrays["2.bias"][:, [0, 0]]}
    with pytest.raises(Unusable, match=r"whose `2.bias` is of \(2,\), as stored; .* of \(1,\)"):
        ModuleNetwork.from_arrays(other)
