"""Shapes found by `model.hidden=auto` beside shapes tried by hand, on formulas and on tables.

Every shape is trained along the default grids as long as its parameters are no more than half of
the training points, one seed. The best of a shape is its least test RMSE; `given` compares with
what is tried by hand of no more parameters than the found shape has there. Times are of the
processor: the search beside one such chain of the found shape, and beside the median chain of those
by hand.

`make bench-shapes` prints the table.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np

from benchmarks.report import markdown, say
from benchmarks.tables import FRIEDMAN, configuration, finite
from kansweep.config.data import DataConfig
from kansweep.config.rules import AUTO
from kansweep.config.run import RunConfig
from kansweep.data import sources
from kansweep.sweep import chain, shapes
from kansweep.sweep.plan import layer_widths
from kansweep.sweep.store import Store
from kansweep.sweep.tried import n_edges, named
from kansweep.sweep.worker import make_solver, one_thread, shape

FORMULAS = (
    "log(2.5+sin(3*x1)+x2)",
    "x1*x2+sin(3*x3)",
    "exp(-x1^2)*cos(3*x2)",
    "sin(2*x1+x2^2)*exp(x3)",
    "sqrt((x1-x2)^2+(x3-x4)^2+0.1)",
    "(x1+x2)/(3+x1*x2)",
)
TABLES = ("diabetes", "friedman1", "friedman2")
BY_HAND = ((), (1,), (2,), (3,), (5,), (2, 1), (2, 2), (3, 2))
N_TRAIN = 1000
SHARE = 0.5  # parameters a training point, at most


@dataclass(frozen=True)
class Chain:
    """What came of one shape: its cells' parameters and test RMSE, and the time of all."""

    width: tuple[int, ...]
    cells: tuple[tuple[int, float], ...]
    seconds: float

    @property
    def best(self) -> tuple[int, float]:
        return min(self.cells, key=lambda cell: cell[1])


def problem(name: str, folder: Path) -> RunConfig:
    if name in FORMULAS:
        data = DataConfig(formula=name, sizes=(N_TRAIN,))
        job = RunConfig(data=sources.resolved(data))
    else:
        job = configuration(name, 1, folder)
        most = max(job.data.sizes or ())
        job = replace(job, data=replace(job.data, sizes=(most,)))
    name = name if name in (*TABLES, *FRIEDMAN) else "formula"
    return replace(job, model=job.model.with_hidden(AUTO), seeds=(0,), name=name)


def trained(job: RunConfig, hidden: tuple[int, ...]) -> Chain:
    """A chain of the default grids of one shape."""
    job = replace(job, model=job.model.with_hidden(hidden))
    (n_train,) = job.data.sizes or (0,)
    batch = chain.Batch(
        source=sources.source(job.data),
        n_train=n_train,
        n_test=job.data.n_test or 0,
        seeds=job.seeds,
        kind=job.kind,
        shapes=tuple(shape(job, size) for size in job.sizes),
        device=job.device,
        dtype=job.dtype,
    )
    width, cells, clock = layer_widths(job, job.sizes[0]), [], process_time()
    with one_thread():
        every = chain.train(batch, make_solver(job), [None], lambda _: None)
        for after, (result,) in zip([*job.sizes[1:], 0], every, strict=False):
            cells.append((result.n_params or 0, finite(result.test_rmse)))
            if n_edges(width) * (after + 3) > SHARE * n_train:
                break
    return Chain(width, tuple(cells), process_time() - clock)


def compared(name: str) -> dict[str, object]:
    """One row of the table."""
    with TemporaryDirectory() as folder:
        job = problem(name, Path(folder))
        clock = process_time()
        found, search = shapes.found(job, Store(Path(folder) / "outputs"), lambda _: None)
        seconds = process_time() - clock
        auto = trained(job, tuple(found.model.hidden))  # type: ignore[attr-defined]
        n_inputs = auto.width[0]
        (n_train,) = job.data.sizes or (0,)
        wanted = [
            hidden
            for hidden in BY_HAND
            if not hidden or n_edges((n_inputs, *hidden, 1)) * 8 <= SHARE * n_train
        ]
        tried = [trained(job, hidden) for hidden in wanted]
    return row(name, auto, seconds, len(search.shapes), tried)


def row(name: str, auto: Chain, seconds: float, n: int, tried: list[Chain]) -> dict[str, object]:
    n_params, rmse = auto.best
    by_hand = min(tried, key=lambda each: each.best[1])
    given = [error for each in (*tried, auto) for count, error in each.cells if count <= n_params]
    usual = float(np.median([each.seconds for each in tried]))
    return {
        "learned": name,
        "found": named(auto.width),
        "tried": n,
        "P": n_params,
        "test RMSE": f"{rmse:.2e}",
        "by hand": named(by_hand.width),
        "its P": by_hand.best[0],
        "its RMSE": f"{by_hand.best[1]:.2e}",
        "ratio": f"{rmse / by_hand.best[1]:.2f}",
        "given": f"{rmse / min(given):.2f}",
        "search, s": f"{seconds:.1f}",
        "/ found": f"{seconds / auto.seconds:.1f}",
        "/ median": f"{seconds / usual:.1f}",
    }


def main() -> None:
    compared(FORMULAS[0])  # what is imported and compiled for the first time counts for nothing
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", default=(*FORMULAS, *TABLES), help="which; all")
    rows = list(_told(parser.parse_args().names))
    print(markdown_of(rows))


def _told(names: list[str]) -> Iterator[dict[str, object]]:
    for name in names:
        line = compared(name)
        say(str(line))
        yield line


def markdown_of(rows: list[dict[str, object]]) -> str:
    import pandas as pd

    return markdown(pd.DataFrame(rows))


if __name__ == "__main__":
    main()
