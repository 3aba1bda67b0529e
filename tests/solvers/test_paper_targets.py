"""The targets of the KAN paper's figure, beside what pykan 0.0.1 was measured to reach on them.

``paper_targets_measured.csv`` holds pykan's test RMSE in float64 at 3000 points, the best of its
seeds. ``experiment=paper_fig_3_1`` covers all five; here stand those that take seconds.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from places import DATA
from scipy.interpolate import BSpline

from kansweep.data.sampling import Sampled
from kansweep.data.targets import TARGETS
from kansweep.kinds import KINDS
from kansweep.networks.kan import Shape
from kansweep.solvers.gauss_newton.lm import LM
from kansweep.sweep import chain

MEASURED = pd.read_csv(DATA / "paper_targets_measured.csv")
N_TRAIN, N_TEST = 3000, 10_000


def pykan(target: str) -> dict[int, float]:
    """Its best test RMSE by grid size."""
    rows = MEASURED[(MEASURED["model"] == "pykan 0.0.1") & (MEASURED["target"] == target)]
    assert (rows["n_train"] == N_TRAIN).all()
    grids = rows["grid_size_or_hidden"].astype(int)
    return dict(zip(grids, rows["test_rmse_best"], strict=True))


def ours(name: str, grids: tuple[int, ...]) -> dict[int, float]:
    target = TARGETS[name]
    width = (target.n_inputs, *target.hidden, 1)
    shapes = tuple(Shape(width, 3, grid_size, base=False) for grid_size in grids)
    batch = chain.Batch(
        Sampled(target),
        N_TRAIN,
        N_TEST,
        (0,),
        KINDS["kan"],
        shapes,
        "cpu",
        "float64",
    )
    results = [result for (result,) in chain.train(batch, LM(), [None], lambda _: None)]
    return {result.size: result.test_rmse for result in results}


def least_squares(grid_size: int, k: int = 3) -> float:
    """Test RMSE of NumPy's least-squares spline on the same points: the best its space allows."""
    source = Sampled(TARGETS["bessel"])
    h = 2 / grid_size
    knots = np.linspace(-1 - k * h, 1 + k * h, grid_size + 2 * k + 1)
    (x, y), (x_test, y_test) = source.train(N_TRAIN, 0), source.test(N_TEST, 0)
    basis, basis_test = (
        BSpline.design_matrix(points[:, 0], knots, k).toarray() for points in (x, x_test)
    )
    coef = np.linalg.lstsq(basis, y, rcond=None)[0]
    return float(np.sqrt(np.mean((basis_test @ coef - y_test) ** 2)))


def test_bessel_is_as_good_as_least_squares_and_better_than_pykan():
    found, theirs = ours("bessel", (5, 10, 20, 50, 100)), pykan("bessel")
    assert set(theirs) == {20, 50, 100}
    for grid_size, error in theirs.items():
        assert found[grid_size] < 1.1 * least_squares(grid_size)
        assert found[grid_size] < 1.1 * error


@pytest.mark.parametrize(
    ("name", "grids", "bounds"),
    [
        ("exp_sin", (5, 10, 20, 50, 100), {}),
        ("product", (3, 5, 10, 20, 50), {20: 1e-9}),
        ("sine_mean", (3, 5, 10), {10: 2e-5}),
    ],
)
def test_no_grid_is_worse_than_pykans_best(name, grids, bounds):
    """sine_mean is learned from a hundred variables."""
    found, theirs = ours(name, grids), pykan(name)
    assert len(theirs) == 3
    assert all(found[grid_size] < 1.1 * error for grid_size, error in theirs.items())
    assert all(found[grid_size] < bound for grid_size, bound in bounds.items())
