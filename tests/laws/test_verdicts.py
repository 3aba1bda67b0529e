"""Verdicts by simulation: how often a failing theory is refuted, and a true one kept."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from cells import GRIDS
from structures import FAILING, TRUE

from kansweep.laws.cells import DEFAULT
from kansweep.laws.verdicts import finest, verdict

DRAWS = 400


@functools.cache
def errors_of(true: bool) -> np.ndarray:
    """(structures, sizes)."""
    named = TRUE if true else FAILING
    return np.array([[error(grid) for grid in GRIDS] for error in named.values()])


def drawn(errors: np.ndarray, n_seeds: int, noise: float) -> np.ndarray:
    """Sweeps (..., DRAWS, seeds, sizes) of these errors (..., sizes)."""
    rng = np.random.default_rng(n_seeds)
    shape = (*errors.shape[:-1], DRAWS, n_seeds)
    level = rng.normal(0.0, 0.1, (*shape, 1))
    cell = rng.normal(0.0, noise, (*shape, errors.shape[-1]))
    return errors[..., None, None, :] * np.exp(level + cell)


# ------------------------------------------------------------------------------ with a floor


@pytest.mark.parametrize("start", [1.0, 1.5])
@pytest.mark.parametrize("n_seeds", [5, 10])
@pytest.mark.parametrize(("order", "least", "most"), [(2, 0.95, 1), (3.5, 0.95, 1), (4, 0, 0.05)])
def test_with_a_floor_what_falls_slower_is_inconsistent(order, least, most, n_seeds, start):
    floor = errors_of(true=True)[list(TRUE).index("exp(sin + y^2)")]
    errors = start * floor * (np.array(GRIDS) / GRIDS[0]) ** (4.0 - order)
    told = verdict(GRIDS, drawn(errors, n_seeds, 0.05), floor, -4.0, DEFAULT.margin)
    assert least <= np.mean(told == "inconsistent") <= most


# --------------------------------------------------------------------------- without a floor


@pytest.mark.parametrize("noise", [0.02, 0.1])
@pytest.mark.parametrize("n_seeds", [3, 5, 10])
@pytest.mark.parametrize("sizes", [slice(None), slice(0, 4), slice(1, None)])
def test_without_a_floor_true_laws_are_kept_and_failing_ones_not_confirmed(sizes, n_seeds, noise):
    grids = GRIDS[sizes]
    told = {
        true: verdict(
            grids, drawn(errors_of(true)[:, sizes], n_seeds, noise), None, -4.0, DEFAULT.margin
        )
        for true in (True, False)
    }
    assert np.mean(told[True] == "inconsistent") <= 0.10
    assert np.mean(told[False] == "consistent") <= 0.02
    assert np.mean(told[False] == "inconsistent") >= 0.75
    if noise < 0.1:
        assert np.mean(np.isin(told[True], ["consistent", "pre-asymptotic"])) >= 0.75


def test_a_slope_over_all_sizes_would_refute_true_laws():
    """Why the finest doubling is judged: at this range every second true slope is off."""
    logs = np.log(errors_of(true=True))
    slopes = np.polyfit(np.log(GRIDS), logs.T, 1)[0]
    assert np.mean(np.abs(slopes + 4) > DEFAULT.margin) >= 0.4


def test_a_law_on_its_way_to_the_theory_is_pre_asymptotic():
    log, slow = (errors_of(true=True)[list(TRUE).index(name)] for name in ("log", "runge"))
    for errors in (log, slow):
        told = verdict(GRIDS, drawn(errors, 5, 0.02), None, -4.0, DEFAULT.margin)
        assert np.mean(told == "pre-asymptotic") > 0.95


def test_a_power_law_of_another_exponent_does_not_come_nearer():
    errors = np.array(GRIDS) ** -3.0 * np.array([[1.0], [2.0], [3.0]])
    assert verdict(GRIDS, errors, None, -4.0, DEFAULT.margin) == "inconsistent"
    assert verdict(GRIDS[-2:], errors[:, -2:], None, -4.0, DEFAULT.margin) == "inconsistent"


@pytest.mark.parametrize(
    ("sizes", "ends"),
    [(GRIDS, [50, 100]), ([5, 7, 10, 14, 20], [10, 20]), ([10, 15, 19], [15, 19])],
)
def test_finest_doubling(sizes, ends):
    errors = np.random.default_rng(0).uniform(1, 2, (3, len(sizes)))
    first, last = (errors[:, sizes.index(end)] for end in ends)
    slopes = np.log(last / first) / np.log(ends[1] / ends[0])
    assert finest(sizes, errors).slope == pytest.approx(slopes.mean())


def test_one_seed_has_no_verdict():
    errors = np.array(GRIDS) ** -4.0 * np.ones((1, 1))
    for floor in (None, errors[0]):
        assert verdict(GRIDS, errors, floor, -4.0, DEFAULT.margin) == "descriptive"
