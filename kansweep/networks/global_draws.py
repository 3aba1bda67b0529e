"""Global generators of random numbers, seeded for a block of code that knows no others."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

LARGEST = 2**32  # no seed that all of them take is as large


@contextmanager
def global_draws(seed: int) -> Iterator[None]:
    """Let the block draw from ``seed``, 0 to 2^32 - 1, and nothing else notice.

    The initial values of ``torch.nn`` come from torch's global generator, and take no other; a
    user's code may ask NumPy's or Python's too. All three are as they were after the block, also
    where it seeds them itself. Devices' own generators stay out of it: modules are made on the CPU.
    """
    before = np.random.get_state(), random.getstate()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(seed).get_state())
        np.random.set_state(np.random.RandomState(seed).get_state())  # noqa: NPY002
        random.setstate(random.Random(seed).getstate())
        try:
            yield
        finally:
            np.random.set_state(before[0])  # noqa: NPY002
            random.setstate(before[1])
