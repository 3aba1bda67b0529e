"""Small multiples: KANs beside MLPs on several targets, a panel a target, with axes in common."""

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
from pandas import DataFrame

from kansweep import cells as law
from kansweep import curves as plot
from kansweep import kinds
from kansweep.curves import Curve
from kansweep.kinds import KAN, KINDS

MOST_ACROSS = 3
_LINE = 10.5  # points from one line above a panel to the next
_TEXT = 8.0
_FEW_DECADES = 30.0
_TITLE = "each by its largest data size; above a panel: exponent [95% interval]"


def wanted(results: DataFrame) -> bool:
    """Whether both kinds of model stand on several targets: too many curves for one panel."""
    both = kinds.any_mlp(results) and not (results["model"] == kinds.MLP).all()
    return both and results["target"].nunique() > 1


def draw(
    results: DataFrame,
    laws: DataFrame,
    rules: law.Rules = law.DEFAULT,
    splits: Iterable[str] = law.SPLITS,
) -> dict[str, Figure]:
    """The figures of several sweeps by name, RMSE against parameters: a panel a target.

    As `plot.draw_together`, each sweep by its largest data size, with its target in the column
    `target`. Above each panel stands the exponent of every curve in it.
    """
    targets = dict(zip(results["data"], results["target"], strict=True))
    figures = {}
    for split in splits:
        curves = plot.by_sweep(results, laws, rules, "n_params", split)
        panels: dict[str, list[Curve]] = {}
        for curve in curves:
            panels.setdefault(targets[_sweep(curve)], []).append(curve)
        with matplotlib.rc_context(plot.STYLE):
            figures[f"{split}_rmse_vs_n_params"] = _figure(dict(sorted(panels.items())), split)
    return figures


def _sweep(curve: Curve) -> str:
    return str(curve.cells["data"].iloc[0])


def _figure(panels: dict[str, list[Curve]], split: str) -> Figure:
    roles = _roles(panels)
    words = sorted(set(roles.values()))
    looks = dict(zip(words, plot.looks(words), strict=True))
    drawn = {
        target: [_in_role(curve, roles[_sweep(curve)], looks) for curve in curves]
        for target, curves in panels.items()
    }
    everything = [curve for curves in drawn.values() for curve in curves]
    limits = plot.error_limits(everything, plot.references(everything))
    across = min(len(panels), MOST_ACROSS)
    down = -(-len(panels) // across)
    figure = Figure(figsize=(2.9 * across, 2.8 * down + 0.9), layout=plot.layout())
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    handles: dict[str, Artist] = {}
    for axes, (target, curves) in zip(grid, drawn.items(), strict=False):
        axes.set(xscale="log", yscale="log")
        handles = plot.fill(axes, curves, plot.references(curves), limits) | handles
        _head(axes, target, _told(panels[target], roles))
    _share_axes(list(grid), everything)
    for i, axes in enumerate(grid):
        axes.set_visible(i < len(panels))
        lowest = i + across >= len(panels)  # nothing is drawn below it
        axes.tick_params(axis="x", labelbottom=lowest)
        axes.set_xlabel("trainable parameters P" if lowest else "")
        axes.set_ylabel("" if i % across else f"{split} RMSE")
    order = [*words, *(label for label in handles if label not in looks)]
    handled = [handles[label] for label in order]
    figure.legend(handles=handled, loc="outside lower center", ncols=across, title=_TITLE)
    return figure


def _roles(panels: dict[str, list[Curve]]) -> dict[str, str]:
    """What every sweep is in its panel, by its name: the same words in all panels."""
    orders = {curve.k for curves in panels.values() for curve in curves if curve.model == KAN}
    roles = {}
    for curves in panels.values():
        seen: Counter[str] = Counter()
        for curve in curves:
            several = curve.model == KAN and len(orders) > 1
            role = f"{KINDS[curve.model].name}{f', k = {curve.k:g}' if several else ''}"
            seen[role] += 1
            roles[_sweep(curve)] = role if seen[role] == 1 else f"{role} ({seen[role]})"
    return roles


def _in_role(curve: Curve, role: str, looks: dict[str, dict[str, Any]]) -> Curve:
    return replace(curve, name=role, law="", look=looks[role])


def _told(curves: list[Curve], roles: dict[str, str]) -> list[str]:
    """The exponent of every curve of a panel, named by its role where this says which it is."""
    numbered = any(role.endswith(")") for role in roles.values())
    return [
        f"{plot.escaped(_sweep(curve), 20) if numbered else roles[_sweep(curve)]}: {curve.law}"
        for curve in curves
        if curve.law
    ]


def _head(axes: Axes, target: str, told: list[str]) -> None:
    """The panel's title, and under it lines of text: nothing of them stands among the curves."""
    for i, line in enumerate(reversed(told)):
        at: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
        axes.annotate(line, (0.0, 1.0), xytext=(0.0, 4.0 + _LINE * i), fontsize=_TEXT, **at)
    axes.set_title(plot.escaped(target, 30), loc="left", pad=7.0 + _LINE * len(told))


def _share_axes(grid: list[Axes], curves: list[Curve]) -> None:
    sizes = sorted({x for curve in curves for x in curve.cells["x"]})
    for axes in grid:
        axes.set_xlim(sizes[0] / 1.4, sizes[-1] * 1.4)
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        if sizes[-1] < _FEW_DECADES * sizes[0]:  # there may be no power of ten to label
            axes.xaxis.set_major_locator(FixedLocator([sizes[0], sizes[-1]]))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:.0f}"))
