"""What a step solves: the linearised objective, its systems, and solves that fail."""

from __future__ import annotations

import itertools
from dataclasses import replace

import mixed_model
import numpy as np
import pytest
import torch
from nets import example, mid_and_half, normal, normalised, points, random_kan
from torch import Tensor
from trainings import additive, fresh_rmse, trained

from kansweep.networks.kan import KAN, edges
from kansweep.networks.points import points_of
from kansweep.solvers.gauss_newton import descent, penalty, pruning, spare, systems
from kansweep.solvers.gauss_newton.linearised import Linearised
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.solvers.gauss_newton.objective import Point, training_error
from kansweep.solvers.gauss_newton.strain.tensor import TensorStrain
from kansweep.solvers.gauss_newton.systems import Direct, Iterative


def residuals(net: KAN, x: torch.Tensor, y: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """All whose squares the objective sums, (R, rows): data, then penalties; written out here.

    Hidden values are normalised by their own range on x, which rescales their penalty as well.
    Weights are (R, L, 3).
    """
    u = raw = x
    parts = []
    for index, layer in enumerate(net.layers):
        out = edges(replace(layer, base=None), u, net.k).sum(2)
        if layer.base is not None:
            v = layer.shift[:, None] + layer.scale[:, None] * raw
            out = out + (v * torch.sigmoid(v)) @ layer.base.mT
        mid, half = mid_and_half(out)
        size = half if index + 1 < len(net.layers) else torch.ones_like(half)
        own = mixed_model.rows(net.grid_size + net.k, net.k)
        for root, rows in zip(w[:, index].sqrt().unbind(1), own, strict=True):
            strain = layer.coef @ torch.from_numpy(rows.T) / size[..., None, None]
            parts.append(root[:, None] * strain.flatten(1))
        raw, u = out, (out - mid[:, None]) / half[:, None]
    data = (raw - y).flatten(1) / x.shape[1] ** 0.5
    return torch.cat([data, *parts], dim=1)


WIDTHS = [(2, 1, 1), (3, 2, 2, 1), (2, 3, 2), (1, 1)]


def some_system(width: tuple[int, ...], base: bool) -> tuple[Linearised, Tensor, Tensor, Tensor]:
    """A linearised problem, weights, and by finite differences its matrix and half gradient."""
    x, y = points(2, 30, width[0]), normal(2, 30, width[-1], seed=7)
    kinds = torch.tensor([[1e-1, 3e-2, 1e-2], [1e-3, 1e-4, 1e-2]], dtype=torch.float64)
    w = kinds[:, None] * torch.logspace(0, -1, len(width) - 1, dtype=torch.float64)[:, None]
    net = normalised(normalised(random_kan(width, base=base), x), x)
    point = Point.of(points_of(x, y, k=net.k).settled(net))
    theta, h, columns = net.theta(), 1e-6, []
    for p in range(theta.shape[1]):
        move = torch.zeros_like(theta)
        move[:, p] = h
        there, back = (residuals(net.with_theta(theta + d), x, y, w) for d in (move, -move))
        columns.append((there - back) / (2 * h))
    jacobian = torch.stack(columns, dim=2)  # (R, rows, P)
    here = residuals(net, x, y, w)
    gradient = (jacobian.mT @ here[..., None])[..., 0]
    lin = point.linearised()
    np.testing.assert_allclose(point.objective(w), here.square().sum(1), rtol=1e-12)
    return lin, w, jacobian.mT @ jacobian, gradient


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_linearised_objective_is_that_of_finite_differences(width, base):
    lin, w, matrix, gradient = some_system(width, base)
    d = normal(2, matrix.shape[1], seed=3)
    np.testing.assert_allclose(lin.gradient(w), gradient, atol=1e-6)
    np.testing.assert_allclose(lin.product(w, d), (matrix @ d[..., None])[..., 0], atol=1e-5)


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_idle_directions_change_nothing_and_are_all_there_are(width, base):
    """By the matrix of finite differences: each has no curvature, and where silu does not see
    hidden values as they were, nothing else has none."""
    lin, _, matrix, _ = some_system(width, base)
    idle = TensorStrain(lin.like, lin.data.theta, lin.data.half).idle_directions()
    curvature = (idle * (matrix @ idle)).sum(1)
    np.testing.assert_allclose(curvature, 0, atol=1e-8)
    assert (torch.linalg.matrix_rank(idle) == idle.shape[2]).all()
    if not base:
        flat = (torch.linalg.eigvalsh(matrix) < 1e-8).sum(1)
        assert (flat == idle.shape[2]).all()


@pytest.mark.parametrize("form", [Direct, Iterative])
@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_both_forms_of_a_system_solve_it(width, base, form, monkeypatch):
    """Against NumPy's solution of the matrix by finite differences; the damping counts no more of
    an entry than the data's largest."""
    monkeypatch.setattr(systems, "CG_TOLERANCE", 1e-10)
    lin, w, matrix, gradient = some_system(width, base)
    damping = torch.tensor([0.1, 0.01]).double()
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    most = (lin.data.diagonal() / lin.n_points).amax(1, keepdim=True)
    assert (diagonal > 2 * most).any()
    damped = matrix + torch.diag_embed(damping[:, None] * torch.minimum(diagonal, most))
    factored = form(lin).factored(w, damping)
    x, failed = factored.solve(gradient)
    assert not failed.any()
    np.testing.assert_allclose(factored.diagonal, diagonal, atol=1e-6)
    expected = np.linalg.solve(damped.numpy(), gradient.numpy()[..., None])[..., 0]
    np.testing.assert_allclose(x, expected, rtol=0, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("width", [(2, 1, 1), (3, 2, 2, 1)])
def test_traces_by_layer_and_kind_are_those_of_the_dense_inverse_and_estimated_without_it(
    width, monkeypatch
):
    lin, w, _, _ = some_system(width, base=False)
    everyone = torch.arange(2)
    direct = Direct(lin).trace(w, everyone)
    eye = torch.eye(lin.like.n_params).double()
    columns = [lin.strain.change(row.expand(2, -1)) for row in eye]
    strain = torch.stack(columns, dim=2)  # (R, S, P), B
    whole = torch.stack([lin.product(w, row.expand(2, -1)) for row in eye], dim=2)
    inverse = np.linalg.pinv(whole.numpy(), rcond=1e-12, hermitian=True)
    own = np.einsum("rsp,rpq,rsq->rs", strain, inverse, strain)
    first = np.cumsum([0, *penalty.ranks(lin.like)])
    sums = [own[:, a:b].sum(1) for a, b in itertools.pairwise(first)]
    expected = np.stack(sums, axis=1).reshape(w.shape)
    np.testing.assert_allclose(direct, expected, rtol=1e-3)
    np.testing.assert_allclose(Direct(lin).trace(w, everyone[1:]), expected[1:], rtol=1e-3)
    estimate = Iterative(lin).trace(w, everyone[:1])  # the other is too ill-conditioned for it
    np.testing.assert_allclose(estimate, expected[:1], rtol=0.3)
    monkeypatch.setattr(systems, "LARGE", 0)
    sampled = Direct(lin).trace(w, everyone)
    np.testing.assert_allclose(sampled, expected, rtol=0.3)
    np.testing.assert_array_equal(Direct(lin).trace(w, everyone[1:]), sampled[1:])
    monkeypatch.setattr(systems, "COLUMNS", 1000)
    np.testing.assert_allclose(Direct(lin).trace(w, everyone), expected, rtol=0.05)


def test_traces_do_not_know_of_edges_that_were_pruned(monkeypatch):
    """Those of the network without them, also where they are estimated."""
    x, y = points(1, 60, 3), normal(1, 60, 1, seed=7)
    net = normalised(normalised(random_kan((3, 2, 1), replicas=1), x), x)
    kept = torch.tensor([[True, True, False], [True, True, True]]), torch.ones(1, 2).bool()
    lean, net = spare.narrowed(net, kept), pruning._with_kept(net, kept)
    w = torch.tensor([1e-1, 3e-2, 1e-2]).double().expand(1, 2, 3).clone()
    at = torch.arange(1)
    direct = Direct(Point.of(points_of(x, y, k=net.k).settled(net)).linearised())
    expected = Direct(Point.of(points_of(x, y, k=lean.k).settled(lean)).linearised()).trace(w, at)
    np.testing.assert_allclose(direct.trace(w, at), expected, rtol=1e-6)
    monkeypatch.setattr(systems, "LARGE", 0)
    np.testing.assert_allclose(direct.trace(w, at), expected, rtol=0.3)


@pytest.mark.parametrize(
    ("n_params", "n", "edges", "direct"),
    [
        (1500, 100, 3, True),
        (1501, 3000, 3, False),
        (1827, 3000, 9, False),
        (1980, 3000, 60, True),
        (2323, 3000, 101, True),
        (4001, 10**9, 1000, False),
    ],
)
def test_the_form_that_is_less_work_is_taken(n_params, n, edges, direct, monkeypatch):
    assert systems.is_direct(n_params, n, edges) == direct
    lin, *_ = some_system((2, 1, 1), base=False)
    monkeypatch.setattr(systems, "is_direct", lambda *asked: asked == (21, 30, 3) and direct)
    assert lin.like.n_theta == 21
    assert isinstance(systems.system(lin), Direct if direct else Iterative)


def test_large_and_small_systems_take_their_forms_and_reach_the_same_end(monkeypatch):
    problem = example(300, (0, 1))
    direct = trained(problem, (5, 10, 20))
    monkeypatch.setattr(systems, "is_direct", lambda *_: False)
    iterative = trained(problem, (5, 10, 20))
    for one, other in zip(direct, iterative, strict=True):
        errors = fresh_rmse(one, (0, 1)), fresh_rmse(other, (0, 1))
        np.testing.assert_allclose(errors[1], errors[0], rtol=0.1)


def test_a_solve_that_fails_is_a_rejected_step_and_no_convergence(monkeypatch):
    calls = []

    class FailingOnce(Direct):
        def factored(self, w, damping):
            calls.append(damping.item())
            factored = super().factored(w, damping)
            if len(calls) == 1:
                solve = factored.solve
                factored.solve = lambda rhs: (solve(rhs)[0] * 0, torch.tensor([True]))
            return factored

    problem = example(100, (0,))
    net = additive(problem)
    monkeypatch.setattr(descent, "system", FailingOnce)
    outcome = LM().solve(net, problem)
    assert calls[1] > calls[0]
    assert outcome.steps[0] > 2
    assert training_error(outcome.net, problem).sqrt() < 1e-2
