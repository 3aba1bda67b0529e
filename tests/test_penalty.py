"""The roughness penalty and the projected last layer, against dense least squares."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from kans import normal, points, random_kan

from kansweep.linalg import solve_damped
from kansweep.solvers import penalty
from kansweep.solvers.projection import with_best_last_layer


def test_the_weight_for_cubic_splines_is_that_of_their_error_constant():
    """|B_8| / 8! = (1/30) / 40320."""
    assert penalty.weight(1, 3) == pytest.approx(1 / 30 / 40320)
    assert penalty.weight(20, 3) == pytest.approx(penalty.weight(1, 3) / 20)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_energy_force_and_block_are_those_of_numpys_differences(k):
    net = random_kan((2, 3, 1), grid_size=9, k=k, base=True)
    coef = net.layers[0].coef.numpy()
    d = np.diff(coef, k + 2)
    np.testing.assert_allclose(penalty.energy(net)[0], (d**2).sum((2, 3)), rtol=1e-12)
    matrix = np.diff(np.eye(9 + k), k + 2, axis=0)
    gram = matrix.T @ matrix
    np.testing.assert_allclose(penalty.block(net.layers[0].coef, k), gram, atol=1e-9)
    np.testing.assert_allclose(penalty.force(net.layers[0].coef, k), coef @ gram, atol=1e-9)


def test_the_gradient_is_half_the_derivative_of_the_energy():
    net = random_kan((2, 2, 1), base=True)
    theta = net.theta().requires_grad_()
    total = sum(part.sum() for part in penalty.energy(net.with_theta(theta)))
    (autograd,) = torch.autograd.grad(total, theta)
    np.testing.assert_allclose(2 * penalty.gradient(net), autograd, atol=1e-10)


def test_the_normal_matrix_is_the_second_derivative_of_half_the_energy():
    net = random_kan((2, 2, 1), base=True, replicas=1)

    def half_energy(theta: torch.Tensor) -> torch.Tensor:
        return sum(part.sum() for part in penalty.energy(net.with_theta(theta[None]))) / 2

    hessian = torch.autograd.functional.hessian(half_energy, net.theta()[0])
    matrix = torch.zeros(1, net.n_params, net.n_params, dtype=torch.float64)
    penalty.add_gram(matrix, net, torch.tensor([3.0], dtype=torch.float64))
    np.testing.assert_allclose(matrix[0], 3 * hessian, atol=1e-9)


def test_a_polynomial_below_the_order_of_the_differences_costs_nothing():
    net = random_kan((1, 1), grid_size=12, k=3, replicas=1)
    powers = torch.arange(15, dtype=torch.float64)[None, None, None] / 15
    cubic = net.with_theta((powers**3 - powers).flatten(1))
    assert penalty.energy(cubic)[0].item() < 1e-25


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("width", [(3, 1), (2, 2)])
def test_the_last_layer_is_the_penalised_least_squares_solution(width, base):
    """Stacked rows sqrt(w) D and data, solved by NumPy's lstsq; the values are unique."""
    net, x = random_kan(width, grid_size=6, base=base, replicas=1), points(1, 80, width[0])
    y, w = normal(1, 80, width[1], seed=5), torch.tensor([1e-4], dtype=torch.float64)
    fitted = with_best_last_layer(net, net.activations(x)[0][0], y, w)
    columns = []
    for p in range(net.n_params):  # the output is linear in theta
        unit = torch.zeros(1, net.n_params, dtype=torch.float64)
        unit[0, p] = 1.0
        columns.append(net.with_theta(unit)(x)[0].flatten().numpy())
    design = np.stack(columns, axis=1) / np.sqrt(80)
    edges = width[0] * width[1]
    rough = np.kron(np.eye(edges), np.diff(np.eye(9), 5, axis=0)) * 1e-2
    rough = np.pad(rough, ((0, 0), (0, net.n_params - rough.shape[1])))
    rhs = np.concatenate([y[0].flatten().numpy() / np.sqrt(80), np.zeros(len(rough))])
    best = np.linalg.lstsq(np.vstack([design, rough]), rhs, rcond=None)[0]
    expected = design @ best * np.sqrt(80)
    np.testing.assert_allclose(fitted(x)[0].flatten(), expected, atol=1e-9)


def test_damping_is_relative_to_the_diagonal():
    matrix, b = torch.diag_embed(torch.tensor([[1e-8, 1.0, 1e8]]).double()), torch.ones(1, 3, 1)
    x, failed = solve_damped(matrix, b.double(), 0.25)
    np.testing.assert_allclose(x[0, :, 0], [0.8e8, 0.8, 0.8e-8])
    assert not failed.any()


def test_a_system_that_is_not_positive_definite_is_marked_and_gives_no_step():
    good, bad = torch.eye(2).double(), torch.tensor([[1.0, 2.0], [2.0, 1.0]]).double()
    nan = torch.full((2, 2), torch.nan).double()
    x, failed = solve_damped(torch.stack([good, bad, nan]), torch.ones(3, 2, 1).double(), 0.0)
    assert failed.tolist() == [False, True, True]
    assert x[1:].abs().max() == 0
