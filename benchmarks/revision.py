"""kansweep against an earlier revision of its own, on the same workloads, in turn.

The earlier one is taken out of git into the peers' folder and imported from there, in the same
environment; both are driven by the command line alone. `make bench` has it in its report; `make
bench-revision` prints it by itself, in some minutes.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from benchmarks.report import HERE, figures, markdown, measured_on, process, say

ROOT = HERE.parent
REFERENCE = "2ed89d6"  # the last before the solver's loops were compiled
HOLDER = HERE / ".venv-peers"
PEAK = """
import time
import numpy as np

a, best = np.random.default_rng(0).random((1000, 1000)), 1e9
for _ in range(5):
    began = time.perf_counter()
    a @ a
    best = min(best, time.perf_counter() - began)
print(2e9 / best)
"""

HOW = """\
Each revision is run as `kansweep run` by itself, the two in turn, one thread, after a run that is
not counted. *Cells* are the seconds of all cells as their rows have them, *process* is the whole
process from start to end. The ratio is that of medians. The *floor* is what the arithmetic of the
normal equations takes at the measured peak of one core, {peak:.0f} Gflop/s (`dgemm`): for every
iteration of every cell n s² for the s derivatives that a point has and P³/3 for the factorisation;
a test set, a race's restarts and a REML update come on top of it.
"""


@dataclass(frozen=True)
class Workload:
    name: str
    words: tuple[str, ...]  # of `kansweep run`


WORKLOADS = (
    Workload("default, one seed", ("seeds=1",)),
    Workload("default, ten seeds", ("seeds=10",)),
    Workload("n = 100,000", ("seeds=1", "data.sizes=[100000]")),
    Workload(
        "4-4-2-1 to G = 50",
        ("seeds=1", "data=nested", "data.sizes=[3000]", "grid.sizes=[5,10,20,50]"),
    ),
    Workload(
        "2-5-1",
        (
            "seeds=1",
            "data.formula='sin(2*(x1+x2))+exp(-(x1-x2)^2)+tanh(2*x1+x2)'",
            "model.hidden=[5]",
            "data.sizes=[2000]",
            "grid.sizes=[6,12,24]",
        ),
    ),
    Workload("100-1-1", ("seeds=1", "data=sine_mean", "data.sizes=[3000]", "grid.sizes=[5,10,20]")),
)


def reference() -> Path | None:
    """The folder of the earlier revision, taken out of git where it is not there yet; None where
    this clone does not have it."""
    folder = HOLDER / f"revision-{REFERENCE}"
    if not (folder / "kansweep").is_dir():
        command = ["git", "-C", str(ROOT), "archive", REFERENCE, "kansweep", "configs"]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            return None
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            archive.extractall(folder, filter="data")
    return folder


def measure(enough: float, workloads: Sequence[Workload] = WORKLOADS) -> str:
    """The table of all workloads, each repeated for ``enough`` seconds; or why there is none."""
    before = reference()
    if before is None:
        return f"This clone does not have revision {REFERENCE}; `git fetch --unshallow` brings it."
    peak = float(process([sys.executable, "-c", PEAK], ROOT)[0])
    lines = [_line(workload, before, peak, enough) for workload in workloads]
    return f"{HOW.format(peak=peak / 1e9)}\n{markdown(pd.DataFrame(lines))}"


def _line(workload: Workload, before: Path, peak: float, enough: float) -> dict[str, str]:
    """The medians of one workload, by both revisions in turn."""
    taken: list[dict[str, float]] = []
    began = time.perf_counter()
    while len(taken) < 2 or time.perf_counter() - began < enough:
        say(f"revisions: {workload.name}, {len(taken) // 2 + 1}")
        for tree, name in ((before, "before"), (ROOT, "now")):
            taken.append({**_run(tree, workload), "is_now": name == "now"})
    medians = pd.DataFrame(taken).groupby("is_now").median()
    was, now = medians.loc[False], medians.loc[True]
    floor = now["flops"] / peak
    return {
        "": workload.name,
        f"cells at {REFERENCE}, s": figures(was["cells"]),
        "cells now, s": figures(now["cells"]),
        "ratio": figures(was["cells"] / now["cells"]),
        "process then, s": figures(was["process"]),
        "process now, s": figures(now["process"]),
        "now / then": figures(now["process"] / was["process"]),
        "floor, s": figures(floor),
        "cells now / floor": figures(now["cells"] / floor),
    }


def _run(tree: Path, workload: Workload) -> dict[str, float]:
    """Seconds of the cells and of the whole process, and the flops of the cells."""
    with TemporaryDirectory() as name:
        command = [sys.executable, "-m", "kansweep", "run", *workload.words, f"outputs={name}"]
        _, seconds = process(command, Path(name), PYTHONPATH=str(tree))
        (path,) = Path(name).glob("*/results.parquet")
        rows = pd.read_parquet(path)
    return {"cells": rows["seconds"].sum(), "process": seconds, "flops": flops(rows)}


def flops(rows: pd.DataFrame) -> float:
    """Of the normal equations of all iterations, formed once a point and factorised once."""
    widths = [np.array(width.split("-"), float) for width in rows["width"]]
    edges = np.array([(width[:-1] * width[1:]).sum() for width in widths])
    derivatives = edges * (rows["k"] + 1)
    an_iteration = rows["n_train"] * derivatives**2 + rows["n_params"] ** 3 / 3
    return float((rows["steps"] * an_iteration).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--enough", type=float, default=20.0, help="seconds a workload, at least")
    parser.add_argument("--only", default="", help="workloads whose names hold this")
    options = parser.parse_args()
    say(measured_on({}))
    print(measure(options.enough, [each for each in WORKLOADS if options.only in each.name]))


if __name__ == "__main__":
    main()
