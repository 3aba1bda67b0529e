"""pykan through kansweep beside pykan by a script, on the same points, in turn in one process.

Three chains of the same grids each: by a script as its Example 8 is; by the same script with its
least squares by singular values, which makes it repeatable, and which kansweep has it do; and by
kansweep. A cell's seconds are those of building or extending, of `fit` and of the test, which
kansweep's own are too; a chain's processor time, all of it, varies less on a shared machine.
`make bench-pykan` prints medians and ratios.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial

import pandas as pd
import torch
from kan import KAN

from benchmarks.report import figures, markdown, measured_on, say
from kansweep.config.data import DataConfig
from kansweep.config.models import GridConfig, PykanConfig
from kansweep.config.run import RunConfig
from kansweep.config.solvers import LBFGSConfig
from kansweep.data.sources import source
from kansweep.sweep import chain
from kansweep.sweep.samples import sample
from kansweep.sweep.worker import make_solver, shape

PLAIN, REPEATABLE, OWN = "script", "script, singular values", "kansweep"


@dataclass(frozen=True)
class Chain:
    """What all three train."""

    n_train: int
    n_test: int
    seed: int
    grids: tuple[int, ...]
    steps: int

    @property
    def config(self) -> RunConfig:
        return RunConfig(
            seeds=[self.seed],
            data=DataConfig(sizes=(self.n_train,), n_test=self.n_test),
            grid=GridConfig(sizes=self.grids, spacing="quantile"),
            model=PykanConfig(),
            solver=LBFGSConfig(steps=self.steps),
        )


def by_script(one: Chain) -> Iterator[tuple[int, float, float]]:
    """Grid size, test RMSE and seconds of each cell, by pykan alone."""
    data = sample(source(one.config.data), one.n_train, one.n_test, (one.seed,))
    x, y = data.x_train[0], data.y_train[0]
    dataset = {"train_input": x, "train_label": y, "test_input": x, "test_label": y}
    model = None
    for grid in one.grids:
        began = time.perf_counter()
        finer = KAN(width=[2, 1, 1], grid=grid, k=3, seed=one.seed, auto_save=False)
        model = finer if model is None else finer.initialize_from_another_model(model, x)
        model.fit(dataset, opt="LBFGS", steps=one.steps, stop_grid_update_step=30)
        with torch.no_grad():
            error = float((model(data.x_test[0]) - data.y_test[0]).square().mean().sqrt())
        yield grid, error, time.perf_counter() - began


def by_kansweep(one: Chain) -> Iterator[tuple[int, float, float]]:
    config = one.config
    batch = chain.Batch(
        source=source(config.data),
        n_train=one.n_train,
        n_test=one.n_test,
        seeds=(one.seed,),
        kind=config.kind,
        shapes=tuple(shape(config, size) for size in one.grids),
        device=config.device,
        dtype=config.dtype,
    )
    for (result,) in chain.train(batch, make_solver(config), [None], lambda _: None):
        yield result.size, float("nan" if result.error else result.test_rmse), result.seconds


@contextmanager
def as_a_script(repeatable: bool) -> Iterator[None]:
    """Double precision, nothing printed, and the least squares asked for."""
    default, solve = torch.get_default_dtype(), torch.linalg.lstsq
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        torch.set_default_dtype(torch.float64)
        torch.linalg.lstsq = partial(solve, driver="gelsd") if repeatable else solve
        try:
            yield
        finally:
            torch.set_default_dtype(default)
            torch.linalg.lstsq = solve


def cells(one: Chain, repeat: int) -> Iterator[dict[str, object]]:
    """All three in turn, each first once in three repeats."""
    ways: list[tuple[str, Callable[[Chain], Iterator[tuple[int, float, float]]]]] = [
        (PLAIN, by_script),
        (REPEATABLE, by_script),
        (OWN, by_kansweep),
    ]
    for name, way in ways[repeat % 3 :] + ways[: repeat % 3]:
        say(f"n = {one.n_train}, seed {one.seed}: {name}")
        began = time.process_time()
        if way is by_script:
            with as_a_script(name == REPEATABLE):
                done = list(way(one))
        else:
            done = list(way(one))
        processor = (time.process_time() - began) / len(done)
        for grid, error, seconds in done:
            yield {
                "n": one.n_train,
                "seed": one.seed,
                "G": grid,
                "by": name,
                "test_rmse": error,
                "seconds": seconds,
                "processor": processor,
            }


def report(rows: pd.DataFrame) -> str:
    """Errors of every cell; medians of times and their ratios."""
    errors = rows.pivot_table(index=["n", "G", "seed"], columns="by", values="test_rmse")
    alike = rows[rows["by"] != PLAIN].groupby(["n", "G", "seed"])["test_rmse"]  # of all repeats
    apart = (alike.max() - alike.min()).max()
    least, most = (
        rows[rows["by"] == PLAIN].groupby(["n", "G", "seed"])["test_rmse"].agg(each)
        for each in ("min", "max")
    )
    table = errors.map("{:.3e}".format)
    table[PLAIN] = [f"{a:.3e} to {b:.3e}" for a, b in zip(least, most, strict=True)]
    return "\n\n".join(
        [
            f"### Test RMSE, every seed; largest difference within the last two {apart:.1e}",
            markdown(table[[PLAIN, REPEATABLE, OWN]].reset_index()),
            "### Seconds a cell, medians and their ratios",
            times(rows, ["n", "G"], "seconds"),
            "### Seconds of the processor a cell, means over chains, medians and their ratios",
            times(rows, ["n"], "processor"),
        ]
    )


def times(rows: pd.DataFrame, of: list[str], what: str) -> str:
    """Medians of what the plain script takes, the others as multiples of them, and of the sums."""
    medians = rows.pivot_table(index=of, columns="by", values=what, aggfunc="median")
    medians.loc[("all", "") if len(of) > 1 else "all", :] = medians.sum()
    ratios = {f"{way} / {PLAIN}": medians[way] / medians[PLAIN] for way in (REPEATABLE, OWN)}
    table = pd.DataFrame({PLAIN: medians[PLAIN], **ratios}).map(figures)
    return markdown(table.rename_axis(of).reset_index())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--grids", type=int, nargs="+", default=[5, 10, 20])
    parser.add_argument("--n-test", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = pd.DataFrame(
        cell
        for repeat in range(options.repeats)
        for n in options.sizes
        for seed in range(options.seeds)
        for cell in cells(
            Chain(n, options.n_test, seed, tuple(options.grids), options.steps), repeat
        )
    )
    versions = {"torch": torch.__version__, "pykan": "0.2.8"}
    print(f"{measured_on(versions)}\n\n{report(rows)}")


if __name__ == "__main__":
    main()
