"""Systems that are positive definite, and what becomes of those that are not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import normal
from scipy.linalg import solveh_banded

from kansweep.solvers.gauss_newton import banded, linalg
from kansweep.solvers.gauss_newton.linalg import cholesky, conjugate_gradients


def test_damping_is_relative_to_the_diagonal():
    matrix = torch.diag_embed(torch.tensor([[1e-8, 1.0, 1e8]]).double())
    x, failed = cholesky(matrix, 0.25).solve(torch.ones(1, 3, 1))
    np.testing.assert_allclose(x[0, :, 0], [0.8e8, 0.8, 0.8e-8])
    assert not failed.any()


def test_a_system_that_is_not_positive_definite_is_marked_and_gives_no_step():
    good, bad = torch.eye(2).double(), torch.tensor([[1.0, 2.0], [2.0, 1.0]]).double()
    nan = torch.full((2, 2), torch.nan).double()
    x, failed = cholesky(torch.stack([good, bad, nan]), 0.0).solve(torch.ones(3, 2, 1))
    assert failed.tolist() == [False, True, True]
    assert x[1:].abs().max() == 0


def test_only_the_lower_triangle_is_read_and_an_idle_unknown_stays():
    matrix = torch.tensor([[[4.0, 99.0, 0.0], [1.0, 3.0, 0.0], [0.0, 0.0, 0.0]]]).double()
    x, failed = cholesky(matrix, 0.0).solve(torch.tensor([[[1.0], [2.0], [0.0]]]).double())
    expected = np.linalg.solve([[4.0, 1.0], [1.0, 3.0]], [1.0, 2.0])
    np.testing.assert_allclose(x[0, :2, 0], expected)
    assert x[0, 2, 0] == 0
    assert not failed.any()


def test_large_matrices_are_factored_in_place_as_lapack_does(monkeypatch):
    root = normal(3, 250, 250)
    matrix = root @ root.mT + torch.eye(250)
    matrix[1, 200, 200] = -1.0
    given, rhs = matrix.tril() + 7.0 * torch.ones(250, 250).triu(1), normal(3, 250, 2)
    expected, of_lapack = cholesky(given.clone(), 0.1), cholesky(given.clone(), 0.1).solve(rhs)
    monkeypatch.setattr(linalg, "LARGE", 100)
    found = cholesky(given.clone(), 0.1)
    assert found.failed.tolist() == expected.failed.tolist() == [False, True, False]
    close = {"rtol": 0, "atol": 1e-12}
    np.testing.assert_allclose(found.lower[::2].tril(), expected.lower[::2], **close)
    np.testing.assert_allclose(found.root()[::2], expected.root()[::2], **close)
    np.testing.assert_allclose(found.solve(rhs)[0], of_lapack[0], **close)


def test_large_matrices_of_any_condition_are_factored_to_rounding(monkeypatch):
    """Bumps that overlap, whose Gram matrix has a condition of 1e16 before it is raised."""
    x, centres = torch.linspace(-1, 1, 3000).double(), torch.linspace(-1, 1, 300).double()
    bumps = torch.exp(-(((x[:, None] - centres) * 40) ** 2))
    given = (bumps.mT @ bumps)[None]
    monkeypatch.setattr(linalg, "LARGE", 100)
    found = cholesky(given.clone(), 1e-12)
    lower = found.lower.tril()
    raised = given + torch.diag_embed(found.ridge)
    assert not found.failed.any()
    assert (lower @ lower.mT - raised).abs().max() < 1e-14 * given.abs().max()


@pytest.mark.parametrize("size", [1, 63, 64, 65, 300])
def test_the_root_of_an_inverse_is_that_of_lapack(size):
    root = normal(2, size, size)
    matrix = root @ root.mT + size * torch.eye(size)
    found = cholesky(matrix.clone(), 0.0).root()
    expected = torch.linalg.inv(torch.linalg.cholesky(matrix))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * expected.abs().max())
    assert not found.triu(1).any()


@pytest.mark.parametrize(("size", "width"), [(3, 6), (16, 3), (17, 6), (50, 6), (200, 4), (90, 31)])
def test_band_matrices_are_solved_as_scipy_does(size, width):
    band = normal(3, size, width)
    band[..., 0] = band[..., 0].abs() + 4 * width
    rhs = normal(3, size, 2, seed=1)
    factors = banded.factor(band.clone())
    assert not factors.failed.any()
    for one, b, x in zip(band, rhs, factors.solve(rhs), strict=True):
        rows = one.T[: min(size, width)]  # what is stored beyond the matrix is ignored by both
        np.testing.assert_allclose(
            x, solveh_banded(rows.numpy(), b.numpy(), lower=True), atol=1e-13
        )


def test_a_band_matrix_that_is_not_positive_definite_is_marked():
    band = torch.ones(2, 40, 2).double()
    band[0, :, 0] = 3.0
    assert banded.factor(band).failed.tolist() == [False, True]


def test_conjugate_gradients_solve_each_system_whatever_the_others_do():
    easy, hard = np.diag([1.0, 1.0, 1.0]), np.diag([1.0, 1e3, 1e6])
    matrix = torch.tensor(np.stack([easy, hard, hard])).double()
    rhs = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]).double()

    def solve(which: slice) -> torch.Tensor:
        part = matrix[which]
        return conjugate_gradients(
            lambda d: (part @ d[..., None])[..., 0], lambda v: v, rhs[which], 1e-12, 100
        )

    together = solve(slice(None))
    np.testing.assert_allclose(together[1], [1.0, 2e-3, 3e-6], rtol=1e-8)
    assert (together[2] == 0).all()
    for r in range(3):
        assert torch.equal(solve(slice(r, r + 1))[0], together[r])
