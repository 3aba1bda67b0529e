"""The edges of a KAN as a figure: a small panel for each learned function, layer by layer.

Where the target's own function is known in the gauge of the network, as ``matching`` says, it is
dashed above the learned one; ticks at the foot are the knots of its grid. Nodes are named from 1 as
in formulas, ``model.edge`` counts from 0: the inputs are x, the outputs y or what they are called
where there are several, and h with layer and place the hidden nodes between them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.markers import TICKUP
from matplotlib.ticker import MaxNLocator

from kansweep.data.outputs import numbered
from kansweep.data.targets import Target
from kansweep.figures import style
from kansweep.trained import matching
from kansweep.trained.matching import Curve

if TYPE_CHECKING:
    from kansweep.trained.kan import TrainedKAN

_MOST = 28  # panels: more cannot be read on one page
_COLUMNS = 6
_LEAST = 1.2  # inches of a panel
_LETTERS = 12  # of an output's name: more go beyond the panel
_PANEL = (1.75, 1.45)  # inches
_LEARNED: dict[str, Any] = {"linewidth": 1.8, "label": "learned"}
_KNOTS: dict[str, Any] = {
    "linestyle": "none",
    "marker": TICKUP,
    "markersize": 3.5,
    "markeredgewidth": 0.6,
    "color": "0.45",
    "zorder": 1,
    "label": "knots",
}
_TRUE: dict[str, Any] = style.REFERENCE | {"linewidth": 1.4, "label": "target's own function"}


def draw(network: TrainedKAN, target: Target | None = None) -> Figure:
    """The edges of a KAN; of very wide ones only those between the first nodes of each layer."""
    curves = matching.matched(network, target)
    layers = _shown(network.width, curves)
    names = _names(network)
    rows = [row for layer in layers for row in _rows(layer)]
    columns = max(len(row) for row in rows)
    size = (max(4.2, columns * _PANEL[0]), len(rows) * _PANEL[1] + 1.0)
    with style.figure(*size, text=8.0) as figure:
        grid = figure.add_gridspec(len(rows), columns)
        spans = _spans(curves)
        for i, row in enumerate(rows):
            for j, curve in enumerate(row):
                axes = figure.add_subplot(grid[i, j])
                _panel(axes, curve, names, spans[curve.edge.layer, curve.edge.sink])
        style.headline(figure, _title(network, target))
        _legend(figure, _notes(network, curves, sum(map(len, layers))))
    return figure


def _shown(width: tuple[int, ...], curves: Sequence[Curve]) -> list[list[Curve]]:
    """The curves to draw, by layer: of the first nodes where all would be too many."""
    most = max(width)
    if len(curves) > _MOST:
        most = next((m for m in range(most, 1, -1) if _panels(width, m) <= _MOST), 1)
        columns = _columns()
        most -= most % columns if most > columns else 0  # whole rows
    return [
        [
            curve
            for curve in curves
            if curve.edge.layer == layer and max(curve.edge.source, curve.edge.sink) < most
        ]
        for layer in range(len(width) - 1)
    ]


def _panels(width: tuple[int, ...], most: int) -> int:
    return sum(min(a, most) * min(b, most) for a, b in itertools.pairwise(width))


def _rows(layer: Sequence[Curve]) -> list[Sequence[Curve]]:
    """A layer's curves in rows; as many whole nodes a row as it holds, or a node in several."""
    sources = len({curve.edge.source for curve in layer})
    columns = _columns()
    length = columns if sources > columns else columns // sources * sources
    return [layer[i : i + length] for i in range(0, len(layer), length)]


def _columns() -> int:
    return style.across(_LEAST, _COLUMNS)


def _spans(curves: Sequence[Curve]) -> dict[tuple[int, int], float]:
    """The largest range of an edge's values by the node it leads to.

    All edges into a node are drawn at one scale: what hardly matters there looks flat.
    """
    spans: dict[tuple[int, int], float] = {}
    for curve in curves:
        node = curve.edge.layer, curve.edge.sink
        low, high = _range(curve)
        spans[node] = max(spans.get(node, 0.0), high - low)
    return spans


def _range(curve: Curve) -> tuple[float, float]:
    values = curve.learned if curve.true is None else np.append(curve.learned, curve.true)
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)


def _panel(axes: Axes, curve: Curve, names: Sequence[Sequence[str]], span: float) -> None:
    edge = curve.edge
    axes.plot(curve.x, curve.learned, color=style.looks([0])[0]["color"], **_LEARNED)
    if curve.true is not None:
        axes.plot(curve.x, curve.true, **_TRUE)
    foot = np.zeros_like(edge.knots)
    axes.plot(edge.knots, foot, transform=axes.get_xaxis_transform(), **_KNOTS)
    middle = sum(_range(curve)) / 2.0
    size = span if span > 1e-9 * abs(middle) else 1.0 + abs(middle)  # round-off is no shape
    axes.set_ylim(middle - 0.55 * size, middle + 0.55 * size)
    source, sink = names[edge.layer][edge.source], names[edge.layer + 1][edge.sink]
    axes.set_title(
        rf"$\varphi_{{{edge.layer + 1}}}$: {source} $\to$ {sink}",
        pad=style.points(4.0),
        fontsize=style.points(9.0),
    )
    axes.set_xlabel(source, labelpad=style.points(1.0))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=3, steps=[1, 2, 5, 10]))
    axes.tick_params(labelsize=style.points(7.0))


def _names(network: TrainedKAN) -> list[list[str]]:
    """Of all nodes, layer by layer; those without a name of their own from 1 as in formulas."""
    first, *hidden, last = network.width
    return [
        [f"$x_{{{node + 1}}}$" for node in range(first)],
        *([f"$h_{{{i},{node + 1}}}$" for node in range(many)] for i, many in enumerate(hidden, 1)),
        [_output(name) for name in network.outputs or numbered(last)],
    ]


def _output(name: str) -> str:
    if numbers := re.fullmatch(r"y(\d*)", name):
        return f"$y_{{{numbers[1]}}}$" if numbers[1] else "$y$"
    return (name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…").replace("$", r"\$")


def _title(network: TrainedKAN, target: Target | None) -> str:
    name = network.data if target is None else target.name
    parts = [] if name is None else [name.replace("$", r"\$")]
    if parts and len(parts[0]) > 45:  # a formula may be long
        parts = [f"{parts[0][:44]}…"]
    width = "-".join(map(str, network.width))
    return ", ".join([*parts, f"width {width}", f"k = {network.k}", f"G = {network.grid_size}"])


def _notes(network: TrainedKAN, curves: Sequence[Curve], shown: int) -> list[str]:
    """What a reader may miss."""
    dashed = sum(curve.true is not None for curve in curves)
    notes = []
    if 0 < dashed < len(curves):
        notes.append("not dashed: edges that the target does not determine one by one")
    every = _panels(network.width, max(network.width))
    if len(curves) < every:
        notes.append(f"{every - len(curves)} of {every} edges were pruned")
    if shown < len(curves):
        notes.append(f"{len(curves) - shown} of {len(curves)} edges are not shown")
    return notes


def _legend(figure: Figure, notes: Sequence[str]) -> None:
    lines = {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}
    title = "\n".join(notes) or None
    style.legend_along(figure, list(lines.values()), 3, title)
