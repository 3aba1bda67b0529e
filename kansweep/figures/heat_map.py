"""The map of a whole matrix: its errors in figures and in colour."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from pandas import DataFrame

from kansweep.figures import style
from kansweep.figures.drawn import Drawn, as_written
from kansweep.laws.findings import Study

_LEFT_OUT: dict[str, Any] = {"linestyle": "", "marker": "o", "markerfacecolor": "none"}
_BEST: dict[Any, Any] = {"edgecolor": "black", "facecolor": "none", "linewidth": 2.0}
_EDGE: dict[Any, Any] = {"color": "#d55e00", "linewidth": 2.0, "linestyle": "--"}
_LONGEST = 4.4  # of its size: the width of a number
_FAILED = "failed"
_SPAN = 1e20  # of colours: an error that overflowed has the last one


def heat_map(study: Study, split: str) -> Drawn:
    """RMSE of every data size and size, in figures and colour, the best of each row framed.

    A line parts the cells with more parameters than points from the others.
    """
    cells, kind = study.cells, study.kind
    errors = cells.pivot(index="n_train", columns="size", values=f"{split}_rmse")
    size = (2.4 + 0.85 * errors.shape[1], 1.9 + 0.5 * errors.shape[0])
    with style.figure(max(size[0], 5.2), size[1]) as figure:
        axes = figure.add_subplot()
        look = _numbers_look(figure, errors)
        norm = _colours(figure, axes, errors.to_numpy(float), f"{split} RMSE")
        _label_axes(axes, errors, f"{kind.size} {kind.symbol}", style.title(study))
        _annotate(axes, cells, errors, split, norm, look)
        handles = _mark_best(axes, errors, study.best_sizes[split], kind.best)
        handles += _mark_parameters(axes, cells, errors)
        if not cells["counts"].all():
            handles.append(Line2D([], [], color="0.3", label="left out of fits", **_LEFT_OUT))
        style.legend_along(figure, handles, 3)
    caption = (
        f"{split.capitalize()} RMSE of every data size and {kind.size}, geometric means over seeds."
        " A frame marks the least of each data size, a ring what the laws leave out; beyond the"
        " dashed line a network has more parameters than points."
    )
    return as_written(f"{split}_rmse_map", figure, caption)


def _colours(figure: Figure, axes: Axes, errors: NDArray[np.float64], label: str) -> LogNorm:
    finite = errors[np.isfinite(errors) & (errors > 0)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.1, 1.0)
    norm = LogNorm(low, min(max(high, low * 10), low * _SPAN))
    edges = [np.arange(length + 1) - 0.5 for length in errors.shape[::-1]]
    mesh = axes.pcolormesh(*edges, errors, norm=norm, cmap="cividis")
    bar = figure.colorbar(mesh, ax=axes, label=label)
    if bar.solids is not None:  # shapes, no picture: a page that allows none shows it too
        bar.solids.set(rasterized=False, edgecolor="face")
    return norm


def _label_axes(axes: Axes, errors: DataFrame, label: str, title: str) -> None:
    axes.set_xticks(range(errors.shape[1]), [str(size) for size in errors.columns])
    axes.set_yticks(range(errors.shape[0]), [str(n) for n in errors.index])
    axes.set(xlabel=label, ylabel="training points n", title=title)
    axes.tick_params(length=0)


def _numbers_look(figure: Figure, errors: DataFrame) -> dict[str, Any]:
    """How a cell's number is written: upright in higher rows where cells are narrow."""
    beside = style.points(100.0)  # the numbers of points, and the colours
    room = (72.0 * figure.get_figwidth() - beside) / errors.shape[1]
    size = min(style.points(8.0), room / _LONGEST)
    if size > style.points(5.5):
        return {"fontsize": size}
    size = min(style.points(7.0), room / 1.2)
    row = 1.1 * _LONGEST * size / 72.0
    figure.set_figheight(style.points(1.6) + row * errors.shape[0])
    return {"fontsize": size, "rotation": 90.0}


def _annotate(
    axes: Axes,
    cells: DataFrame,
    errors: DataFrame,
    split: str,
    norm: LogNorm,
    look: dict[str, Any],
) -> None:
    above = 0.44 if "rotation" in look else 0.3
    axes.tick_params(axis="x", labelrotation=look.get("rotation", 0.0))
    for _, cell in cells.iterrows():
        x, y = _place(errors, cell["n_train"], cell["size"])
        value = cell[f"{split}_rmse"]
        text = f"{value:.1e}".replace("e-0", "e-") if np.isfinite(value) else _FAILED
        dark = np.isfinite(value) and norm(value) < 0.5
        color = "white" if dark else "black"
        axes.text(x, y, text, ha="center", va="center", color=color, **look)
        if not cell["counts"]:
            axes.plot([x + 0.38], [y + above], color=color, markersize=4.0, **_LEFT_OUT)


def _place(errors: DataFrame, n_train: Any, size: Any) -> tuple[int, int]:
    return list(errors.columns).index(size), list(errors.index).index(n_train)


def _mark_best(axes: Axes, errors: DataFrame, best: DataFrame, label: str) -> list[Any]:
    for n_train, size in zip(best["n_train"], best["size"], strict=True):
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
