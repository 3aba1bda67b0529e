"""The penalty and the projected last layer, against dense least squares."""

from __future__ import annotations

import itertools

import mixed_model
import numpy as np
import pytest
import torch
from nets import normal, points, random_kan, uneven_kan
from scipy.linalg import block_diag

from kansweep.networks.kan import KAN
from kansweep.networks.points import points_of
from kansweep.solvers.gauss_newton import penalty
from kansweep.solvers.gauss_newton.projection import best_last_layer


def test_the_weight_for_cubic_splines_is_that_of_their_error_constant():
    """|B_8| / 8! = (1/30) / 40320."""
    assert penalty.weight(1, 3) == pytest.approx(1 / 30 / 40320)
    assert penalty.weight(20, 3) == pytest.approx(penalty.weight(1, 3) / 20)


def test_without_noise_only_rough_rows_weigh():
    least = penalty.least(20, 3, 2.0).tolist()
    assert least == pytest.approx([2 * penalty.weight(20, 3), 0, 0])


def grams(net: KAN) -> list[np.ndarray]:
    """C^T C of every layer and kind, (P, P), out of the oracle's rows."""
    n_coef, found = net.grid_size + net.k, []
    sizes = [layer.n_outputs * layer.n_inputs for layer in net.layers]
    base = net.layers[0].base is not None
    for index, kind in itertools.product(range(len(sizes)), range(penalty.KINDS)):
        blocks = []
        for layer, edges in enumerate(sizes):
            own = mixed_model.rows(n_coef, net.k)[kind]
            gram = own.T @ own if layer == index else np.zeros((n_coef, n_coef))
            blocks += [gram] * edges + [np.zeros((edges, edges))] * base
        found.append(block_diag(*blocks))
    return found


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize(("k", "grid_size"), [(1, 9), (3, 9), (5, 9), (3, 3), (3, 2), (3, 1)])
def test_rows_their_energy_and_their_transpose_are_numpys(k, grid_size, base):
    net = random_kan((2, 3, 1), grid_size=grid_size, k=k, base=base)
    eye, theta = torch.eye(net.n_params).double(), net.theta().numpy()
    matrix = torch.cat([penalty.strain(net, row.expand(2, -1))[:1] for row in eye]).T.numpy()
    of_group = np.split(matrix, np.cumsum(penalty.ranks(net))[:-1])
    for gram, own in zip(grams(net), of_group, strict=True):
        np.testing.assert_allclose(own.T @ own, gram, atol=1e-11)
    strain = penalty.strain(net, net.theta())
    np.testing.assert_allclose(strain, theta @ matrix.T, atol=1e-12)
    np.testing.assert_allclose(penalty.transposed(net, strain), strain.numpy() @ matrix, atol=1e-11)
    energy = [np.einsum("rp,pq,rq->r", theta, gram, theta) for gram in grams(net)]
    np.testing.assert_allclose(
        penalty.energy(net).flatten(1), np.stack(energy, axis=1), rtol=1e-11, atol=1e-12
    )


def test_ranks_count_the_directions_of_every_kind():
    net = random_kan((2, 3, 1), grid_size=9)
    ranks = [np.linalg.matrix_rank(gram) for gram in grams(net)]
    assert penalty.ranks(net) == ranks == [42, 18, 6, 21, 9, 3]


def test_every_row_belongs_to_the_node_that_its_edge_leads_to():
    net = random_kan((2, 3, 1), grid_size=9)
    owner = penalty.owners(net.width, 12, 5, torch.device("cpu"))
    for o in range(3):
        layer = net.layers[0]
        coef = torch.zeros_like(layer.coef)
        coef[:, o] = normal(2, 2, 12)
        theta = net.with_theta(0 * net.theta()).theta()
        theta[:, : coef[0].numel()] = coef.flatten(1)
        moved = penalty.strain(net, theta)[0] != 0
        assert (owner[moved] == o).all()
        assert moved.sum() == (owner == o).sum()
    assert (owner[-11:] == 3).all()


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("grid_size", [2, 9])
def test_entries_bands_and_diagonals_are_those_of_the_dense_square(grid_size, base):
    net = random_kan((2, 3, 1), grid_size=grid_size, base=base)
    w = normal(2, 2, 3).square()
    index, values, group = penalty.entries(net)
    of_row = penalty.per_row(net, w)
    for r, scale in enumerate(w.flatten(1).numpy()):
        full = np.einsum("g,gpq->pq", scale, np.array(grams(net)))
        lower = np.zeros(net.n_params**2)
        np.add.at(lower, index.numpy(), scale[group.numpy()] * values[0].numpy())
        np.testing.assert_allclose(lower.reshape(full.shape), np.tril(full), atol=1e-11)
        np.testing.assert_allclose(penalty.diagonal(net, w)[r], full.diagonal(), atol=1e-11)
        weighed = penalty.transposed(net, of_row * penalty.strain(net, net.theta()))[r]
        np.testing.assert_allclose(weighed, full @ net.theta()[r].numpy(), atol=1e-10)
    n_coef = grid_size + 3
    rough = mixed_model.rows(n_coef, 3)[0]
    for d in range(min(6, n_coef)):
        band = penalty.band(n_coef, 5)[: n_coef - d, d]
        np.testing.assert_allclose(band, (rough.T @ rough).diagonal(-d), atol=1e-11)


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("grid_size", [2, 9])
def test_on_unequal_intervals_every_form_has_the_same_rows(grid_size, base):
    net = uneven_kan((2, 3, 1), grid_size=grid_size, base=base)
    w, eye = normal(2, 2, 3).square(), torch.eye(net.n_params).double()
    rows = torch.stack([penalty.strain(net, row.expand(2, -1)) for row in eye], dim=2)
    full = (rows.mT @ (penalty.per_row(net, w)[..., None] * rows)).numpy()
    index, values, group = penalty.entries(net)
    for r, scale in enumerate(w.flatten(1).numpy()):
        lower = np.zeros(net.n_params**2)
        own = values.expand(2, -1)[r].numpy()
        np.add.at(lower, index.numpy(), scale[group.numpy()] * own)
        np.testing.assert_allclose(lower.reshape(full[r].shape), np.tril(full[r]), atol=1e-9)
        np.testing.assert_allclose(penalty.diagonal(net, w)[r], full[r].diagonal(), atol=1e-9)
    e = normal(2, rows.shape[1])
    pulled = (e[:, None] @ rows)[:, 0]
    np.testing.assert_allclose(penalty.transposed(net, e), pulled, atol=1e-10)


@pytest.mark.parametrize("degree", range(5))
def test_a_polynomial_costs_what_its_kind_of_rows_asks(degree):
    """Of degree k + 1 nothing that is rough, a line nothing that is curved, a constant nothing."""
    net = random_kan((1, 1), grid_size=12, k=3, replicas=1)
    place = torch.linspace(-1, 1, 15, dtype=torch.float64)
    of = torch.special.legendre_polynomial_p(place, degree)
    rough, curved, straight = penalty.energy(net.with_theta(of[None]))[0, 0].tolist()
    assert rough < 1e-24
    assert (curved > 1e-3) == (degree > 1)
    assert (straight > 1e-3) == (degree in (1, 3))  # P_3 is not orthogonal to a line on points
    assert curved > 1e-3 or curved < 1e-24


def test_weights_of_what_is_not_rough_mean_the_same_on_every_grid():
    """They are mean squares over the coefficients: of sin x on 50 and on 200 intervals, alike."""
    energies = []
    for grid_size in (50, 200):
        net = random_kan((1, 1), grid_size=grid_size, replicas=1)
        place = net.layers[0].greville(3)[0, 0]
        energies.append(penalty.energy(net.with_theta(place.sin()[None]))[0, 0, 1:])
    np.testing.assert_allclose(energies[0], energies[1], rtol=0.3)


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("width", [(3, 1), (2, 2)])
def test_the_last_layer_is_the_penalised_least_squares_solution(width, base):
    """Stacked rows sqrt(w) C and data, solved by NumPy's lstsq; the values are unique."""
    net, x = random_kan(width, grid_size=6, base=base, replicas=1), points(1, 80, width[0])
    y, w = (
        normal(1, 80, width[1], seed=5),
        torch.tensor([[[1e-4, 1e-2, 1e-3]]], dtype=torch.float64),
    )
    hidden = points_of(x, y, k=net.k).hidden(net, [])
    fitted = hidden.settled(best_last_layer(hidden, w)).kan
    columns = []
    for p in range(net.n_params):  # the output is linear in theta
        unit = torch.zeros(1, net.n_params, dtype=torch.float64)
        unit[0, p] = 1.0
        columns.append(net.with_theta(unit)(x)[0].flatten().numpy())
    design = np.stack(columns, axis=1) / np.sqrt(80)
    own = zip(mixed_model.rows(9, 3), (1e-2, 1e-1, 10**-1.5), strict=True)
    stiff = np.kron(np.eye(width[0] * width[1]), np.vstack([root * part for part, root in own]))
    stiff = np.pad(stiff, ((0, 0), (0, net.n_params - stiff.shape[1])))
    rhs = np.concatenate([y[0].flatten().numpy() / np.sqrt(80), np.zeros(len(stiff))])
    best = np.linalg.lstsq(np.vstack([design, stiff]), rhs, rcond=None)[0]
    expected = design @ best * np.sqrt(80)
    np.testing.assert_allclose(fitted(x)[0].flatten(), expected, atol=1e-9)
