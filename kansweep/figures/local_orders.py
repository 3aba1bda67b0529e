"""The orders between neighbouring grids, beside the floor's and the theory's."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from pandas import DataFrame

from kansweep.figures import style
from kansweep.figures.drawn import Drawn, as_written
from kansweep.laws.findings import Study


def local_orders(study: Study, split: str) -> Drawn:
    """Order from each grid to the next, a curve a data size, beside the floor's and the theory's.

    Hollow where a cell of the pair does not count. Of kinds that are on a grid.
    """
    orders = study.orders
    orders = orders[(orders["split"] == split) & np.isfinite(orders["order"].astype(float))]
    theory = -study.curves[0].exponent  # NaN where there is none
    with style.figure(7.2, 4.4) as figure:
        axes = figure.add_subplot(xscale="log")
        handles = _draw_curves(axes, orders)
        handles += _draw_floor(axes, study.floor_orders(study.cells.iloc[0]))
        if np.isfinite(theory):
            axes.axhline(theory, **style.REFERENCE)
            label = f"{study.kind.order} = {theory:g} (theory)"
            handles.append(Line2D([], [], label=label, **style.REFERENCE))
        if not orders["counts"].all():
            hollow: dict[str, Any] = {"marker": "o", "markerfacecolor": "white", "color": "0.4"}
            hollow["linestyle"] = ""
            handles.append(Line2D([], [], label="hollow: a cell is left out", **hollow))
        _limit(axes, orders, theory)
        label = f"order of the {split} RMSE between neighbouring grids"
        axes.set(xlabel="grid size G", ylabel=label, title=style.title(study))
        style.legend_beside(figure, handles)
    beside = ", beside the theory's order and the floor's" if study.kind.has_theory else ""
    caption = (
        f"How fast the {split} RMSE falls from each grid to the next, a curve for each number n of"
        f" training points{beside}. Hollow markers involve a cell that the laws leave out."
    )
    return as_written(f"{split}_local_orders", figure, caption)


def _draw_curves(axes: Axes, orders: DataFrame) -> list[Any]:
    handles: list[Any] = []
    looks = style.looks(sorted(set(orders["n_train"])))
    for (n_train, part), look in zip(orders.groupby("n_train"), looks, strict=True):
        x = np.sqrt((part["size"] * part["next_size"]).to_numpy(float))
        axes.plot(x, part["order"], color=look["color"], linewidth=1.2)
        for counting in (True, False):
            chosen = (part["counts"] == counting).to_numpy(bool)
            face = look["color"] if counting else "white"
            marks = look | {"linestyle": "", "markerfacecolor": face, "zorder": 4}
            axes.plot(x[chosen], part["order"].to_numpy(float)[chosen], **marks)
        handles.append(Line2D([], [], linewidth=1.2, label=f"n = {n_train}", **look))
    return handles


def _draw_floor(axes: Axes, floor: dict[tuple[int, int], float]) -> list[Any]:
    if not floor:
        return []
    x = [np.sqrt(coarse * fine) for coarse, fine in floor]
    return list(axes.plot(x, list(floor.values()), color="black", **style.FLOOR))


def _limit(axes: Axes, orders: DataFrame, theory: float) -> None:
    """Orders of what counts, if anything does, with room about them; what lies far outside is
    cut."""
    counting = orders[orders["counts"].astype(bool)]
    inside = (orders if counting.empty else counting)["order"].astype(float).tolist()
    if np.isfinite(theory):
        inside += [theory - 1.0, theory + 1.0]
    if inside:
        axes.set_ylim(min(inside) - 0.5, max(inside) + 0.5)
    sizes = sorted({*orders["size"], *orders["next_size"]})
    if sizes:
        axes.set_xlim(sizes[0] / 1.1, sizes[-1] * 1.1)
        style.tick_sizes(axes.xaxis, sizes)
    else:
        axes.xaxis.set_major_locator(NullLocator())
        axes.xaxis.set_minor_locator(NullLocator())
