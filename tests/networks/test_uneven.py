"""B-splines on unequal intervals against SciPy's, finite differences, and those on equal ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from nets import breaks, points, random_kan, uneven_kan
from scipy.integrate import quad
from scipy.interpolate import BSpline
from test_bspline import tangents
from torch import Tensor

from kansweep.networks import bspline, uneven
from kansweep.networks import kan as kans
from kansweep.networks import layer as layers
from kansweep.networks.kan import KAN

ORDERS = (1, 2, 3, 4, 5)


def scipy_splines(layer: kans.Layer, k: int, replica: int, source: int) -> BSpline:
    """The edges from one input, by SciPy alone."""
    t = layer.breaks[replica, source].numpy()
    steps = np.arange(1, k + 1)
    unit = np.concatenate([-t[1] * steps[::-1], t, 1 + (1 - t[-2]) * steps])
    lower, upper = layer.lower[replica, source].item(), layer.upper[replica, source].item()
    return BSpline(lower + (upper - lower) * unit, layer.coef[replica, :, source].mT.numpy(), k)


def one_layer(k: int, grid_size: int = 6) -> kans.Layer:
    """Two replicas of three inputs and two outputs, every input with breaks and a range of its
    own."""
    layer = uneven_kan((3, 2), grid_size=grid_size, k=k).layers[0]
    lower = -1.0 - 0.3 * torch.arange(3).double() - torch.zeros(2, 1)
    return replace(layer, lower=lower, upper=layer.upper + 0.2)


def reaching(layer: kans.Layer, n: int = 301) -> Tensor:
    """Points of every input's grid and beyond it, its breaks among them."""
    share = torch.linspace(-0.3, 1.3, n, dtype=torch.float64)
    share = torch.cat([share.expand(2, 3, -1), layer.breaks], dim=2).mT
    return layer.lower[:, None] + (layer.upper - layer.lower)[:, None] * share


@pytest.mark.parametrize("k", ORDERS)
def test_values_and_slopes_are_those_of_scipy_and_beyond_the_ends_its_tangents(k):
    layer = one_layer(k)
    x = reaching(layer)
    values = kans.edges(layer, x, k)
    slope = kans.activate(layer, x, k)[0].slope
    for replica, source in np.ndindex(2, 3):
        spline, at = scipy_splines(layer, k, replica, source), x[replica, :, source].numpy()
        np.testing.assert_allclose(values[replica, :, source], tangents(spline, at), atol=1e-12)
        smooth = slice(None) if k > 1 else slice(0, 301)  # corners at the breaks
        expected = tangents(spline, at, 1)[smooth]
        np.testing.assert_allclose(slope[replica, smooth, source], expected, atol=1e-10)


@pytest.mark.parametrize("k", ORDERS)
def test_equal_breaks_are_the_equal_intervals(k):
    net, x = random_kan((3, 2), k=k, grid_size=7), 1.4 * points(2, 200, 3)
    (layer,) = net.layers
    spaced = layer.spaced(k)
    np.testing.assert_allclose(spaced.knots(k), layer.knots(k), atol=1e-14)
    np.testing.assert_allclose(spaced.greville(k), layer.greville(k), atol=1e-14)
    one, other = kans.activate(layer, x, k), kans.activate(spaced, x, k)
    np.testing.assert_allclose(other[1], one[1], atol=1e-13)
    np.testing.assert_allclose(other[0].slope, one[0].slope, atol=1e-12)


@pytest.mark.parametrize("k", ORDERS)
def test_greville_coefficients_give_the_identity(k):
    layer = one_layer(k)
    line = replace(layer, coef=layer.greville(k)[:, None])
    x = reaching(layer)
    np.testing.assert_allclose(kans.edges(line, x, k)[..., 0], x, atol=1e-13)


@pytest.mark.parametrize("k", ORDERS)
def test_basis_is_a_partition_of_unity_and_not_negative_on_graded_breaks(k):
    graded = torch.cat([torch.zeros(1), 10.0 ** torch.arange(-9.0, 0.5, 0.5)]).double()
    table = uneven.pieces(graded[None, None], k)
    x = torch.cat([graded, (graded[1:] + graded[:-1]) / 2])[None, :, None]
    ends = torch.zeros(1, 1).double()
    interval, t = uneven.locate(x, ends, ends + 1, graded[None, None])
    values = uneven.basis(interval, t, table)
    np.testing.assert_allclose(values.sum(-1), 1.0, atol=1e-14)
    assert values.min() >= -1e-14


def test_a_nan_stays_a_nan():
    x = torch.full((2, 4, 3), torch.nan, dtype=torch.float64)
    assert kans.edges(one_layer(3), x, 3).isnan().all()


# --------------------------------------------------------------------------------- on other breaks


@pytest.mark.parametrize("k", ORDERS)
@pytest.mark.parametrize("times", [2, 3, 8])
def test_refinement_onto_a_multiple_preserves_the_function(k, times):
    layer = one_layer(k)
    refined = layer.refined(6 * times, k)
    old = {tuple(row) for row in layer.breaks.flatten(0, 1).tolist()}
    again = {tuple(row) for row in refined.breaks[..., ::times].flatten(0, 1).tolist()}
    assert again == old  # its breaks are among the new ones to the bit
    x = reaching(layer)
    np.testing.assert_allclose(kans.edges(refined, x, k), kans.edges(layer, x, k), atol=1e-12)


@pytest.mark.parametrize("k", ORDERS)
def test_breaks_that_hold_the_old_ones_preserve_the_function(k):
    """From equal intervals too."""
    net = random_kan((3, 2), k=k, grid_size=4)
    finer = torch.cat([net.layers[0].unit_breaks(k), breaks(2, 3, 5)[..., 1:-1]], dim=2)
    moved = net.on_breaks([finer.sort(dim=2).values])
    x = 1.3 * points(2, 200, 3)
    np.testing.assert_allclose(moved(x), net(x), atol=1e-12)


@pytest.mark.parametrize("grid_size", [4, 9])
def test_other_breaks_give_the_best_approximation(grid_size):
    """The error is orthogonal to every spline of the new grid: integrals by adaptive quadrature."""
    k = 3
    net = uneven_kan((1, 1), grid_size=6, k=k, replicas=1)
    moved = net.on_breaks([breaks(1, 1, grid_size, seed=9)])
    before, after = (scipy_splines(one.layers[0], k, 0, 0) for one in (net, moved))
    ends = np.union1d(before.t, after.t)
    ends = ends[(ends > -1) & (ends < 1)]
    for j in range(grid_size + k):
        one = BSpline(after.t, np.eye(grid_size + k)[j], k)
        wrong = quad(
            lambda x, b=one: float((after(x) - before(x))[0] * b(x)), -1, 1, points=ends, limit=500
        )
        assert wrong[0] == pytest.approx(0.0, abs=1e-12)


def test_a_network_on_far_finer_breaks_loses_hardly_anything():
    net, x = uneven_kan((2, 2, 1)), points(2, 200, 2)
    errors = [(net.refined(g)(x) - net(x)).abs().max().item() for g in (13, 41, 163)]
    assert errors[0] > 1e-6  # it does not nest
    assert errors[2] < errors[1] / 8
    assert net.refined(13).refined(13).layers[0].breaks.shape == (2, 2, 14)


@pytest.mark.parametrize("k", ORDERS)
def test_another_range_keeps_straight_lines(k):
    layer = one_layer(k)
    line = replace(layer, coef=layer.greville(k)[:, None])
    x = reaching(layer)
    for lower, upper in ((0.3, -0.2), (-0.4, 0.1)):
        moved = line.on_range(line.lower + lower, line.upper + upper, k)
        assert torch.equal(moved.breaks, line.breaks)
        np.testing.assert_allclose(kans.edges(moved, x, k)[..., 0], x, atol=1e-11)


def test_a_diverged_network_changes_its_breaks_without_an_exception():
    net = uneven_kan((2, 1))
    lost = net.with_theta(net.theta() * torch.nan)
    assert lost.refined(9)(points(2, 5, 2)).isnan().all()
    lost = replace(lost, spacing="adaptive")
    assert lost.refined(9)(points(2, 5, 2)).isnan().all()


# ------------------------------------------------------------------------------ where breaks stand


def test_quantiles_have_as_many_samples_between_them_but_for_a_uniform_share():
    u = torch.rand(2, 4001, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) ** 3
    placed = uneven.quantiles(u, 8)
    even = torch.linspace(0, 1, 9, dtype=torch.float64)
    expected = 0.98 * np.quantile(u, even, axis=1).transpose(1, 2, 0) + 0.02 * even.numpy()
    np.testing.assert_allclose(placed[..., 1:-1], expected[..., 1:-1], atol=1e-14)
    assert (placed[..., 0] == 0).all()
    assert (placed[..., -1] == 1).all()
    same = uneven.quantiles(torch.full_like(u, 0.5), 8)
    assert (same.diff(dim=2) > 0).all()


def test_a_network_on_quantiles_has_those_of_what_reaches_each_layer():
    net, x = replace(random_kan((2, 2, 1), grid_size=12), spacing="quantile"), points(2, 3000, 2)
    x = x.sign() * x.square()
    moved = net.on_quantiles(x)
    for layer in moved.layers:
        u = (x - layer.lower[:, None]) / (layer.upper - layer.lower)[:, None]
        assert torch.equal(layer.breaks, uneven.quantiles(u, 12))
        x = kans.edges(layer, x, 3).sum(2)
    assert moved.refined(24).spacing == "quantile"


def test_knots_follow_the_splines_where_they_are_to_adapt():
    """A kink of the third derivative within one edge draws the knots of its input, and no other."""
    x = torch.linspace(-1, 1, 400, dtype=torch.float64)
    net = replace(random_kan((2, 1), grid_size=20, replicas=1), spacing="adaptive")
    (layer,) = net.layers
    steep, flat = torch.tanh(40 * (layer.greville(3) - 0.3)), layer.greville(3)
    coef = torch.stack([steep[:, 0], flat[:, 1]], dim=1)[:, None]
    net = replace(net, layers=(replace(layer, coef=coef),))
    finer = net.respaced(40)
    near, even = (finer.layers[0].knots(3)[0, i, 3:-3] for i in range(2))
    assert ((near - 0.3).abs() < 0.2).sum() > 15
    np.testing.assert_allclose(even, np.linspace(-1, 1, 41), atol=1e-12)
    assert torch.equal(net.refined(20).layers[0].knots(3), layer.knots(3))
    assert not torch.equal(net.respaced().layers[0].knots(3), layer.knots(3))
    assert finer.respaced().grid_size == 40
    inputs = torch.stack([x, x], dim=1)[None]
    assert (finer(inputs) - net(inputs)).abs().max() < 1e-2


def test_the_highest_derivatives_are_those_of_scipy():
    layer, k = one_layer(3), 3
    found = uneven.top_derivatives(layer.coef, layer.breaks, k)
    middle = (layer.breaks[..., 1:] + layer.breaks[..., :-1]) / 2
    for replica, source in np.ndindex(2, 3):
        width = (layer.upper - layer.lower)[replica, source].item()
        at = layer.lower[replica, source].item() + width * middle[replica, source].numpy()
        expected = scipy_splines(layer, k, replica, source)(at, k) * width**k
        np.testing.assert_allclose(found[replica, :, source].mT, expected, rtol=1e-8, atol=1e-8)


# --------------------------------------------------------------------------------------- as a whole


def test_the_penalty_of_pieces_is_not_stored_and_breaks_are():
    net, x = replace(uneven_kan((3, 2, 1), base=True), spacing="adaptive"), 1.5 * points(2, 20, 3)
    arrays = net.to_arrays()
    assert "0.pieces" not in arrays
    assert str(arrays["spacing"]) == "adaptive"
    again = KAN.from_arrays(arrays)
    assert again.spacing == "adaptive"
    assert torch.equal(again(x), net(x))
    assert "spacing" not in random_kan((2, 1)).to_arrays()


def test_networks_with_breaks_and_without_are_joined_and_chosen_from():
    even, other, x = random_kan((2, 2, 1)), uneven_kan((2, 2, 1)), points(2, 9, 2)
    both = KAN.concatenated([even, other])
    np.testing.assert_allclose(both[:2](x), even(x), atol=1e-13)
    assert torch.equal(both[2:](x), other(x))
    mixed = kans.where(torch.tensor([True, False]), even, other)
    np.testing.assert_allclose(mixed[:1](x[:1]), even[:1](x[:1]), atol=1e-13)
    assert torch.equal(mixed[1:](x[1:]), other[1:](x[1:]))


def test_single_precision_stays_single():
    net = uneven_kan((2, 1, 1))
    arrays = {n: a.astype(np.float32) if a.ndim else a for n, a in net.to_arrays().items()}
    single, x = KAN.from_arrays(arrays), points(2, 50, 2)
    for one in (single, single.refined(8), single.refined(9), single.on_quantiles(x.float())):
        assert one(x.float()).dtype == torch.float32
    np.testing.assert_allclose(single(x.float()), net(x), atol=1e-5)
    np.testing.assert_allclose(single.refined(8)(x.float()), net(x), atol=1e-4)


def test_autograd_goes_through():
    layer = one_layer(3)
    x = reaching(layer).requires_grad_()
    layers.edges(layer, x, 3).sum().backward()
    slope = kans.activate(layer, x.detach(), 3)[0].slope.sum(3)
    inside = bspline.difference(layer.breaks, 1).shape[-1] + 1
    np.testing.assert_allclose(x.grad[:, :-inside], slope[:, :-inside], atol=1e-9)
