"""The best sizes: RMSE along them against data, and all cells against cost with what is least."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter
from pandas import DataFrame

from kansweep.figures import style
from kansweep.figures.drawn import Drawn, as_written
from kansweep.laws.findings import Study
from kansweep.laws.notation import TIMES, exponent

_ENVELOPE: dict[Any, Any] = {"color": "#d55e00", "linewidth": 2.2, "zorder": 4}
_LEAST = 2.2  # inches of a panel
_LONGEST = 12  # letters at a best size
_COSTS = {"cost": f"parameters {TIMES} points, P n", "seconds": "seconds to get there"}


def wanted(study: Study) -> bool:
    """Whether the list of sizes goes beyond the best of any data size."""
    return bool((study.frontier.best["edge"] == "").any())


def frontier(study: Study) -> Drawn:
    """Test RMSE of one sweep against data at the best sizes, and against both costs."""
    found = study.frontier
    costs = [name for name in _COSTS if found.costs[name].notna().all()]
    columns = style.across(_LEAST, 1 + len(costs))
    rows = -(-(1 + len(costs)) // columns)
    row = 3.4 if rows == 1 else 2.4
    with style.figure(3.6 * columns, row * rows + 0.8) as figure:
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
        panels, unused = grid[: 1 + len(costs)], grid[1 + len(costs) :]
        most = style.letters(columns, 7.0) // _LONGEST
        handles = _along_data(panels[0], found.best, _law(found.laws, "n_train"), most)
        for axes, name in zip(panels[1:], costs, strict=True):
            drawn = _against_cost(axes, found.costs, name, _law(found.laws, name))
            handles += drawn if name == costs[0] else []
        for axes in unused:
            axes.remove()
        for axes in panels:
            axes.set(xscale="log", yscale="log")
            axes.yaxis.set_minor_formatter(NullFormatter())
        for axes, name in zip(panels[1:], costs, strict=True):
            style.tick_decades(axes.xaxis, *found.costs[name].agg(["min", "max"]))
        style.tick_sizes(panels[0].xaxis, sorted(found.best["n_train"]))
        panels[0].set(xlabel="training points n", ylabel="test RMSE")
        style.headline(figure, style.title(study))
        style.legend_along(figure, handles, 4)
    caption = (
        "Test RMSE at the best size of each number n of training points, the smallest within a"
        " tenth of a seed's least error, and of all cells against what they cost, all of them"
        " geometric means over seeds; hollow where the best is at the edge of the list of sizes."
        " The heavy line is the lower envelope."
    )
    return as_written("test_frontier", figure, caption)


def _law(laws: DataFrame, x: str) -> str:
    """The exponent of the error along the best sizes, as the title of a panel."""
    law = laws[(laws["of"] == "rmse") & (laws["x"] == x)]
    return f"exponent {exponent(law.iloc[0])}" if len(law) else "no law"


def _along_data(axes: Axes, best: DataFrame, title: str, most: int) -> list[Any]:
    """The best sizes, of which at most so many say what they are."""
    told = best.index[:: -(-len(best) // most)]
    axes.plot(best["n_train"], best["rmse"], color="0.6", linewidth=1.0)
    look: dict[str, Any] = {"linestyle": "", "marker": "o", "color": "black"}
    handles: list[Any] = []
    for edge, part in best.groupby(best["edge"] != ""):
        look["label"] = "best size at the edge of the list" if edge else "best size"
        look["markerfacecolor"] = "white" if edge else "black"
        handles += axes.plot(part["n_train"], part["rmse"], **look)
        for _, row in part[part.index.isin(told)].iterrows():
            text = f"P/n = {row['per_point']:.2g}"
            at: dict[str, Any] = {"xytext": (5.0, 4.0), "textcoords": "offset points"}
            axes.annotate(text, (row["n_train"], row["rmse"]), fontsize=style.points(7.0), **at)
    axes.set_title(f"along the best sizes:\n{title}", fontsize=style.points(9.0))
    return handles


def _against_cost(axes: Axes, costs: DataFrame, name: str, title: str) -> list[Any]:
    looks = style.looks(sorted(set(costs["n_train"])))
    handles: list[Any] = []
    for (n_train, part), look in zip(costs.groupby("n_train"), looks, strict=True):
        part = part.sort_values("size")
        small = look | {"markersize": 0.6 * look["markersize"]}
        axes.plot(part[name], part["rmse"], linewidth=0.8, **small)
        handles.append(Line2D([], [], linewidth=0.8, label=f"n = {n_train}", **small))
    lowest = costs[costs[f"envelope_{name}"]].sort_values(name)
    handles += axes.plot(lowest[name], lowest["rmse"], label="lower envelope", **_ENVELOPE)
    axes.set(xlabel=_COSTS[name])
    axes.set_title(f"along the best sizes:\n{title}", fontsize=style.points(9.0))
    return handles
