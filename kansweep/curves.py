"""Figures of a sweep from its results and laws: log-log, one curve a data size or a grid size.

Filled markers are the cells that a law rests on, hollow ones those left out of it. Curves differ
in marker and lightness as well as in hue, so that they are told apart in grey; those of MLPs are
dashed, and no theory's line is drawn for them.
"""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter
from numpy.typing import NDArray
from pandas import DataFrame

from kansweep import cells as law
from kansweep import kinds
from kansweep.kinds import KAN, KINDS, MLP

SAVE_STYLE: dict[Any, Any] = {
    "savefig.dpi": 200,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "kansweep",
}
"""For `matplotlib.rc_context` around `savefig`: fonts embedded, nothing random in the file."""

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titlepad": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.fontsize": 8.5,
    "legend.title_fontsize": 8.5,
    "legend.frameon": False,
}
_MINUS = "\N{MINUS SIGN}"
_MARKERS = "osD^vPX*hp"
_CEILING = 1e4  # an error above this multiple of the largest that counts leaves the axis
_STACKED = 0.04  # of the axis, from one mark at its edge to the next
_LOWEST = 1e-18  # below the round-off of any error of order one: 0, or as good as
_GREY = "0.4"
REFERENCE: dict[Any, Any] = {"linestyle": "--", "linewidth": 1.1, "color": "#d55e00", "zorder": 3}
_ENVELOPE: dict[Any, Any] = {
    "linewidth": 5.0,
    "color": "0.85",
    "zorder": 0,
    "solid_capstyle": "round",
}
FLOOR: dict[Any, Any] = {"linestyle": ":", "linewidth": 0.9, "label": "floor: best splines"}
_LINES: dict[str, Any] = {KAN: "-", MLP: (0, (4.0, 1.5))}
_DOTS: dict[Any, Any] = {"linestyle": "", "marker": ".", "markersize": 3.5, "alpha": 0.4}


@dataclass(frozen=True)
class _Axis:
    """What the curves of a figure run along, and what tells one from another."""

    along: str  # column of classified cells
    label: str
    curve: str  # column
    symbol: str  # of the curve's column; '' where its values are names


_AXES = {
    "grid_size": _Axis("size", "grid size G", "n_train", "n"),
    "n_params": _Axis("n_params", "trainable parameters P", "n_train", "n"),
    "data_size": _Axis("n_train", "training points n", "size", "G"),
}
_TOGETHER = {name: replace(_AXES[name], curve="data", symbol="") for name in law.AXES}


@dataclass(frozen=True)
class Curve:
    """One curve, its cells in columns data, x, rmse, low, high, floor, kept, and its looks."""

    cells: DataFrame
    seeds: DataFrame  # x, rmse: a row a seed and cell
    name: str
    law: str  # its exponent and interval, or that there is none; '' where none is looked for
    model: str
    k: float  # NaN of an MLP
    look: dict[str, Any]  # color, marker, markersize

    @property
    def label(self) -> str:
        return f"{self.name}: {self.law}" if self.law else self.name

    @property
    def color(self) -> Any:
        return self.look["color"]

    @property
    def line(self) -> dict[str, Any]:
        return {"linewidth": 1.2, "linestyle": _LINES[self.model]}


Reference = tuple[NDArray[np.float64], NDArray[np.float64], int]
"""The ends of a line of the theory's slope, x and RMSE, and its k."""


def draw(
    results: DataFrame,
    laws: DataFrame,
    rules: law.Rules = law.DEFAULT,
    x: str | None = None,
    splits: Iterable[str] = law.SPLITS,
) -> dict[str, Figure]:
    """The figures of one sweep by name: each split's RMSE against `x` and against data size.

    `x` is `grid_size` or `n_params`, left out as `law.axis` has it; `laws` are those of
    `law.fit_laws` against it under the same `rules`; a curve without a law is drawn without an
    exponent.
    """
    cells = law.classify(results, rules)
    if len(cells[["data", "model", "k"]].drop_duplicates()) != 1:
        raise ValueError(
            "`results` must hold cells of one target, one `k` and one kind of model, and at least"
            " one."
        )
    x = _checked(x, cells)
    results, kind = law.complete(results), kinds.of(cells)
    figures = {}
    for split in splits:
        best = law.envelope(results, split, rules).rename(columns={"n_train": "x"})
        for name in (x, "data_size"):
            axis = _AXES[name]
            if name == "data_size":
                axis = replace(axis, symbol=kind.symbol)
            drawn = _curves(cells, results, laws, split, axis)
            with matplotlib.rc_context(STYLE):
                figure = _figure(drawn, best if name == "data_size" else None)
                labels = {"xlabel": axis.label, "ylabel": f"{split} RMSE"}
                figure.axes[0].set(title=title(results), **labels)
            figures[f"{split}_rmse_vs_{name}"] = figure
    return figures


def draw_together(
    results: DataFrame,
    laws: DataFrame,
    rules: law.Rules = law.DEFAULT,
    x: str | None = None,
    splits: Iterable[str] = law.SPLITS,
) -> dict[str, Figure]:
    """Several sweeps in one figure a split, each by its largest data size.

    As `draw`, but with the name of its sweep in every row's column `data`.
    """
    x = _checked(x, results)
    figures = {}
    for split in splits:
        with matplotlib.rc_context(STYLE):
            figure = _figure(by_sweep(results, laws, rules, x, split), None)
            labels = {"xlabel": _AXES[x].label, "ylabel": f"{split} RMSE"}
            figure.axes[0].set(title="each by its largest data size", **labels)
        figures[f"{split}_rmse_vs_{x}"] = figure
    return figures


def by_sweep(
    results: DataFrame, laws: DataFrame, rules: law.Rules, x: str, split: str
) -> list[Curve]:
    """The curve of each sweep at its largest data size."""
    largest = results.groupby("data")["n_train"].transform("max")
    shown = law.complete(results[results["n_train"] == largest])
    laws = laws.merge(shown[["data", "n_train"]].drop_duplicates())
    return _curves(law.classify(shown, rules), shown, laws, split, _TOGETHER[x])


def _checked(x: str | None, cells: DataFrame) -> str:
    if x == "grid_size" and kinds.any_mlp(cells):
        raise ValueError("`x` must be 'n_params' for an MLP, which has no grid; got 'grid_size'.")
    return law.axis(cells) if x is None else x


def looks(values: Sequence[Any]) -> list[dict[str, Any]]:
    """Colour, marker and its size for each of several curves: told apart without colour too."""
    lightness = np.linspace(0.8, 0.0, len(values)) if len(values) > 1 else [0.0]
    sizes = np.linspace(8.5, 4.5, len(values))  # the last drawn is smallest: none hides another
    return [
        {
            "color": matplotlib.colormaps["viridis"](lightness[i]),
            "marker": _MARKERS[i % len(_MARKERS)],
            "markersize": float(sizes[i]),
        }
        for i in range(len(values))
    ]


# ---------------------------------------------------------------------------- what is drawn


def _curves(
    cells: DataFrame, results: DataFrame, laws: DataFrame, split: str, axis: _Axis
) -> list[Curve]:
    fitted = cells.groupby(law.CURVE, dropna=False)["used"].transform("any")
    columns = {"rmse": f"{split}_rmse", "low": f"{split}_low", "high": f"{split}_high"}
    view = cells[["data", "model", "k"]].assign(x=cells[axis.along], curve=cells[axis.curve])
    view = view.assign(**{name: cells[column] for name, column in columns.items()})
    view = view.assign(floor=cells["floor_rmse"])
    view["kept"] = cells["counts"] & (cells["used"] | ~fitted)
    sound = results[results["status"] == "ok"] if "status" in results else results
    seeds = DataFrame({"x": sound[axis.along], "rmse": sound[f"{split}_rmse"]})
    values = sorted(set(view["curve"]))
    found = []
    for value, look in zip(values, looks(values), strict=True):
        mine = view[view["curve"] == value].sort_values("x")
        named = f"{axis.symbol} = {value}" if axis.symbol else escaped(value)
        found.append(
            Curve(
                cells=mine,
                seeds=seeds[sound[axis.curve] == value],
                name=named,
                law=_law(value, laws, split, axis),
                model=str(mine["model"].iloc[0]),
                k=float(mine["k"].iloc[0]),
                look=look,
            )
        )
    return found


def _law(value: Any, laws: DataFrame, split: str, axis: _Axis) -> str:
    if axis.curve not in laws:  # against data size there is no law
        return ""
    against = laws["x"].map(law.AXES) == axis.along
    mine = laws[(laws[axis.curve] == value) & (laws["split"] == split) & against]
    if mine.empty:
        return ""
    found = mine.iloc[0]
    if found["verdict"] == "insufficient":
        return "insufficient"
    exponent, low, high = (_signed(found[c]) for c in ("exponent", "ci_low", "ci_high"))
    return f"{exponent} [{low}, {high}]"


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", _MINUS)


def escaped(name: Any, longest: int = 1000) -> str:
    """A name as it is, where Matplotlib would read formulas in it; a long one is cut."""
    text = str(name)
    text = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return text.replace("$", r"\$")


def title(results: DataFrame) -> str:
    """What one sweep is of: target, widths, order, seeds, noise."""
    parts = [escaped(results["data"].iloc[0], 45)]  # a formula may be long
    seeds = results["seed"].nunique()
    parts += ["MLP"] if kinds.any_mlp(results) else []
    parts += [f"width {width}" for width in shapes(results)]
    parts += [] if kinds.any_mlp(results) else [f"k = {results['k'].iloc[0]}"]
    parts += [f"{seeds} seed{'s' if seeds > 1 else ''}"]
    noise = results["noise"].max() if "noise" in results else 0.0
    parts += [f"noise {noise:.2g}"] if noise > 0 else []
    return textwrap.fill(", ".join(parts), 50)


def shapes(results: DataFrame) -> list[str]:
    """The widths of the networks, those of an MLP in terms of its size: `2-w-w-1`."""
    if "width" not in results:
        return []
    told = results.dropna(subset=["width"])
    if not kinds.any_mlp(results):
        return sorted(set(told["width"]))
    return sorted({_shape(*pair) for pair in zip(told["width"], told["size"], strict=True)})


def _shape(width: str, size: int) -> str:
    first, *hidden, last = width.split("-")
    symbol = KINDS[MLP].symbol
    return "-".join([first, *(symbol if part == str(size) else part for part in hidden), last])


# ------------------------------------------------------------------------------ the drawing


def layout() -> ConstrainedLayoutEngine:
    """Room about everything that is drawn."""
    return ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)


def _figure(curves: list[Curve], best: DataFrame | None) -> Figure:
    """One figure; `best`, the envelope, carries the reference line where x is the data size."""
    figure = Figure(figsize=(7.2, 4.4), layout=layout())
    axes = figure.add_subplot(xscale="log", yscale="log")
    lines = references(curves, best)
    handles = list(fill(axes, curves, lines, error_limits(curves, lines), best).values())
    _set_ticks(axes, sorted({x for curve in curves for x in curve.cells["x"]}))
    title = None if best is not None else "exponent [95% interval]"
    figure.set_figheight(max(4.4, 0.2 * len(handles) + 0.8))
    figure.legend(handles=handles, loc="outside right upper", title=title, alignment="left")
    return figure


def references(curves: list[Curve], best: DataFrame | None = None) -> list[Reference]:
    """The theory's lines: through what counts of each curve of a KAN or, where there is one,
    through the envelope."""
    carriers = [(curve.cells[curve.cells["kept"]], curve) for curve in curves]
    if best is not None:  # past the first use of the finest grid, more data cannot buy a finer one
        carriers = [(best.loc[: best["size"].idxmax()] if len(best) else best, curves[0])]
    return [
        _reference(points, int(curve.k))
        for points, curve in carriers
        if curve.model == KAN and len(points) > 1
    ]


def fill(
    axes: Axes,
    curves: list[Curve],
    references: list[Reference],
    limits: tuple[float, float],
    best: DataFrame | None = None,
) -> dict[str, Artist]:
    """Draw the curves and what belongs to them; what a legend has of it, by label."""
    axes.set_ylim(limits)  # first of all: autoscaling to an error of 1e300 overflows
    handles: list[Artist] = [_draw_curve(axes, curve, limits) for curve in curves]
    if best is not None and len(best) > 1:
        label = f"best {'grid' if curves[0].model == KAN else 'width'} that counts"
        handles += axes.plot(best["x"], best["rmse"], label=label, **_ENVELOPE)
    for x, rmse, k in references:
        handles += axes.plot(x, rmse, label=f"slope {_MINUS}{k + 1} (theory)", **REFERENCE)
    handles += _draw_levels(axes, curves) if best is not None else _draw_floors(axes, curves)
    handles += _draw_off_axis(axes, curves, limits) + _keys(curves)
    return {str(handle.get_label()): handle for handle in handles}


def _draw_curve(axes: Axes, curve: Curve, limits: tuple[float, float]) -> Artist:
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
        part = inside[cells["kept"] == (name == "kept")]
        look: dict[str, Any] = curve.look | {"linestyle": "", "markerfacecolor": face, "zorder": 4}
        axes.plot(part["x"], part["rmse"], label=f"_{name}", **look)
    return Line2D([], [], label=curve.label, **curve.line, **curve.look)


def _reference(points: DataFrame, k: int) -> Reference:
    """The line of slope -(k+1) through the geometric mean of `points`, over their range."""
    x, rmse = (np.log(points[name].to_numpy(float)) for name in ("x", "rmse"))
    ends = np.array([x.min(), x.max()])
    return np.exp(ends), np.exp(rmse.mean() - (k + 1) * (ends - x.mean())), k


def _draw_floors(axes: Axes, curves: list[Curve]) -> list[Artist]:
    """The floor of each sweep against size: of one a black line, of several in their colours."""
    floors: dict[bytes, tuple[Any, DataFrame]] = {}
    for data, part in pd.concat([curve.cells for curve in curves]).groupby("data"):
        known = part.dropna(subset=["floor"]).drop_duplicates("x").sort_values("x")
        if len(known):
            line = np.log(known[["x", "floor"]].clip(lower=law.TINY).to_numpy(float))
            floors.setdefault(line.round(9).tobytes(), (data, known))
    colors = {curve.cells["data"].iloc[0]: curve.color for curve in curves}
    for data, known in floors.values():
        color = colors[data] if len(floors) > 1 else "black"
        axes.plot(known["x"], known["floor"], color=color, **FLOOR)
    return [Line2D([], [], color="black", **FLOOR)] if floors else []


def _draw_levels(axes: Axes, curves: list[Curve]) -> list[Artist]:
    """The floor against data size: a level a curve."""
    handles: list[Artist] = []
    for curve in curves:
        for level in curve.cells["floor"].dropna().unique()[:1]:
            handles = [axes.axhline(level, color=curve.color, **FLOOR)]
    return handles


def _draw_off_axis(axes: Axes, curves: list[Curve], limits: tuple[float, float]) -> list[Line2D]:
    """Marks at the upper edge, one below another: cells above it, and cells without an error."""
    bottom, top = limits
    found: dict[str, Line2D] = {}
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
            found[name] = Line2D([], [], color=_GREY, label=name, **look)
    return list(found.values())


def _keys(curves: list[Curve]) -> list[Artist]:
    """Legend entries for what every curve may have: hollow cells, single seeds, the band."""
    keys: list[Artist] = []
    if any((~curve.cells["kept"] & curve.cells["rmse"].notna()).any() for curve in curves):
        hollow: dict[str, Any] = {"linestyle": "", "marker": "o", "markerfacecolor": "white"}
        keys.append(Line2D([], [], color=_GREY, label="hollow: left out of the fit", **hollow))
    if any(curve.seeds["x"].duplicated().any() for curve in curves):
        keys.append(Line2D([], [], color=_GREY, label="single seeds", **_DOTS))
    if any(curve.cells["low"].notna().any() for curve in curves):
        keys.append(Patch(color=_GREY, alpha=0.2, linewidth=0, label="95% band of their mean"))
    return keys


def error_limits(curves: list[Curve], references: list[Reference]) -> tuple[float, float]:
    """Limits of the error axis: all that is drawn, save errors that dwarf those that count."""
    cells = pd.concat([curve.cells for curve in curves])
    seeds = pd.concat([curve.seeds for curve in curves])
    kept = cells[cells["kept"]]
    drawn = [cells["rmse"], cells["floor"], seeds["rmse"], kept["low"], kept["high"]]
    values = np.concatenate([*drawn, *(rmse for _, rmse, _ in references)]).astype(float)
    values = values[np.isfinite(values) & (values > _LOWEST)]
    if not len(values):
        return 0.1, 10.0
    largest = kept["rmse"].max() if len(kept) else np.median(values)
    values = values[values <= _CEILING * largest]
    span = values.max() / values.min()
    margin = max(1.3, span**0.04, (30 / span) ** 0.5)  # a decade at least: one tick has its label
    bottom, top = float(values.min() / margin), float(values.max() * margin)
    marks = (~(cells["rmse"] <= top)).groupby(cells["x"]).sum().max()  # room for them at the edge
    return bottom, top * (top / bottom) ** (_STACKED * float(marks))


def _set_ticks(axes: Axes, sizes: list[int]) -> None:
    """Ticks at the sizes, labelled in plain numbers where these have room."""
    margin = max(1.15, (sizes[-1] / sizes[0]) ** 0.04)
    axes.set_xlim(sizes[0] / margin, sizes[-1] * margin)
    axes.xaxis.set_major_locator(FixedLocator(spaced(sizes)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:.0f}"))
    axes.xaxis.set_minor_locator(FixedLocator(sizes))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())


def spaced(sizes: list[int]) -> list[int]:
    """The two ends and, from above, whatever keeps a label's width from those taken before."""
    span = np.log(sizes[-1] / sizes[0])
    taken = sorted({sizes[0], sizes[-1]})
    for size in reversed(sizes):
        room = [0.02 + 0.011 * len(f"{size}{other}") for other in taken]
        away = [abs(np.log(size / other)) for other in taken]
        if all(a >= r * span and a > 0 for a, r in zip(away, room, strict=True)):
            taken.append(size)
    return sorted(taken)
