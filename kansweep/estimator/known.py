"""How well a fit is known: its noise, and what is not known of the function."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.special import stdtrit

from kansweep.estimator.checking import Array
from kansweep.estimator.refits import Refits
from kansweep.solvers.gauss_newton.posterior import Posterior

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Known:
    """Of M outputs."""

    posterior: Posterior
    noise: Array  # (M,), its standard deviation, NaN where nothing tells it
    free: float  # observations that tell it, 1 at least
    total: float  # observations
    refits: Refits | None = None  # None: the posterior is enough, or all there is

    @classmethod
    def of(
        cls,
        posterior: Posterior,
        errors: Array,
        counts: Array | None,
        refits: Refits | None = None,
    ) -> Known:
        """From errors (n, M) at the points that it was fitted to, and how often each counts."""
        counts = np.ones(len(errors)) if counts is None else counts
        total = float(counts.sum())
        free = total - posterior.edf / errors.shape[1]
        told = free > _ROUNDING * total  # else nothing is left over to tell it by
        noise = np.sqrt(counts @ errors**2 / (free if told else np.nan))
        return cls(posterior, noise, max(free, 1.0), total, refits)

    @cached_property
    def factor(self) -> Array:
        """By what refits say that ``deviations`` are to be multiplied, (M,). It takes as long as so
        many fits and is computed when it is first asked for."""
        if self.refits is None or not np.isfinite(self.noise).all():
            return np.ones_like(self.noise)
        noise = torch.from_numpy(self.noise)
        found: Array = self.refits.factor(self.posterior, noise).numpy()
        return found

    def deviations(self, x: Array) -> Array:
        """Standard deviations of the function, linearised, (n, I) -> (n, M)."""
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
