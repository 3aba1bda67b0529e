"""Curves of errors on log-log axes: what a curve is, and how it and what belongs to it are drawn.

Filled markers are the cells that a law rests on, hollow ones those left out of it. Curves differ
in marker and lightness as well as in hue, so that they are told apart in grey; those of kinds
without a theory are dashed, and no theory's line is drawn for them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from pandas import DataFrame, Series

from kansweep.figures.style import FLOOR, REFERENCE, escaped, looks
from kansweep.kinds import KINDS, Kind
from kansweep.laws import references
from kansweep.laws.cells import DERIVATIVES
from kansweep.laws.findings import Study
from kansweep.laws.notation import exponent, signed
from kansweep.laws.references import Reference
from kansweep.laws.verdicts import INSUFFICIENT, TINY
from kansweep.sweep.columns import Status

_CEILING = 1e4  # an error above this multiple of the largest that counts leaves the axis
_STACKED = 0.04  # of the axis, from one mark at its edge to the next
_LOWEST = 1e-18  # below the round-off of any error of order one: 0, or as good as
_GREY = "0.4"
MARKERS = "Markers are geometric means over seeds."  # of a caption
_ENVELOPE: dict[Any, Any] = {
    "linewidth": 5.0,
    "color": "0.85",
    "zorder": 0,
    "solid_capstyle": "round",
}
_DASHED = (0, (4.0, 1.5))
_DOTS: dict[Any, Any] = {"linestyle": "", "marker": ".", "markersize": 3.5, "alpha": 0.4}


@dataclass(frozen=True)
class Axis:
    """What the curves of a figure run along, and what tells one from another."""

    along: str  # column of classified cells
    label: str
    words: str  # of it, in a caption
    quantity: str  # of it with its symbol, in a text
    symbol: str
    curve: str  # column
    curve_symbol: str  # '' where its values are names


AXES = {
    "grid_size": Axis("size", "grid size G", "grid size", "grid size G", "G", "n_train", "n"),
    "n_params": Axis(
        *("n_params", "trainable parameters P", "the number P of trainable parameters"),
        *("number P of parameters", "P", "n_train", "n"),
    ),
}


def against_data(kind: Kind) -> Axis:
    """The axis of data sizes, with a curve for each size of the networks."""
    words = ("training points n", "training points", "number n of training points")
    return Axis("n_train", *words, "n", "size", kind.symbol)


def by_sweep(x: str) -> Axis:
    """The axis of laws, with a curve for each of several sweeps."""
    return replace(AXES[x], curve="data", curve_symbol="")


@dataclass(frozen=True, eq=False)
class PlottedCurve:
    """One curve as it is drawn: its cells, its name and law in the legend, its looks."""

    cells: DataFrame  # data, x, rmse, low, high, floor, filled: sorted by x
    seeds: DataFrame  # x, rmse: a row a seed and cell
    name: str
    law: str  # its exponent and interval, or INSUFFICIENT; '' where no law is looked for
    kind: Kind
    k: float  # NaN where the kind has no splines
    look: dict[str, Any]  # color, marker, markersize
    split: str  # whose errors

    @property
    def label(self) -> str:
        return f"{self.name}: {self.law}" if self.law else self.name

    @property
    def sweep(self) -> str:
        """The target or, of several sweeps, the name."""
        return str(self.cells["data"].iloc[0])

    @property
    def color(self) -> Any:
        return self.look["color"]

    @property
    def line(self) -> dict[str, Any]:
        return {"linewidth": 1.2, "linestyle": "-" if self.kind.has_theory else _DASHED}

    @property
    def references(self) -> list[Reference]:
        """The theory's line through the filled cells, where there is one."""
        filled = self.cells[self.cells["filled"]]
        lost = DERIVATIVES.get(self.split, 0)
        return references.through(filled, self.kind.exponent(self.k) + lost)


def plotted(study: Study, split: str, axis: Axis) -> list[PlottedCurve]:
    """The curves of a study along an axis, in the order of what tells them apart."""
    columns = {"rmse": f"{split}_rmse", "low": f"{split}_low", "high": f"{split}_high"}
    columns |= {"x": axis.along, "curve": axis.curve, "floor": "floor_rmse"}
    cells = study.cells[["data", "model", "k", "size"]]
    cells = cells.assign(**{name: study.cells[column] for name, column in columns.items()})
    cells = cells.assign(filled=study.filled)
    sound = study.ended[study.ended["status"] == Status.OK]
    seeds = DataFrame({"x": sound[axis.along], "rmse": sound[f"{split}_rmse"]})
    values = sorted(set(cells["curve"]))
    return [
        _curve(
            cells[cells["curve"] == value].sort_values("x"),
            seeds[sound[axis.curve] == value],
            f"{axis.curve_symbol} = {value}" if axis.curve_symbol else escaped(value),
            _law(study.shown, split, axis.curve, value),
            look,
            split,
        )
        for value, look in zip(values, looks(values), strict=True)
    ]


def _curve(
    cells: DataFrame, seeds: DataFrame, name: str, law: str, look: dict[str, Any], split: str
) -> PlottedCurve:
    kind, k = KINDS[cells["model"].iloc[0]], float(cells["k"].iloc[0])
    return PlottedCurve(cells, seeds, name, law, kind, k, look, split)


def _law(laws: DataFrame, split: str, column: str, value: Any) -> str:
    if column not in laws:  # against data size there is no law
        return ""
    of_curve = laws[(laws[column] == value) & (laws["split"] == split)]
    if of_curve.empty:
        return ""
    law: Series = of_curve.iloc[0]
    return INSUFFICIENT if law["verdict"] == INSUFFICIENT else exponent(law)


# ------------------------------------------------------------------------------ the drawing


def fill(
    axes: Axes,
    curves: list[PlottedCurve],
    references: list[Reference],
    limits: tuple[float, float],
    best: DataFrame | None = None,
) -> dict[str, Artist]:
    """Draw the curves and what belongs to them; what a legend has of it, by label.

    ``best`` is the envelope, x and rmse, where x is the data size.
    """
    axes.set_ylim(limits)  # first of all: autoscaling to an error of 1e300 overflows
    handles: list[Artist] = [_draw_curve(axes, curve, limits) for curve in curves]
    if best is not None and len(best) > 1:
        label = f"{curves[0].kind.best} that counts"
        handles += axes.plot(best["x"], best["rmse"], label=label, **_ENVELOPE)
    for line in references:
        label = f"slope {signed(line.slope, 0)} (theory)"
        handles += axes.plot(line.x, line.rmse, label=label, **REFERENCE)
    handles += _draw_levels(axes, curves) if best is not None else _draw_floors(axes, curves)
    handles += _draw_off_axis(axes, curves, limits) + _keys(curves)
    return {str(handle.get_label()): handle for handle in handles}


def _draw_curve(axes: Axes, curve: PlottedCurve, limits: tuple[float, float]) -> Artist:
    cells, color, top = curve.cells, curve.color, limits[1]
    inside = cells[cells["rmse"] <= top].reindex(cells.index)
    low, high = (inside[name].clip(*limits) for name in ("low", "high"))
    alone = 4.0 if low.notna().sum() == 1 else 0.0  # a band over one size has no width
    axes.fill_between(cells["x"], low, high, color=color, alpha=0.2, linewidth=alone)
    mean = cells["rmse"].clip(upper=top)
    axes.plot(cells["x"], mean, color=color, label="_mean", **curve.line)
    seeds = curve.seeds[curve.seeds["rmse"] <= top]
    if seeds["x"].duplicated().any():
        axes.plot(seeds["x"], seeds["rmse"], color=color, label="_seeds", **_DOTS)
    for name, face in (("kept", color), ("left out", "white")):
        part = inside[cells["filled"] == (name == "kept")]
        look: dict[str, Any] = curve.look | {"linestyle": "", "markerfacecolor": face, "zorder": 4}
        axes.plot(part["x"], part["rmse"], label=f"_{name}", **look)
    return Line2D([], [], label=curve.label, **curve.line, **curve.look)


def _draw_floors(axes: Axes, curves: list[PlottedCurve]) -> list[Artist]:
    """The floor of each sweep against size: of one a black line, of several in their colours."""
    floors: dict[bytes, tuple[Any, DataFrame]] = {}
    for data, part in pd.concat([curve.cells for curve in curves]).groupby("data"):
        floor = part.dropna(subset=["floor"]).drop_duplicates("x").sort_values("x")
        if len(floor):
            line = np.log(floor[["x", "floor"]].clip(lower=TINY).to_numpy(float))
            floors.setdefault(line.round(9).tobytes(), (data, floor))  # one line for equal floors
    colors = {curve.sweep: curve.color for curve in curves}
    for data, floor in floors.values():
        color = colors[data] if len(floors) > 1 else "black"
        axes.plot(floor["x"], floor["floor"], color=color, **FLOOR)
    return [Line2D([], [], color="black", **FLOOR)] if floors else []


def _draw_levels(axes: Axes, curves: list[PlottedCurve]) -> list[Artist]:
    """The floor against data size: a level a curve."""
    handles: list[Artist] = []
    for curve in curves:
        for level in curve.cells["floor"].dropna().unique()[:1]:
            handles = [axes.axhline(level, color=curve.color, **FLOOR)]
    return handles


def _draw_off_axis(
    axes: Axes, curves: list[PlottedCurve], limits: tuple[float, float]
) -> list[Line2D]:
    """Marks at the upper edge, one below another: cells above it, and cells without an error."""
    bottom, top = limits
    keys: dict[str, Line2D] = {}
    marks: dict[float, int] = {}
    for curve in curves:
        for x, rmse in zip(curve.cells["x"], curve.cells["rmse"], strict=True):
            if rmse <= top:
                continue
            name, marker = ("failed", "x") if np.isnan(rmse) else ("above the axis", r"$\uparrow$")
            look: dict[str, Any] = {"linestyle": "", "marker": marker, "clip_on": False}
            y = top * (bottom / top) ** (_STACKED * marks.get(x, 0))
            axes.plot([x], [y], color=curve.color, label=f"_{name}", zorder=5, **look)
            marks[x] = marks.get(x, 0) + 1
            keys[name] = Line2D([], [], color=_GREY, label=name, **look)
    return list(keys.values())


def _keys(curves: list[PlottedCurve]) -> list[Artist]:
    """Legend entries for what every curve may have: hollow cells, single seeds, the band."""
    keys: list[Artist] = []
    if any((~curve.cells["filled"] & curve.cells["rmse"].notna()).any() for curve in curves):
        hollow: dict[str, Any] = {"linestyle": "", "marker": "o", "markerfacecolor": "white"}
        keys.append(Line2D([], [], color=_GREY, label="hollow: left out of the fit", **hollow))
    if any(curve.seeds["x"].duplicated().any() for curve in curves):
        keys.append(Line2D([], [], color=_GREY, label="single seeds", **_DOTS))
    if any(curve.cells["low"].notna().any() for curve in curves):
        keys.append(Patch(color=_GREY, alpha=0.2, linewidth=0, label="95% band of their mean"))
    return keys


def error_limits(curves: list[PlottedCurve], references: list[Reference]) -> tuple[float, float]:
    """Limits of the error axis: all that is drawn, save errors that dwarf those that count."""
    cells = pd.concat([curve.cells for curve in curves])
    seeds = pd.concat([curve.seeds for curve in curves])
    filled = cells[cells["filled"]]
    drawn = [cells["rmse"], cells["floor"], seeds["rmse"], filled["low"], filled["high"]]
    values = np.concatenate([*drawn, *(line.rmse for line in references)]).astype(float)
    values = values[np.isfinite(values) & (values > _LOWEST)]
    if not len(values):
        return 0.1, 10.0
    largest = filled["rmse"].max() if len(filled) else np.median(values)
    values = values[values <= _CEILING * largest]
    span = values.max() / values.min()
    margin = max(1.3, span**0.04, (30 / span) ** 0.5)  # a decade at least: one tick has its label
    bottom, top = float(values.min() / margin), float(values.max() * margin)
    marks = (~(cells["rmse"] <= top)).groupby(cells["x"]).sum().max()  # room for them at the edge
    return bottom, top * (top / bottom) ** (_STACKED * float(marks))
