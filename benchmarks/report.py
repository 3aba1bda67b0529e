"""What the benchmarks share: workers in processes of their own, tables, and the machine."""

from __future__ import annotations

import json
import math
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from kansweep import __version__, kinds
from kansweep.config.solvers import LMConfig

HERE = Path(__file__).resolve().parent
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")}
RESULTS = HERE / "RESULTS.md"
QUIET = {"JAX_PLATFORMS": "cpu", "MPLBACKEND": "Agg"}


def process(command: Sequence[str | Path], folder: Path, **variables: str) -> tuple[str, float]:
    """What a command printed, and its seconds from start to end; it has one thread a library."""
    began = time.perf_counter()
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **ONE_THREAD, **QUIET, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{Path(command[1]).name} failed:\n{done.stderr[-2000:]}")
    return done.stdout, seconds


def cells(command: Sequence[str | Path], folder: Path) -> tuple[pd.DataFrame, float]:
    """The cells that a worker printed, a line of JSON each, and the seconds of its process."""
    printed, seconds = process(command, folder)
    return pd.DataFrame([json.loads(line) for line in printed.splitlines()]), seconds


def own_chains(
    n_train: int, grids: Sequence[int], batches: Sequence[int], folder: Path, **options: float
) -> pd.DataFrame:
    """kansweep's own chains by ``chains.py``, whose options these are."""
    command = [sys.executable, HERE / "chains.py", str(n_train), "--grids", *map(str, grids)]
    command += ["--batches", *map(str, batches)]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    return cells(command, folder)[0]


def markdown(table: pd.DataFrame) -> str:
    """A Markdown table of what is already text, or whole numbers."""
    rows = [list(table.columns), ["---:"] * len(table.columns), *table.values.tolist()]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def figures(value: float) -> str:
    """Three significant figures, as one reads them aloud."""
    if not math.isfinite(value):
        return "NaN"
    if abs(value) >= 1e6 or value == 0:
        return f"{value:.0e}"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def say(line: str) -> None:
    """Tell whoever waits how far the benchmark is."""
    print(line, file=sys.stderr, flush=True)


def measured_on(versions: Mapping[str, str]) -> str:
    """The machine, kansweep's version and others, with no name that tells whose it is."""
    model = "unknown"
    with open("/proc/cpuinfo") as described:
        for line in described:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    lm = LMConfig.methods[kinds.SPLINES]
    own = f"kansweep {__version__} ({lm.name}'s revision {lm.revision})"
    listed = ", ".join([own, *(f"{name} {version}" for name, version in versions.items())])
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; {platform.machine()}, {model}, {os.cpu_count()} cores, "
        f"one thread a process; Python {platform.python_version()}, {listed}."
    )


def section(page: str, title: str) -> str:
    """The text below a heading of the second level, up to the next one; empty without it."""
    below = re.search(_below(title), page, re.M | re.S)
    return below["text"].strip() if below else ""


def with_section(page: str, title: str, text: str) -> str:
    """The page with another text below a heading, which is put at its end if it is not there."""
    new = f"## {title}\n\n{text.strip()}\n"
    if re.search(_below(title), page, re.M | re.S):
        found = re.sub(_below(title), lambda _: f"{new}\n", page, flags=re.M | re.S)
        return f"{found.rstrip()}\n"
    return f"{page.rstrip()}\n\n{new}".lstrip()


def _below(title: str) -> str:
    return rf"^## {re.escape(title)}(?:\n|\Z)(?P<text>.*?)(?=^## |\Z)"
