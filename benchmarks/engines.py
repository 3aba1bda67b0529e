"""What engines cost and gain, and what a folder of 100,000 cells takes, all in one run.

The gain: one sweep, serially and by two processes in turn, three times. The cost: chains of two
tiny cells by every engine, the whole of a run over the chains there are, less the seconds in their
cells. The folder: synthetic rows, consolidated once; then `show`, a run with nothing left to do,
and the planning of one that has a grid more. `make bench-engines` writes the report to
benchmarks/ENGINES.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch

from benchmarks.report import HERE, figures, markdown, measured_on, say
from kansweep.config.run import RunConfig
from kansweep.sweep import files, rows
from kansweep.sweep.plan import planned
from kansweep.sweep.store import Store

RESULTS = HERE / "ENGINES.md"
SWEEP = ("seeds=150",)  # a minute and more, one chain after the other
REPEATS = 3
TINY = ("data.sizes=[30]", "grid.sizes=[3,5]", "data.n_test=10")
ENGINES = {
    "serial": ("engine=serial",),
    "process, 2 workers": ("engine=process", "engine.workers=2"),
    "dask, 2 workers": ("engine=dask", "engine.workers=2"),
    "submitit, local, 2 at once": ("engine=submitit", "engine.cluster=local", "engine.workers=2"),
}
CELLS = 100_000
LIMIT_SECONDS, LIMIT_MIB = 5.0, 1024


# A process's peak is that of what it replaced, until it says itself what it is.
SAYING = """
import sys
from kansweep.cli import main
status = main()
with open("/proc/self/status") as lines:
    print(next(line.split()[1] for line in lines if line.startswith("VmHWM")), file=sys.stderr)
sys.exit(status)
"""


def command(folder: Path, *words: str) -> tuple[float, float]:
    """Seconds and MiB at most of `kansweep` with these words, in this folder."""
    there = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", SAYING, *words],
        cwd=folder,
        env=there,
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"kansweep {' '.join(words)} failed:\n{done.stderr}")
    return seconds, float(done.stderr.split()[-1]) / 1024


# ------------------------------------------------------------------------- gain and cost


def gain(folder: Path, words: Sequence[str], repeats: int) -> str:
    lines = []
    for repeat in range(repeats):
        pair = {}
        for name in ("serial", "process, 2 workers"):
            say(f"engines: the sweep, {name}, {repeat + 1} of {repeats}")
            pair[name], _ = command(folder, "run", *words, *ENGINES[name], "run.mode=force")
        lines.append(pair)
    ratios = [pair["serial"] / pair["process, 2 workers"] for pair in lines]
    table = pd.DataFrame(
        {
            "repeat": str(i + 1),
            **{f"{name}, s": figures(seconds) for name, seconds in pair.items()},
            "ratio": figures(ratio),
        }
        for i, (pair, ratio) in enumerate(zip(lines, ratios, strict=True))
    )
    return "\n\n".join(
        [
            f"## A sweep by two processes: `kansweep run {' '.join(words)}`",
            "Seconds of the whole command, one after the other.",
            markdown(table),
            f"In the median {figures(statistics.median(ratios))} times as fast as serially.",
        ]
    )


def cost(folder: Path, chains: Mapping[str, tuple[int, int]]) -> str:
    """What a chain more takes, beside the seconds in its cells, so that start-up is apart."""
    lines = []
    for name, counts in chains.items():
        say(f"engines: what a chain costs, {name}")
        spent, trained = [], []
        for count in counts:
            sweep_name = f"cost-{len(lines)}-{count}"
            words = ("run", *TINY, f"seeds={count}", f"name={sweep_name}", *ENGINES[name])
            spent.append(command(folder, *words)[0])
            rows_ = pd.read_parquet(folder / "outputs" / sweep_name / "results.parquet")
            trained.append(rows_["seconds"].sum() / (1 if name == "serial" else 2))  # two at once
        more = counts[1] - counts[0]
        wall, cells = (spent[1] - spent[0]) / more, (trained[1] - trained[0]) / more
        lines.append(
            {
                "engine": name,
                "chains": f"{counts[0]} and {counts[1]}",
                "ms a chain": figures(1e3 * wall),
                "of them in its cells": figures(1e3 * cells),
                "overhead, ms a chain": figures(1e3 * (wall - cells)),
                "s once": figures(max(spent[0] - counts[0] * wall, 0.0)),
            }
        )
    return "\n\n".join(
        [
            "## What a chain costs",
            f"Runs of `{' '.join(TINY)}`, chains of two tiny cells, with few and with many seeds; "
            "the difference is what a chain more takes. The overhead holds the writing of its two "
            "rows and weights, each of which is flushed to the disk; `s once` is starting and "
            "ending. submitit starts a Python process a chain, which imports torch.",
            markdown(pd.DataFrame(lines)),
        ]
    )


# ------------------------------------------------------------------------- many cells


def fill(folder: Path, n_cells: int) -> None:
    """A sweep's folder with a row for every cell, as a run would have left it."""
    job = RunConfig(name="many", outputs=str(folder), seeds=n_cells // 20)
    plan, store = planned(job), Store(folder / "many")
    rng = np.random.default_rng(0)
    with store.open(plan):
        for cell in plan.cells:
            row = {
                **vars(cell),
                "data": "exp_sin",
                "grid_size": cell.size,
                "k": 3,
                "width": "2-1-1",
                "model": "kan",
                "solver": "lm",
                "n_params": 3 * (cell.size + 3),
                "status": "ok",
                "stop_reason": "converged",
                "seconds": float(rng.uniform(0.01, 0.1)),
                "train_rmse": float(rng.lognormal() * cell.size**-4.0),
                "test_rmse": float(rng.lognormal() * cell.size**-4.0),
                "dtype": "float64",
                "device": "cpu",
                "git_revision": "0" * 40,
                "started_at": datetime.now(UTC),
                "start_grid": 5,
            }
            rows.write_row(folder / "many" / "cells" / f"{cell.key}.parquet", row)


def many(folder: Path, n_cells: int) -> str:
    say(f"engines: writing {n_cells:,} rows")
    files.os.fsync, fsync = lambda _: None, files.os.fsync  # it is reading that is measured
    try:
        fill(folder / "outputs", n_cells)
    finally:
        files.os.fsync = fsync
    words = ("name=many", f"seeds={n_cells // 20}")
    done = {}
    for what, line in {
        "`run`, reading every row once": ("run", *words),
        "`run`, nothing left to do": ("run", *words),
        "`show`": ("show", "name=many"),
        "`plot`": ("plot", "name=many", "plot.formats=[svg]"),
    }.items():
        say(f"engines: {n_cells:,} cells: {what}")
        done[what] = command(folder, *line)
    table = pd.DataFrame(
        {"command": what, "seconds": figures(seconds), "MiB": f"{mib:,.0f}"}
        for what, (seconds, mib) in done.items()
    )
    once = [done["`run`, nothing left to do"], done["`show`"]]
    kept = all(seconds < LIMIT_SECONDS and mib < LIMIT_MIB for seconds, mib in once)
    return "\n\n".join(
        [
            f"## A folder of {n_cells:,} cells",
            "Whole commands, start-up included.",
            markdown(table),
            f"Once consolidated, `show` and planning are to take {LIMIT_SECONDS:.0f} s and "
            f"{LIMIT_MIB:,} MiB at most: {'kept' if kept else 'exceeded'}.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small version; only prints")
    quick = parser.parse_args().quick
    chains = {
        "serial": (500, 1500),
        "process, 2 workers": (500, 1500),
        "dask, 2 workers": (500, 1500),
        "submitit, local, 2 at once": (2, 12),
    }
    with TemporaryDirectory() as folder:
        parts = [
            "# Engines",
            measured_on({"PyTorch": torch.__version__}),
            gain(Path(folder), ("seeds=10",) if quick else SWEEP, 1 if quick else REPEATS),
            cost(Path(folder), {n: (c[0] // 2, c[0]) if quick else c for n, c in chains.items()}),
            many(Path(folder), 2000 if quick else CELLS),
        ]
    report = "\n\n".join(parts) + "\n"
    print(report)
    if not quick:
        RESULTS.write_text(report)


if __name__ == "__main__":
    main()
