"""With noise on the outputs: how the error against the clean target falls with the data.

Where the noise decides, the grid does not; what does is how smooth the penalty wants a spline to
be. A penalty on derivatives of order q whose weight is chosen by restricted maximum likelihood
brings the RMSE down as n^(-q / (2q + 1)): fitted degrees of freedom grow as n^(1 / (2q + 1)), since
likelihood asks for the function's own roughness to be that of a draw from the prior, and do so
however much smoother the function is (Wahba, Annals of Statistics 13, 1985, on generalised maximum
likelihood). Many knots make penalised splines smoothing splines (Claeskens, Krivobokova and
Opsomer, Biometrika 96, 2009). Differences of order k + 2 are derivatives of that order, so for
splines of order k it is -(k + 2) / (2k + 5); one half, that of finitely many parameters, is the
limit of great smoothness.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from pandas import DataFrame

from kansweep.laws.cells import DEFAULT, WHOSE, Rules
from kansweep.laws.verdicts import CONFIDENCE, DESCRIPTIVE, equivalence, fit

NOISE_COLUMNS = [
    *(*WHOSE, "size", "exponent", "ci_low", "ci_high", "theory", "verdict"),
    *("n_low", "n_high", "n_seeds"),
]
SMOOTHING = "lm"  # the solver with this penalty
MARGIN = 0.05


def theory(k: float) -> float:
    """The exponent of RMSE against the number of training points, for splines of order k."""
    return -(k + 2) / (2 * k + 5)


def noise_laws(ended: DataFrame, rules: Rules = DEFAULT) -> DataFrame:
    """One row a (data, model, k) with noise: test RMSE against n_train at the largest size.

    It rests on the seeds that have every one of the numbers of points at which the training error
    is that of the noise, over three or more of these and a factor of ``rules.min_span``. `verdict`
    is by equivalence within ``MARGIN``, `descriptive` where no theory is known or of one seed.
    """
    found = []
    for key, rows in ended[ended["ok"] & (ended["noise"] > 0)].groupby(WHOSE, dropna=False):
        size = rows["size"].max()
        for law in _law(rows[rows["size"] == size], rules):
            found.append({**dict(zip(WHOSE, key, strict=True)), "size": size, **law})
    return DataFrame(found, columns=NOISE_COLUMNS)


def _law(rows: DataFrame, rules: Rules) -> Iterator[dict[str, Any]]:
    """The law of one size, if there is one."""
    train = rows.groupby("n_train")["train_rmse"].median()
    limited = train[train < rules.above_noise * rows["noise"].iloc[0]].index
    errors = rows[rows["n_train"].isin(limited)].pivot(
        index="seed", columns="n_train", values="test_rmse"
    )
    errors = errors.dropna()
    numbers: list[Any] = errors.columns.tolist()
    if errors.empty or not rules.long_enough(numbers):
        return
    slope = fit(numbers, errors.to_numpy(float))
    smoothed = "solver" not in rows or (rows["solver"] == SMOOTHING).all()
    expected = theory(float(rows["k"].iloc[0])) if smoothed else np.nan
    told = DESCRIPTIVE
    if len(errors) > 1 and expected == expected:
        told = str(equivalence(slope, expected, MARGIN))
    low, high = slope.interval(CONFIDENCE)
    yield {
        "exponent": float(slope.slope),
        "ci_low": float(low),
        "ci_high": float(high),
        "theory": expected,
        "verdict": told,
        "n_low": numbers[0],
        "n_high": numbers[-1],
        "n_seeds": len(errors),
    }
