"""What points next to an end tell of a function up to there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import generator, normal, points
from numpy.polynomial import Chebyshev
from numpy.polynomial.chebyshev import chebvander
from scipy.interpolate import AAA
from torch import Tensor

from kansweep.solvers.gauss_newton.extrapolated import End


def end_of(t: Tensor, y: Tensor, counts: Tensor | None = None) -> End:
    return End.of(t[None], y[None], None if counts is None else counts[None])


def told(end: End, z: Tensor, without: int = 0, *, over: bool = False) -> tuple[float, Tensor]:
    """Of one function: the error that is expected, and its values at z."""
    z, which = z[None], torch.tensor([True])
    error, values = end.told(z, torch.ones_like(z), which, torch.tensor([without]), over=over)
    return error.item(), values[0]


def test_the_polynomial_is_that_of_least_variance_and_bias() -> None:
    t, z = points(1, 100, 1)[0, :, 0].abs(), torch.linspace(0, 0.1, 7).double()
    y = torch.exp(3 * t) + 1e-4 * normal(100)
    error, values = told(end_of(t, y), z)
    order = t.argsort()
    t, y, rivals = t[order].numpy(), y[order].numpy(), []
    for n in (16, 32, 64, 100):
        fits = [Chebyshev.fit(t[:n], y[:n], degree) for degree in range(min(12, n // 2 - 1) + 1)]
        for degree in range(3, len(fits) - 2):
            fit, *finer = fits[degree : degree + 3]
            at, to = (
                chebvander(fit.mapparms()[0] + fit.mapparms()[1] * v, degree)
                for v in (t[:n], z.numpy())
            )
            noise = ((y[:n] - fit(t[:n])) ** 2).sum() / (n - degree - 1)
            variance = noise * (to @ np.linalg.pinv(at.T @ at) * to).sum(1).mean()
            there = [each(z.numpy()) for each in (fit, *finer)]
            bias = max((np.diff(there, axis=0) ** 2).mean(1))
            rivals.append((variance + bias, there[0]))
    least, best = min(rivals, key=lambda rival: rival[0])
    assert error == pytest.approx(least, rel=1e-4)
    np.testing.assert_allclose(values, best, rtol=1e-7)


@pytest.mark.parametrize("speed", [5, 8, 12])
def test_of_even_functions_no_more_is_said_than_is_known(speed: float) -> None:
    """Every other coefficient is none there, and says nothing of the bias."""
    t = torch.linspace(0.02, 0.98, 30).double()  # all in one stretch, which is even too
    z = torch.linspace(0, 0.02, 9).double()
    error, values = told(end_of(t, torch.cos(speed * (t - 0.5))), z)
    true = (values - torch.cos(speed * (z - 0.5))).square().mean()
    assert true < error < 2 * true


# With the share of a polynomial's error that is allowed.
STEEP = {
    "pole": (lambda t: 1 / (0.05 + t), 0.001),
    "two poles": (lambda t: 1 / (0.05 + t) ** 2, 0.001),
    "root": (lambda t: torch.sqrt(0.01 + t), 0.6),
    "logarithm": (lambda t: torch.log(0.02 + t) + t, 0.6),
    "complex poles": (lambda t: 1 / (1 + 400 * (t + 0.05) ** 2), 0.001),
}


@pytest.mark.parametrize("name", STEEP)
def test_near_a_singularity_one_polynomial_over_another_tells_more_than_one_alone(name) -> None:
    function, share = STEEP[name]
    t = points(1, 300, 1, seed=4)[0, :, 0].abs() * 0.97 + 0.03
    z, noise = torch.linspace(0, 0.03, 9).double(), 1e-7 * normal(300)
    end, true = end_of(t, function(t) + noise), function(z)
    (_, alone), (_, values) = (told(end, z, over=over) for over in (False, True))
    missed, before = ((each - true).square().mean().sqrt() for each in (values, alone))
    assert missed < share * before


def test_a_polynomial_over_another_is_found_to_rounding() -> None:
    t, z = torch.linspace(0.05, 1, 60).double(), torch.linspace(0, 0.05, 5).double()

    def function(t: Tensor) -> Tensor:
        return (1e4 + t + 3 * t**3) / (0.2 + 0.3 * t + t**2)

    _, values = told(end_of(t, function(t)), z, over=True)
    np.testing.assert_allclose(values, function(z), rtol=1e-8)


def test_a_continuation_is_that_of_another_method() -> None:
    """SciPy's AAA interpolates rationally, of whatever degree."""
    t, z = torch.linspace(0.02, 1, 120).double(), torch.linspace(0, 0.02, 5).double()
    y = torch.log(0.05 + t)
    _, values = told(end_of(t, y), z, over=True)
    np.testing.assert_allclose(values, AAA(t.numpy(), y.numpy())(z.numpy()), rtol=1e-4)


def test_a_pole_among_the_places_is_not_told() -> None:
    """Where no spline would follow it."""
    t, z = torch.linspace(0.06, 1, 200).double(), torch.linspace(0, 0.06, 61).double()
    error, values = told(end_of(t, 1 / (t - 0.0301)), z, over=True)
    assert error > 1.0
    assert values.abs().max() < 1e3


def test_of_noise_no_pole_is_seen_where_something_is_asked() -> None:
    z = torch.linspace(0, 0.1, 50).double()
    for seed in range(20):
        t = torch.rand(100, generator=generator(seed)).double() * 0.9 + 0.1
        _, values = told(end_of(t, normal(100, seed=seed)), z, over=True)
        assert values.abs().max() < 100


@pytest.mark.parametrize(("points_known", "exact"), [(21, False), (22, True)])
def test_no_polynomial_has_more_than_half_as_many_coefficients_as_points(
    points_known: int, exact: bool
) -> None:
    """Two of which are there to tell the bias of degree 8."""
    t = torch.linspace(0.02, 1, points_known).double()
    error, _ = told(end_of(t, (t - 0.5) ** 8), torch.linspace(0, 0.02, 5).double())
    assert (error < 1e-20) == exact


@pytest.mark.parametrize("over", [False, True])
def test_a_count_is_so_many_points(over: bool) -> None:
    t, z = points(1, 100, 1)[0, :, 0].abs(), torch.linspace(-0.01, 0.01, 5).double()
    y = torch.exp(t) + 1e-3 * normal(100)
    counts = torch.randint(0, 3, (100,), generator=generator(2)).double()
    at = torch.arange(100).repeat_interleave(counts.long())
    ends = end_of(t, y, counts), end_of(t[at], y[at])
    counted, repeated = (told(end, z, over=over) for end in ends)
    assert counted[0] == pytest.approx(repeated[0], rel=1e-6)
    np.testing.assert_allclose(counted[1], repeated[1], rtol=1e-9)


@pytest.mark.parametrize("over", [False, True])
def test_points_that_are_left_out_tell_nothing(over: bool) -> None:
    t, z = points(1, 100, 1)[0, :, 0].abs().sort()[0], torch.linspace(0, 0.01, 5).double()
    y = torch.log(0.1 + t)
    spoilt = torch.where(torch.arange(100) < 7, 5.0, y)
    without = told(end_of(t, spoilt), z, 7, over=over)
    fewer = told(end_of(t[7:], y[7:]), z, over=over)
    assert without[0] == fewer[0]
    assert torch.equal(without[1], fewer[1])


@pytest.mark.parametrize("over", [False, True])
def test_a_function_is_told_as_it_would_be_alone_and_by_the_places_that_count(over: bool) -> None:
    t, z = points(3, 50, 1)[..., 0].abs(), torch.linspace(0, 0.1, 6).double().repeat(3, 1)
    y, near, none = torch.log(0.1 + t), (z < 0.05).double(), torch.zeros(3).long()
    which = torch.tensor([True, False, True])
    y[2] = torch.exp(t[2])
    error, values = End.of(t, y, None).told(z, near, which, none, over=over)
    for r in (0, 2):
        alone = End.of(t[[r]], y[[r]], None)
        found = alone.told(z[[r], :3], near[[r], :3], which[[r]], none[[r]], over=over)
        assert torch.equal(error[[r]], found[0])
        assert torch.equal(values[[r], :3], found[1])
    assert error.isfinite().tolist() == which.tolist()


@pytest.mark.parametrize("over", [False, True])
def test_nothing_is_told_of_one_place_or_where_none_is_asked_for(over: bool) -> None:
    z, each = torch.linspace(0, 1, 4).double(), (torch.tensor([True]), torch.tensor([0]))
    assert told(end_of(torch.full((40,), 0.5).double(), normal(40)), z, over=over)[0] == torch.inf
    end = End.of(points(1, 40, 1)[..., 0], normal(1, 40), None)
    assert end.told(z[None], 0 * z[None], *each, over=over)[0].item() == torch.inf
    assert told(end, z, 40, over=over)[0] == torch.inf


def test_few_places_tell_polynomials_of_a_low_degree() -> None:
    """As of a table with few values: the others are not told from rounding."""
    t = torch.linspace(0, 1, 7).double().repeat(20)
    y = t**3 + 1e-3 * normal(140)
    error, values = told(end_of(t, y), torch.tensor([-0.1]).double())
    assert values.item() == pytest.approx(-1e-3, abs=0.02)
    assert 1e-10 < error < 1e-3
