"""The roughness penalty and the projected last layer, against dense least squares."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import normal, points, random_kan
from scipy.linalg import block_diag

from kansweep.networks.kan import KAN
from kansweep.solvers.gauss_newton import penalty
from kansweep.solvers.gauss_newton.projection import with_best_last_layer


def test_the_weight_for_cubic_splines_is_that_of_their_error_constant():
    """|B_8| / 8! = (1/30) / 40320."""
    assert penalty.weight(1, 3) == pytest.approx(1 / 30 / 40320)
    assert penalty.weight(20, 3) == pytest.approx(penalty.weight(1, 3) / 20)


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize(("k", "grid_size"), [(1, 9), (3, 9), (5, 9), (3, 3), (3, 2), (3, 1)])
def test_differences_energy_and_their_transpose_are_numpys(k, grid_size, base):
    net = random_kan((2, 3, 1), grid_size=grid_size, k=k, base=base)
    matrix = dense_differences(net)
    theta = net.theta().numpy()
    strain = penalty.differences(net, net.theta())
    np.testing.assert_allclose(strain, theta @ matrix.T, atol=1e-12)
    back = penalty.transposed(net, strain)
    np.testing.assert_allclose(back, strain.numpy() @ matrix, atol=1e-11)
    first = penalty.ranks(net)[0]
    squares = np.square(theta @ matrix.T)
    layers = np.stack([squares[:, :first].sum(1), squares[:, first:].sum(1)], axis=1)
    np.testing.assert_allclose(penalty.energy(net), layers, rtol=1e-11, atol=1e-12)
    assert sum(penalty.ranks(net)) == len(matrix)


def dense_differences(net: KAN) -> np.ndarray:
    """D of all edges, (S, P), by NumPy's differences of the identity."""
    blocks = []
    for layer in net.layers:
        edges, n_coef = layer.n_outputs * layer.n_inputs, layer.coef.shape[3]
        one = np.zeros((0, n_coef))
        if n_coef > net.k + 2:
            one = np.diff(np.eye(n_coef), net.k + 2, axis=0)
        blocks += [one] * edges
        if layer.base is not None:
            blocks += [np.zeros((0, 1))] * edges
    return block_diag(*blocks)


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("grid_size", [2, 9])
def test_entries_bands_and_diagonals_are_those_of_the_dense_square(grid_size, base):
    net = random_kan((2, 3, 1), grid_size=grid_size, base=base)
    w = torch.tensor([[2.0, 3.0], [5.0, 7.0]]).double()
    matrix = dense_differences(net)
    index, values, layer = penalty.entries(net)
    for r, scale in enumerate(penalty.per_difference(net, w).numpy()):
        full = matrix.T @ (scale[:, None] * matrix)
        lower = np.zeros(net.n_params**2)
        np.add.at(lower, index.numpy(), (w[r, layer] * values).numpy())
        np.testing.assert_allclose(lower.reshape(full.shape), np.tril(full), atol=1e-11)
        np.testing.assert_allclose(penalty.diagonal(net, w)[r], full.diagonal(), atol=1e-11)
    n_coef = grid_size + 3
    one = matrix[: grid_size - 2, :n_coef]
    for d in range(min(6, n_coef)):
        band = penalty.band(n_coef, 5)[: n_coef - d, d]
        np.testing.assert_allclose(band, (one.T @ one).diagonal(-d), atol=1e-11)


def test_a_polynomial_below_the_order_of_the_differences_costs_nothing():
    net = random_kan((1, 1), grid_size=12, k=3, replicas=1)
    powers = torch.arange(15, dtype=torch.float64)[None, None, None] / 15
    cubic = net.with_theta((powers**3 - powers).flatten(1))
    assert penalty.energy(cubic).item() < 1e-25


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("width", [(3, 1), (2, 2)])
def test_the_last_layer_is_the_penalised_least_squares_solution(width, base):
    """Stacked rows sqrt(w) D and data, solved by NumPy's lstsq; the values are unique."""
    net, x = random_kan(width, grid_size=6, base=base, replicas=1), points(1, 80, width[0])
    y, w = normal(1, 80, width[1], seed=5), torch.tensor([[1e-4]], dtype=torch.float64)
    fitted = with_best_last_layer(net, x, y, w)
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
