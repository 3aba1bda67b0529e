"""What errors say of the theory: by equivalence, against the floor or over the finest doubling.

With s seeds the unit is the seed, and every interval Student's t over seeds. Where the floor is
known, the slope of ln(error / floor) is judged over all sizes, for it is 0 in theory also where the
range is coarse. Without it a slope over a coarse range is no test of what is asymptotic, so the
order over the finest doubling is judged, and whether it has come nearer to the theory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, stats

Array = NDArray[np.float64]
CONFIDENCE = 0.95
TINY = float(np.finfo(np.float64).eps ** 2)  # stands for an error of exactly 0 in logs
NEARER = 0.05  # of its distance from the theory: by less an order stays where it is
INSUFFICIENT, DESCRIPTIVE = "insufficient", "descriptive"


@dataclass(frozen=True)
class Fit:
    """Slope and intercept in log-log, and the slope's standard error with its degrees of freedom.

    Of one curve numbers, of many curves at once arrays.
    """

    slope: Any
    intercept: Any
    error: Any
    freedom: int

    def interval(self, confidence: float) -> tuple[Any, Any]:
        """Student's t interval of the slope."""
        half = self.error * stats.t.ppf(0.5 + confidence / 2, self.freedom)
        return self.slope - half, self.slope + half


def fit(x: Any, errors: Array) -> Fit:
    """Least squares of log errors (..., seeds, sizes) against log x (sizes,), seed by seed.

    The slope is the mean over seeds and its error that of the mean; one seed has the standard
    error of its own regression instead, unknown (NaN) of two sizes.
    """
    log_x = np.log(np.asarray(x, float))
    log_errors = np.log(np.clip(errors, TINY, None))
    flat = log_errors.reshape(-1, len(log_x))
    design = np.column_stack([log_x - log_x.mean(), np.ones_like(log_x)])
    (slopes, means), *_ = linalg.lstsq(design, flat.T)
    residuals = flat - np.outer(slopes, design[:, 0]) - means[:, None]
    shape = log_errors.shape[:-1]
    slopes, means = slopes.reshape(shape), means.reshape(shape)
    n_seeds = shape[-1]
    if n_seeds > 1:
        error, freedom = slopes.std(axis=-1, ddof=1) / np.sqrt(n_seeds), n_seeds - 1
    else:
        freedom = len(log_x) - 2
        squares = (residuals**2).sum(axis=1).reshape(shape)[..., 0]
        variance = squares / freedom if freedom else np.full_like(squares, np.nan)
        error = np.sqrt(variance / (design[:, 0] ** 2).sum())
    slope = slopes.mean(axis=-1)
    return Fit(slope, means.mean(axis=-1) - slope * log_x.mean(), error, freedom)


def finest(sizes: Any, errors: Array) -> Fit:
    """The fit over the finest doubling of size, errors (..., seeds, sizes)."""
    ends = [_halved(sizes), -1]
    return fit(np.asarray(sizes)[ends], errors[..., ends])


def _halved(sizes: Any) -> int:
    """Where the largest size is that is at most half the last, or else the last but one."""
    at = np.flatnonzero(2 * np.asarray(sizes, float)[:-1] <= np.asarray(sizes, float)[-1])
    return int(at[-1]) if at.size else len(sizes) - 2


def verdict(sizes: Any, errors: Array, floor: Array | None, theory: float, margin: float) -> Any:
    """What errors (..., seeds, sizes) say of an exponent of theory within a margin.

    With a floor (sizes,) and without one: `consistent` where the 90% interval of what is judged
    lies within the margin (two one-sided tests of 5%; Schuirmann 1987), `inconsistent` where the
    95% interval lies wholly outside of it, else `inconclusive`. Without a floor a curve that is
    outside is `pre-asymptotic` where it has come nearer to the theory, from all sizes before to
    the finest doubling, or is steeper: splines cannot for long (their order is saturated; de
    Boor, A Practical Guide to Splines, ch. XII). Of one seed the spread is not known:
    `descriptive`.
    """
    if errors.shape[-2] == 1:
        return np.full(errors.shape[:-2], DESCRIPTIVE)
    if floor is not None:
        return equivalence(fit(sizes, errors / floor), 0.0, margin)
    pair = finest(sizes, errors)
    told = equivalence(pair, theory, margin)
    on_its_way = (pair.slope < theory) | _comes_nearer(sizes, errors, theory)
    return np.where((told == "inconsistent") & on_its_way, "pre-asymptotic", told)


def equivalence(fit: Fit, theory: float, margin: float) -> Any:
    """`consistent`, `inconsistent` or `inconclusive`, by equivalence within the margin."""
    inner, outer = fit.interval(2 * CONFIDENCE - 1), fit.interval(CONFIDENCE)
    low, high = theory - margin, theory + margin
    inside = (inner[0] > low) & (inner[1] < high)
    outside = (outer[1] < low) | (outer[0] > high)
    return np.select([inside, outside], ["consistent", "inconsistent"], "inconclusive")


def _comes_nearer(sizes: Any, errors: Array, theory: float) -> Any:
    """Whether over the finest doubling the order is nearer to the theory than over all sizes up to
    it, by more than a share NEARER: a one-sided t test of 5% over seeds."""
    log_size, logs = np.log(np.asarray(sizes, float)), np.log(np.clip(errors, TINY, None))
    half = _halved(sizes)
    if half == 0:
        return np.zeros(errors.shape[:-2], bool)
    centred = log_size[: half + 1] - log_size[: half + 1].mean()
    before = logs[..., : half + 1] @ centred / (centred @ centred)  # (..., seeds)
    after = (logs[..., -1] - logs[..., half]) / (log_size[-1] - log_size[half])
    gain = (1 - NEARER) * np.abs(before - theory) - np.abs(after - theory)
    n_seeds = gain.shape[-1]
    error = gain.std(axis=-1, ddof=1) / np.sqrt(n_seeds)
    return gain.mean(axis=-1) - stats.t.ppf(CONFIDENCE, n_seeds - 1) * error > 0
