"""Right basins where the first start is in a wrong one, held to floors and to SciPy's splines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from nets import example, normal, points
from scipy.interpolate import BSpline
from scipy.spatial import cKDTree
from torch import Tensor
from trainings import fresh_rmse, trained

from kansweep.data.floor import floor
from kansweep.data.functions import from_formula
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton import basins


def harmonic(x: Tensor) -> Tensor:
    """P_2(cos v), v from 0 to pi, of the second input alone."""
    angle = np.pi / 2 * (1 + x[..., 1])
    return (3 * torch.cos(angle) ** 2 - 1) / 2


def of_a_square(grid_size: int, k: int = 3) -> float:
    """The error of NumPy's best spline of P_2(cos v) as a function of (v - pi/2)^2: a polynomial,
    which an inner spline is on any grid, with all that is left to the outer one."""
    v = np.linspace(0, np.pi, 20_001)
    u, y = (2 * v / np.pi - 1) ** 2, (3 * np.cos(v) ** 2 - 1) / 2
    knots = np.arange(-k, grid_size + k + 1) / grid_size
    basis = BSpline.design_matrix(u, knots, k).toarray()
    return float(np.sqrt(np.mean((basis @ np.linalg.lstsq(basis, y, rcond=None)[0] - y) ** 2)))


@pytest.mark.parametrize("grids", [(3, 5, 10, 20), (6, 12), (20,)])
def test_of_one_relevant_input_every_seed_finds_the_best_inner_function(grids):
    """Any inner function has an outer one, and in all basins errors fall by the order: a cosine
    behind which a line stands is a hundred times worse at G = 20. Rounding changes nothing."""
    x, fresh = points(2, 600, 2).repeat(2, 1, 1), points(1, 4000, 2, seed=99)
    y = harmonic(x)[..., None]
    y[2:] *= 1 + 1e-14 * normal(2, 600, 1)
    nets = trained(Problem(x, y, (-1, 1), (0, 1, 0, 1)), grids)
    for grid_size, net in zip(grids, nets, strict=True):
        missed = net(fresh.expand(4, -1, -1))[..., 0] - harmonic(fresh)
        assert missed.square().mean(1).sqrt().max().item() < 1.5 * of_a_square(grid_size)


@pytest.mark.parametrize(
    ("formula", "grids"),
    [
        # A layer inside a wave, which turns within the distance to the next points.
        ("cos(4*(tanh(10*x1)+x2))", (12, 24)),
        # As fast inside; the square of a sum with waves inside.
        ("(sin(4*pi*x1)+sin(3*pi*x2)+x3)^2", (6, 12, 24)),
        # On the first two grids nothing is seen of the wave; what follows falls by the order, from
        # wherever it begins.
        ("exp(sin(20*x1)/2+x2)", (6, 12, 24)),
    ],
)
def test_fast_inner_functions_are_found_where_gradients_are_wrong(formula, grids):
    wave = from_formula((("", formula),), "wave", None, (1,))
    fresh = points(1, 4000, wave.n_inputs, seed=99)
    true = torch.from_numpy(wave.function(fresh[0].numpy())).reshape(-1)
    x = points(2, 2000, wave.n_inputs)
    y = torch.from_numpy(wave.function(x.flatten(0, 1).numpy())).reshape(2, 2000, 1)
    net = trained(Problem(x, y, (-1, 1), (0, 1)), grids)[-1]
    missed = net(fresh.expand(2, -1, -1))[..., 0] - true
    error = missed.square().mean(1).sqrt().max().item()
    assert error < 1.25 * floor(wave, (1,), 3, grids[-1])


@pytest.mark.parametrize("share", [0.0, 0.15, 0.3, 1.0])
def test_what_is_left_is_compared_at_the_nearest_other_place(share: float) -> None:
    """As SciPy's tree finds it; rows of one place are not neighbours."""
    x = points(1, 400, 3)[0] * torch.tensor([1.0, 5.0, 1.0])
    residual = share * torch.sin(2 * x.sum(1)) + (1 - share) * normal(400)
    scaled = x / (x.amax(0) - x.amin(0))
    nearest = cKDTree(scaled).query(scaled, k=2)[1][:, 1]
    alike = float((residual * residual[nearest]).sum() / residual.square().sum())
    assert basins._correlation(x, residual[:, None]) == pytest.approx(alike, rel=1e-12)
    both = torch.stack([normal(400, seed=1), -residual], 1)
    assert basins._correlation(x, both) >= alike - 1e-12
    assert (share > 0.5) == (alike > 0.4)
    twice = torch.cat([x, x])
    assert basins._correlation(twice, normal(800, 1)) < basins.ALIKE
    assert basins._correlation(twice, torch.sin(2 * twice.sum(1))[:, None]) > basins.ALIKE


def test_where_what_is_left_is_noise_no_other_start_is_tried(monkeypatch):
    """The first one is right, and no finer grid lowers the error, which would be doubtful."""
    seeds, asked = (0, 1), []
    problem = example(1000, seeds)
    noisy = replace(problem, y=problem.y + 0.1 * normal(2, 1000, 1))
    monkeypatch.setattr(basins, "better", lambda net, at, *_: asked.append(net.grid_size) or net)
    nets = trained(noisy, (5, 10, 20))
    assert all(fresh_rmse(net, seeds).max() < 0.02 for net in nets)
    assert not asked
