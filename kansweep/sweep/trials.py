"""One shape on trial: trained on folds of the training points, along sizes while these may help."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from kansweep.config.run import RunConfig
from kansweep.data.folds import Folds
from kansweep.sweep import chain, search
from kansweep.sweep.tried import Trial, Width
from kansweep.sweep.worker import compile_ahead, make_solver, one_thread, shape


def trials(config: RunConfig, folds: Folds, width: Width, enough: float | None) -> Iterator[Trial]:
    """The errors of the networks of this shape at held-out points, size after size
    (``search.while_they_help``)."""
    config = replace(config, device="cpu", model=config.model.with_hidden(width[1:-1]))
    sizes, n_folds = search.sizes(config.sizes, folds.n_fitted, enough), search.n_folds(folds.n)
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
    with one_thread():
        compile_ahead(config, batch)
        each = chain.train(batch, make_solver(config), [None] * n_folds, lambda _: None)
        done = (_measured(width, folds, results) for results in each)
        yield from search.while_they_help(done, sizes, folds.n_fitted, enough)


def _measured(width: Width, folds: Folds, results: list[chain.Result]) -> Trial:
    """The error of all folds together, with its standard error; infinite where one failed."""
    squares, unit = [], torch.from_numpy(folds.outputs.unit)
    for fold, result in enumerate(results):
        if result.net is not None:
            x, y = (torch.from_numpy(part)[None] for part in folds.test(folds.n_held, fold))
            like = result.net.memory
            out = result.net.net(x.to(like)).double().cpu()
            squares.append(((out - y)[0] / unit).square().mean(1).numpy())
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
