"""Where training puts knots, and the penalty on grids that are not equal."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import breaks, points, uneven_kan

from kansweep.config.solvers import LMConfig
from kansweep.data.formula import parse
from kansweep.networks import uneven
from kansweep.networks.kan import KAN, Shape
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton import penalty
from kansweep.solvers.gauss_newton.lm import LM

LAYER, SMOOTH = "exp(tanh(30*x1)/2+x2^2)", "exp((sin(x1)+x2^2)/2)"


def problem(formula: str, n: int = 1000, noise: float = 0.0) -> Problem:
    x = points(1, n, 2)
    y = torch.from_numpy(parse(formula)(x[0].numpy())).view(1, n, 1)
    y = y + noise * torch.randn(y.shape, generator=torch.Generator().manual_seed(3)).double()
    ends = torch.ones(2, dtype=torch.float64)
    return Problem(x, y, (-ends, ends), (0,))


def chain(given: Problem, spacing: str, grids: tuple[int, ...] = (6, 12)) -> KAN:
    solver, memory = LM(LMConfig()), None
    net = solver.start(Shape((2, 1, 1), 3, grids[0], False, spacing), given)
    for grid_size in grids:
        outcome = solver.solve(net.refined(grid_size), given, memory)
        net, memory = outcome.net, outcome.memory
    return net


def error(net: KAN, formula: str) -> float:
    x = points(1, 4000, 2, seed=9)
    y = torch.from_numpy(parse(formula)(x[0].numpy())).flatten()
    return float((net(x)[0, :, 0] - y).square().mean().sqrt())


def test_a_layer_that_equal_intervals_cannot_see_is_resolved():
    given = problem(LAYER)
    adaptive = chain(given, "adaptive")
    assert error(adaptive, LAYER) < 0.1 * error(chain(given, "uniform"), LAYER)
    places = adaptive.layers[0].knots(3)[0, 0, 3:-3]
    assert (places.abs() < 0.2).sum() > 6  # of 13
    again = chain(given, "adaptive")
    assert torch.equal(again.theta(), adaptive.theta())


def test_smooth_functions_are_no_worse_and_noise_is_not_followed():
    given = problem(SMOOTH)
    assert error(chain(given, "adaptive"), SMOOTH) < 1.05 * error(chain(given, "uniform"), SMOOTH)
    noisy = problem(SMOOTH, 400, noise=0.2)
    adaptive, uniform = (chain(noisy, spacing) for spacing in ("adaptive", "uniform"))
    assert error(adaptive, SMOOTH) < 1.05 * error(uniform, SMOOTH)


def test_few_points_leave_the_knots_where_they_are():
    given = problem(LAYER, 60)
    assert all(layer.breaks is None for layer in chain(given, "adaptive", (12,)).layers)


def test_quantile_puts_knots_at_quantiles():
    given = problem(LAYER, 400)
    crowded = Problem(given.x**3, given.y, given.domain, given.seeds)
    net = chain(crowded, "quantile", (8,))
    counts = np.histogram(crowded.x[0, :, 0], net.layers[0].knots(3)[0, 0, 3:-3])[0]
    assert counts.min() > 30  # of 50


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("beyond", [2, 3, 5])
def test_rough_rows_are_differences_and_leave_polynomials_free(k, beyond):
    order = k + beyond
    even = torch.linspace(0, 1, 11, dtype=torch.float64)[None, None]
    expected = np.diff(np.eye(10 + k), order, axis=0)
    rows = uneven.differences(even, k, order)[0, 0].numpy()
    for row, (factors, full) in enumerate(zip(rows, expected, strict=True)):
        np.testing.assert_allclose(factors, full[row : row + order + 1], atol=1e-9)
    given = breaks(1, 1, 10)
    greville = uneven.knots(given, k)[..., 1:-1].unfold(-1, k, 1).mean(-1)
    for coef in (torch.ones_like(greville), greville):
        left = (coef.unfold(-1, order + 1, 1) * uneven.differences(given, k, order)).sum(-1)
        assert left.abs().max() < 1e-9


@pytest.mark.parametrize(("width", "grid_size"), [((1, 1), 6), ((2, 1), 2), ((2, 2, 1), 6)])
def test_energy_bands_and_entries_of_unequal_grids_are_one_matrix(width, grid_size):
    net = uneven_kan(width, grid_size=grid_size)
    theta, n_params = net.theta(), net.n_params
    eye = torch.eye(n_params, dtype=torch.float64)
    columns = torch.stack([penalty.strain(net, row.expand_as(theta)) for row in eye], dim=2)
    np.testing.assert_allclose(columns @ theta[..., None], penalty.strain(net, theta)[..., None])
    back = penalty.transposed(net, penalty.strain(net, theta))
    np.testing.assert_allclose(back[..., None], columns.mT @ (columns @ theta[..., None]))
    layers = len(net.layers)
    w = torch.arange(1.0, 1.0 + 6 * layers, dtype=torch.float64).view(2, layers, 3)
    dense = columns.mT @ (penalty.per_row(net, w)[..., None] * columns)
    index, values, group = penalty.entries(net)
    lower = torch.zeros(2, n_params**2, dtype=torch.float64)
    lower.index_add_(1, index, w.flatten(1)[:, group] * values)
    np.testing.assert_allclose(lower.view(dense.shape), dense.tril(), atol=1e-9)
    np.testing.assert_allclose(penalty.diagonal(net, w), dense.diagonal(dim1=1, dim2=2))
