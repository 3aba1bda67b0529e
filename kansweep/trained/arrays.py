"""Stored weights, checked: each array by its name, type and shape.

All raise ValueError that names what is wrong.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kansweep.data.targets import Array


def layer_indices(arrays: Mapping[str, Any], name: str) -> range:
    """The indices of the layers that have an array of that name, one at least."""
    indices = range(next(i for i in itertools.count() if f"{i}.{name}" not in arrays))
    if not indices:
        raise ValueError(f"there is no `0.{name}`")
    return indices


def scalar(arrays: Mapping[str, Any], name: str) -> Any:
    """The one value of an array."""
    value = arrays.get(name)
    if not isinstance(value, np.ndarray) or value.size != 1:
        raise ValueError(f"there is no `{name}` of one value")
    return value.item()


def array(
    arrays: Mapping[str, Any], name: str, ndim: int, shape: tuple[int, ...] | None = None
) -> Array:
    """An array of one replica without its first axis, as float64."""
    value = arrays.get(name)
    if not isinstance(value, np.ndarray) or not np.issubdtype(value.dtype, np.floating):
        raise ValueError(f"there is no `{name}` of floating-point numbers")
    if value.ndim != ndim + 1 or value.shape[0] != 1 or 0 in value.shape:
        raise ValueError(f"`{name}` has the shape {value.shape}")
    if shape is not None:
        agree(name, value.shape[1:], shape)
    whole: NDArray[np.float64] = value[0].astype(np.float64)
    return whole


def mask(arrays: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Truth values of one replica, without their first axis."""
    value = arrays.get(name)
    if not isinstance(value, np.ndarray) or value.dtype != np.bool_:
        raise ValueError(f"there is no `{name}` of truth values")
    agree(name, value.shape, (1, *shape))
    whole: NDArray[np.bool_] = value[0]
    return whole


def agree(name: str, value: Any, expected: Any) -> None:
    """Refuse an array whose shape does not fit that of another."""
    if value != expected:
        raise ValueError(f"`{name}` does not fit the other arrays: {value} beside {expected}")
