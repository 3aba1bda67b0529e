"""One stream of random numbers for each purpose, so that none depends on how much another drew."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What numbers are drawn for; the values are in every stored sweep's numbers."""

    TRAIN = 0
    TEST = 1
    START = 2
    NOISE = 3
    ORDER = 4  # in which a training method sees its points
    FOLDS = 5


def generator(seed: int, stream: Stream, *more: int) -> np.random.Generator:
    """The generator of one seed for one purpose, told apart further by ``more``."""
    return np.random.default_rng([seed, int(stream), *more])
