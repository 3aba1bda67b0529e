"""One study: results, which of their cells count, the laws, and what else is read off them.

It is made once; figures, terminal and report are handed it and compute no statistic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from pandas import DataFrame, Series

from kansweep import kinds
from kansweep.laws import (
    cells,
    comparison,
    costs,
    fits,
    frontier,
    noise,
    observations,
    orders,
    outputs,
    pooled,
    references,
)
from kansweep.laws.cells import DEFAULT, DERIVATIVES, SPLITS, Curve, Rules
from kansweep.laws.frontier import Frontier
from kansweep.laws.references import Reference
from kansweep.laws.verdicts import INSUFFICIENT


@dataclass(frozen=True, eq=False)
class Study:
    """The analysed results of one sweep, or of several, each with its name in ``data``.

    ``x`` is the axis, of ``AXES``, that laws are told and drawn against.
    """

    results: DataFrame  # as a sweep stores them, with the columns that older versions lack
    ended: DataFrame  # the rows of cells that have ended, with all that rules read, and `ok`
    curves: Sequence[Curve]
    cells: DataFrame  # of the curves, `cells.CELL_COLUMNS`
    laws: DataFrame  # against every axis, `fits.LAW_COLUMNS`
    rules: Rules
    x: str
    without_floor: Mapping[str, str]  # why there is none, by `data`, as far as that is known

    @property
    def kind(self) -> kinds.Kind:
        """Of the networks of one sweep."""
        return kinds.of(self.cells)

    @property
    def splits(self) -> tuple[str, ...]:
        """Whose errors its laws are of."""
        return self.curves[0].splits if self.curves else SPLITS

    @cached_property
    def derivatives(self) -> dict[str, Study]:
        """The same study of the errors of each derivative, where some cell has any."""
        return {
            split: self._of_derivative(split)
            for split in DERIVATIVES
            if self.cells[f"{split}_rmse"].notna().any()
        }

    @cached_property
    def outputs(self) -> Study | None:
        """The same study of each output, its name in ``data``, where one sweep has several; the
        primary law is that of all together."""
        if "target" in self.results or not outputs.names(self.results):
            return None
        each = study(outputs.of_each(self.results), self.rules, self.x)
        return replace(each, laws=each.laws.assign(primary=False))

    def of_output(self, name: str) -> Study:
        """The same study of one of several outputs. Raises ValueError where it is none of them."""
        if name not in (names := outputs.names(self.results)):
            of = ", ".join(names) or "none, for there is one output"
            raise ValueError(f"`output` must be one of the sweep's, {of}; got {name!r}")
        each = outputs.of_each(self.results)
        return study(each[each["data"] == name], self.rules, self.x)

    def laws_of_all(self, derivatives: bool = False) -> DataFrame:
        """Behind the laws of all outputs together those of each, and of the derivatives."""
        parts = [self.laws]
        if self.outputs is not None:
            laws = self.outputs.laws
            parts.append(laws.assign(output=laws["data"], data=self.results["data"].iloc[0]))
        parts += [each.laws for each in self.derivatives.values()] if derivatives else []
        return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)

    def _of_derivative(self, split: str) -> Study:
        curves = [_of_derivative(curve, split) for curve in self.curves]
        laws = fits.every_law(curves, self.rules)
        return replace(self, curves=curves, cells=cells.table(curves), laws=laws)

    @cached_property
    def shown(self) -> DataFrame:
        """The laws against ``x``."""
        shown: DataFrame = self.laws[self.laws["x"] == self.x]
        return shown

    @cached_property
    def filled(self) -> Series:
        """Which cells a law rests on or, where a curve has none, which ones count."""
        return cells.filled(self.cells)

    @cached_property
    def orders(self) -> DataFrame:
        """From each grid to the next, `orders.ORDER_COLUMNS`."""
        return orders.observed_orders(self.cells, splits=self.splits)

    @cached_property
    def envelope(self) -> dict[str, DataFrame]:
        """By split, the best cell that counts of each curve."""
        return {split: references.envelope(self.cells, split) for split in self.splits}

    @cached_property
    def best_sizes(self) -> dict[str, DataFrame]:
        """By split, the cell of least error of each curve, whether it counts or not."""
        return {split: observations.best_sizes(self.cells, split) for split in self.splits}

    @cached_property
    def observations(self) -> DataFrame:
        return observations.observed(self.ended, self.rules)

    @cached_property
    def noise_laws(self) -> DataFrame:
        """Against data size, of targets with noise: `noise.NOISE_COLUMNS`."""
        return noise.noise_laws(self.ended, self.rules)

    @cached_property
    def pooled(self) -> DataFrame:
        """The law of all data sizes at once, of every target with a floor, by split."""
        return pooled.pooled(self.ended, self.cells, self.rules)

    @cached_property
    def frontier(self) -> Frontier:
        """The best size of each data size, and the laws along these."""
        return frontier.frontier(self.ended, self.rules)

    @cached_property
    def comparison(self) -> DataFrame:
        """Of several sweeps, each beside the first of its target, `comparison.COMPARED`."""
        return comparison.compare(self.ended, self.curves, self.x, self.rules)

    @cached_property
    def timed(self) -> DataFrame:
        """The rows that ended ok, with `seconds` those to get there."""
        return costs.timed(self.ended)

    @cached_property
    def cell_seconds(self) -> DataFrame:
        """Geometric means of the seconds to get to each cell, with `cells.CELL` alone."""
        return costs.of_cells(self.timed)

    @cached_property
    def shapes(self) -> list[str]:
        """The widths of the networks, in terms of their size where it is one of them: 2-w-w-1."""
        if "width" not in self.results:
            return []
        rows = self.results.dropna(subset=["width"])
        pairs = zip(rows["width"], rows["size"], strict=True)
        return sorted({self.kind.shape(width, size) for width, size in pairs})

    def on_envelope(self, split: str) -> list[Reference]:
        """The theory's line through the envelope of one sweep, against data size."""
        best = references.growing(self.envelope[split]).rename(columns={"n_train": "x"})
        return references.through(best, self.curves[0].exponent)

    def behind(self, law: Series) -> DataFrame:
        """The cells that a law rests on; of one that is insufficient, those that count."""
        fitted = law["verdict"] != INSUFFICIENT
        curve = cells.of_curve(self.cells, law)
        behind: DataFrame = curve[curve["used" if fitted else "counts"].astype(bool)]
        return behind

    def orders_behind(self, law: Series) -> DataFrame:
        """The orders between the cells that a law rests on, from each to the next of them."""
        sizes = cells.of_sweep(self.cells, law)["size"]
        return orders.observed_orders(self.behind(law), sizes, (law["split"],))

    def floor_orders(self, row: Series) -> dict[tuple[int, int], float]:
        """The floor's, where there is one, of the target, kind and order of a row."""
        if not kinds.KINDS[row["model"]].has_theory:
            return {}
        return orders.floor_orders(cells.of_sweep(self.cells, row))

    def why_no_floor(self, row: Series) -> str:
        """The end of a sentence, '' where there is a floor or nothing is known of the target."""
        why = self.without_floor.get(row["data"], "")
        return why if kinds.KINDS[row["model"]].has_theory else ""

    def largest(self) -> Study:
        """Of several sweeps, each at its largest data size alone."""
        return self._at(self.results.groupby("data")["n_train"].max())

    @cached_property
    def beside(self) -> Study:
        """Of several sweeps those that stand beside others of their target, each at the most
        training points that all of these have."""
        return self._at(comparison.shared(self.ended).set_index("data")["n_train"])

    def _at(self, sizes: Series) -> Study:
        """Of the sweeps named in the index alone, each at a data size."""
        curves = [curve for curve in self.curves if curve.n_train == sizes.get(curve.data)]
        return replace(
            self,
            results=_at(self.results, sizes),
            ended=_at(self.ended, sizes),
            curves=curves,
            cells=cells.table(curves),
            laws=_at(self.laws, sizes),
        )


def _of_derivative(curve: Curve, split: str) -> Curve:
    """The same cells by the errors of a derivative, of which no floor is known; a curve that has
    none of them is not fitted."""
    curve = replace(curve, cells=curve.cells.assign(floor_rmse=np.nan), splits=(split,))
    fitted = curve.fitted and bool(curve.whole.any())
    used = curve.cells["used"] & fitted
    return replace(curve, cells=curve.cells.assign(used=used), fitted=fitted)


def _at(rows: DataFrame, sizes: Series) -> DataFrame:
    return rows[rows["n_train"] == rows["data"].map(sizes)]


def study(
    results: DataFrame,
    rules: Rules = DEFAULT,
    x: str | None = None,
    laws: DataFrame | None = None,
    without_floor: Mapping[str, str] | None = None,
) -> Study:
    """The study of results, against ``x`` or what all of their networks have.

    ``laws`` that are given, of whatever version, are taken as they are and not fitted again; those
    of each output are not those of the study.
    """
    results = cells.complete(results)
    if x is not None:
        fits.check_axis(x)
    if x == "grid_size" and not kinds.all_on_grid(results):
        raise ValueError(
            f"`x` must be 'n_params' for networks that have no grid, or null; got {x!r}."
        )
    ended = cells.checked(results)
    curves = cells.classified(ended, rules)
    classified = cells.table(curves)
    if laws is None:
        laws = fits.every_law(curves, rules)
    elif "output" in laws:
        laws = laws[laws["output"].isna()]
    return Study(
        results=results,
        ended=ended,
        curves=curves,
        cells=classified,
        laws=fits.completed(laws, classified),
        rules=rules,
        x=x or cells.axis(results),
        without_floor=without_floor or {},
    )
