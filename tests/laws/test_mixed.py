"""How errors stand above their floor: simulated from the model with known terms and variances."""

from __future__ import annotations

import numpy as np
import pytest

from kansweep.laws import mixed
from kansweep.laws.mixed import Sample

SIZES, NUMBERS = (5, 10, 20), (300, 1000, 3000)
PLACES = ((50, 1000), (100, 3000), (20, 10_000))
A, COST, MISFIT, COMMON, OWN = 0.0, 1.1, 0.08, 0.014, 1.7


def cells(*places: tuple[int, int]) -> Sample:
    size, n_train = np.array(places, float).T
    return Sample(size, n_train, 3 * (size + 3), np.zeros((len(places), 0)))


def drawn(rng: np.random.Generator, seeds: int = 5, delta: float = 0.0) -> tuple[Sample, list]:
    """A sample over SIZES and NUMBERS, and what a new seed has at PLACES."""
    fitted = [(size, n) for n in NUMBERS for size in SIZES]
    every = cells(*fitted, *PLACES)
    misfit = {size: MISFIT * (5 / size) ** 2 * rng.standard_normal() for size in set(every.size)}
    common = COMMON * rng.standard_normal(seeds + 1)
    own = OWN * np.sqrt(every.crowding)[:, None] * rng.standard_normal((len(every.size), seeds + 1))
    means = A + COST * every.n_params / every.n_train + delta * np.log(every.size)
    means += np.array([misfit[size] for size in every.size])
    values = means[:, None] + common + own
    n = len(fitted)
    sample = Sample(every.size[:n], every.n_train[:n], every.n_params[:n], values[:n, :seeds])
    return sample, list(values[n:, seeds])


@pytest.mark.parametrize("seeds", [2, 5])
def test_its_intervals_hold_a_new_seed_in_95_of_100(seeds):
    rng, held = np.random.default_rng(seeds), []
    for _ in range(80):
        sample, truth = drawn(rng, seeds)
        model = mixed._most_likely(sample, False, "restricted")
        predicted = [model.at(cells(place)) for place in PLACES]
        held.append([abs(v - t) < half for (v, half), t in zip(predicted, truth, strict=True)])
    shares = np.mean(held, axis=0)
    assert shares.min() > 0.87
    assert 0.91 < shares.mean() < 0.99


def test_delta_enters_where_the_errors_leave_the_floor_and_seldom_else():
    rng = np.random.default_rng(0)
    assert all(mixed.fitted(drawn(rng, delta=0.5)[0]).delta for _ in range(8))
    assert sum(mixed.fitted(drawn(rng)[0]).delta for _ in range(12)) <= 2


def test_of_one_data_size_delta_is_not_asked_for():
    sample, _ = drawn(np.random.default_rng(0), delta=0.5)
    one = sample.n_train == 1000
    alone = Sample(sample.size[one], sample.n_train[one], sample.n_params[one], sample.values[one])
    assert not mixed.fitted(alone).delta


def test_a_size_of_the_sample_brings_its_own_misfit():
    place = (5, 10_000)
    rng, errors = np.random.default_rng(1), []
    for _ in range(20):
        sample, _ = drawn(rng)
        model = mixed._most_likely(sample, False, "restricted")
        value, half = model.at(cells(place))
        of_size = sample.size == 5
        cost = COST * sample.n_params / sample.n_train
        misfit = (sample.means - cost)[of_size].mean()
        errors.append(value - misfit - COST * cells(place).n_params[0] / 10_000)
        assert half < MISFIT  # it would be two of it, had the size not been seen
    assert np.abs(errors).max() < 0.03


def test_it_agrees_with_least_squares_where_nothing_but_own_errors_scatters():
    sample, _ = drawn(np.random.default_rng(2))
    model = mixed.Mixed(sample, False, np.array([0.0, 0.0, 1.0]))
    weights = np.sqrt(sample.crowding)
    terms = sample.terms(False)
    plain = np.linalg.lstsq(terms / weights[:, None], sample.means / weights, rcond=None)[0]
    assert model.solve().coefficients == pytest.approx(plain, rel=1e-6)


def test_one_seed_has_an_interval_and_no_variance_between_seeds():
    sample, _ = drawn(np.random.default_rng(3), seeds=1)
    model = mixed.fitted(sample)
    value, half = model.at(cells((50, 1000)))
    assert model.variances[1] == 0.0
    assert np.isfinite([value, half]).all()
    assert sample.among_seeds() == (0.0, 0.0)


def test_satterthwaite_s_interval_is_student_s_for_a_single_variance():
    assert mixed.half_width([(4.0, 7.0)]) == pytest.approx(2 * 2.364624, abs=1e-5)
    assert mixed.half_width([(1.0, 5.0), (1.0, 5.0)]) == pytest.approx(
        np.sqrt(2) * 2.228139, abs=1e-5
    )
