"""The Example 8 matrix by kansweep and its peers, on the same data, in one run; and its own cost.

For every data size in turn: kansweep (one seed, then ten at once), pykan, jaxKAN, kansweep again,
each in a process of its own on one thread, so that what else the machine does falls on all of them.
`make bench` writes the report to benchmarks/RESULTS.md; `make bench-quick` prints a short one.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch

from benchmarks import gpu, revision, scaling
from benchmarks.report import (
    HERE,
    RESULTS,
    cells,
    figures,
    markdown,
    measured_on,
    own_chains,
    process,
    say,
    section,
    with_section,
)
from kansweep.config.run import RunConfig
from kansweep.data.sampling import Sampled
from kansweep.data.targets import TARGETS
from kansweep.sweep.samples import sample

PEERS_PYTHON = HERE / ".venv-peers" / "bin" / "python"
CELL = ["n_train", "grid_size"]
OWN, OWN_TEN, PYKAN, JAXKAN = "kansweep", "kansweep, ten", "pykan", "jaxKAN"
WORKERS = {PYKAN: "peer_pykan.py", JAXKAN: "peer_jaxkan.py"}
TEN = 10

HOW = """\
Every library trains a [2, 1, 1] KAN with cubic splines in float64 on the same points of
exp(sin πx₁ + x₂²), at one grid after the other, each begun from the last one's network. A cell's
seconds are those of extending, training and evaluating on all 10,000 test points, without imports.
"""
HOW_EACH = {
    OWN: """\
- **kansweep**: the default configuration, medians over its repeats before and after the peers.
  *Ten* trains ten seeds as one batch; its seconds are a seed's share.""",
    PYKAN: """\
- **pykan** as in its Example 8: `KAN(width=[2,1,1], k=3)`, `refine`, `fit(opt="LBFGS", steps=50,
  stop_grid_update_step=30)`; while it fits it tests on 1,000 points, as the example does.""",
    JAXKAN: """\
- **jaxKAN** with its base layers, `update_grids` before each grid as in its tutorials, and 1,000
  iterations of optax's L-BFGS as one compiled loop. JAX compiles anew for every grid, here on the
  one core: *computing* are the seconds without that.""",
}
EDGES = """\
Some test points lie beyond the outermost training points, where the peers' grids, which they adapt
to the training points, end. The training errors follow, to tell that from a fit that failed.
"""


@dataclass(frozen=True)
class Scope:
    """What a run compares."""

    sizes: tuple[int, ...]
    grids: tuple[int, ...]
    n_test: int
    repeats: int  # of kansweep, before the peers and again after them
    seeds: int  # of the peers, and of kansweep alone
    peers: tuple[str, ...] = (PYKAN, JAXKAN)
    peer_sizes: tuple[int, ...] = ()  # none: all of them
    peer_grids: tuple[int, ...] = ()


def compare(scope: Scope, folder: Path) -> pd.DataFrame:
    """One row a library, cell, seed and repeat."""
    parts = []
    for n in scope.sizes:
        data = save_data(n, scope, folder)
        parts.append(own(n, scope, folder))
        if n in (scope.peer_sizes or scope.sizes):
            for peer in scope.peers:
                for seed, path in enumerate(data):
                    say(f"{peer}: n = {n}, seed {seed}")
                    parts.append(chains(peer, [path], seed, scope, folder)[0])
            parts.append(own(n, scope, folder))
    return pd.concat(parts, ignore_index=True)


def save_data(n: int, scope: Scope, folder: Path) -> list[Path]:
    """kansweep's own points as files for the peers, one a seed."""
    paths = []
    for seed in range(scope.seeds):
        data = sample(Sampled(TARGETS[RunConfig().data.name]), n, scope.n_test, (seed,))
        paths.append(folder / f"data_{n}_{seed}.npz")
        names = ("x_train", "y_train", "x_test", "y_test")
        np.savez(paths[-1], **{name: getattr(data, name)[0].numpy() for name in names})
    return paths


def own(n: int, scope: Scope, folder: Path) -> pd.DataFrame:
    say(f"kansweep: n = {n}")
    parts = []
    for seed in range(scope.seeds):
        batches = [1, TEN] if seed == 0 else [1]
        options = {"first_seed": seed, "repeats": scope.repeats}
        parts.append(own_chains(n, scope.grids, batches, folder, **options))
    rows = pd.concat(parts)
    return rows.assign(library=rows["batch"].map({1: OWN, TEN: OWN_TEN}))


def chains(
    peer: str, data: Sequence[Path], seed: int, scope: Scope, folder: Path
) -> tuple[pd.DataFrame, float]:
    """One process of a peer: a chain on each of the data; with the seconds of the process."""
    grids = map(str, scope.peer_grids or scope.grids)
    command = [PEERS_PYTHON, HERE / WORKERS[peer], *data, "--grids", *grids, "--seed", str(seed)]
    rows, seconds = cells(command, folder)
    return rows.assign(library=peer, seed=seed), seconds


def whole_processes(scope: Scope, folder: Path) -> str:
    """The same cells from a cold start, imports and all: `kansweep run` against one of pykan."""
    kansweep = Path(sys.executable).with_name("kansweep")
    ours = []
    for repeat in range(scope.repeats):
        say(f"whole process: kansweep, {repeat + 1} of {scope.repeats}")
        arguments = ["run", "seeds=1", f"outputs={folder / str(repeat)}"]
        ours.append(process([kansweep, *arguments], folder)[1])
    say("whole process: pykan")
    _, theirs = chains(PYKAN, [folder / f"data_{n}_0.npz" for n in scope.sizes], 0, scope, folder)
    mine, count = float(np.median(ours)), len(scope.sizes) * len(scope.grids)
    spread = f"{min(ours):.1f} to {max(ours):.1f}"
    return (
        f"All {count} cells at one seed as one fresh process, imports included: `kansweep run "
        f"seeds=1`, which also keeps every cell on disk, takes {mine:.1f} s (median of "
        f"{len(ours)}, {spread} s); pykan takes {theirs:.1f} s, {theirs / mine:.0f} times as long."
    )


def _error(value: float) -> str:
    return "NaN" if np.isnan(value) else f"{value:.2e}"


def cell_table(rows: pd.DataFrame, what: str, show: Callable[[float], str]) -> str:
    """Medians of every cell, and the peers' as multiples of kansweep's at one seed."""
    value = rows.groupby(["library", *CELL])[what].median().unstack("library")
    asked = rows.groupby(["library", *CELL]).size().unstack("library").notna()
    columns = {}
    for name in (OWN, OWN_TEN, PYKAN, JAXKAN):
        if name not in value or (name == OWN_TEN and what != "seconds"):
            continue
        columns[name] = value[name].map(show).where(asked[name], "")
        if name in WORKERS:
            times = (value[name] / value[OWN]).map(figures)
            columns[f"{name} / kansweep"] = times.where(asked[name], "")
    table = pd.DataFrame(columns).reset_index()
    return markdown(table.rename(columns={"n_train": "n", "grid_size": "G"}))


def total_table(rows: pd.DataFrame) -> str:
    """Seconds a seed over the cells that all libraries trained, and their ratios to kansweep's."""
    seconds = rows.groupby(["library", *CELL])["seconds"].median().unstack("library")
    computing = f"{JAXKAN}, computing"
    if "compile_seconds" in rows:
        left = rows.assign(seconds=rows["seconds"] - rows["compile_seconds"])
        seconds[computing] = left[left["library"] == JAXKAN].groupby(CELL)["seconds"].median()
    common = seconds.dropna()
    total = common.sum()
    names = {OWN: "kansweep, one seed", OWN_TEN: "kansweep, ten at once"}
    table = pd.DataFrame(
        {
            f"{len(common)} cells": names.get(name, name),
            "seconds a seed": figures(total[name]),
            "times kansweep, one seed": figures(total[name] / total[OWN]),
            "times kansweep, ten at once": figures(total[name] / total[OWN_TEN]),
        }
        for name in (OWN, OWN_TEN, PYKAN, JAXKAN, computing)
        if name in total
    )
    one, ten = seconds[OWN].sum(), seconds[OWN_TEN].sum()
    return (
        f"{markdown(table)}\n\nAll {len(seconds)} cells take kansweep {one:.2f} s for one seed and "
        f"{ten:.2f} s a seed for ten at once."
    )


def versions() -> dict[str, str]:
    """Of everything measured; the peers' by their own environment."""
    names = ["torch", "pykan", "jaxkan", "jax"]
    script = f"import importlib.metadata as m; print(*map(m.version, {names}))"
    printed, _ = process([PEERS_PYTHON, "-c", script], HERE)
    theirs = dict(zip(names, printed.split(), strict=True))
    own_torch = torch.__version__.partition("+")[0]
    return {
        "torch": own_torch,
        "pykan": f"{theirs['pykan']} (torch {theirs['torch'].partition('+')[0]})",
        "jaxKAN": f"{theirs['jaxkan']} (jax {theirs['jax']})",
    }


def write(page: str) -> None:
    """Into the report, of which the section on a GPU stays: it is of another machine."""
    before = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    if on_gpu := section(before, gpu.TITLE):
        page = with_section(page, gpu.TITLE, on_gpu)
    RESULTS.write_text(page, encoding="utf-8")
    say(f"written to {RESULTS.relative_to(HERE.parent)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute's worth; writes no file")
    parser.add_argument("--repeats", type=int, default=3, help="of kansweep, before and after")
    parser.add_argument("--peer-seeds", type=int, default=1, help="seeds of the peers (default 1)")
    options = parser.parse_args()
    config = RunConfig()
    sizes, grids, n_test = config.data.sizes, config.grid.sizes, config.data.n_test
    scope = Scope(sizes, grids, n_test, options.repeats, options.peer_seeds)
    ranges = scaling.Ranges()
    if options.quick:
        scope = replace(scope, repeats=1, peers=(PYKAN,), peer_sizes=(1000,), peer_grids=(5, 10))
        ranges = scaling.QUICK
    target = "bench-quick" if options.quick else "bench"
    arguments = [one for one in sys.argv[1:] if one != "--quick"]
    command = f"make {target}" + (f' ARGS="{shlex.join(arguments)}"' if arguments else "")
    seeds = "seed 0" if scope.seeds == 1 else f"medians of seeds 0 to {scope.seeds - 1}"
    with TemporaryDirectory() as name:
        folder = Path(name)
        rows = compare(scope, folder)
        parts = [
            "# What kansweep costs, and its peers",
            f"Made by `{command}`: {measured_on(versions())} Times on a shared machine vary "
            "by half from run to run; ratios of what ran in turn vary less.",
            "## Against the peers",
            HOW + "\n" + "\n".join(HOW_EACH[name] for name in (OWN, *scope.peers)),
            total_table(rows),
            "" if options.quick else whole_processes(scope, folder),
            f"### Test RMSE, {seeds}",
            EDGES.rstrip(),
            cell_table(rows[rows["seed"] < scope.seeds], "test_rmse", _error),
            f"### Train RMSE, {seeds}",
            cell_table(rows[rows["seed"] < scope.seeds], "train_rmse", _error),
            "### Seconds a seed",
            cell_table(rows, "seconds", figures),
            "" if options.quick else "## Against an earlier revision",
            "" if options.quick else revision.measure(enough=60.0),
            "## kansweep's own cost",
            scaling.measure(ranges, folder),
        ]
    text = "\n\n".join(part for part in parts if part) + "\n"
    print(text)
    if not options.quick:
        write(text)


if __name__ == "__main__":
    main()
