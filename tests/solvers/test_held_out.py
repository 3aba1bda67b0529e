"""What is held out, and how it is counted."""

from __future__ import annotations

import numpy as np
import torch

from kansweep.solvers.contract import Problem
from kansweep.solvers.held_out import Split, typical


def test_a_few_points_far_off_do_not_count() -> None:
    residual = torch.full((2, 50, 1), 0.1, dtype=torch.float64)
    residual[0, [3, 40], 0] = 1e3
    residual[1, :6, 0] = 1.0  # more than a tenth of them
    assert np.isclose(typical(residual)[0].item(), 0.01)
    assert np.isclose(typical(residual)[1].item(), (1.0 + 44 * 0.01) / 45)


def test_every_point_is_on_one_side_and_one_is_left_to_train_on() -> None:
    x = torch.arange(20, dtype=torch.float64).reshape(1, 10, 2)
    problem = Problem(x, x[..., :1], (0.0, 20.0), (0,))
    for share, held in ((0.25, 3), (0.99, 9), (0.0, 10)):
        split = Split.of(problem, share, np.random.default_rng(0))
        assert split.held_out.x.shape[1] == held
        both = {*split.training.x[0, :, 0].tolist(), *split.held_out.x[0, :, 0].tolist()}
        assert both == set(x[0, :, 0].tolist())
