"""The law of noise: the theory by a simulation of its own, and how it is read off results."""

from __future__ import annotations

import numpy as np
import pytest
from cells import kans
from scipy.optimize import minimize_scalar

from kansweep.laws import cells, noise

NUMBERS = (100, 1000, 10_000, 100_000)


def rmse_by_likelihood(q: int, n: float, draws: int = 40) -> float:
    """Of a smoothing spline of order q in its own basis, where penalty and data are diagonal: the
    prior of the i-th coefficient is tau i^(-2q), tau by maximum likelihood; exp(-i) is smooth."""
    i = np.arange(1, 400.0)
    truth, prior, variance = np.exp(-i), i ** (-2.0 * q), 1.0 / n
    seen = truth + np.random.default_rng(0).normal(0, variance**0.5, (draws, len(i)))

    def error(y):
        def minus_log(log_tau):
            total = variance + np.exp(log_tau) * prior
            return (np.log(total) + y**2 / total).sum()

        found = minimize_scalar(minus_log, bounds=(-20, 60), method="bounded")
        signal = np.exp(found.x) * prior
        return ((signal / (signal + variance) * y - truth) ** 2).sum()

    return float(np.sqrt(np.mean([error(y) for y in seen])))


@pytest.mark.parametrize("k", [1, 3])
def test_the_theory_is_what_likelihood_gives_a_penalty_of_order_k_plus_2(k):
    numbers = np.array([1e10, 1e12, 1e14])
    errors = [rmse_by_likelihood(k + 2, n) for n in numbers]
    slope = np.polyfit(np.log(numbers), np.log(errors), 1)[0]
    assert slope == pytest.approx(noise.theory(k), abs=0.02)
    assert abs(slope + 0.5) > 0.02


def noisy(exponent: float, **columns):
    results = kans(5, numbers=NUMBERS, sizes=(5, 20), noise=0.1)
    spread = 1 + 0.02 * (results["seed"] - 2)
    error = spread * results["n_train"] ** exponent
    return cells.checked(results.assign(test_rmse=error, train_rmse=0.1, **columns))


@pytest.mark.parametrize(
    ("exponent", "verdict"),
    [(-5 / 11, "consistent"), (-0.49, "consistent"), (-0.35, "inconsistent")],
)
def test_the_exponent_against_data_size_is_judged(exponent, verdict):
    (law,) = noise.noise_laws(noisy(exponent)).to_dict("records")
    assert law["exponent"] == pytest.approx(exponent, abs=1e-9)
    assert law["theory"] == pytest.approx(-5 / 11)
    assert (law["verdict"], law["size"], law["n_seeds"]) == (verdict, 20, 5)
    assert (law["n_low"], law["n_high"]) == (100, 100_000)


def test_only_what_the_noise_decides_counts():
    results = noisy(-0.45)
    results.loc[results["n_train"] == 100, "train_rmse"] = 0.3
    assert noise.noise_laws(results)["n_low"].tolist() == [1000]
    assert noise.noise_laws(results.assign(train_rmse=0.3)).empty
    assert noise.noise_laws(results.assign(noise=0.0)).empty


def test_no_theory_is_claimed_of_other_solvers_and_no_verdict_of_one_seed():
    other = noise.noise_laws(noisy(-0.45, solver="lbfgs"))
    assert other["verdict"].tolist() == ["descriptive"]
    assert other["theory"].isna().all()
    results = noisy(-0.45)
    assert noise.noise_laws(results[results["seed"] == 0])["verdict"].tolist() == ["descriptive"]
