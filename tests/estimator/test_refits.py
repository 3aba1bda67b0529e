"""Deviations behind hidden nodes: as many times larger as fits to simulated data say."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from kansweep import KANRegressor
from kansweep.estimator.refits import SETS, Refits
from kansweep.networks.kan import Shape
from kansweep.solvers.contract import Problem


def product(n: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)  # of 3 to 8, all but 3 widen intervals by 9% or more
    x = rng.uniform(-1, 1, (n, 2))
    return x, x[:, 0] * x[:, 1] + noise * rng.standard_normal(n)


def test_few_noisy_rows_behind_hidden_nodes_have_wider_intervals_than_linearised_ones() -> None:
    x, y = product(120, 0.2)
    model = KANRegressor([2], grid_size=3, random_state=0).fit(x, 1000 * y)
    again = pickle.loads(pickle.dumps(model))
    known = model._known
    assert 1.05 < known.factor[0] < 3
    narrow = known.deviations(x)[:, 0]
    _, deviation = model.predict(x, return_std=True)
    wide = np.hypot(known.factor[0] * narrow, known.noise[0])
    np.testing.assert_allclose(deviation, wide, rtol=1e-12)
    np.testing.assert_array_equal(again.predict_interval(x)[0], model.predict_interval(x)[0])
    assert replace(known, refits=None).factor == 1


def test_an_output_that_is_constant_takes_none_of_its_certainty() -> None:
    x, y = product(60, 0.2)
    model = KANRegressor([1], grid_size=3, random_state=0).fit(x, np.c_[y, np.zeros(60)])
    assert model._known.factor[1] == 1
    assert np.isfinite(model.predict_interval(x)).all()


def test_after_a_warm_start_it_is_the_network_of_the_fit_that_is_fitted_again() -> None:
    x, y = product(60, 0.2)
    model = KANRegressor([1], grid_size=5, random_state=0, warm_start=True).fit(x, y)
    model.set_params(grid_size=3).fit(x, y)
    refits = model._known.refits
    again = refits._fitted(refits._simulated(torch.tensor([0.2]).double()))
    assert (again.grid_size, again.n_replicas) == (model.network_.grid_size, SETS) == (5, SETS)


@pytest.mark.parametrize(
    ("hidden", "n", "noise"), [([], 120, 0.2), ([1], 60, 0.0), ([1], 500, 0.2)]
)
def test_the_linearisation_is_enough_without_nodes_noise_or_want_of_points(
    hidden: list[int], n: int, noise: float
) -> None:
    x, y = product(n, noise)
    y = y if noise else np.exp(x[:, 0] + x[:, 1])
    assert KANRegressor(hidden, grid_size=3, random_state=0).fit(x, y)._known.refits is None


@pytest.mark.parametrize("count", [None, 0.5, 4.0])
def test_simulated_data_vary_as_so_many_observations_do(count: float | None) -> None:
    n, noise = 3000, torch.tensor([0.3], dtype=torch.float64)
    x, y = torch.zeros(1, n, 1).double(), torch.ones(1, n, 1).double()
    counts = None if count is None else torch.full((1, n), count).double()
    problem = Problem(x, y, (-1.0, 1.0), (0,), counts)
    simulated = Refits(Shape((1, 1), 3, 3, base=False), [3], problem, noise)._simulated(noise)
    assert simulated.x.shape[0] == SETS
    own = torch.ones_like(simulated.y[..., 0]) if count is None else simulated.counts
    assert own is not None
    np.testing.assert_allclose(own.sum(1), n * (count or 1))
    squares = (own * (simulated.y[..., 0] - 1).square()).sum(1)
    # As many observations as there are, of one at least, and their means vary by the noise.
    np.testing.assert_allclose(squares, n * max(count or 1, 1.0) * 0.09, rtol=0.1)
    parts = simulated.y[..., 0].unflatten(1, (-1, n)).mean(1)
    assert float(parts.var()) == pytest.approx(0.09 / (count or 1), rel=0.1)
