"""One shape on trial: trained on folds of the training points, along sizes while these may help."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from kansweep.config.run import RunConfig
from kansweep.data.folds import Folds
from kansweep.sweep import chain
from kansweep.sweep.tried import Trial, Width
from kansweep.sweep.worker import compile_ahead, make_solver, one_thread, shape

WORSE = 1.1  # times the least error of a shape so far: larger sizes only follow the noise
MOST_FOLDS, FOLD_POINTS = 5, 1500  # folds, and training points of all of them together


def trials(config: RunConfig, folds: Folds, width: Width, most: float) -> Iterator[Trial]:
    """The errors of the networks of this shape at held-out points, size after size: the
    first one, and larger ones while they help and have no more than ``most`` parameters."""
    config = replace(config, device="cpu", model=config.model.with_hidden(width[1:-1]))
    sizes = list(_sizes(config, folds.n_fitted))
    n_folds = min(MOST_FOLDS, max(1, FOLD_POINTS // folds.n))
    batch = chain.Batch(
        source=folds,
        n_train=folds.n_fitted,
        n_test=folds.n_held,
        seeds=tuple(range(n_folds)),
        kind=config.kind,
        shapes=tuple(shape(config, size) for size in sizes),
        device=config.device,
        dtype=config.dtype,
        chained=config.extended,
    )
    done: list[Trial] = []
    with one_thread():
        compile_ahead(config, batch)
        each = chain.train(batch, make_solver(config), [None] * n_folds, lambda _: None)
        for larger, results in zip([*sizes[1:], None], each, strict=False):
            done.append(_measured(width, folds, results))
            yield done[-1]
            worse = done[-1].rmse > WORSE * min(trial.rmse for trial in done)
            if larger is None or worse or _parameters(done, larger) > most:
                break


def _parameters(done: Sequence[Trial], larger: int) -> float:
    """About how many parameters the next size has: in proportion, or in line with the last two."""
    last = done[-1]
    if len(done) == 1:
        return last.n_params * larger / last.size
    slope = (last.n_params - done[-2].n_params) / (last.size - done[-2].size)
    return last.n_params + slope * (larger - last.size)


def _sizes(config: RunConfig, n: int) -> Iterator[int]:
    """Those of the sweep and, since errors are compared at equal numbers of parameters, doubles of
    the last."""
    yield from config.sizes
    yield from itertools.takewhile(
        lambda size: size < n, (config.sizes[-1] * 2**i for i in itertools.count(1))
    )


def _measured(width: Width, folds: Folds, results: list[chain.Result]) -> Trial:
    """The error of all folds together, with its standard error; infinite where one failed."""
    squares = []
    for fold, result in enumerate(results):
        if result.net is not None:
            x, y = (torch.from_numpy(part)[None] for part in folds.test(folds.n_held, fold))
            like = result.net.memory
            out = result.net.net(x.to(like)).double().cpu()
            squares.append((out - y)[0].square().mean(1).numpy())
    every = np.concatenate(squares) if len(squares) == len(results) else np.array([np.inf])
    rmse, certain = float(np.sqrt(every.mean())), bool(np.isfinite(every).all())
    spread = float(every.std() / np.sqrt(every.size)) if certain else np.inf
    return Trial(
        width=width,
        size=results[0].size,
        n_params=results[0].n_params or 0,
        rmse=rmse if certain else np.inf,
        standard_error=spread / (2 * rmse) if certain and rmse > 0 else 0.0,
        seconds=sum(result.seconds for result in results),
    )
