"""Small sweeps run without the command line, and what is read of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from kansweep.config.data import DataConfig
from kansweep.config.models import GridConfig, ModuleConfig
from kansweep.config.run import RunConfig, RunModeConfig
from kansweep.config.solvers import LBFGSConfig, LMConfig
from kansweep.engines.serial import SerialEngine
from kansweep.sweep import runner
from kansweep.sweep.events import Damaged, Finished, Started
from kansweep.sweep.plan import Cell, planned
from kansweep.sweep.resolution import resolved
from kansweep.sweep.store import Store

CONFIG = RunConfig(
    seeds=[0, 1],
    data=DataConfig(sizes=(40, 50), n_test=60),
    grid=GridConfig(sizes=(3, 5, 8)),
    solver=LMConfig(restarts=1),
)
CELLS = 12


def of_modules() -> RunConfig:
    """As many cells of a torch module, whose chains are extended too."""
    model = ModuleConfig(target="user_nets:Hats", sizes=(3, 6, 12))
    return resolved(replace(CONFIG, model=model, solver=LBFGSConfig(steps=1)))


def of_outputs() -> RunConfig:
    """As many cells of two outputs."""
    formula = {"sum": "exp(x1+x2)", "wave": "1000*sin(2*x1)"}
    return replace(CONFIG, data=replace(CONFIG.data, formula=formula))


CONFIGS = {"kan": lambda: CONFIG, "module": of_modules, "outputs": of_outputs}

NUMBERS = ["key", "train_rmse", "test_rmse", "test_median_error", "reg", "status"]
NUMBERS += ["outputs", "train_rmse_each", "test_rmse_each"]


class Watch:
    """A listener that keeps what it is told, and interrupts after so many cells."""

    def __init__(self, interrupt_after: int | None = None) -> None:
        self.rows: list[dict] = []
        self.total = self.cached = None
        self.interrupt_after = interrupt_after

    def __call__(self, event):
        match event:
            case Damaged(paths):
                self.damage = [path.name for path in paths]
            case Started(total, cached):
                self.total, self.cached = total, cached
            case Finished(row):
                self.finished(row)

    def finished(self, row):
        self.rows.append(row)
        if len(self.rows) == self.interrupt_after:
            raise KeyboardInterrupt


def run(folder: Path, config: RunConfig = CONFIG, watch: Watch | None = None, engine=None):
    plan, store = planned(config), Store(folder)
    with store.open(plan):
        return runner.run(plan, store, config, engine or SerialEngine(), watch or Watch())


def table(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "results.parquet")[NUMBERS]


def with_mode(mode: str, config: RunConfig = CONFIG) -> RunConfig:
    return replace(config, run=RunModeConfig(mode=mode))


def place(cell: Cell) -> tuple[int, int, int]:
    return cell.n_train, cell.seed, cell.size


class Killed(BaseException):
    """What no program can answer: nothing more is written or removed."""


def assert_same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """To rounding: a batch of other seeds sums in another order."""
    pd.testing.assert_frame_equal(one, other, rtol=1e-6)
