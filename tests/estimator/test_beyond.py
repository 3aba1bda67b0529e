"""How a fit goes on beyond its points."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kansweep import KANRegressor
from kansweep.estimator.beyond import Beyond
from kansweep.solvers.contract import Problem
from tests.nets import random_kan


def fitted(noise: float, hidden: list[int], *, outlier: float = 0.3) -> KANRegressor:
    """Of a line on [0, 1] and one point at 1.5, which is off by ``outlier``."""
    rng = np.random.default_rng(3)
    x = np.append(rng.uniform(0.0, 1.0, 150), 1.5)[:, None]
    y = 2.0 * x[:, 0] + np.sin(6 * x[:, 0]) / 5 + noise * rng.standard_normal(151)
    y[-1] += outlier
    return KANRegressor(hidden, grid_size=(5, 10, 20), random_state=0).fit(x, y)


@pytest.mark.parametrize("hidden", [[], [1]])
def test_a_single_point_far_out_turns_nothing_beyond_it(hidden: list[int]) -> None:
    far = np.array([[3.0], [4.0]])
    for off in (-0.6, 0.6):
        model = fitted(0.1, hidden, outlier=off)
        wrong = np.abs(model.predict(far) - 2 * far[:, 0]).max()
        own = np.abs(model.network_(far)[:, 0] - 2 * far[:, 0]).max()  # as its splines go on
        assert wrong < 3.0
        assert wrong < 0.7 * own


def test_it_is_a_line_that_begins_where_the_points_end() -> None:
    model = fitted(0.1, [])
    at = np.array([1.5 - 1e-9, 1.5, 1.5 + 1e-9, 2.5, 3.5])[:, None]
    before, end, after, one, two = model.predict(at)
    assert abs(before - end) < 1e-6 > abs(after - end)
    assert two - one == pytest.approx(one - end, rel=1e-9)


def test_without_noise_it_goes_on_as_its_splines_do() -> None:
    model = fitted(0.0, [], outlier=0.0)
    far = np.array([[-0.5], [2.0]])
    np.testing.assert_allclose(model.predict(far), model.network_(far)[:, 0], rtol=1e-12)


def noisy(net: object, n: int = 60) -> Problem:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.uniform(-0.9, 0.9, (1, n, 2)))
    y = net(x) + torch.from_numpy(rng.standard_normal((1, n, 1)))  # type: ignore[operator]
    return Problem(x, y, (-1.0, 1.0), (0,))


def test_within_the_data_it_is_the_network_and_continuous_at_their_ends() -> None:
    net = random_kan((2, 3, 1), replicas=1)
    problem = noisy(net, 8)  # few: in the corners hidden values are beyond all of theirs
    goes_on = Beyond.of(net, problem)
    assert torch.equal(goes_on(problem.x), net(problem.x))
    low, high = problem.x.amin(1), problem.x.amax(1)
    ends = torch.stack([low, high, torch.stack([low[:, 0], high[:, 1]], 1)], 1)
    torch.testing.assert_close(goes_on(ends + 1e-10 * ends.sign()), net(ends), rtol=0, atol=1e-7)


def test_a_point_that_counts_thrice_is_three_points() -> None:
    net = random_kan((2, 2, 1), replicas=1)
    problem = noisy(net)
    counts = torch.arange(60).remainder(3)[None] + 1.0
    often = counts[0].long()
    x, y = (part.repeat_interleave(often, 1) for part in (problem.x, problem.y))
    far = 3.0 * problem.x
    weighed = Beyond.of(net, Problem(problem.x, problem.y, problem.domain, (0,), counts))(far)
    torch.testing.assert_close(weighed, Beyond.of(net, Problem(x, y, problem.domain, (0,)))(far))
