"""Families of functions against NumPy's and SciPy's own, and closed forms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.polynomial import chebyshev
from scipy.interpolate import BSpline
from scipy.special import expit

from kansweep import kinds
from kansweep.data.targets import Array
from kansweep.networks.series import basis_of

SERIES = [kind.name for kind in kinds.KINDS.values() if kind.basis]
LOCAL = {"rbf": (-2.0, 2.0), "efficient_kan": (-1.0, 1.0)}  # and the ends of their grids
X = np.linspace(-2.5, 2.5, 203)
SIZES = (1, 2, 7)


def polynomials(size: int) -> Array:
    return chebyshev.chebvander(np.tanh(X), size)


def waves(size: int) -> Array:
    """The real parts of exp(i j x), and the imaginary ones from j = 1 on, in turns."""
    powers = np.exp(1j * X)[:, None] ** np.arange(size + 1)
    return np.stack([powers.real, powers.imag], axis=-1).reshape(len(X), -1)[
        :, [0, *range(2, 2 * size + 2)]
    ]


def bells(size: int) -> Array:
    h = 4 / size
    centres = [-2 + h * j for j in range(size + 1)]
    return np.stack([X * expit(X), *(np.exp(-(((X - c) / h) ** 2)) for c in centres)], axis=-1)


def splines(size: int) -> Array:
    knots = -1 + 2 / size * np.arange(-3, size + 4)
    each = (BSpline.basis_element(knots[j : j + 5], extrapolate=False) for j in range(size + 3))
    return np.stack([X * expit(X), *(np.nan_to_num(b(X)) for b in each)], axis=-1)


ORACLES: dict[str, Callable[[int], Array]] = {
    "chebyshev": polynomials,
    "fourier": waves,
    "rbf": bells,
    "efficient_kan": splines,
}


def test_every_family_has_an_oracle() -> None:
    assert set(ORACLES) == set(SERIES)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", SERIES)
def test_values_are_those_of_another_computation(kind: str, size: int) -> None:
    values, _ = basis_of(kind).at(X, size, np)
    np.testing.assert_allclose(values, ORACLES[kind](size), atol=2e-14)
    assert values.shape[1] == basis_of(kind).length(size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", SERIES)
def test_slopes_are_those_of_finite_differences(kind: str, size: int) -> None:
    basis, h = basis_of(kind), 1e-5
    after, before = (basis.at(X + step, size, np)[0] for step in (h, -h))
    _, slopes = basis.at(X, size, np)
    np.testing.assert_allclose(slopes, (after - before) / (2 * h), atol=3e-8)


@pytest.mark.parametrize("kind", SERIES)
def test_torch_computes_what_numpy_does_in_the_dtype_that_it_is_given(kind: str) -> None:
    basis = basis_of(kind)
    places = X.reshape(7, 29)
    for given, dtype, tolerance in (
        (torch.from_numpy(places), torch.float64, 1e-13),
        (torch.from_numpy(places).float(), torch.float32, 1e-4),
    ):
        for ours, expected in zip(basis.at(given, 4, torch), basis.at(places, 4, np), strict=True):
            assert ours.dtype == dtype
            assert ours.shape == (7, 29, basis.length(4))
            np.testing.assert_allclose(ours, expected, atol=tolerance)


@pytest.mark.parametrize("kind", SERIES)
def test_far_away_nothing_overflows(kind: str) -> None:
    far = np.array([-1e3, 1e3])
    assert all(np.isfinite(part).all() for part in basis_of(kind).at(far, 6, np))


def refined(kind: str, old: int, new: int) -> Array:
    """The old functions as series in the new ones, at X."""
    basis = basis_of(kind)
    return basis.at(X, new, np)[0] @ basis.refinement(old, new)


@pytest.mark.parametrize("kind", [kind for kind in SERIES if kind not in LOCAL])
def test_functions_of_a_size_are_among_those_of_a_larger_one(kind: str) -> None:
    np.testing.assert_array_equal(refined(kind, 3, 8), basis_of(kind).at(X, 3, np)[0])


def test_splines_of_a_grid_are_among_those_of_a_grid_that_nests_in_it() -> None:
    inside = abs(X) <= 1
    old = basis_of("efficient_kan").at(X, 4, np)[0][inside]
    np.testing.assert_allclose(refined("efficient_kan", 4, 12)[inside], old, atol=1e-13)
    other = refined("efficient_kan", 4, 5)[inside]
    assert 1e-3 < abs(other - old).max() < 0.2  # of functions up to 2/3


@pytest.mark.parametrize("kind", LOCAL)
def test_a_refinement_that_is_not_exact_is_the_best(kind: str) -> None:
    """Its error is orthogonal to all that it may be made of, and silu stays what it is."""
    basis, (lower, upper) = basis_of(kind), LOCAL[kind]
    points, weights = np.polynomial.legendre.leggauss(400)
    x = (lower + upper) / 2 + (upper - lower) / 2 * points
    old, new = basis.at(x, 4, np)[0], basis.at(x, 6, np)[0]
    matrix = basis.refinement(4, 6)
    error = new @ matrix - old
    assert 1e-4 < np.sqrt(weights @ error**2).max() < 0.1
    np.testing.assert_allclose(new[:, 1:].T @ (weights[:, None] * error), 0.0, atol=2e-3)
    np.testing.assert_array_equal(matrix[:, 0], np.eye(len(matrix))[0])


@pytest.mark.parametrize("kind", SERIES)
def test_the_spread_of_a_random_series_is_foretold(kind: str) -> None:
    basis, rng = basis_of(kind), np.random.default_rng(0)
    x = rng.uniform(-1.0, 1.0, 4000)
    drawn = basis.at(x, 5, np)[0] @ rng.standard_normal((basis.length(5), 4000))
    assert np.sqrt((drawn**2).mean()) == pytest.approx(basis.spread(5), rel=0.02)


def test_gaussians_as_wide_as_their_distance_level_off() -> None:
    """Of a constant they miss 2 exp(-pi^2) (Maz'ya and Schmidt 1996), however many they are."""
    inside = np.linspace(-1.0, 1.0, 1001)
    for size in (20, 40, 80):
        bells = basis_of("rbf").at(inside, size, np)[0][:, 1:]
        best = np.linalg.lstsq(bells, np.ones(1001))[0]
        missed = abs(bells @ best - 1)[300:700].max()
        assert missed == pytest.approx(2 * np.exp(-(np.pi**2)), rel=0.15)
