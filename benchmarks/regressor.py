"""KANRegressor(hidden="auto") on tables that packages ship, and how often its intervals hold.

Five tables, ten splits: a fifth of the rows is for the test. Beside it a linear regression,
gradient-boosted trees, an MLP and an additive model of splines, as scikit-learn has them: inputs
and, for the MLP, outputs in units of their spread, everything else as they come, and the additive
model's penalty by leave-one-out errors. Errors are medians over the splits. The coverage is that of
95% intervals on functions that are known, at fresh points.

`make bench-regressor` writes the report to benchmarks/REGRESSOR.md; a part is only printed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.model_selection import ShuffleSplit
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler
from statsmodels.datasets import randhie

from benchmarks.report import HERE, figures, markdown, measured_on, say
from kansweep import KANRegressor

RESULTS = HERE / "REGRESSOR.md"
SPLITS, SETS = 10, 20
ADDITIVE = 5  # times as many data sets, which take no time
MOST, WINS = 1.05, 2
Array = NDArray[np.float64]


def table(name: str) -> tuple[Array, Array]:
    """Inputs (n, I) and the output (n,)."""
    if name == "randhie":  # visits to physicians by insurance and health
        rows = randhie.load_pandas().data
        return rows.drop(columns="mdvis").to_numpy(float), rows["mdvis"].to_numpy(float)
    values = pd.read_csv(HERE / "data" / f"{name}.csv").to_numpy(float)
    return values[:, :-1], values[:, -1]


TABLES = ("diabetes", "engel", "grunfeld", "wine", "randhie")
PEERS: dict[str, Callable[[int], Any]] = {
    "linear": lambda seed: LinearRegression(),
    "boosting": lambda seed: HistGradientBoostingRegressor(random_state=seed),
    "MLP": lambda seed: TransformedTargetRegressor(
        make_pipeline(StandardScaler(), MLPRegressor(max_iter=2000, random_state=seed)),
        transformer=StandardScaler(),
    ),
    "GAM": lambda seed: make_pipeline(
        SplineTransformer(8, extrapolation="linear"), RidgeCV(np.logspace(-4, 4, 17))
    ),
}


def splits(name: str, hidden: Any, count: int) -> Iterator[dict[str, Any]]:
    """A row a model and split: its test RMSE over that of the training mean, and its seconds."""
    x, y = table(name)
    models = {"KAN": lambda seed: KANRegressor(hidden, random_state=seed), **PEERS}
    for seed, (train, test) in enumerate(
        ShuffleSplit(count, test_size=0.2, random_state=0).split(x)
    ):
        for title, make in models.items():
            began = time.process_time()
            fitted = make(seed).fit(x[train], y[train])
            seconds = time.process_time() - began
            error = rms(fitted.predict(x[test]) - y[test]) / rms(y[test] - y[train].mean())
            yield {"table": name, "model": title, "split": seed, "error": error, "seconds": seconds}
        say(f"regressor: {name}, split {seed + 1} of {count}")


def rms(errors: Array) -> float:
    return float(np.sqrt(np.mean(errors**2)))


def compared(rows: pd.DataFrame) -> pd.DataFrame:
    """Medians over the splits, a line a table, with the KAN's over the best of the others'."""
    medians = rows.pivot_table("error", "table", "model", "median", sort=False)
    best = medians.drop(columns="KAN").min(axis=1)
    return medians.assign(ratio=medians["KAN"] / best)


# ------------------------------------------------------------------------------------- coverage


FUNCTIONS: dict[str, tuple[int, list[int] | None, Callable[[Array], Array]]] = {
    "a line in four": (4, None, lambda x: x @ np.array([1, -2, 0.5, 0])),
    "a sum of three, [3,1]": (3, [], lambda x: np.sin(3 * x[:, 0]) + x[:, 1] ** 2 + x[:, 2] / 2),
    "exp(sin 3x + y²), [2,1,1]": (2, None, lambda x: np.exp(np.sin(3 * x[:, 0]) + x[:, 1] ** 2)),
    "xy, [2,2,1]": (2, [2], lambda x: x[:, 0] * x[:, 1]),
}


def coverage(n_sets: int) -> Iterator[dict[str, str]]:
    """A line a function, number of points and noise: the mean share of fresh observations, and of
    the function's values, that 95% intervals hold."""
    for name, (n_inputs, hidden, function) in FUNCTIONS.items():
        seeds = range(ADDITIVE * n_sets if hidden == [] else n_sets)
        for n in (200, 1000):
            for noise in (0.2, 0.5, 1.0):
                held = [_held(n_inputs, hidden, function, n, noise, seed) for seed in seeds]
                observed, known = np.mean(held, axis=0)
                say(f"regressor: {name}, n = {n}, noise {noise}: {observed:.3f} {known:.3f}")
                yield {
                    "function": name,
                    "n": str(n),
                    "noise, of the spread": str(noise),
                    "data sets": str(len(seeds)),
                    "observations": f"{observed:.1%}",
                    "function's values": f"{known:.1%}",
                }


def _held(
    n_inputs: int,
    hidden: list[int] | None,
    function: Callable[[Array], Array],
    n: int,
    noise: float,
    seed: int,
) -> tuple[float, float]:
    rng = np.random.default_rng([seed, n, round(10 * noise)])
    x, fresh = rng.uniform(-1, 1, (n, n_inputs)), rng.uniform(-1, 1, (500, n_inputs))
    truth = function(fresh)
    deviation = noise * truth.std()
    y = function(x) + deviation * rng.standard_normal(n)
    model = KANRegressor(hidden, grid_size=(5, 10), random_state=seed).fit(x, y)
    seen = truth + deviation * rng.standard_normal(len(truth))
    shares = []
    for there, of in ((seen, "observation"), (truth, "function")):
        low, high = model.predict_interval(fresh, of=of)
        shares.append(float(np.mean((low < there) & (there < high))))
    return shares[0], shares[1]


# -------------------------------------------------------------------------------------- report


def report(rows: pd.DataFrame, held: Sequence[dict[str, str]]) -> str:
    table = compared(rows)
    ratio = table["ratio"]
    shown = (
        table.map(lambda value: f"{value:.3f}").reset_index().rename(columns={"ratio": "KAN/best"})
    )
    seconds = rows.pivot_table("seconds", "table", "model", "median", sort=False)
    parts = [
        "# KANRegressor",
        measured_on({}),
        f"Median test RMSE over {rows['split'].nunique()} splits, over that of the training mean.",
        markdown(shown),
        f"Within {MOST} times the best of the others in {(ratio <= MOST).sum()} of {len(ratio)}"
        f" tables, better than all of them in {(ratio < 1).sum()} (demanded: all, and {WINS}).",
        "CPU seconds of a fit, median:",
        markdown(seconds.map(figures).reset_index()),
    ]
    if held:
        parts += [
            "## Coverage of 95% intervals",
            "Mean share, over data sets and 500 fresh points each.",
            markdown(pd.DataFrame(held)),
        ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument("--splits", type=int, default=SPLITS, help="how many")
    parser.add_argument("--sets", type=int, default=SETS, help="data sets a coverage; 0 for none")
    parser.add_argument("--hidden", type=int, nargs="*", help="hidden widths; left out: auto")
    options = parser.parse_args()
    hidden = "auto" if options.hidden is None else options.hidden
    rows = pd.DataFrame(
        row for name in options.tables for row in splits(name, hidden, options.splits)
    )
    text = report(rows, list(coverage(options.sets)) if options.sets else [])
    print(text)
    whole = (tuple(options.tables), options.splits, options.sets) == (TABLES, SPLITS, SETS)
    if whole and hidden == "auto":
        RESULTS.write_text(text)


if __name__ == "__main__":
    main()
