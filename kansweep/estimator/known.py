"""How well a fit is known: its noise, and what is not known of the function."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import stdtrit

from kansweep.estimator.checking import Array
from kansweep.solvers.gauss_newton.posterior import Posterior

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Known:
    """Of M outputs."""

    posterior: Posterior
    noise: Array  # (M,), its standard deviation, NaN where nothing tells it
    free: float  # observations that tell it, 1 at least
    total: float  # observations

    @classmethod
    def of(cls, posterior: Posterior, errors: Array, counts: Array | None) -> Known:
        """From errors (n, M) at the points that it was fitted to, and how often each counts."""
        counts = np.ones(len(errors)) if counts is None else counts
        total = float(counts.sum())
        free = total - posterior.edf / errors.shape[1]
        told = free > _ROUNDING * total  # else nothing is left over to tell it by
        noise = np.sqrt(counts @ errors**2 / (free if told else np.nan))
        return cls(posterior, noise, max(free, 1.0), total)

    def deviations(self, x: Array) -> Array:
        """Standard deviations of the function, (n, I) -> (n, M)."""
        with torch.inference_mode():
            of_noise = self.posterior.deviations(torch.from_numpy(np.ascontiguousarray(x)))
        found: Array = self.noise * of_noise.numpy()
        return found

    def interval(
        self, mean: Array, deviation: Array, level: float, *, new: bool
    ) -> tuple[Array, Array]:
        """Ends of the intervals around values (n, M) with deviations (n, M), of ``new``
        observations or of the function."""
        if new:
            deviation = np.hypot(deviation, self.noise)
        reach = stdtrit(self.free, (1 + level) / 2) * deviation
        return mean - reach, mean + reach
