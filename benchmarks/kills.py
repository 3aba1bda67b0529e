"""A sweep of 96 cells, killed with -9 at twelve moments and then finished; does it lose anything?

Each run is killed as soon as a few cells more are there, at once or a moment later, and once while
it still starts. Then the sweep is finished. Nothing that was finished may be written again, and
the table must be that of an undisturbed run: to 1e-3 in the logarithm of every RMSE, since a
resumed chain trains in a batch of other chains, and these sum in another order; bit for bit where
every chain was trained alone. `make kills` runs it; it exits with 1 where that does not hold.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from benchmarks.report import HERE, markdown, say

SWEEP = ("run", "seeds=6", "grid.sizes=[5,10,20,50]")
CELLS, KILLS, TOLERANCE = 96, 12, 1e-3
ENGINES = {
    "serial": ("engine=serial",),
    "process": ("engine=process", "engine.workers=2"),
    "submitit, one chain a job": ("engine=submitit", "engine.cluster=local", "engine.workers=2"),
}
NUMBERS = ["train_rmse", "test_rmse", "test_median_error", "reg"]


def start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "kansweep", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # Python tells there of semaphores that a kill left behind
        start_new_session=True,
    )


def finish(folder: Path, *words: str) -> pd.DataFrame:
    if start(folder, *words).wait() != 0:
        raise SystemExit(f"kansweep {' '.join(words)} failed")
    return pd.read_parquet(folder / "outputs/example8/results.parquet")


def there(folder: Path) -> dict[str, int]:
    """The rows that are there, and when they were written."""
    paths = (folder / "outputs/example8/cells").glob("n*.parquet")
    return {path.name: path.stat().st_mtime_ns for path in paths}


def killed(folder: Path, words: tuple[str, ...], chance: random.Random) -> list[int]:
    """Kill twelve runs; how many cells there were each time. Exits where one was lost."""
    counts = []
    for moment in range(KILLS):
        before = there(folder)
        enough = len(before) + chance.randint(1, 7)
        process = start(folder, *words)
        begun = time.monotonic()
        while process.poll() is None and len(there(folder)) < enough:
            if moment == 0 and time.monotonic() - begun > 1.0:
                break
            time.sleep(0.001)
        time.sleep(chance.choice([0.0, 0.0, 0.01, 0.05]))
        process.send_signal(signal.SIGKILL)
        process.wait()
        after = there(folder)
        if not before.items() <= after.items():
            raise SystemExit("a finished cell was written again or lost")
        counts.append(len(after))
    return counts


def main() -> None:
    lines, kept = [], True
    chance = random.Random(0)
    with TemporaryDirectory() as name:
        for engine, words in ENGINES.items():
            command = (*SWEEP, *words)
            quiet, disturbed = Path(name, engine, "quiet"), Path(name, engine, "disturbed")
            for folder in (quiet, disturbed):
                folder.mkdir(parents=True)
            say(f"kills: {engine}")
            expected = finish(quiet, *command)
            counts = killed(disturbed, command, chance)
            before = there(disturbed)
            found = finish(disturbed, *command)
            rewritten = sum(there(disturbed)[name] != when for name, when in before.items())
            off = np.abs(np.log(found[NUMBERS[:2]]) - np.log(expected[NUMBERS[:2]])).to_numpy()
            same = found[NUMBERS].eq(expected[NUMBERS]).all(axis=1)
            kept &= found["key"].equals(expected["key"]) and (found["status"] == "ok").all()
            kept &= len(found) == CELLS and not rewritten and off.max() <= TOLERANCE
            lines.append(
                {
                    "engine": engine,
                    "cells at the kills": " ".join(map(str, counts)),
                    "written again": rewritten,
                    "bit for bit": f"{same.sum()} of {CELLS}",
                    "largest difference in log RMSE": f"{off.max():.1e}",
                }
            )
    print(markdown(pd.DataFrame(lines)))
    print(f"\nNothing was lost: {'yes' if kept else 'no'}.")
    sys.exit(not kept)


if __name__ == "__main__":
    main()
