"""Many small systems at once agree with pseudo-inverses, whatever their ranks."""

import numpy as np
import pytest

from kansweep.solvers.gauss_newton.spectral import least_squares


@pytest.mark.parametrize("rows", [4, 5, 12])
def test_of_full_and_of_lower_rank_the_shortest_solutions(rows):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(6, rows, 5)), rng.normal(size=(6, rows))
    a[1, :, 4] = a[1, :, 0]
    a[4, :, 2] = 0.0
    expected = (np.linalg.pinv(a) @ b[..., None])[..., 0]
    np.testing.assert_allclose(least_squares(a, b), expected, rtol=1e-9, atol=1e-9)
