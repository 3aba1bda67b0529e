"""The sparse Jacobian, its products, and the moving ranges, against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import mid_and_half, normal, normalised, points, random_kan, uneven_kan
from torch import Tensor

from kansweep.networks import jacobian as jacobians
from kansweep.networks import kan as kans
from kansweep.networks.gauge import range_terms
from kansweep.networks.jacobian import Jacobian, jacobian
from kansweep.networks.kan import KAN

STEP = 1e-6


def dense(rows: Jacobian) -> Tensor:
    """(R, M, n, P)."""
    replicas, n_outputs, nnz, n = rows.values.shape
    out = rows.values.new_zeros(replicas, n_outputs, rows.n_params, n)
    out.scatter_(2, rows.columns[:, None].expand(replicas, n_outputs, nnz, n), rows.values)
    return out.mT


def finite_difference(f, net: KAN) -> Tensor:
    """Central differences of f(KAN) -> (R, n, M) in every parameter: (R, M, n, P)."""
    theta, columns = net.theta(), []
    for p in range(net.n_params):
        move = torch.zeros_like(theta)
        move[:, p] = STEP
        slope = (f(net.with_theta(theta + move)) - f(net.with_theta(theta - move))) / (2 * STEP)
        columns.append(slope.mT)
    return torch.stack(columns, dim=3)


@pytest.mark.parametrize("made", [random_kan, uneven_kan])
@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("width", [(2, 1, 1), (3, 2, 2, 1), (2, 3, 2)])
def test_jacobian_is_that_of_finite_differences(width, k, base, made):
    """Within the grids and beyond them."""
    net, x = made(width, k=k, base=base), 1.3 * points(2, 7, width[0])
    rows = jacobian(net, net.activations(x)[0])
    np.testing.assert_allclose(dense(rows), finite_difference(lambda n: n(x), net), atol=1e-8)


@pytest.mark.parametrize("width", [(2, 1, 1), (2, 3, 2)])
def test_products_are_those_of_the_dense_matrix(width):
    net, x = random_kan(width, base=True), points(2, 30, width[0])
    rows = jacobian(net, net.activations(x)[0])
    matrix = dense(rows)
    v, r = normal(2, net.n_params), normal(2, width[-1], 30)
    full = torch.einsum("rmnp,rmnq->rpq", matrix, matrix)
    same = {"rtol": 0, "atol": 1e-12}
    np.testing.assert_allclose(rows.product(v), torch.einsum("rmnp,rp->rmn", matrix, v), **same)
    np.testing.assert_allclose(
        rows.transposed_product(r), torch.einsum("rmnp,rmn->rp", matrix, r), **same
    )
    np.testing.assert_allclose(rows.squared_norms(), full.diagonal(dim1=1, dim2=2), **same)


@pytest.mark.parametrize("chunk", [1, 4_000_000])
@pytest.mark.parametrize("cost", [0, 1e9])
@pytest.mark.parametrize("width", [(2, 1, 1), (2, 3, 2), (1, 1)])
def test_either_form_of_the_gram_matrix_has_its_lower_half(width, cost, chunk, monkeypatch):
    """Scattered where pairs cost nothing, dense where they cost all; a point at a time or all."""
    monkeypatch.setattr(jacobians, "SCATTER_COST", cost)
    monkeypatch.setattr(jacobians, "CHUNK", chunk)
    net, x = random_kan(width, base=True), points(2, 30, width[0])
    activations, _ = net.activations(x)
    rows, hidden = jacobian(net, activations), sum(width[1:-1])
    outer = normal(2, width[-1], 30, 2 * hidden, seed=3)
    inner = normal(2, net.n_params, 2 * hidden, seed=4)
    whole = dense(rows) + torch.einsum("rmnh,rph->rmnp", outer, inner)
    full = torch.einsum("rmnp,rmnq->rpq", whole, whole)
    np.testing.assert_allclose(rows.gram(outer, inner).tril(), full.tril(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("base", [False, True])
def test_bands_are_the_blocks_of_single_edges(base):
    net, x = random_kan((2, 3, 2), base=base), points(2, 30, 2)
    rows = jacobian(net, net.activations(x)[0])
    matrix = dense(rows)
    full = torch.einsum("rmnp,rmnq->rpq", matrix, matrix)
    first = 0
    for layer, band in zip(net.layers, rows.bands(net), strict=True):
        n_coef = layer.coef.shape[3]
        for edge in range(layer.n_outputs * layer.n_inputs):
            block = full[:, first : first + n_coef, first : first + n_coef]
            for d in range(net.k + 1):
                own = block.diagonal(offset=-d, dim1=1, dim2=2)
                np.testing.assert_allclose(band[:, edge, : n_coef - d, d], own, atol=1e-12)
            first += n_coef
        first += layer.n_outputs * layer.n_inputs if base else 0


def normalising_forward(net: KAN, x: Tensor) -> Tensor:
    """Forward pass that maps hidden values onto their grids by their own range on x.

    silu sees the value before that, as it does in the model; written without ``gauge``.
    """
    raw = x
    for index, layer in enumerate(net.layers):
        out = torch.einsum("rnios->rno", (kans.edges(_spline_only(layer), x, net.k))[..., None])
        if layer.base is not None:
            shift = layer.shift[:, None] + layer.scale[:, None] * raw
            out = out + torch.einsum("rni,roi->rno", shift * torch.sigmoid(shift), layer.base)
        raw = out
        if index + 1 < len(net.layers):
            mid, half = mid_and_half(out)
            x = (out - mid[:, None]) / half[:, None]
    return out


def _spline_only(layer: kans.Layer) -> kans.Layer:
    values = vars(layer) | {"base": None}
    return kans.Layer(**values)


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("made", [random_kan, uneven_kan])
@pytest.mark.parametrize(
    ("width", "k"),
    [
        *(((3, 2, 2, 1), k) for k in (1, 3, 5)),
        *((width, 3) for width in ((2, 1, 1), (2, 2, 2, 2, 1), (2, 3, 2))),
    ],
)
def test_moving_ranges_complete_the_jacobian_of_the_normalised_network(width, made, k, base):
    x = points(2, 9, width[0])
    net = made(width, k=k, base=base)
    for _ in range(2):  # the second time nothing moves but rounding
        net = normalised(net, x)
    np.testing.assert_allclose(normalising_forward(net, x), net(x), atol=1e-12)
    activations, _ = net.activations(x)
    outer, inner, _ = range_terms(net, activations)
    whole = dense(jacobian(net, activations)) + torch.einsum("rmnh,rph->rmnp", outer, inner)
    finite = finite_difference(lambda n: normalising_forward(n, x), net)
    np.testing.assert_allclose(whole, finite, atol=3e-8)


@pytest.mark.parametrize("made", [random_kan, uneven_kan])
@pytest.mark.parametrize("base", [False, True])
def test_rows_of_one_output_are_those_of_the_jacobian(made, base):
    net, x = made((3, 1), base=base), 1.3 * points(2, 20, 3)
    rows = jacobians.layer_rows(net.layers[0], x, net.k)
    whole = jacobian(net, net.activations(x)[0])
    np.testing.assert_allclose(dense(rows), dense(whole), atol=1e-14)


def test_half_ranges_have_the_derivative_of_half_the_range():
    net, x = normalised(random_kan((3, 2, 1)), points(2, 20, 3)), points(2, 20, 3)
    _, _, half = range_terms(net, net.activations(x)[0])

    def half_range(n: KAN) -> Tensor:
        return mid_and_half(kans.edges(n.layers[0], x, n.k).sum(2))[1][:, None]

    finite = finite_difference(half_range, net)[:, :, 0]  # (R, H, P)
    np.testing.assert_allclose(half.mT, finite, atol=1e-8)
