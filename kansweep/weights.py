"""Trained networks from files of weights, one by one or chosen from a sweep's folder.

model = kansweep.load_model("outputs/example8", n_train=3000, size=100)
model([0.5, -0.25]), model.gradient([0.5, -0.25]), model.edge(0, 1, 0).values(0.3)
"""

from __future__ import annotations

import io
import itertools
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kansweep import kinds
from kansweep.model import ACTIVATIONS, Layer, MLPModel, Model
from kansweep.targets import Array

if TYPE_CHECKING:
    from pandas import DataFrame

# What np.load raises of a file that is no NPZ, or a damaged one.
_DAMAGED = (
    *(EOFError, KeyError, RuntimeError, TypeError, ValueError),
    *(tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)
_MOST_NAMED = 12


def load_model(
    path: str | Path,
    *,
    n_train: int | None = None,
    seed: int | None = None,
    size: int | None = None,
) -> Model | MLPModel:
    """The network in a file ``states/<key>.npz``, or that of one cell of a sweep's folder.

    The cell is one with status ok. What is unset means, in this order, the largest ``n_train``,
    the first ``seed`` and of what is left the ``size`` with the least test RMSE; the size is the
    column ``size`` of the results where there is one, else ``grid_size``.

    Raises FileNotFoundError, or ValueError where the file holds no weights or no cell is meant.
    """
    path = Path(path)
    if path.is_dir():
        return of_cell(path, chosen(_results(path), path, n_train=n_train, seed=seed, size=size))
    if not (n_train is seed is size is None):
        raise ValueError(f"`n_train`, `seed` and `size` choose from a folder, and {path} is none.")
    return read(path)


def read(path: Path, data: str | None = None) -> Model | MLPModel:
    """The network in one file of weights, which learned ``data``."""
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}.")
    content = io.BytesIO(path.read_bytes())  # from here on no error is the system's
    try:
        loaded = np.load(content, allow_pickle=False)
        arrays = dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else {}
    except _DAMAGED as error:
        raise ValueError(f"{path} is no file of weights: it is no NPZ file, or damaged.") from error
    try:
        return from_arrays(arrays, data)
    except ValueError as error:
        raise ValueError(f"{path} is no file of weights: {error}.") from error


def of_cell(folder: Path, cell: Mapping[str, Any]) -> Model | MLPModel:
    """The network of a row of a sweep's results."""
    from kansweep.layout import Layout

    path = Layout(folder).state(cell["key"])
    if not path.exists():
        raise FileNotFoundError(f"The weights of {cell['key']} are not in {folder}.")
    return read(path, cell["data"])


def chosen(
    results: DataFrame,
    folder: Path,
    *,
    n_train: int | None = None,
    seed: int | None = None,
    size: int | None = None,
) -> dict[str, Any]:
    """The row that is meant, with its ``size``; as ``load_model`` has it."""
    cells = results.assign(size=_sizes(results))[results["status"] == "ok"]
    if cells.empty:
        raise ValueError(f"{folder} has no cell with status ok.")
    asked = {"n_train": n_train, "seed": seed, "size": size}
    given: list[str] = []
    for name, value in asked.items():
        if value is None:
            continue
        given.append(f"{name}={value}")
        if not (cells[name] == value).any():
            there = sorted(set(cells[name].dropna().astype(int)))
            named = ", ".join(map(str, there[:_MOST_NAMED]))
            more = f" and {len(there) - _MOST_NAMED} more" if len(there) > _MOST_NAMED else ""
            raise ValueError(
                f"{folder} has no cell of {', '.join(given)} with status ok; `{name}` may be"
                f" {named}{more}."
            )
        cells = cells[cells[name] == value]
    cells = cells[cells["n_train"] == cells["n_train"].max()]
    cells = cells[cells["seed"] == cells["seed"].iloc[0]]
    best = cells["test_rmse"].fillna(np.inf).to_numpy().argmin()
    return {str(name): value for name, value in cells.iloc[int(best)].items()}


def _sizes(results: DataFrame) -> Any:
    if "size" in results:
        return results["size"].fillna(results["grid_size"])
    return results["grid_size"]


def _results(folder: Path) -> DataFrame:
    from kansweep import store

    try:
        results = store.read_results(folder)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"There are no results of a sweep in {folder}; `kansweep run` writes them at its end."
        ) from None
    needed = {"key", "data", "n_train", "seed", "grid_size", "status", "test_rmse"}
    if not needed <= set(results):
        raise ValueError(f"The results in {folder} are not those of a sweep.")
    return results


# ------------------------------------------------------------------------------- from arrays


def from_arrays(arrays: Mapping[str, Any], data: str | None = None) -> Model | MLPModel:
    """The network of a cell's weights. Raises ValueError that names what is wrong with them."""
    kind = kinds.of_arrays(arrays) or kinds.KINDS[kinds.DEFAULT]  # which says what is missing
    if kind.trained is None:
        raise ValueError(f"networks of model={kind.name} are not read back as functions")
    network: Model | MLPModel = kinds.load(kind.trained)(arrays, data)
    return network


def kan(arrays: Mapping[str, Any], data: str | None) -> Model:
    """The KAN of a cell's weights, as ``from_arrays``."""
    k = _scalar(arrays, "k")
    if not (isinstance(k, int) and k >= 1):
        raise ValueError(f"`k` is {k!r}")
    layers = tuple(_layer(arrays, index, k) for index in _count(arrays, "coef"))
    for index, (one, other) in enumerate(itertools.pairwise(layers)):
        _agree(f"{index + 1}.coef", len(other.lower), one.coef.shape[0])
        _agree(f"{index + 1}.coef", other.grid_size, one.grid_size)
    return Model(layers, data)


def _layer(arrays: Mapping[str, Any], index: int, k: int) -> Layer:
    coef = _array(arrays, f"{index}.coef", 3)
    if coef.shape[2] <= k:
        raise ValueError(f"`{index}.coef` has {coef.shape[2]} coefficients an edge at k = {k}")
    along = {
        name: _array(arrays, f"{index}.{name}", 1, coef.shape[1:2])
        for name in ("lower", "upper", "shift", "scale")
    }
    lower, upper = along["lower"], along["upper"]
    if not (np.isfinite([lower, upper]).all() and (lower < upper).all()):
        raise ValueError(f"`{index}.lower` is not below `{index}.upper`")
    name = f"{index}.base"
    base = _array(arrays, name, 2, coef.shape[:2]) if name in arrays else None
    return Layer(coef, lower, upper, base, along["shift"], along["scale"], k)


def mlp(arrays: Mapping[str, Any], data: str | None) -> MLPModel:
    """The MLP of a cell's weights, as ``from_arrays``."""
    activation = _scalar(arrays, "activation")
    if activation not in ACTIVATIONS:
        raise ValueError(f"`activation` is {activation!r}, not one of {', '.join(ACTIVATIONS)}")
    weights = [_array(arrays, f"{index}.weight", 2) for index in _count(arrays, "weight")]
    biases = [
        _array(arrays, f"{index}.bias", 1, weight.shape[:1]) for index, weight in enumerate(weights)
    ]
    for index, (one, other) in enumerate(itertools.pairwise(weights)):
        _agree(f"{index + 1}.weight", other.shape[1], one.shape[0])
    return MLPModel(tuple(weights), tuple(biases), str(activation), data)


def _count(arrays: Mapping[str, Any], name: str) -> range:
    layers = range(next(i for i in itertools.count() if f"{i}.{name}" not in arrays))
    if not layers:
        raise ValueError(f"there is no `0.{name}`")
    return layers


def _scalar(arrays: Mapping[str, Any], name: str) -> Any:
    value = arrays.get(name)
    if not isinstance(value, np.ndarray) or value.size != 1:
        raise ValueError(f"there is no `{name}` of one value")
    return value.item()


def _array(
    arrays: Mapping[str, Any], name: str, ndim: int, shape: tuple[int, ...] | None = None
) -> Array:
    """An array of one replica without its first axis, as float64."""
    value = arrays.get(name)
    if not isinstance(value, np.ndarray) or not np.issubdtype(value.dtype, np.floating):
        raise ValueError(f"there is no `{name}` of floating-point numbers")
    if value.ndim != ndim + 1 or value.shape[0] != 1 or 0 in value.shape:
        raise ValueError(f"`{name}` has the shape {value.shape}")
    if shape is not None:
        _agree(name, value.shape[1:], shape)
    whole: NDArray[np.float64] = value[0].astype(np.float64)
    return whole


def _agree(name: str, found: Any, expected: Any) -> None:
    if found != expected:
        raise ValueError(f"`{name}` does not fit the other arrays: {found} beside {expected}")
