"""The tables that are repeated here, as they were published, each in a CSV file beside this one.

A row is a function by its name in ``data``. ``<network>_rmse`` is what was published for a network,
``<network>_shape`` its layers, where they are given; ``doubt`` is what is not sure of the row.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame

TABLES = {"feynman": "Feynman dataset", "special": "Special functions"}  # by file


def published() -> DataFrame:
    """All tables, each row with its ``table``, a key of ``TABLES``."""
    import pandas as pd

    read = (pd.read_csv(_path(name), comment="#").assign(table=name) for name in TABLES)
    return pd.concat(read, ignore_index=True)


def entry(name: str) -> dict[str, str]:
    """The row of a function by its name in ``data``, empty where there is none; read without
    pandas, which a run does not bring in."""
    for table in TABLES:
        with _path(table).open(newline="") as file:
            rows = csv.DictReader(line for line in file if not line.startswith("#"))
            for row in rows:
                if row["data"] == name:
                    return row
    return {}


def errors(row: Mapping[Any, Any]) -> dict[str, float]:
    """The published RMSE of every network that a row has one of."""
    found = {
        name.removesuffix("_rmse"): float(value or nan)
        for name, value in row.items()
        if name.endswith("_rmse")
    }
    return {network: error for network, error in found.items() if error > 0}


def _path(table: str) -> Path:
    return Path(__file__).with_name(f"{table}.csv")
