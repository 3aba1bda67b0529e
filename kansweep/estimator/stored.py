"""A sweep's cell with how well it is known, from the points that it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kansweep import kinds
from kansweep.config.loading import from_record
from kansweep.config.rules import ConfigError
from kansweep.config.run import RunConfig
from kansweep.config.solvers import LMConfig
from kansweep.data import sources
from kansweep.estimator.known import Known
from kansweep.networks.kan import KAN
from kansweep.solvers.contract import Problem
from kansweep.solvers.gauss_newton.posterior import posterior
from kansweep.sweep import store
from kansweep.sweep.refusals import StoreError
from kansweep.sweep.units import Units
from kansweep.sweep.worker import one_thread
from kansweep.trained import weights
from kansweep.trained.network import TrainedNetwork


def cell(path: Path, **which: int | None) -> tuple[TrainedNetwork, Known | str]:
    """The network that ``load_model`` gives, and how well it is known or why that is not known."""
    if not path.is_dir():
        return weights.load_model(path, **which), "of a file of weights the data are not known"
    row = weights.row_of(path, **which)
    network = weights.of_cell(path, row)
    try:
        config = from_record(store.read_record(path))
    except (StoreError, ConfigError) as error:
        return network, str(error).rstrip(".")
    return network, known(config, row, network)


def known(config: RunConfig, row: Mapping[str, Any], network: TrainedNetwork) -> Known | str:
    """Of a sweep's network, with its row; or in words why not."""
    if config.solver.method(config.kind) is not LMConfig.methods[kinds.SPLINES]:
        return "they are known for model=kan with solver=lm alone"
    try:
        arrays = _in_float64(network.arrays or {})
        net, memory = KAN.from_arrays(arrays), torch.from_numpy(arrays["memory"])
    except KeyError:
        return "its weights are those of an earlier version"
    try:
        source = sources.source(config.data)
        x, y = source.train(int(row["n_train"]), int(row["seed"]))
    except ConfigError as error:
        return f"what it was trained on is not to be had: {str(error).rstrip('.')}"
    points, outputs = torch.from_numpy(x)[None], torch.from_numpy(y)[None]
    units = Units.of(source, outputs)
    low, high = map(torch.from_numpy, source.bounds)
    problem = Problem(points, units.scaled(outputs), (low, high), (int(row["seed"]),))
    with one_thread():
        found = posterior(units.within(net), problem, memory)
    told = Known.of(found, network(x) - y, None)
    if not np.isfinite(told.noise).all():
        return "it has no more training points than parameters to tell the noise by"
    return told


def _in_float64(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """As the posterior of what was trained in float32 is computed."""
    return {
        name: np.asarray(array, np.float64) if array.dtype.kind == "f" else array
        for name, array in arrays.items()
    }
