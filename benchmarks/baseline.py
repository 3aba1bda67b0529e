"""The MLP that KANs are compared with: as `model=mlp` trains it, beside what it was before.

Before, it was L-BFGS on silu networks, the best of three starts by training error. Both train the
same widths on the same points of the KAN paper's five targets, in turn and on one thread, as long
as two points are left for a parameter.

`make bench-baseline` writes the report to benchmarks/BASELINE.md; a part of the runs is only
printed.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch

from benchmarks.report import HERE, figures, markdown, measured_on, say
from kansweep.cli.composing import compose
from kansweep.config.run import RunConfig
from kansweep.data import sources
from kansweep.data.targets import TARGETS, spread
from kansweep.sweep import chain
from kansweep.sweep.worker import make_solver, shape

RESULTS = HERE / "BASELINE.md"
NAMES = ("bessel", "exp_sin", "product", "sine_mean", "nested")
WIDTHS = (5, 10, 20)
N_TRAIN, N_TEST, N_SEEDS = 3000, 10_000, 5
TRAINERS = {
    "before": "model=mlp solver=lbfgs_mlp model.activation=silu",
    "now": "model=mlp",
}
KEYS = ["target", "width", "n_params"]
BETTER = {"bessel": 10.0, "exp_sin": 10.0}  # times, at the largest width; else 1


def trained(target: str, width: int, seed: int, trainer: str) -> dict[str, Any]:
    """The row of one cell; ``seconds`` are of the processor, which others may share."""
    (config,) = cast(
        list[RunConfig], compose("run", [f"data={target}", *TRAINERS[trainer].split()])
    )
    batch = chain.Batch(
        source=sources.source(config.data),
        n_train=N_TRAIN,
        n_test=N_TEST,
        seeds=(seed,),
        kind=config.kind,
        shapes=(shape(config, width),),
        device=config.device,
        dtype=config.dtype,
    )
    began = time.process_time()
    ((result,),) = chain.train(batch, make_solver(config), [None], lambda _: None)
    return {
        "target": target,
        "width": width,
        "n_params": result.n_params,
        "seed": seed,
        "trainer": trainer,
        "train_rmse": result.train_rmse,
        "test_rmse": result.test_rmse,
        "spread": spread(TARGETS[target]),
        "steps": result.steps,
        "stop_reason": str(result.stop_reason),
        "seconds": time.process_time() - began,
    }


def n_params(target: str, width: int) -> int:
    (config,) = cast(list[RunConfig], compose("run", [f"data={target}", "model=mlp"]))
    layers = itertools.pairwise(shape(config, width).width)
    return sum((n_in + 1) * n_out for n_in, n_out in layers)


def rows(names: Sequence[str], widths: Sequence[int], seeds: int) -> Iterator[dict[str, Any]]:
    torch.set_num_threads(1)
    for target, width, seed in itertools.product(names, widths, range(seeds)):
        if n_params(target, width) >= N_TRAIN / 2:
            continue
        both = [trained(target, width, seed, trainer) for trainer in TRAINERS]
        errors = " -> ".join(f"{row['test_rmse']:.2e}, {row['seconds']:.1f} s" for row in both)
        say(f"baseline: {target}, width {width}, seed {seed}: {errors}")
        yield from both


def summed_up(cells: pd.DataFrame) -> pd.DataFrame:
    """A line for each target and width: medians over the seeds, before and now."""
    parts = []
    for keys, part in cells.groupby(KEYS, sort=False):
        line: dict[str, Any] = dict(zip(KEYS, keys, strict=True))
        for trainer, own in part.groupby("trainer", sort=False):
            line[f"test {trainer}"] = own["test_rmse"].median()
            line[f"worst {trainer}"] = own["test_rmse"].max()
            line[f"seconds {trainer}"] = own["seconds"].median()
        pairs = part.pivot_table(index="seed", columns="trainer", values="test_rmse")
        line["times better"] = np.exp(np.log(pairs["before"] / pairs["now"]).mean())
        line["of spread"] = line["test now"] / part["spread"].iloc[0]
        parts.append(line)
    return pd.DataFrame(parts)


def report(cells: pd.DataFrame) -> str:
    lines = summed_up(cells)
    shown = lines.assign(
        **{
            name: lines[name].map("{:.2e}".format)
            for name in lines
            if name.startswith(("test ", "worst "))
        },
        **{name: lines[name].map(figures) for name in lines if name.startswith("seconds ")},
        **{name: lines[name].map(figures) for name in ("times better", "of spread")},
    )
    return (
        "\n\n".join(
            [
                "# The MLP as a baseline",
                measured_on({"PyTorch": torch.__version__}),
                "\n".join(f"- {name}: `{words}`" for name, words in TRAINERS.items()),
                f"{N_TRAIN:,} points, {cells['seed'].nunique()} seeds;"
                f" {cells['seconds'].sum():,.0f} s of the processor in all.",
                "## What is to hold",
                demands(lines),
                "## Test RMSE",
                "Medians over the seeds, and the worst; seconds of the processor for a cell; the"
                " ratio of the errors, seed by seed, as a geometric mean; and the error now over"
                " the target's spread, which is the error of a constant.",
                markdown(shown),
            ]
        )
        + "\n"
    )


def demands(lines: pd.DataFrame) -> str:
    listed = []
    for target, part in lines.groupby("target", sort=False):
        least = BETTER.get(str(target), 1.0)
        for what, most, values in (
            ("as good at every width", 1.0, part["times better"]),
            (
                f"{least:g} times better at the largest width",
                least,
                part["times better"].tail(1),
            ),
            ("no worse than a constant by more than 1%", 1 / 1.01, 1 / part["of spread"]),
        ):
            if len(values):
                listed.append(
                    {
                        "target": target,
                        "what": what,
                        "worst": figures(values.min()),
                        "": "kept" if (values >= most).all() else "missed",
                    }
                )
    return markdown(pd.DataFrame(listed))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--widths", nargs="+", type=int, default=WIDTHS)
    parser.add_argument("--seeds", type=int, default=N_SEEDS, help="how many")
    parser.add_argument("--rows", type=Path, help="write every cell to this CSV file as well")
    parser.add_argument("--report", type=Path, help="write the report there, whatever was run")
    options = parser.parse_args()
    done: list[dict[str, Any]] = []
    for row in rows(options.targets, options.widths, options.seeds):
        done.append(row)
        if options.rows is not None:  # what is there so far, should the rest be cut off
            pd.DataFrame(done).to_csv(options.rows, index=False)
    text = report(pd.DataFrame(done))
    print(text)
    whole = (tuple(options.targets), tuple(options.widths), options.seeds)
    path = RESULTS if whole == (NAMES, WIDTHS, N_SEEDS) else options.report
    if path is not None:
        path.write_text(text)


if __name__ == "__main__":
    main()
