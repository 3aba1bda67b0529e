"""Random deep networks on random targets: the largest test error beside a small training error.

Every configuration draws its own shape (two to four hidden layers), target (a composition of smooth
functions of another random shape), number of points, grids and noise, from its seed alone. A
blow-up is a test RMSE above the spread of the outputs and three times the training RMSE.
`make bench-blowups` runs a thousand.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np
import pandas as pd

from kansweep.config.models import KANConfig
from kansweep.config.run import RunConfig
from kansweep.config.solvers import LMConfig
from kansweep.data.sampling import Sampled
from kansweep.data.targets import Array, Target

N_TEST = 2000
FUNCTIONS = (np.sin, np.cos, np.tanh, np.square, lambda u: np.exp(-u * u), lambda u: u)


@dataclass(frozen=True)
class Configuration:
    """What is trained on what."""

    target: Target
    hidden: tuple[int, ...]
    n_train: int
    grids: tuple[int, ...]
    noise: float
    seed: int


def composed(rng: np.random.Generator, n_inputs: int) -> Target:
    """A random function on [-1, 1]^d, one to three layers of sums of smooth functions deep."""
    widths = [n_inputs, *rng.integers(1, 4, rng.integers(0, 3)), 1]
    layers = [
        [
            [
                (FUNCTIONS[rng.integers(len(FUNCTIONS))], rng.normal(scale=1.5), rng.normal())
                for _ in range(n_in)
            ]
            for _ in range(n_out)
        ]
        for n_in, n_out in itertools.pairwise(widths)
    ]

    def function(x: Array) -> Array:
        for layer in layers:
            x = np.stack(
                [sum(f(a * x[:, i] + b) for i, (f, a, b) in enumerate(node)) for node in layer],
                axis=1,
            )
        return x

    return Target("composed", "a random composition", function, n_inputs, (), "drawn")


def drawn(seed: int) -> Configuration:
    rng = np.random.default_rng(seed)
    n_inputs = int(rng.integers(1, 5))
    hidden = tuple(int(width) for width in rng.integers(1, 4, rng.integers(2, 5)))
    first = int(rng.integers(3, 6))
    return Configuration(
        target=composed(rng, n_inputs),
        hidden=hidden,
        n_train=int(rng.integers(60, 500)),
        grids=(first, 2 * first),
        noise=float(rng.choice([0.0, 0.0, 0.01, 0.2])),
        seed=seed,
    )


def trained(seed: int, restarts: int) -> list[dict[str, object]]:
    """The rows of one configuration, one a grid."""
    import torch

    from kansweep.sweep import chain
    from kansweep.sweep.worker import make_solver, shape

    torch.set_num_threads(1)
    asked = drawn(seed)
    model = KANConfig(name="kan", hidden=asked.hidden)
    config = RunConfig(model=model, solver=LMConfig(name="lm", restarts=restarts))
    x = np.random.default_rng(seed).uniform(-1, 1, (20_000, asked.target.n_inputs))
    spread = max(float(np.std(asked.target.function(x))), 1e-12)
    source = Sampled(asked.target, asked.noise * spread, config.data.sampling)
    shapes = tuple(shape(config, size) for size in asked.grids)
    width = (asked.target.n_inputs, *asked.hidden, 1)
    shapes = tuple(type(one)(width, one.k, one.grid_size, one.base) for one in shapes)
    work = chain.Batch(
        source, asked.n_train, N_TEST, (seed,), config.kind, shapes, config.device, config.dtype
    )
    solver = make_solver(config)
    return [
        {
            "seed": seed,
            "width": "-".join(map(str, width)),
            "n_train": asked.n_train,
            "noise": asked.noise,
            "grid_size": result.size,
            "status": str(result.status),
            "stop_reason": str(result.stop_reason),
            "error": result.error,
            "train": float(result.train_rmse if result.train_rmse is not None else np.nan) / spread,
            "test": float(result.test_rmse if result.test_rmse is not None else np.nan) / spread,
        }
        for (result,) in chain.train(work, solver, [None], lambda _: None)
    ]


def rows(seeds: range, restarts: int, processes: int, budget: float) -> Iterator[pd.DataFrame]:
    """Rows of one configuration after another, as long as the budget of seconds lasts."""
    began = time.monotonic()
    with get_context("spawn").Pool(processes) as pool:
        for part in pool.imap_unordered(partial(trained, restarts=restarts), seeds):
            yield pd.DataFrame(part)
            if time.monotonic() - began > budget:
                return


def report(found: pd.DataFrame) -> str:
    blown = found[(found["test"] > 1) & (found["test"] > 3 * found["train"])]
    worst = found.sort_values("test").tail(5)
    lines = [
        f"{found['seed'].nunique():,} configurations, {len(found):,} cells;"
        f" status ok: {(found['status'] == 'ok').sum():,}.",
        f"Largest test RMSE over spread: {found['test'].max():.3g}; blow-ups: {len(blown)}.",
        worst.to_string(index=False, float_format="{:.3g}".format),
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configurations", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first one")
    parser.add_argument("--restarts", type=int, default=2, help="random starts of a race")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--budget", type=float, default=3600.0, help="seconds, at most")
    parser.add_argument("--rows", help="write every cell to this CSV file as well")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.configurations)
    found = pd.concat(rows(seeds, options.restarts, options.processes, options.budget))
    if options.rows:
        found.to_csv(options.rows, index=False)
    print(report(found))


if __name__ == "__main__":
    main()
