"""The same sweeps on a CPU and on a GPU of one machine, in turn.

`make bench-gpu` puts the table into benchmarks/RESULTS.md, where there is a GPU; `make bench` keeps
what it finds there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch

from benchmarks.report import (
    RESULTS,
    figures,
    markdown,
    measured_on,
    process,
    say,
    with_section,
)
from benchmarks.revision import WORKLOADS, Workload

TITLE = "On a GPU"
DEVICES = ("cpu", "cuda")
# Without those of several nodes: their races are many small steps, which a GPU is slow at.
SEVERAL = ("4-4-2-1", "2-5-1")
SWEEPS = (
    *(one for one in WORKLOADS if not one.name.startswith(SEVERAL)),
    Workload("n = 1,000,000", ("seeds=1", "data.sizes=[1000000]")),
)
HOW = """\
The CPU has compiled loops on one thread, the GPU torch's tensors; *cells* are the seconds of all
cells as their rows have them, medians of runs in turn. *Apart* is how far the test RMSE of a cell
on the GPU is from that on the CPU in the last run, as a share of it: the median cell and the
farthest.
"""


def measure(workloads: Sequence[Workload], repeats: int) -> str:
    """A table of medians, after a run on each device that is not counted."""
    for device in DEVICES:
        _run(workloads[0], device)
    lines = [_line(workload, repeats) for workload in workloads]
    return f"{HOW}\n{markdown(pd.DataFrame(lines))}"


def _line(workload: Workload, repeats: int) -> dict[str, str]:
    seconds: dict[str, list[float]] = {device: [] for device in DEVICES}
    errors = {}
    for repeat in range(repeats):
        for device in DEVICES:
            say(f"{workload.name}: {device}, {repeat + 1} of {repeats}")
            rows = _run(workload, device).set_index(["n_train", "grid_size", "seed"])
            seconds[device].append(rows["seconds"].sum())
            errors[device] = rows["test_rmse"]
    cpu, gpu = (float(np.median(seconds[device])) for device in DEVICES)
    apart = (errors["cuda"] / errors["cpu"] - 1).abs()
    line = {
        "": workload.name,
        "cells on the CPU, s": figures(cpu),
        "cells on the GPU, s": figures(gpu),
        "CPU / GPU": figures(cpu / gpu),
        "apart, median": f"{apart.median():.0e}",
        "apart, most": f"{apart.max():.0e}",
    }
    say(" | ".join(line.values()))
    return line


def _run(workload: Workload, device: str) -> pd.DataFrame:
    with TemporaryDirectory() as name:
        words = [*workload.words, f"device={device}", f"outputs={name}"]
        command = [sys.executable, "-m", "kansweep", "run", *words]
        process(command, Path(name))
        (path,) = Path(name).glob("*/results.parquet")
        return pd.read_parquet(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (default 3)")
    parser.add_argument("--only", default="", help="workloads whose names hold this")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("There is no GPU that torch can use.")
    chosen = [one for one in SWEEPS if options.only in one.name]
    if not chosen:
        parser.error(f"no sweep's name holds {options.only!r}")
    made = (
        f"Made by `make bench-gpu`, {options.repeats} runs of each: "
        f"{torch.cuda.get_device_name()} beside {measured_on({'torch': torch.__version__})}"
    )
    table = measure(chosen, options.repeats)
    text = f"{made}\n\n{table}"
    print(text)
    if not options.only:
        before = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
        RESULTS.write_text(with_section(before, TITLE, text), encoding="utf-8")


if __name__ == "__main__":
    main()
