"""Trained layers as a model of pykan's, which brings in torch and pykan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kansweep.config.models import PykanConfig
from kansweep.data.targets import Array
from kansweep.engines.imports import require


def as_pykan(layers: Sequence[Any], bias: Array) -> Any:
    """The ``kan.KAN`` of layers as ``trained.kan.Layer`` has them, and a bias (n_outputs,).

    Raises ValueError where pykan has no such layer, and ConfigError where there is no pykan.
    """
    require("to_pykan", PykanConfig.packages, PykanConfig.extra)
    from kansweep.networks.pykan import PykanKAN
    from kansweep.solvers.pykan import as_model

    last = len(layers) - 1
    arrays = {f"node_scale_{last}": np.ones((1, len(bias))), f"node_bias_{last}": bias[None]}
    for index, layer in enumerate(layers):
        for name, value in _arrays(layer).items():
            arrays[f"act_fun.{index}.{name}"] = value[None]
    return as_model(PykanKAN.from_arrays({**arrays, "spacing": np.array("quantile")}))


def _arrays(layer: Any) -> dict[str, Array]:
    """By the names of pykan's ``KANLayer``."""
    coef = layer.coef.transpose(1, 0, 2)  # (I, O, K)
    ones = np.ones(coef.shape[:2])
    if layer.base is not None and ((layer.shift != 0) | (layer.scale != 1)).any():
        raise ValueError("pykan has silu(x) on its edges, and none of a shifted or scaled input.")
    return {
        "grid": np.stack([layer.knots(source) for source in range(len(coef))]),
        "coef": coef,
        "scale_base": 0.0 * ones if layer.base is None else layer.base.T,
        "scale_sp": ones,
    }
