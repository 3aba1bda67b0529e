"""The tables that are repeated here, as they were published, each in a CSV file beside this one.

A row is a function by its name in ``data``. ``<network>_rmse`` is what was published for a network,
``<network>_shape`` its layers, where they are given; ``doubt`` is what is not sure of the row.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame

TABLES = {"feynman": "Feynman dataset", "special": "Special functions"}  # by file


def published() -> DataFrame:
    """All tables, each row with its ``table``, a key of ``TABLES``."""
    import pandas as pd

    paths = {name: Path(__file__).with_name(f"{name}.csv") for name in TABLES}
    read = (pd.read_csv(path, comment="#").assign(table=name) for name, path in paths.items())
    return pd.concat(read, ignore_index=True)
