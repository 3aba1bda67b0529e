"""A user's table: a CSV, parquet or NumPy file -> inputs and outputs, checked."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kansweep.config.rules import ConfigError, did_you_mean

if TYPE_CHECKING:
    from pandas import DataFrame

Array = NDArray[np.float64]

ENDINGS = (".csv", ".parquet", ".npz")
UNNAMED = "Unnamed:"  # what pandas calls a column without a name, such as an index of its own
_MOST_NAMED = 12
# What readers raise of a file that is not of its ending: NumPy of an array alone and of nothing.
_DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)
LEAST_SIZE = 20  # of the sizes that are chosen for a table


@dataclass(frozen=True, eq=False)
class Table:
    """Inputs (n, n_inputs) and outputs (n, n_outputs) with the names of their columns; ``sha256``
    tells their content from another, whatever the file's format."""

    x: Array
    y: Array
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    sha256: str


def read(
    path: str | None, inputs: tuple[str, ...] | None, outputs: tuple[str, ...] | None = None
) -> Table:
    """The columns of a file: ``inputs``, all others with a name unless given, and ``outputs``, the
    last one unless given.

    An array (n, d) of an .npz file stands for d columns, ``x`` for x1, x2, ... Raises ConfigError
    where it cannot be read, a column is missing, holds text or gaps, or is constant.
    """
    file = Path(str(path))
    status = _status(file)
    return _read(file.absolute(), (status.st_mtime_ns, status.st_size), inputs, outputs)


def columns(path: str, names: Sequence[str]) -> Array:
    """(n, d): these columns of a file, in this order; they need not vary.

    Raises ConfigError as ``read`` does.
    """
    file = Path(path)
    _status(file)
    frame = _frame(file)
    for name in names:
        if name not in frame.columns:
            raise _refusal(
                file,
                f"have the columns {', '.join(names)}; it lacks {name!r}, and has"
                f" {', '.join(frame.columns[:_MOST_NAMED])}",
            )
    if frame.empty:
        raise _refusal(file, "have a row at least")
    return np.column_stack([_numbers(frame, name, file) for name in names])


def written(columns: Mapping[str, Array], ending: str) -> bytes:
    """Columns (n,) by their names as the content of a file, .csv or .parquet."""
    import pandas as pd

    frame = pd.DataFrame(columns)
    if ending == ".csv":
        return frame.to_csv(index=False).encode()
    content: bytes = frame.to_parquet(index=False)
    return content


def _status(file: Path) -> os.stat_result:
    try:
        return file.stat()
    except OSError as error:
        raise _refusal(file, f"be a file that is there: {error.strerror or error}") from error


@lru_cache(maxsize=4)
def _read(
    file: Path, stamp: tuple[int, int], inputs: tuple[str, ...] | None, outputs: tuple[str, ...]
) -> Table:
    frame = _frame(file)
    if len(frame.columns) < 2:
        raise _refusal(file, f"have two columns or more; it has {len(frame.columns)}")
    outputs = outputs or (str(frame.columns[-1]),)
    named = [name for name in frame.columns if not name.startswith(UNNAMED)]
    names = inputs or tuple(name for name in named if name not in outputs)
    keys = {"data.output": outputs, "data.inputs": names}
    for key, name in ((key, name) for key, each in keys.items() for name in each):
        if name not in frame.columns:
            listed = ", ".join(frame.columns)
            hint = did_you_mean(name, frame.columns)
            raise ConfigError(
                f"`{key}` must name columns of {file.name}, {listed}; got {name!r}.{hint}"
            )
    for name in outputs:
        if name in names:
            raise ConfigError(f"`data.inputs` must not hold `data.output`, {name!r}.")
    if not names:
        raise ConfigError(
            f"`data.output` must leave a column of {file.name} for the inputs; got all of them."
        )
    numbers = np.column_stack(
        [_varying(frame, name, file, key) for key, each in reversed(keys.items()) for name in each]
    )
    content = hashlib.sha256("\0".join((*names, *outputs)).encode())
    content.update(np.ascontiguousarray(numbers).tobytes())
    x, y = np.split(numbers, [len(names)], axis=1)
    return Table(x, y, names, outputs, content.hexdigest()[:16])


def _frame(file: Path) -> DataFrame:
    import pandas as pd

    ending = file.suffix.lower()
    if ending not in ENDINGS:
        raise _refusal(file, f"end in {', '.join(ENDINGS)}")
    try:
        if ending == ".csv":
            frame = _csv(file)
        elif ending == ".parquet":
            frame = pd.read_parquet(file)
        else:
            with np.load(file, allow_pickle=False) as arrays:
                named = list(_columns(dict(arrays)))
                frame = pd.DataFrame({i: column for i, (_, column) in enumerate(named)})
                frame = frame.set_axis([name for name, _ in named], axis=1)
    except _DAMAGED as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise _refusal(file, f"be a {ending[1:]} file that can be read: {reason}") from error
    return frame.rename(columns=str)


def _csv(file: Path) -> DataFrame:
    """Under the names of its header, where pandas would give a second column of a name another."""
    import pandas as pd

    frame = pd.read_csv(file)
    header = pd.read_csv(file, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0]
    pairs = zip(header, frame.columns, strict=True)
    return frame.set_axis([name or unnamed for name, unnamed in pairs], axis=1)


def _columns(arrays: dict[str, NDArray[Any]]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Names and columns: arrays (n,) as they are, (n, 1) as one and (n, d) as d numbered ones."""
    for name, array in arrays.items():
        if array.ndim == 2 and array.shape[1] > 1:
            yield from ((f"{name}{i + 1}", array[:, i]) for i in range(array.shape[1]))
        else:
            yield name, array.reshape(len(array), -1)[:, 0] if array.ndim == 2 else array


def _numbers(frame: DataFrame, name: str, file: Path) -> Array:
    column = frame[name]
    if column.ndim != 1:
        raise _refusal(file, f"name a column once; {name!r} is there more often")
    gaps = int(column.isna().sum())
    if gaps:
        first = int(np.flatnonzero(column.isna())[0]) + 1
        raise _refusal(
            file, f"have no missing values; column {name!r} lacks {gaps}, first in row {first}"
        )
    if column.dtype.kind not in "iufb":
        example = str(column.iloc[0]) if len(column) else ""
        raise _refusal(file, f"hold numbers; column {name!r} holds others, such as {example!r}")
    values = column.to_numpy(np.float64)
    if not np.isfinite(values).all():
        raise _refusal(file, f"hold finite numbers; column {name!r} has others")
    return values


def _varying(frame: DataFrame, name: str, file: Path, key: str) -> Array:
    values = _numbers(frame, name, file)
    if len(values) == 0 or np.ptp(values) == 0:
        raise _refusal(file, f"have columns that vary; {name!r} does not: leave it out of {key}")
    return values


def _refusal(file: Path, must: str) -> ConfigError:
    return ConfigError(f"`data.path` must {must}; got {str(file)!r}.")


def sizes(most: int) -> tuple[int, ...]:
    """Up to four data sizes for a table: all rows that there are, and thirds of them."""
    thirds: Sequence[int] = [round(most / 10 ** (half / 2)) for half in (3, 2, 1, 0)]
    return tuple(size for size in thirds if size >= LEAST_SIZE or (size == most and most >= 2))
