"""What the solver asks of a KAN at its points: compiled loops against tensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from machines import DEVICES
from nets import normal, points, random_kan, uneven_kan
from torch import Tensor

from kansweep.networks import kan
from kansweep.networks import points as kansweep_points
from kansweep.networks.compiled import edges, forward, layout
from kansweep.networks.compiled import normal as loops_of
from kansweep.networks.derivatives import by_tensors
from kansweep.networks.kan import KAN
from kansweep.networks.points.compiled import CompiledPoints
from kansweep.networks.points.contract import Data
from kansweep.networks.points.tensor import TensorData, TensorPoints

WIDTHS = [(1, 1), (2, 1, 1), (3, 2), (2, 3, 1), (2, 2, 2, 2), (1, 2, 1, 1, 1), (9, 2, 3)]


@st.composite
def problems(draw: st.DrawFn) -> tuple[KAN, Tensor, Tensor]:
    """A random KAN, some points, of which a few lie beyond its grids, and outputs."""
    width = draw(st.sampled_from(WIDTHS))
    make = draw(st.sampled_from([random_kan, uneven_kan]))
    grid_size, k = draw(st.integers(1, 12)), draw(st.integers(1, 5))
    net = make(width, grid_size=grid_size, k=k, base=draw(st.booleans()))
    n = draw(st.sampled_from([5, 40, 300]))
    x = 1.1 * points(net.n_replicas, n, width[0])
    return net, x, normal(net.n_replicas, n, width[-1], seed=draw(st.integers(0, 99)))


def close(a: Tensor, b: Tensor, case: str, summed: Tensor | None = None) -> None:
    """To 1e-12 of the largest of them, or of the sums of absolute values behind them."""
    of = b if summed is None else summed
    scale = float(of.abs().max()) if of.numel() else 1.0
    np.testing.assert_allclose(
        a.cpu(), b.cpu(), rtol=0, atol=1e-12 * max(scale, 1e-300), err_msg=case
    )


def in_absolute_values(data: TensorData) -> TensorData:
    parts = {name: getattr(data, name).abs() for name in ("residual", "outer", "inner")}
    return replace(data, rows=replace(data.rows, values=data.rows.values.abs()), **parts)


def same_data(one: Data, other: TensorData) -> None:
    assert one.n_points == other.n_points
    close(one.half, other.half, "half")
    # Rounding is of |J|^T |J| and |J|^T |r|, and range terms may cancel in what is left of them.
    summed = in_absolute_values(other)
    close(one.gram().tril(), other.gram().tril(), "gram", summed.gram().tril())
    close(one.pull(), other.pull(), "pull", summed.pull())
    close(one.diagonal(), other.diagonal(), "diagonal", summed.diagonal())
    close(one.bands(), other.bands(), "bands")
    close(one.diagonal(), other.diagonal(), "the diagonal beside bands", summed.diagonal())
    d = normal(*one.pull().shape, seed=3)
    close(one.product(d), other.product(d.to(other.half)), "product")


@pytest.mark.parametrize("device", DEVICES)
@settings(deadline=None, max_examples=60)
@given(problem=problems())
def test_loops_and_tensors_agree(device, problem):
    net, x, y = problem
    loops_at, tensors_at = CompiledPoints.of(x, y), TensorPoints(x.to(device), y.to(device))
    there_net = KAN.from_arrays(net.to_arrays(), device=device)
    (margin, mse), (there_margin, there_mse) = loops_at.margins(net), tensors_at.margins(there_net)
    close(mse, there_mse, "mse")
    for one, other in zip(margin, there_margin, strict=True):
        # Shares of a range: one that is nearly nothing is what remains of numbers of its size.
        np.testing.assert_allclose(one, other.cpu(), rtol=0, atol=1e-12, err_msg="margin")
    for one, other in zip(loops_at.extremes(net), tensors_at.extremes(there_net), strict=True):
        close(one, other, "extremes")
    # At the largest margin extremes may fall on a knot, where slopes of k = 1 hang on a rounding.
    margin = [0.97 * one for one in margin]
    there_margin = [one.to(device) for one in margin]
    loops, tensors = loops_at.hidden(net, margin), tensors_at.hidden(there_net, there_margin)
    close(loops.last, tensors.last, "last")
    gram, pull = loops.normal(loops.last)
    for m, own in enumerate(loops.last.unbind(1)):
        data = tensors.data(m, own.to(device))
        same_data(loops.data(m, own), data)
        close(gram.tril(), data.gram().tril(), "the last layer's gram")
        close(pull[:, m], data.pull(), "its pull", in_absolute_values(data).pull())
    here, there = loops.settled(loops.last), tensors.settled(tensors.last)
    close(here.kan.theta(), there.kan.theta(), "theta")
    close(here.residual, there.residual, "residual")
    close(here.mse, there.mse, "mse")
    same_kan = KAN.from_arrays(here.kan.to_arrays(), device=device)
    same_data(here.data(), tensors_at.settled(same_kan).data())
    step = 0.1 * normal(*here.theta.shape, seed=5)
    moved = loops_at.moved(here, step, margin)
    there_moved = tensors_at.moved(there, step.to(device), there_margin)
    close(moved.settled(moved.last).theta, there_moved.settled(there_moved.last).theta, "moved")


@settings(deadline=None, max_examples=40)
@given(problems())
def test_outputs_are_those_of_tensors(problem):
    net, x, _ = problem
    out = x
    for layer in net.layers:
        out = kan.edges(layer, out, net.k).sum(2)
    close(forward.values(net.layers, net.k, x), out, "outputs")


@settings(deadline=None, max_examples=40)
@given(problems())
def test_sizes_of_edges_are_those_of_tensors(problem):
    net, x, _ = problem
    for layer, found in zip(net.layers, edges.mean_sizes(net.layers, net.k, x), strict=True):
        out = kan.edges(layer, x, net.k)  # (R, n, I, O)
        close(found, out.abs().mean(1).mT, "sizes")
        x = out.sum(2)


@settings(deadline=None, max_examples=40)
@given(problems())
def test_derivatives_by_the_inputs_are_those_of_tensors(problem):
    net, x, _ = problem
    found = edges.derivatives(net.layers, net.k, x)
    for one, other, case in zip(found, by_tensors(net, x), ("first", "second"), strict=True):
        close(one, other, case)


def test_what_is_not_a_number_stays_visible():
    net, x, y = random_kan((2, 2, 1)), points(2, 30, 2), normal(2, 30, 1, seed=1)
    x[1, 3] = torch.nan
    loops = CompiledPoints.of(x, y)
    margin = loops.margins(net)[0]
    hidden = loops.hidden(net, margin)
    mse = hidden.settled(hidden.last).mse
    assert mse.isnan().tolist() == [False, True]
    for sizes in edges.mean_sizes(net.layers, net.k, x):
        assert sizes.isnan().flatten(1).any(1).tolist() == [False, True]


def test_replicas_are_chosen_and_mixed():
    net, x, y = random_kan((2, 2, 1)), points(2, 30, 2), normal(2, 30, 1, seed=1)
    loops, tensors = CompiledPoints.of(x, y), TensorPoints(x, y)
    other = net.with_theta(2 * net.theta())
    mask = torch.tensor([False, True])
    for one in (loops, tensors):
        mixed = one.settled(net).where(mask, one.settled(other))
        close(mixed.kan.theta(), kan.where(mask, net, other).theta(), "theta")
        close(mixed.residual, mixed.kan(x) - y, "residual")
        close(mixed[mask].data().pull(), one[mask].settled(net[mask]).data().pull(), "pull")


@pytest.mark.parametrize("base", [False, True])
def test_replicas_that_stay_where_they_are_are_not_gone_through_again(base, monkeypatch):
    net, x, y = random_kan((2, 2, 1), base=base, replicas=4), points(4, 30, 2), normal(4, 30, 1)
    moved, loops = net.with_theta(2 * net.theta()), CompiledPoints.of(x, y)
    before, mask = loops.settled(net), torch.tensor([False, True, False, True])
    before.data().gram()
    mixed, kept = loops.settled(moved).where(mask, before), torch.tensor([True, True, False, False])
    expected = loops.settled(kan.where(mask, moved, net)).data()
    seen, whole = [], loops_of.normal_equations

    def counted(net, *args):
        seen.append(len(net.theta))
        whole(net, *args)

    monkeypatch.setattr(loops_of, "normal_equations", counted)
    for found, chosen in ((mixed, slice(None)), (mixed[kept], kept)):
        data = found.data()
        assert torch.equal(data.inner, expected.inner[chosen])
        assert torch.equal(data.gram().tril(), expected.gram()[chosen].tril())
        assert torch.equal(data.pull(), expected.pull()[chosen])
        assert torch.equal(data.diagonal(), expected.diagonal()[chosen])
    assert seen == [2, 4, 1]  # of both that moved, of all whom to compare with, of the one kept


def test_tensors_serve_high_orders_and_where_numba_is_not_there(monkeypatch):
    x, y = points(2, 30, 2), normal(2, 30, 1, seed=1)
    assert isinstance(kansweep_points.points_of(x, y, k=7), CompiledPoints)
    assert isinstance(kansweep_points.points_of(x, y, k=8), TensorPoints)
    monkeypatch.setattr(layout, "available", lambda: False)
    assert isinstance(kansweep_points.points_of(x, y, k=3), TensorPoints)
    assert isinstance(kansweep_points.points_of(x.float(), y.float(), k=3), TensorPoints)


@pytest.mark.parametrize("width", [(2, 1, 1), (2, 3, 2)])
def test_repeats_are_bit_for_bit(width):
    net, x, y = random_kan(width), points(2, 300, 2), normal(2, 300, width[-1], seed=1)
    first, again = (CompiledPoints.of(x, y).settled(net).data() for _ in range(2))
    assert torch.equal(first.gram().tril(), again.gram().tril())
    assert torch.equal(first.pull(), again.pull())
