"""A sweep's folder in Python: its rows, its laws and what else is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from pandas import DataFrame

from kansweep import notebook, study
from kansweep.config.loading import from_record
from kansweep.config.rules import ConfigError
from kansweep.config.run import RunConfig
from kansweep.data import sources
from kansweep.laws.findings import Study
from kansweep.laws.prediction import Prediction
from kansweep.session import reporting
from kansweep.sweep.columns import Status
from kansweep.sweep.plan import Plan, planned
from kansweep.sweep.store import Store
from kansweep.trained import weights
from kansweep.trained.network import TrainedNetwork


class Sweep:
    """What ``outputs/<name>`` holds of its current plan."""

    def __init__(self, folder: str | Path) -> None:
        """Raises StoreError where there is no sweep."""
        self.folder = Path(folder)
        self._store = Store(self.folder)
        self.config: RunConfig = from_record(self._store.read_config())
        self._plan: Plan = planned(self.config)

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def results(self) -> DataFrame:
        """A row a cell, with the floor, as ``load_results`` has them; refused where there are
        none."""
        rows = self._store.results(cell.key for cell in self._plan.cells)
        if rows.empty:
            raise ConfigError(f"No cell of {self.folder} is done yet.")
        return study.with_floor(rows, sources.known(self.config.data))

    @property
    def failed(self) -> DataFrame:
        """The rows of cells that did not end well; ``error`` and ``stop_reason`` say why."""
        rows: DataFrame = self.results[self.results["status"] != Status.OK]
        return rows

    @cached_property
    def study(self) -> Study:
        """All that is read off the rows, with the default margin."""
        return study.of_one(self.results, targets=sources.known(self.config.data))

    @property
    def laws(self) -> DataFrame:
        """The law of every curve, as ``laws.csv`` has it."""
        return self.study.laws_of_all()

    def plot(self, split: str = "test") -> Figure:
        """RMSE against the size, with each curve's exponent in the legend."""
        return notebook.plot_laws(self.results, self.laws, split)

    def plot_edges(
        self, *, n_train: int | None = None, seed: int | None = None, size: int | None = None
    ) -> Figure:
        """Every function that one network learned, chosen as by ``load_model``."""
        return notebook.plot_edges(self.load_model(n_train=n_train, seed=seed, size=size))

    def load_model(
        self, *, n_train: int | None = None, seed: int | None = None, size: int | None = None
    ) -> TrainedNetwork:
        """The network of a cell; see ``kansweep.load_model``."""
        chosen = weights.chosen(self.results, self.folder, n_train=n_train, seed=seed, size=size)
        return weights.of_cell(self.folder, chosen)

    def predict(
        self,
        size: int | None = None,
        n_train: int | None = None,
        *,
        sizes: Sequence[int] | None = None,
        n_trains: Sequence[int] | None = None,
        output: str | None = None,
    ) -> Prediction:
        """The test RMSE of a cell, with its 95% interval; see ``kansweep.study.predicted``."""
        chosen: dict[str, Any] = {"sizes": sizes, "n_trains": n_trains, "output": output}
        known, spread = sources.known(self.config.data), sources.spread(self.config.data)
        return study.predicted(self.results, size, n_train, **chosen, targets=known, spread=spread)

    def report(self) -> Path:
        """Writes the HTML page of ``kansweep report`` and says where."""
        return reporting.written(self._store, self._plan, self.results)

    def __repr__(self) -> str:
        done = len(self._store.statuses(cell.key for cell in self._plan.cells))
        return f"Sweep({str(self.folder)!r}: {done} of {len(self._plan.cells)} cells)"
