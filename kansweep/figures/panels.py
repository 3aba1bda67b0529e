"""Small multiples: kinds of networks beside each other on several targets, a panel a target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from kansweep.figures import style
from kansweep.figures.curves import (
    AXES,
    MARKERS,
    PlottedCurve,
    by_sweep,
    error_limits,
    fill,
    plotted,
)
from kansweep.figures.drawn import Drawn, as_written
from kansweep.laws.cells import SPLITS
from kansweep.laws.findings import Study
from kansweep.laws.references import Reference

MOST_ACROSS = 3
_LINE = 10.5  # points from one line above a panel to the next
_TEXT = 8.0
_FEW_DECADES = 30.0
_TITLE = "each by its largest data size; above a panel: exponent [95% interval]"


def wanted(study: Study) -> bool:
    """Whether several kinds of networks stand on several targets: too many curves for one panel."""
    return bool(study.results["model"].nunique() > 1 and study.results["target"].nunique() > 1)


def draw(study: Study, splits: Iterable[str] = SPLITS) -> list[Drawn]:
    """The figures of several sweeps, RMSE against what all kinds have: a panel a target.

    As `scaling.draw_together`, each sweep by its largest data size, with its target in the column
    `target`. Above each panel stands the exponent of every curve in it.
    """
    largest = study.largest()
    targets = dict(zip(largest.results["data"], largest.results["target"], strict=True))
    drawn = []
    for split in splits:
        panels: dict[str, list[PlottedCurve]] = {}
        for curve in plotted(largest, split, by_sweep(study.x)):
            panels.setdefault(targets[curve.sweep], []).append(curve)
        labels = AXES[study.x].label, f"{split} RMSE"
        with matplotlib.rc_context(style.STYLE):
            figure = _figure(dict(sorted(panels.items())), labels)
        caption = (
            f"{split.capitalize()} RMSE against {AXES[study.x].words}, a panel for each target and"
            " a curve for each sweep at its largest number of training points."
            f" {MARKERS} Filled ones are what the laws rest on."
        )
        drawn.append(as_written(f"{split}_rmse_vs_{study.x}", figure, caption))
    return drawn


def _figure(panels: dict[str, list[PlottedCurve]], labels: tuple[str, str]) -> Figure:
    roles = _roles(panels)
    words = sorted(set(roles.values()))
    looks = dict(zip(words, style.looks(words), strict=True))
    drawn = {
        target: [_in_role(curve, roles[curve.sweep], looks) for curve in curves]
        for target, curves in panels.items()
    }
    everything = [curve for curves in drawn.values() for curve in curves]
    limits = error_limits(everything, _references(everything))
    across = min(len(panels), MOST_ACROSS)
    down = -(-len(panels) // across)
    figure = Figure(figsize=(2.9 * across, 2.8 * down + 0.9), layout=style.layout())
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    handles: dict[str, Artist] = {}
    for axes, (target, curves) in zip(grid, drawn.items(), strict=False):
        axes.set(xscale="log", yscale="log")
        handles = fill(axes, curves, _references(curves), limits) | handles
        _head(axes, target, _exponents(panels[target], roles))
    _share_axes(list(grid), everything)
    _label_edges(list(grid), len(panels), across, labels)
    order = [*words, *(label for label in handles if label not in looks)]
    handled = [handles[label] for label in order]
    figure.legend(handles=handled, loc="outside lower center", ncols=across, title=_TITLE)
    return figure


def _references(curves: list[PlottedCurve]) -> list[Reference]:
    return [line for curve in curves for line in curve.references]


def _label_edges(grid: list[Axes], count: int, across: int, labels: tuple[str, str]) -> None:
    """Hide what holds no panel, and label what stands at the edge alone."""
    for i, axes in enumerate(grid):
        axes.set_visible(i < count)
        lowest = i + across >= count  # nothing is drawn below it
        axes.tick_params(axis="x", labelbottom=lowest)
        axes.set_xlabel(labels[0] if lowest else "")
        axes.set_ylabel("" if i % across else labels[1])


def _roles(panels: dict[str, list[PlottedCurve]]) -> dict[str, str]:
    """What every sweep is in its panel, by its name: the same words in all panels."""
    everything = [curve for curves in panels.values() for curve in curves]
    orders: dict[str, set[str]] = {}  # of splines, by kind; 'nan' where it has none
    for curve in everything:
        orders.setdefault(curve.kind.name, set()).add(f"{curve.k:g}")
    roles = {}
    for curves in panels.values():
        seen: Counter[str] = Counter()
        for curve in curves:
            several = len(orders[curve.kind.name]) > 1
            role = f"{curve.kind.title}{f', k = {curve.k:g}' if several else ''}"
            seen[role] += 1
            roles[curve.sweep] = role if seen[role] == 1 else f"{role} ({seen[role]})"
    return roles


def _in_role(curve: PlottedCurve, role: str, looks: dict[str, dict[str, Any]]) -> PlottedCurve:
    return replace(curve, name=role, law="", look=looks[role])


def _exponents(curves: list[PlottedCurve], roles: dict[str, str]) -> list[str]:
    """The exponent of every curve of a panel, named by its role where this says which it is."""
    numbered = any(role.endswith(")") for role in roles.values())
    return [
        f"{style.escaped(curve.sweep, 20) if numbered else roles[curve.sweep]}: {curve.law}"
        for curve in curves
        if curve.law
    ]


def _head(axes: Axes, target: str, lines: list[str]) -> None:
    """The panel's title, and under it lines of text: nothing of them stands among the curves."""
    for i, line in enumerate(reversed(lines)):
        at: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
        axes.annotate(line, (0.0, 1.0), xytext=(0.0, 4.0 + _LINE * i), fontsize=_TEXT, **at)
    axes.set_title(style.escaped(target, 30), loc="left", pad=7.0 + _LINE * len(lines))


def _share_axes(grid: list[Axes], curves: list[PlottedCurve]) -> None:
    sizes = sorted({x for curve in curves for x in curve.cells["x"]})
    for axes in grid:
        axes.set_xlim(sizes[0] / 1.4, sizes[-1] * 1.4)
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        if sizes[-1] < _FEW_DECADES * sizes[0]:  # there may be no power of ten to label
            axes.xaxis.set_major_locator(FixedLocator([sizes[0], sizes[-1]]))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:.0f}"))
