"""Small and noisy tables: what a KAN makes of them beside a linear regression on the same rows.

Four tables that packages ship (data/README.md) and Friedman's three functions with noise, each a
file as a user's: its rows are split, its sizes and grids chosen as `data=table data.path=...` does
it. Three shapes, five seeds. Errors are those of the test rows, which are noisy like the others, in
units of the error of an ordinary linear regression on the same training rows, of the spread of the
table's outputs and, where it is known, of the true function's error, which is the noise.

`make bench-tables` writes the report to benchmarks/TABLES.md; a part of the runs is only printed.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from benchmarks.report import HERE, figures, markdown, measured_on, say
from kansweep.config.data import DataConfig
from kansweep.config.models import KANConfig
from kansweep.config.run import RunConfig
from kansweep.data import sources
from kansweep.data.sampling import Source
from kansweep.sweep import chain
from kansweep.sweep.plan import layer_widths
from kansweep.sweep.worker import make_solver, shape

RESULTS = HERE / "TABLES.md"
SHIPPED = HERE / "data"
HIDDEN = (0, 1, 2)  # nodes in the hidden layer; 0 for none
N_SEEDS = 5
MOST_OF_LINEAR, MOST_OF_NOISE, MOST_OF_SPREAD = 1.05, 1.05, 1.0
KEYS = ["table", "shape", "n_train", "grid_size"]

Array = NDArray[np.float64]


# ------------------------------------------------------------------------- Friedman's functions


def friedman1(x: Array) -> Array:
    """10 sin(π x1 x2) + 20 (x3 - ½)² + 10 x4 + 5 x5 on [0, 1]^10; five inputs are idle."""
    wave = 10 * np.sin(np.pi * x[:, 0] * x[:, 1])
    return wave + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]


def friedman2(x: Array) -> Array:
    """The impedance of a circuit of resistance, angular frequency, inductance and capacitance."""
    return np.hypot(x[:, 0], _reactance(x))


def friedman3(x: Array) -> Array:
    """The phase angle of that circuit."""
    return np.arctan2(_reactance(x), x[:, 0])


def _reactance(x: Array) -> Array:
    return x[:, 1] * x[:, 2] - 1 / (x[:, 1] * x[:, 3])


CIRCUIT = ((0, 100), (40 * np.pi, 560 * np.pi), (0, 1), (1, 11))


@dataclass(frozen=True)
class Friedman:
    """One of the functions of Friedman, "Multivariate adaptive regression splines", *Annals of
    Statistics* 19, 1991, with the noise's standard deviation: 1 for the first, else a third of
    the signal's."""

    function: Callable[[Array], Array]
    domain: tuple[tuple[float, float], ...]
    noise: float

    def table(self, n_rows: int = 2000, seed: int = 0) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        lower, upper = np.array(self.domain).T
        x = rng.uniform(lower, upper, (n_rows, len(lower)))
        y = self.function(x) + self.noise * rng.standard_normal(n_rows)
        columns = {f"x{i + 1}": x[:, i] for i in range(x.shape[1])}
        return pd.DataFrame({**columns, "y": y})


FRIEDMAN = {
    "friedman1": Friedman(friedman1, ((0, 1),) * 10, 1.0),
    "friedman2": Friedman(friedman2, CIRCUIT, 125.0),
    "friedman3": Friedman(friedman3, CIRCUIT, 0.1),
}
TABLES = ("diabetes", *FRIEDMAN, "engel", "grunfeld", "wine")


# -------------------------------------------------------------------------------------- running


def configuration(name: str, nodes: int, folder: Path) -> RunConfig:
    """What `data=table data.path=...` comes to; a table that is generated is put into a folder."""
    path = SHIPPED / f"{name}.csv"
    if name in FRIEDMAN:
        path = folder / path.name
        FRIEDMAN[name].table().to_csv(path, index=False)
    table = DataConfig(name="table", path=str(path), sizes=None, n_test=None)
    model = KANConfig(name="kan", hidden=(nodes,) if nodes else ())
    return RunConfig(data=sources.resolved(table), model=model)


def linear_rmse(source: Source, n_train: int, n_test: int, seed: int) -> float:
    """Test RMSE of an ordinary least-squares regression on the training rows of a seed."""
    x, y = source.train(n_train, seed)
    x_test, y_test = source.test(n_test, seed)
    middle = x.mean(0)  # columns such as a year are far from 0
    slopes = np.linalg.lstsq(x - middle, y - y.mean(0))[0]
    return rms(y_test - y.mean(0) - (x_test - middle) @ slopes)


def true_rmse(name: str, source: Source, n_test: int, seed: int) -> float:
    """Test RMSE of the function behind a table, NaN where nobody knows it."""
    if name not in FRIEDMAN:
        return math.nan
    x, y = source.test(n_test, seed)
    return rms(y[:, 0] - FRIEDMAN[name].function(x))


def rms(errors: Array) -> float:
    return float(np.sqrt(np.mean(errors**2)))


def run(name: str, nodes: int, seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """The rows of a table and a shape, a frame a training size."""
    with TemporaryDirectory() as folder:
        config = configuration(name, nodes, Path(folder))
        source = sources.source(config.data)
    for n_train in config.data.sizes or ():
        yield chains(name, config, source, n_train, seeds)


def chains(
    name: str, config: RunConfig, source: Source, n_train: int, seeds: tuple[int, ...]
) -> pd.DataFrame:
    """A chain of the default grids for every seed, a row a cell, in the outputs' own units."""
    n_test = config.data.n_test or 0
    widths = layer_widths(config, config.sizes[0])
    shapes = tuple(shape(config, size) for size in config.sizes)
    work = chain.Batch(
        source, n_train, n_test, seeds, config.kind, shapes, config.device, config.dtype
    )
    asked = {"table": name, "shape": f"[{','.join(map(str, widths))}]", "n_train": n_train}
    errors = {
        seed: {
            "linear_rmse": linear_rmse(source, n_train, n_test, seed),
            "true_rmse": true_rmse(name, source, n_test, seed),
            "noise_sd": FRIEDMAN[name].noise if name in FRIEDMAN else math.nan,
            "spread": float(source.outputs.scale[0]),
        }
        for seed in seeds
    }
    results = chain.train(work, make_solver(config), [None] * len(seeds), lambda _: None)
    return pd.DataFrame(
        asked | measured(result) | errors[result.seed] for each in results for result in each
    )


def measured(result: chain.Result) -> dict[str, Any]:
    return {
        "grid_size": result.size,
        "seed": result.seed,
        "status": str(result.status),
        "stop_reason": str(result.stop_reason),
        "train_rmse": finite(result.train_rmse),
        "test_rmse": finite(result.test_rmse),
        "test_median_error": finite(result.test_median_error),
        "seconds": result.seconds,
    }


def finite(error: float | None) -> float:
    """An error, infinite where there is none: a cell that fails is no good one."""
    return math.inf if error is None or math.isnan(error) else error


# -------------------------------------------------------------------------------------- report


def summed_up(rows: pd.DataFrame) -> pd.DataFrame:
    """Over the seeds of a cell: the median of the test RMSE over linear regression's, over the
    noise on the same rows and over the noise's standard deviation, its largest over the spread,
    and what those would be of the true function and of the linear regression."""
    ratios = rows[KEYS].assign(
        linear=rows["test_rmse"] / rows["linear_rmse"],
        noise=rows["test_rmse"] / rows["true_rmse"],
        deviation=rows["test_rmse"] / rows["noise_sd"],
        spread=rows["test_rmse"] / rows["spread"],
        true=rows["true_rmse"] / rows["linear_rmse"],
        linear_spread=rows["linear_rmse"] / rows["spread"],
    )
    medians = dict.fromkeys(("linear", "noise", "deviation", "true"), "median")
    most = dict.fromkeys(("spread", "linear_spread"), "max")
    return ratios.groupby(KEYS, sort=False).agg(medians | most).reset_index()


def report(rows: pd.DataFrame, before: pd.DataFrame | None) -> str:
    cells = summed_up(rows)
    parts = [
        "# Small and noisy tables",
        measured_on({"PyTorch": torch.__version__}),
        f"{rows['seed'].nunique()} seeds, {rows['seconds'].sum():,.0f} s in all.",
        "## What is to hold",
        demands(cells, rows),
        "## Test RMSE over linear regression's",
        "Median over the seeds at G grid intervals; `true`: the same of the function that made the"
        " table. `worst`: the largest test RMSE of all seeds and grids over the outputs' spread;"
        " `linear, worst`: that of the linear regressions.",
        markdown(ratios(cells)),
    ]
    if before is not None:
        parts += ["## Against an earlier run", compared(cells, summed_up(before))]
    return "\n\n".join(parts) + "\n"


def demands(cells: pd.DataFrame, rows: pd.DataFrame) -> str:
    """Every demand with the share of what keeps it, and the worst."""
    of_two = (cells["table"] == "friedman1") & (cells["shape"] == "[10,2,1]")
    first = cells[of_two & (cells["n_train"] == 1600)]
    spread = rows["test_rmse"] / rows["spread"]
    noise = "Friedman's first, 1,600 rows, [10,2,1]: median test RMSE over the noise's"
    listed = [
        ("median test RMSE over linear regression's", MOST_OF_LINEAR, cells["linear"]),
        (f"{noise} standard deviation", MOST_OF_NOISE, first["deviation"]),
        (f"{noise} RMS on the same rows", MOST_OF_NOISE, first["noise"]),
        ("every test RMSE over the outputs' spread", MOST_OF_SPREAD, spread),
    ]
    return markdown(
        pd.DataFrame(
            {
                "what": text,
                "at most": str(most),
                "cells": f"{len(values):,}",
                "kept by": f"{(values <= most).sum():,}",
                "worst": number(values.max()),
                "": "kept" if (values <= most).all() else "missed",
            }
            for text, most, values in listed
            if len(values)
        )
    )


def ratios(cells: pd.DataFrame) -> pd.DataFrame:
    """A line for every table, shape and training size, a column for every grid."""
    return pd.DataFrame(
        {
            "table": name,
            "shape": widths,
            "n": f"{n_train:,}",
            **{
                f"G = {size}": number(value)
                for size, value in zip(part["grid_size"], part["linear"], strict=True)
            },
            "true": number(part["true"].iloc[0]),
            "worst": number(part["spread"].max()),
            "linear, worst": number(part["linear_spread"].max()),
        }
        for (name, widths, n_train), part in cells.groupby(KEYS[:-1], sort=False)
    )


def compared(cells: pd.DataFrame, before: pd.DataFrame) -> str:
    """Medians over linear regression's here and there, by table and shape, of the cells of both."""
    both = cells.merge(before, on=KEYS, suffixes=("", "_before"))
    both["change"] = both["linear"] / both["linear_before"]
    table = pd.DataFrame(
        {
            "table": name,
            "shape": widths,
            "cells": str(len(part)),
            "before, median": number(part["linear_before"].median()),
            "now, median": number(part["linear"].median()),
            "before, worst": number(part["linear_before"].max()),
            "now, worst": number(part["linear"].max()),
            "largest rise": number(part["change"].max()),
        }
        for (name, widths), part in both.groupby(KEYS[:2], sort=False)
    )
    return markdown(table)


def number(value: float) -> str:
    if math.isnan(value):
        return ""
    return figures(value) if math.isfinite(value) else "∞"


def trained(tables: Sequence[str], hidden: Sequence[int], seeds: int) -> Iterator[pd.DataFrame]:
    torch.set_num_threads(1)
    for name in tables:
        for nodes in hidden:
            for rows in run(name, nodes, tuple(range(seeds))):
                last = rows.iloc[-1]
                seconds = rows["seconds"].sum()
                say(f"tables: {name} {last['shape']}, n = {last['n_train']}: {seconds:.1f} s")
                yield rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument(
        "--shapes", nargs="+", type=int, default=HIDDEN, help="hidden nodes; 0: no hidden layer"
    )
    parser.add_argument("--seeds", type=int, default=N_SEEDS, help="how many")
    parser.add_argument("--rows", type=Path, help="write every cell to this CSV file as well")
    parser.add_argument("--against", type=Path, help="compare with such a file of an earlier run")
    options = parser.parse_args()
    before = None if options.against is None else pd.read_csv(options.against)
    parts: list[pd.DataFrame] = []
    for rows in trained(options.tables, options.shapes, options.seeds):
        parts.append(rows)
        if options.rows is not None:  # what is there so far, should the rest be cut off
            pd.concat(parts).to_csv(options.rows, index=False)
    text = report(pd.concat(parts), before)
    print(text)
    if (tuple(options.tables), tuple(options.shapes), options.seeds) == (TABLES, HIDDEN, N_SEEDS):
        RESULTS.write_text(text)


if __name__ == "__main__":
    main()
