"""The names of a sweep's files, ``outputs/<name>/…``: known here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kansweep.sweep import files

LATEST = ".latest"  # in ``outputs``: the name of the sweep that was run last
ROW, STATE = ".parquet", ".npz"  # how a cell's files end, behind its key


@dataclass(frozen=True)
class Layout:
    """Where in a sweep's folder everything is."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def shapes(self) -> Path:
        """There where hidden widths were found."""
        return self.folder / "shapes.csv"

    @property
    def of_a_sweep(self) -> tuple[Path, ...]:
        """What no folder has but a sweep's."""
        return self.cells, self.config, self.shapes

    @property
    def results(self) -> Path:
        return self.folder / "results.parquet"

    @property
    def laws(self) -> Path:
        return self.folder / "laws.csv"

    @property
    def comparison(self) -> Path:
        """Of several sweeps, in the folder of what is made of them together."""
        return self.folder / "comparison.csv"

    @property
    def index(self) -> Path:
        return self.folder / "index.parquet"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    def published(self, ending: str) -> Path:
        """The errors beside published ones."""
        return self.folder / f"published.{ending}"

    @property
    def log(self) -> Path:
        return self.folder / "run.log"

    @property
    def lock(self) -> Path:
        return self.folder / ".lock"

    @property
    def latest(self) -> Path:
        return self.folder.parent / LATEST

    @property
    def cells(self) -> Path:
        return self.folder / "cells"

    @property
    def states(self) -> Path:
        return self.folder / "states"

    @property
    def figures(self) -> Path:
        return self.folder / "figures"

    @property
    def traces(self) -> Path:
        """Made where there are any, as are the next two."""
        return self.folder / "traces"

    @property
    def running(self) -> Path:
        return self.folder / "running"

    @property
    def jobs(self) -> Path:
        """Where an engine may keep its jobs' files and logs."""
        return self.folder / "jobs"

    def cell(self, key: str) -> Path:
        return self.cells / f"{key}{ROW}"

    def state(self, key: str) -> Path:
        return self.states / f"{key}{STATE}"

    def trace(self, key: str) -> Path:
        return self.traces / f"{key}.parquet"

    def figure(self, name: str, file_format: str) -> Path:
        return self.figures / f"{name}.{file_format}"

    def temporaries(self) -> Iterator[Path]:
        """What writers that were killed have left behind."""
        for folder in (self.folder, self.cells, self.states, self.figures, self.traces):
            if folder.is_dir():
                yield from filter(files.is_temporary, folder.iterdir())

    def is_passing(self, path: Path) -> bool:
        """Whether a file is one that a run leaves when it is killed before it has begun."""
        return files.is_temporary(path) or path == self.lock
