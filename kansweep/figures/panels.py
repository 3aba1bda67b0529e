"""Small multiples: kinds of networks beside each other on several targets, a panel a target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

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
_LEAST, _LETTER = 1.9, 0.06  # inches: of a panel, and of a letter above it
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
    heads = {target: _exponents(curves, roles) for target, curves in panels.items()}
    longest = max((len(line) for lines in heads.values() for line in lines), default=0)
    across = style.across(max(_LEAST, _LETTER * longest), min(len(panels), MOST_ACROSS))
    down = -(-len(panels) // across)
    handles: dict[str, Artist] = {}
    with style.figure(2.9 * across, 2.8 * down + 0.9) as figure:
        grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, (target, curves) in zip(grid, drawn.items(), strict=False):
            axes.set(xscale="log", yscale="log")
            handles = fill(axes, curves, _references(curves), limits) | handles
            name = style.escaped(target, min(30, style.letters(across, 10.0)))
            style.head(axes, name, heads[target])
        counts = [len(lines) for lines in heads.values()]
        rows = range(0, len(counts), across)
        style.make_room(figure, sum(max(counts[i : i + across]) for i in rows))
        _share_axes(list(grid), everything)
        _label_edges(list(grid), len(panels), across, labels)
        order = [*words, *(label for label in handles if label not in looks)]
        style.legend_along(figure, [handles[label] for label in order], across, _TITLE)
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


def _share_axes(grid: list[Axes], curves: list[PlottedCurve]) -> None:
    sizes = sorted({x for curve in curves for x in curve.cells["x"]})
    for axes in grid:
        axes.set_xlim(sizes[0] / 1.4, sizes[-1] * 1.4)
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        if sizes[-1] < _FEW_DECADES * sizes[0]:  # there may be no power of ten to label
            axes.xaxis.set_major_locator(FixedLocator([sizes[0], sizes[-1]]))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:.0f}"))
