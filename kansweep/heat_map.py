"""Figures of a whole matrix: its errors as a map, and the orders between neighbouring grids.

They complete those of ``plot``, whose looks they share; drawn from what ``law`` says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator
from pandas import DataFrame

from kansweep import cells as law
from kansweep import curves as plot
from kansweep import kinds
from kansweep.kinds import KAN, KINDS

_LEFT_OUT: dict[str, Any] = {"linestyle": "", "marker": "o", "markerfacecolor": "none"}
_BEST: dict[Any, Any] = {"edgecolor": "black", "facecolor": "none", "linewidth": 2.0}
_EDGE: dict[Any, Any] = {"color": "#d55e00", "linewidth": 2.0, "linestyle": "--"}
_FAILED = "failed"


def heat_map(results: DataFrame, split: str, rules: law.Rules = law.DEFAULT) -> Figure:
    """RMSE of every data and grid size, or width, in figures and colour, the best of each row
    framed.

    A line parts the cells with more parameters than points from the others.
    """
    cells = law.classify(results, rules)
    errors = cells.pivot(index="n_train", columns="size", values=f"{split}_rmse")
    results, kind = law.complete(results), kinds.of(cells)
    size = (2.4 + 0.85 * errors.shape[1], 1.9 + 0.5 * errors.shape[0])
    with matplotlib.rc_context(plot.STYLE):
        figure = Figure(figsize=(max(size[0], 5.2), size[1]), layout=plot.layout())
        axes = figure.add_subplot()
        shown = errors.to_numpy(float)
        finite = shown[np.isfinite(shown) & (shown > 0)]
        low, high = (finite.min(), finite.max()) if finite.size else (0.1, 1.0)
        norm = LogNorm(low, max(high, low * 10))
        edges = [np.arange(length + 1) - 0.5 for length in shown.shape[::-1]]
        mesh = axes.pcolormesh(*edges, shown, norm=norm, cmap="cividis")
        bar = figure.colorbar(mesh, ax=axes, label=f"{split} RMSE")
        if bar.solids is not None:  # shapes, no picture: a page that allows none shows it too
            bar.solids.set(rasterized=False, edgecolor="face")
        _label_axes(axes, errors, f"{kind.size} {kind.symbol}", plot.title(results))
        _annotate(axes, cells, errors, split, norm)
        best = "best grid" if kind is KINDS[KAN] else f"best {kind.size}"
        handles = _mark_best(axes, errors, best) + _mark_parameters(axes, cells, errors)
        if not cells["counts"].all():
            handles.append(Line2D([], [], color="0.3", label="left out of fits", **_LEFT_OUT))
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _label_axes(axes: Axes, errors: DataFrame, label: str, title: str) -> None:
    axes.set_xticks(range(errors.shape[1]), [str(size) for size in errors.columns])
    axes.set_yticks(range(errors.shape[0]), [str(n) for n in errors.index])
    axes.set(xlabel=label, ylabel="training points n", title=title)
    axes.tick_params(length=0)


def _annotate(axes: Axes, cells: DataFrame, errors: DataFrame, split: str, norm: LogNorm) -> None:
    for _, cell in cells.iterrows():
        x, y = _place(errors, cell["n_train"], cell["size"])
        value = cell[f"{split}_rmse"]
        told = f"{value:.1e}".replace("e-0", "e-") if np.isfinite(value) else _FAILED
        dark = np.isfinite(value) and norm(value) < 0.5
        color = "white" if dark else "black"
        axes.text(x, y, told, ha="center", va="center", color=color, fontsize=8.0)
        if not cell["counts"]:
            axes.plot([x + 0.38], [y + 0.3], color=color, markersize=4.0, **_LEFT_OUT)


def _place(errors: DataFrame, n_train: Any, size: Any) -> tuple[int, int]:
    return list(errors.columns).index(size), list(errors.index).index(n_train)


def _mark_best(axes: Axes, errors: DataFrame, label: str) -> list[Any]:
    best = errors.dropna(how="all").idxmin(axis=1)
    for n_train, size in best.items():
        x, y = _place(errors, n_train, size)
        axes.add_patch(Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, **_BEST))
    return [Rectangle((0, 0), 1, 1, label=label, **_BEST)] if len(best) else []


def _mark_parameters(axes: Axes, cells: DataFrame, errors: DataFrame) -> list[Any]:
    """The line between cells with fewer and with more parameters than points."""
    more = cells.assign(more=cells["n_params"] > cells["n_train"])
    above = more.pivot(index="n_train", columns="size", values="more").fillna(False)
    edge = (~above.to_numpy(bool)).sum(axis=1) - 0.5  # a row's first such cell begins there
    if not above.to_numpy(bool).any() or above.to_numpy(bool).all():
        return []
    x = np.repeat(edge, 2)
    y = np.concatenate([[row - 0.5, row + 0.5] for row in range(len(edge))])
    axes.plot(x, y, **_EDGE)
    axes.set_xlim(-0.5, errors.shape[1] - 0.5)
    axes.set_ylim(-0.5, errors.shape[0] - 0.5)
    return [Line2D([], [], label="n_params = n_train", **_EDGE)]


def local_orders(results: DataFrame, split: str, rules: law.Rules = law.DEFAULT) -> Figure:
    """Order from each grid to the next, a curve a data size, beside the floor's and the theory's.

    Hollow where a cell of the pair does not count. Of KANs alone.
    """
    orders = law.observed_orders(results, rules)
    orders = orders[(orders["split"] == split) & np.isfinite(orders["order"].astype(float))]
    cells = law.classify(results, rules)
    theory = int(cells["k"].iloc[0]) + 1
    with matplotlib.rc_context(plot.STYLE):
        figure = Figure(figsize=(7.2, 4.4), layout=plot.layout())
        axes = figure.add_subplot(xscale="log")
        looks = plot.looks(sorted(set(orders["n_train"])))
        handles: list[Any] = []
        for (n_train, part), look in zip(orders.groupby("n_train"), looks, strict=True):
            x = np.sqrt((part["size"] * part["next_size"]).to_numpy(float))
            axes.plot(x, part["order"], color=look["color"], linewidth=1.2)
            for kept in (True, False):
                mine = (part["counts"] == kept).to_numpy(bool)
                face = look["color"] if kept else "white"
                marks = look | {"linestyle": "", "markerfacecolor": face, "zorder": 4}
                axes.plot(x[mine], part["order"].to_numpy(float)[mine], **marks)
            handles.append(Line2D([], [], linewidth=1.2, label=f"n = {n_train}", **look))
        handles += _floor_orders(axes, law.floor_orders(cells))
        axes.axhline(theory, **plot.REFERENCE)
        handles.append(Line2D([], [], label=f"k + 1 = {theory} (theory)", **plot.REFERENCE))
        if not orders["counts"].all():
            hollow: dict[str, Any] = {"marker": "o", "markerfacecolor": "white", "color": "0.4"}
            hollow["linestyle"] = ""
            handles.append(Line2D([], [], label="hollow: a cell is left out", **hollow))
        _limit(axes, orders, theory)
        label = f"order of the {split} RMSE between neighbouring grids"
        axes.set(xlabel="grid size G", ylabel=label, title=plot.title(law.complete(results)))
        figure.legend(handles=handles, loc="outside right upper", alignment="left")
    return figure


def _floor_orders(axes: Axes, floor: dict[tuple[int, int], float]) -> list[Any]:
    if not floor:
        return []
    x = [np.sqrt(coarse * fine) for coarse, fine in floor]
    return list(axes.plot(x, list(floor.values()), color="black", **plot.FLOOR))


def _limit(axes: Axes, orders: DataFrame, theory: int) -> None:
    """Orders of what counts, with room about them; what lies far outside is cut."""
    inside = orders.loc[orders["counts"], "order"].astype(float)
    low, high = min([theory - 1.0, *inside]), max([theory + 1.0, *inside])
    axes.set_ylim(low - 0.5, high + 0.5)
    sizes = sorted({*orders["size"], *orders["next_size"]})
    if sizes:
        axes.set_xlim(sizes[0] / 1.1, sizes[-1] * 1.1)
    axes.xaxis.set_major_locator(FixedLocator(plot.spaced(sizes)) if sizes else NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:.0f}"))
    axes.xaxis.set_minor_locator(FixedLocator(sizes))
    axes.xaxis.set_minor_formatter(NullFormatter())


def measured_orders(laws: DataFrame, margin: float = law.DEFAULT.margin) -> Figure:
    """Measured against predicted order: the exponents of several sweeps with their intervals.

    ``laws`` as ``law.fit_laws`` gives them, against grid size, each sweep's name in ``data``.
    """
    fitted = laws[(laws["x"] == "grid_size") & laws["exponent"].notna()]
    with matplotlib.rc_context(plot.STYLE):
        figure = Figure(figsize=(6.4, 4.8), layout=plot.layout())
        axes = figure.add_subplot()
        theories = sorted({-theory for theory in laws["theory"]})
        ends = np.array([theories[0] - 0.6, theories[-1] + 0.6])
        handles: list[Any] = axes.plot(ends, ends, label="theory: k + 1", **plot.REFERENCE)
        band = axes.fill_between(
            ends, ends - margin, ends + margin, color="0.9", label=f"theory ± {margin:g}"
        )
        handles.append(band)
        shift = dict(zip(law.SPLITS, (-0.08, 0.08), strict=True))
        for split, look in zip(law.SPLITS, plot.looks(law.SPLITS), strict=True):
            part = fitted[fitted["split"] == split]
            middle = -part["exponent"]
            error = [middle + part["ci_high"], -part["ci_low"] - middle]
            x = -part["theory"] + shift[split]
            axes.errorbar(x, middle, np.abs(error), capsize=3.0, linestyle="", **look)
            handles.append(Line2D([], [], linestyle="", label=f"{split} RMSE", **look))
        axes.set_xticks(theories)
        axes.set(xlabel="predicted order k + 1", ylabel="measured order, with 95% interval")
        figure.legend(handles=handles, loc="outside right upper", alignment="left")
    return figure


def draw(
    results: DataFrame, splits: Iterable[str], rules: law.Rules = law.DEFAULT
) -> dict[str, Figure]:
    """The map and, of a KAN, the local orders of every split, by name."""
    makers = {"rmse_map": heat_map, "local_orders": local_orders}
    if kinds.any_mlp(results):
        del makers["local_orders"]
    return {
        f"{split}_{name}": make(results, split, rules)
        for split in splits
        for name, make in makers.items()
    }
