"""A bar over the cells of a run, in a terminal or a notebook, and a line a cell."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kansweep.sweep import log
from kansweep.sweep.events import Event, Finished, Progressed, Started

if TYPE_CHECKING:  # imported where it is needed, so that help and refusals come at once
    from tqdm import tqdm

_FIGURES = (("train", "train_rmse", ".2e"), ("test", "test_rmse", ".2e"), ("reg", "reg", ".2f"))


class Bar:
    """Listens to a run; the bar is ``shown`` where stderr is a terminal or a notebook's, and the
    ``lines`` of cells that end, as ``run.log`` has them, anywhere."""

    def __init__(
        self, symbol: str = "G", *, notebook: bool = False, shown: bool = True, lines: bool = False
    ) -> None:
        self.symbol = symbol  # of what the model grows along
        self.notebook, self.shown, self.lines = notebook, shown, lines
        self.done = self.total = 0
        self.bar: tqdm[Any] | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case Started(total, cached):
                self.start(total, cached)
            case Progressed():
                self.show(vars(event), cells=0)
            case Finished(row):
                self.done += 1
                self.show(row, cells=1)
                if self.lines:
                    self.write(f"{self.done}/{self.total} {log.words(row)}")

    def start(self, total: int, cached: int) -> None:
        self.done, self.total = cached, total
        if not self.shown:
            return
        make, disable = _tqdm(self.notebook)
        self.bar = make(
            total=total,
            initial=cached,
            unit="cell",
            disable=disable,
            dynamic_ncols=True,
            miniters=0,
        )

    def show(self, cell: Mapping[str, Any], cells: int) -> None:
        if self.bar is None:
            return
        words = [f"n={cell['n_train']} {self.symbol}={cell['size']}"]
        for label, name, form in _FIGURES:
            if cell[name] is not None:
                words.append(f"{label} {cell[name]:{form}}")
        self.bar.set_postfix_str(" ".join(words), refresh=False)
        self.bar.update(cells)

    def write(self, line: str) -> None:
        """Above the bar, where there is one."""
        make, _ = _tqdm(self.notebook)
        make.write(line, file=sys.stderr)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def _tqdm(notebook: bool) -> tuple[type[tqdm[Any]], bool | None]:
    """The bar's class, and whether it is silent: None, where it finds no terminal. A notebook's is
    none, and is written to all the same."""
    if not notebook:
        from tqdm import tqdm as plain

        return plain, None
    from tqdm.auto import tqdm as auto

    in_notebook = any(base.__module__ == "tqdm.notebook" for base in auto.__mro__)
    return auto, False if in_notebook else None
