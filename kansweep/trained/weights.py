"""Trained networks from files of weights, one by one or chosen from a sweep's folder.

model = kansweep.load_model("outputs/example8", n_train=3000, size=100)
model([0.5, -0.25]), model.gradient([0.5, -0.25]), model.edge(0, 1, 0).values(0.3)
"""

from __future__ import annotations

import io
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kansweep import kinds
from kansweep.config import rules
from kansweep.sweep.columns import Status
from kansweep.trained.network import TrainedNetwork

if TYPE_CHECKING:
    from pandas import DataFrame

# What np.load raises of a file that is no NPZ, or a damaged one.
_DAMAGED = (
    *(EOFError, KeyError, RuntimeError, TypeError, ValueError),
    *(tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)
_MOST_NAMED = 12


class NotReadBack(ValueError):
    """Weights of a kind of network for which nothing makes a function of them without torch."""


def load_model(
    path: str | Path,
    *,
    n_train: int | None = None,
    seed: int | None = None,
    size: int | None = None,
) -> TrainedNetwork:
    """The network in a file ``states/<key>.npz``, or that of one cell of a sweep's folder.

    The cell is one with status ok. What is unset means, in this order, the largest ``n_train``,
    the first ``seed`` and of what is left the ``size`` with the least test RMSE; the size is the
    column ``size`` of the results where there is one, else ``grid_size``.

    Raises FileNotFoundError, or ValueError where the file holds no weights or no cell is meant.
    """
    path = Path(path)
    if path.is_dir():
        return of_cell(path, row_of(path, n_train=n_train, seed=seed, size=size))
    if not (n_train is seed is size is None):
        raise ValueError(f"`n_train`, `seed` and `size` choose from a folder, and {path} is none.")
    return read(path)


def row_of(
    folder: Path, *, n_train: int | None = None, seed: int | None = None, size: int | None = None
) -> dict[str, Any]:
    """The row of a sweep's folder that ``load_model`` chooses."""
    return chosen(_results(folder), folder, n_train=n_train, seed=seed, size=size)


def read(path: Path, data: str | None = None) -> TrainedNetwork:
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
    except NotReadBack as error:
        raise NotReadBack(f"{path} {error}.") from error
    except ValueError as error:
        raise ValueError(f"{path} is no file of weights: {error}.") from error


def of_cell(folder: Path, cell: Mapping[str, Any]) -> TrainedNetwork:
    """The network of a row of a sweep's results."""
    from kansweep.sweep.layout import Layout

    path = Layout(folder).state(cell["key"])
    if not path.exists():
        raise FileNotFoundError(f"The weights of {cell['key']} are not in {folder}.")
    network = read(path, cell["data"])
    if (outputs := cell.get("outputs")) is not None:  # rows of earlier versions have none
        object.__setattr__(network, "outputs", tuple(outputs))
    return network


def chosen(
    results: DataFrame,
    folder: Path,
    *,
    n_train: int | None = None,
    seed: int | None = None,
    size: int | None = None,
) -> dict[str, Any]:
    """The row that is meant, with its ``size``; as ``load_model`` has it."""
    cells = results.assign(size=_sizes(results))[results["status"] == Status.OK]
    if cells.empty:
        raise ValueError(f"{folder} has no cell with status ok.")
    asked = {"n_train": n_train, "seed": seed, "size": size}
    given: list[str] = []
    for name, value in asked.items():
        if value is None:
            continue
        if not rules.COUNT_OR_ZERO.holds(rules.plain(value)):
            raise rules.COUNT_OR_ZERO.refusal(name, value)
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
    from kansweep.sweep import store

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


def from_arrays(arrays: Mapping[str, Any], data: str | None = None) -> TrainedNetwork:
    """The network of a cell's weights. Raises ValueError that names what is wrong with them."""
    kind = kinds.of_arrays(arrays) or kinds.KINDS[kinds.DEFAULT]  # which says what is missing
    if kind.trained is None:
        raise NotReadBack(f"holds a {kind.title}, which is not read back as a function")
    network: TrainedNetwork = kinds.load(kind.trained)(arrays, data)
    object.__setattr__(network, "arrays", arrays)  # networks are frozen
    return network
