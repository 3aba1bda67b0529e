"""B-splines against SciPy's, their own laws, and quadrature."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import normal
from scipy.integrate import quad
from scipy.interpolate import BSpline

from kansweep.networks import bspline

ORDERS = (1, 2, 3, 4, 5)
GRIDS = (1, 2, 5, 50)
LOWER, UPPER = torch.tensor([[[-1.3]], [[2.1]]], dtype=torch.float64)
INSIDE = torch.linspace(-1.3, 2.1, 203, dtype=torch.float64)[None, :, None]
BEYOND = torch.linspace(-1.5, 2.3, 203, dtype=torch.float64)[None, :, None]


def scipy_spline(coef: torch.Tensor, k: int) -> BSpline:
    grid_size = coef.shape[-1] - k
    return BSpline(bspline.knots(LOWER, UPPER, grid_size, k)[0, 0].numpy(), coef.numpy(), k)


def values(x: torch.Tensor, coef: torch.Tensor, k: int) -> np.ndarray:
    return bspline.evaluate(x, coef[None, None, None], LOWER, UPPER, k)[0, :, 0, 0].numpy()


@pytest.mark.parametrize("k", ORDERS)
@pytest.mark.parametrize("grid_size", GRIDS)
def test_values_are_those_of_scipy_also_at_the_closed_right_end(k, grid_size):
    coef = normal(grid_size + k)
    expected = scipy_spline(coef, k)(INSIDE[0, :, 0].numpy())
    np.testing.assert_allclose(values(INSIDE, coef, k), expected, atol=2e-13)


def tangents(spline: BSpline, x: np.ndarray, nu: int = 0) -> np.ndarray:
    """A spline of SciPy on its grid, and its Taylor polynomial of degree 1 beyond either end."""
    held = np.clip(x, spline.t[spline.k], spline.t[-spline.k - 1])
    values, slopes = spline(held, nu), spline(held, 1)
    return values + (slopes.T * (x - held)).T if nu == 0 else values


@pytest.mark.parametrize("k", ORDERS)
@pytest.mark.parametrize("grid_size", GRIDS)
def test_beyond_the_last_knot_a_spline_is_its_tangent(k, grid_size):
    coef = normal(grid_size + k)
    expected = tangents(scipy_spline(coef, k), BEYOND[0, :, 0].numpy())
    np.testing.assert_allclose(values(BEYOND, coef, k), expected, atol=1e-12 * grid_size)


def slopes(x: torch.Tensor, coef: torch.Tensor, k: int) -> np.ndarray:
    grid_size = coef.shape[-1] - k
    interval, t = bspline.locate(x, LOWER, UPPER, grid_size)
    local = bspline.local_coef(coef[None, None, None], interval, k)[0, :, 0, 0]
    h = ((UPPER - LOWER) / grid_size).item()
    return ((local * bspline.basis_and_derivative(t, k)[1][0, :, 0]).sum(-1) / h).numpy()


@pytest.mark.parametrize("k", ORDERS)
def test_beyond_the_last_knot_the_slope_is_that_of_the_end(k):
    coef = normal(7 + k)
    x = BEYOND[0, :, 0].numpy()
    outside = (x < -1.3) | (x > 2.1)
    expected = tangents(scipy_spline(coef, k), x, 1)
    np.testing.assert_allclose(slopes(BEYOND, coef, k)[outside], expected[outside], atol=1e-11)


@pytest.mark.parametrize("k", ORDERS)
def test_values_with_and_without_slopes_are_the_same(k):
    _, t = bspline.locate(BEYOND, LOWER, UPPER, 4)
    assert torch.equal(bspline.basis(t, k), bspline.basis_and_derivative(t, k)[0])


@pytest.mark.parametrize("k", ORDERS)
def test_derivatives_are_those_of_scipy(k):
    coef = normal(7 + k)
    h = ((UPPER - LOWER) / 7).item()
    x = INSIDE[0, :, 0].numpy()
    expected = scipy_spline(coef, k).derivative()(x)
    # An order-1 spline has corners, where either side's slope is right.
    smooth = np.abs((x + 1.3) / h - np.rint((x + 1.3) / h)) > 1e-9
    np.testing.assert_allclose(slopes(INSIDE, coef, k)[smooth], expected[smooth], atol=1e-11)


@settings(deadline=None, max_examples=60)
@given(
    k=st.integers(1, 6),
    grid_size=st.integers(1, 300),
    x=st.floats(-1.3, 2.1),
)
def test_basis_is_a_partition_of_unity_and_not_negative(k, grid_size, x):
    _, t = bspline.locate(torch.tensor([[[x]]]).double(), LOWER, UPPER, grid_size)
    basis = bspline.basis(t, k)
    assert basis.sum().item() == pytest.approx(1.0, abs=1e-13)
    assert basis.min().item() >= -1e-13


@pytest.mark.parametrize("k", ORDERS)
def test_greville_coefficients_give_the_identity(k):
    coef = bspline.greville(LOWER, UPPER, 6, k)[0, 0]
    np.testing.assert_allclose(values(BEYOND, coef, k), BEYOND[0, :, 0], atol=1e-13)


@settings(deadline=None, max_examples=40)
@given(k=st.integers(1, 5), grid_size=st.integers(1, 12), times=st.integers(2, 12))
def test_refinement_onto_a_nested_grid_preserves_the_function(k, grid_size, times):
    coef = normal(grid_size + k)
    refined = bspline.refine(coef, times * grid_size, k)
    before, after = values(INSIDE, coef, k), values(INSIDE, refined, k)
    np.testing.assert_allclose(after, before, atol=1e-12)


@pytest.mark.parametrize("k", ORDERS)
def test_knot_insertion_takes_convex_combinations(k):
    """No coefficient is extrapolated: weights are not negative and sum to one."""
    matrix = bspline._insertion(40, 120, k)
    assert matrix.min() > -1e-15
    np.testing.assert_allclose(matrix.sum(1), 1.0, atol=1e-14)


def test_refinement_onto_the_same_grid_changes_nothing():
    coef = normal(9)
    assert torch.equal(bspline.refine(coef, 6, 3), coef)


@pytest.mark.parametrize(("old", "new"), [(20, 50), (7, 10), (10, 7)])
def test_refinement_onto_another_grid_is_the_best_approximation(old, new):
    """The error is orthogonal to every spline of the new grid: integrals by adaptive quadrature."""
    k, coef = 3, normal(old + 3)
    refined = bspline.refine(coef, new, k)
    unit = torch.zeros(1, 1).double(), torch.ones(1, 1).double()
    before = BSpline(bspline.knots(*unit, old, k)[0, 0].numpy(), coef.numpy(), k)
    fine = bspline.knots(*unit, new, k)[0, 0].numpy()
    after = BSpline(fine, refined.numpy(), k)
    breaks = np.union1d(np.arange(1, old) / old, np.arange(1, new) / new)
    for j in (0, 1, new // 2, new + k - 1):
        one = BSpline(fine, np.eye(new + k)[j], k)
        inner = quad(lambda x, b=one: (after(x) - before(x)) * b(x), 0, 1, points=breaks, limit=500)
        assert inner[0] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("k", ORDERS)
def test_regrid_moves_a_straight_line_exactly_to_any_range(k):
    """It is in every spline space, whatever the range, and goes on as itself."""
    coef = bspline.greville(LOWER, UPPER, 5, k)[:, None]
    narrow = (LOWER + 0.4, UPPER - 0.2)
    wide = (LOWER - 0.3, UPPER + 0.1)
    for new in (narrow, wide):
        moved = bspline.regrid(coef, (LOWER, UPPER), new, k)
        again = bspline.evaluate(INSIDE, moved, *new, k)
        np.testing.assert_allclose(again[..., 0], INSIDE, atol=1e-11)


def test_regrid_to_half_the_range_keeps_the_function_there():
    """The knots of [lower, middle] on the same number of intervals nest in the old ones."""
    coef = normal(1, 1, 1, 6 + 3)
    middle = (LOWER + UPPER) / 2
    moved = bspline.regrid(coef, (LOWER, UPPER), (LOWER, middle), 3)
    x = torch.linspace(-1.3, 0.4, 77, dtype=torch.float64)[None, :, None]
    before = bspline.evaluate(x, coef, LOWER, UPPER, 3)
    np.testing.assert_allclose(bspline.evaluate(x, moved, LOWER, middle, 3), before, atol=1e-12)


def test_difference_is_that_of_numpy():
    coef = normal(2, 9)
    np.testing.assert_allclose(bspline.difference(coef, 5), np.diff(coef, 5), atol=1e-13)
    assert bspline.difference(coef[:, :3], 5).shape == (2, 0)


def test_a_nan_stays_a_nan():
    x = torch.tensor([[[float("nan")]]]).double()
    assert bspline.evaluate(x, normal(1, 1, 1, 8), LOWER, UPPER, 3).isnan().all()


def test_autograd_works_after_a_solver_has_been_at_work():
    """What solvers compute in inference mode is kept for later, and must serve there too."""
    bspline._table.cache_clear()
    coef, ends = torch.ones(1, 1, 1, 7, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    x = torch.full((1, 5, 1), 0.3, dtype=torch.float64)
    with torch.inference_mode():
        bspline.evaluate(x, coef, -ends, ends, 3)
    x.requires_grad_()
    bspline.evaluate(x, coef, -ends, ends, 3).sum().backward()
    assert x.grad.abs().max() < 1e-14  # B-splines sum to one
