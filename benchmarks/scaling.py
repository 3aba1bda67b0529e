"""How kansweep's own cost grows with the data, the grid and the batch; a part of peers.py's report.

Every chain runs in a process of its own. Seconds an iteration are those that the solver took
at that grid, over the iterations of the whole batch in lockstep: they hold what a descent does
once, such as its first evaluation. Memory is the most that the process held, 10,000 test points,
Python and torch included. Exponents are fitted by least squares in log-log over the upper half of
a range, where what does not grow matters least.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.report import figures, markdown, own_chains, say

LIMIT_MIB = 2048  # what a sweep's largest batch may hold


@dataclass(frozen=True)
class Ranges:
    """What is measured, and for how many seconds a process may be repeated."""

    sizes: tuple[int, ...] = (300, 1000, 3000, 10_000, 30_000, 100_000)
    size_grids: tuple[int, ...] = (5, 10, 20, 50, 100)
    grids: tuple[int, ...] = (5, 10, 20, 50, 100, 200, 500, 1000)
    grid_sizes: tuple[int, ...] = (3000, 30_000)
    batches: tuple[int, ...] = (1, 2, 5, 10, 20, 50)
    batch_size: int = 1000
    repeats: int = 5
    enough: float = 10.0


QUICK = Ranges(
    sizes=(1000, 10_000),
    size_grids=(5, 10, 20),
    grids=(5, 10, 20, 50, 100),
    grid_sizes=(3000,),
    batches=(1, 10),
    repeats=1,
)


def measure(ranges: Ranges, folder: Path) -> str:
    """All tables, as Markdown."""
    shown = [grid for grid in (20, 100) if grid in ranges.size_grids]
    parts = [
        "Every chain runs in a process of its own, with 10,000 test points. Milliseconds an "
        "iteration are the solver's time at a grid over its iterations there, for the whole batch; "
        "`iterations` counts them in the order of the columns before. Memory is the process's "
        "peak, Python and torch included. Exponents are fitted by least squares in log-log to "
        "the upper half of the range.",
        against_size(ranges, shown, folder),
        against_grid(ranges, folder),
        against_batch(ranges, shown, folder),
    ]
    return "\n\n".join(parts)


def against_size(ranges: Ranges, shown: Sequence[int], folder: Path) -> str:
    lines = {}
    for n in ranges.sizes:
        say(f"kansweep's cost: n = {n}")
        lines[n] = _chain(n, 1, ranges.size_grids, ranges, folder)
    table = pd.DataFrame(
        {
            "n": n,
            **{f"ms an iteration, G = {grid}": line.per_iteration[grid] for grid in shown},
            "iterations": " + ".join(str(line.iterations[grid]) for grid in shown),
            "peak MiB": line.peak[ranges.size_grids[-1]],
        }
        for n, line in lines.items()
    )
    largest, last = ranges.sizes[-1], ranges.size_grids[-1]
    peak = lines[largest].peak[last]
    return "\n\n".join(
        [
            "### Against the number of points, one seed",
            _table(table, "n"),
            f"At n = {largest:,}, G = {last} the process held {peak:,.0f} MiB at most; the limit "
            f"is {LIMIT_MIB:,} MiB: {'kept' if peak <= LIMIT_MIB else 'exceeded'}.",
        ]
    )


def against_grid(ranges: Ranges, folder: Path) -> str:
    lines = {}
    for n in ranges.grid_sizes:
        say(f"kansweep's cost: G to {ranges.grids[-1]}, n = {n}")
        lines[n] = _chain(n, 1, ranges.grids, ranges, folder)
    table = pd.DataFrame(
        {
            "G": grid,
            **{
                f"ms an iteration, n = {n:,}": line.per_iteration[grid] for n, line in lines.items()
            },
            "iterations": " + ".join(str(line.iterations[grid]) for line in lines.values()),
            **{f"peak MiB, n = {n:,}": line.peak[grid] for n, line in lines.items()},
        }
        for grid in ranges.grids[1:]  # the first is solved by its cold start
    )
    return "\n\n".join(["### Against the grid, one seed, one chain", _table(table, "G")])


def against_batch(ranges: Ranges, shown: Sequence[int], folder: Path) -> str:
    lines = {}
    for batch in ranges.batches:
        say(f"kansweep's cost: {batch} seeds")
        lines[batch] = _chain(ranges.batch_size, batch, ranges.size_grids, ranges, folder)
    table = pd.DataFrame(
        {
            "seeds": batch,
            **{f"ms an iteration, G = {grid}": line.per_iteration[grid] for grid in shown},
            "iterations": " + ".join(str(line.iterations[grid]) for grid in shown),
            "s a seed, whole chain": line.seconds_a_seed,
            "peak MiB": line.peak[ranges.size_grids[-1]],
        }
        for batch, line in lines.items()
    )
    title = f"### Against the seeds in a batch, n = {ranges.batch_size:,}"
    return "\n\n".join([title, _table(table, "seeds")])


@dataclass(frozen=True)
class Chain:
    """One chain's cost by grid size, medians over its repeats; a seed's seconds over all grids."""

    per_iteration: Mapping[int, float]  # milliseconds
    iterations: Mapping[int, int]
    peak: Mapping[int, float]
    seconds_a_seed: float


def _chain(n: int, batch: int, grids: Sequence[int], ranges: Ranges, folder: Path) -> Chain:
    cells = own_chains(n, grids, [batch], folder, repeats=ranges.repeats, enough=ranges.enough)
    cells["ms"] = 1e3 * cells["solve_seconds"] / cells["iterations"]
    by_grid = cells.groupby("grid_size")
    return Chain(
        by_grid["ms"].median().to_dict(),
        by_grid["iterations"].first().to_dict(),
        by_grid["peak_mib"].min().to_dict(),  # a repeat's is that of the largest grid
        by_grid["seconds"].median().sum(),
    )


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """Of y ~ x^a over the x above the geometric middle of their range."""
    log_x, log_y = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    upper = log_x >= (log_x[0] + log_x[-1]) / 2 - 1e-9
    upper[-2:] = True  # a line takes two
    return float(np.polyfit(log_x[upper], log_y[upper], 1)[0])


def _table(table: pd.DataFrame, x: str) -> str:
    """The table, and the exponents of its times and of its memory as a last line."""
    fitted = [name for name in table.columns if name.startswith(("ms", "s a", "peak"))]
    shown = table.astype(object)
    for name in fitted:
        shown[name] = table[name].map("{:,.0f}".format if "peak" in name else figures)
    shown[x] = table[x].map("{:,}".format)
    powers = {name: f"{x}^{exponent(table[x], table[name]):.2f}" for name in fitted}
    last = {x: "exponent", "iterations": "", **powers}
    return markdown(pd.concat([shown, pd.DataFrame([last])], ignore_index=True))
