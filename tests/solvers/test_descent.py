"""What a step means for a replica."""

from __future__ import annotations

import numpy as np
import pytest

from kansweep.solvers.gauss_newton import descent


def judged(
    reached: float,
    promised: float = 0.5,
    *,
    before: float = 1.0,
    failed: bool = False,
    updates_left: int = 0,
    refusals: int = 0,
    damping: float = 1.0,
) -> tuple[bool, float, int, tuple[float, float], int]:
    """Taken or not, damping, refusals, both shares of the objective, and the verdict."""
    one = (before, np.zeros((1, 1, 3)), reached, np.zeros((1, 1, 3)), np.ones((1, 1, 3)))
    rest = (promised, failed, updates_left, damping, refusals)
    given = [value if np.ndim(value) else np.array([value]) for value in (*one, *rest)]
    taken, objective, damped, refused, shares, verdict = descent._judged(1e-3, 1e-30, *given)
    assert objective[0] == before
    return bool(taken[0]), damped[0], refused[0], tuple(shares[0]), verdict[0]


def test_a_step_that_does_what_was_promised_is_taken_and_damping_falls():
    assert judged(0.5) == (True, 1 / descent.DAMPING_DOWN, 0, (0.5, np.inf), descent.GOING)
    assert judged(0.75)[:2] == (True, 1.0)  # half of it leaves the damping as it was


def test_what_a_step_missed_of_the_models_minimum_is_told_where_it_went_there():
    assert judged(0.02, 0.97)[3] == (0.98, np.inf)  # damped, it did not
    for promised in (0.97, 0.99):
        took, missed = judged(0.02, promised, damping=descent.LITTLE)[3]
        assert (took, missed) == (0.98, pytest.approx(0.01 / 0.02))
    assert judged(1.1, 0.5, damping=descent.LITTLE)[3] == (0.5, np.inf)


@pytest.mark.parametrize("reached", [1.0, 2.0, np.nan, np.inf])
def test_a_step_that_does_not_lower_the_objective_is_refused(reached):
    refused = (False, descent.DAMPING_UP, 4, (0.5, np.inf))
    assert judged(reached, refusals=3) == (*refused, descent.GOING)


def test_a_failed_solve_promises_nothing_and_is_refused():
    taken, _, _, shares, verdict = judged(0.0, failed=True)
    assert (taken, shares, verdict) == (False, (np.inf, np.inf), descent.GOING)


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ({"reached": 1 - 1e-4}, descent.CONVERGED),
        ({"reached": 1 - 1e-4, "updates_left": 1}, descent.GOING),
        ({"reached": 2.0, "promised": 1e-4}, descent.CONVERGED),
        # After a refusal it is the damping that promises little.
        ({"reached": 2.0, "promised": 1e-4, "refusals": 1}, descent.GOING),
        ({"reached": 1 - 1e-4, "refusals": 1}, descent.GOING),
        ({"reached": 1e-32, "before": 1e-31, "updates_left": 1}, descent.CONVERGED),
        ({"reached": 2.0, "refusals": descent.MAX_REJECTIONS - 1}, descent.STALLED),
        # Steps that were refused for being long are made shorter first.
        ({"reached": 2.0, "refusals": 20, "damping": descent.SHORT / 10}, descent.GOING),
        ({"reached": 2.0, "refusals": 20, "damping": descent.SHORT}, descent.STALLED),
        ({"reached": np.nan, "before": np.inf}, descent.NON_FINITE),
        ({"reached": -np.inf}, descent.NON_FINITE),
    ],
)
def test_when_a_search_ends(given, verdict):
    assert judged(**given)[-1] == verdict
