"""Where the network is linear in its parameters, every trainer ends at the least squares."""

from __future__ import annotations

import numpy as np
import pytest
from nets import example, normal

from kansweep.config.models import MLPConfig
from kansweep.config.solvers import AdamConfig, LBFGSConfig, LMConfig
from kansweep.networks.mlp import Shape
from kansweep.solvers.adam import Adam
from kansweep.solvers.contract import Problem
from kansweep.solvers.lbfgs import LBFGS
from kansweep.solvers.least_squares.lm import LevenbergMarquardt

SEEDS = (0, 1)
ONE = MLPConfig(restarts=1)
TRAINERS = {
    "lm": (LevenbergMarquardt(LMConfig(restarts=0, penalty=1e-14), ONE), 1e-9),
    "lm by evidence": (LevenbergMarquardt(LMConfig(restarts=2), ONE), 1e-2),  # it shrinks
    "lbfgs": (LBFGS(LBFGSConfig(steps=50), ONE), 1e-6),
    "adam": (Adam(AdamConfig(epochs=1500, batch_size=None, validation=0.0), ONE), 1e-6),
}


@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_linear_network_ends_at_the_least_squares(trainer: str) -> None:
    """Coefficients in units of the outputs' spread; noise half as large as what is learned."""
    solver, tolerance = TRAINERS[trainer]
    problem: Problem = example(200, SEEDS)
    noise = 0.5 * normal(2, 200, 2, seed=3)
    y = 3.0 + problem.x @ normal(2, 2, 2, seed=4) + noise
    problem = Problem(problem.x, y, (-1.0, 1.0), SEEDS)
    outcome = solver.solve(solver.start(Shape((2, 2), "tanh"), problem), problem)
    for r in range(2):
        x = np.column_stack([problem.x[r].numpy(), np.ones(200)])
        expected = np.linalg.lstsq(x, y[r].numpy())[0]  # (3, 2)
        found = np.vstack([outcome.net.weights[0][r].numpy().T, outcome.net.biases[0][r].numpy()])
        np.testing.assert_allclose(found, expected, atol=tolerance * float(y[r].std()))
