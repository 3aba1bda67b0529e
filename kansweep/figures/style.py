"""The looks that all figures share: fonts, colours and markers, titles, ticks at the sizes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axis import Axis
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from kansweep.laws.findings import Study

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
REFERENCE: dict[Any, Any] = {"linestyle": "--", "linewidth": 1.1, "color": "#d55e00", "zorder": 3}
FLOOR: dict[Any, Any] = {"linestyle": ":", "linewidth": 0.9, "label": "floor: best splines"}
_FEW_DECADES = 30.0  # between the ends of an axis
_MARKERS = "osD^vPX*hp"


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


def layout() -> ConstrainedLayoutEngine:
    """Room about everything that is drawn."""
    return ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)


def escaped(name: Any, longest: int = 1000) -> str:
    """A name as it is, where Matplotlib would read formulas in it; a long one is cut."""
    text = str(name)
    text = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return text.replace("$", r"\$")


def title(study: Study) -> str:
    """What one sweep is of: target, kind, widths, order, knots, seeds, noise."""
    results, kind = study.results, study.kind
    k = study.cells["k"].iloc[0]
    parts = [escaped(results["data"].iloc[0], 45)]  # a formula may be long
    parts += [kind.qualifier] if kind.qualifier else []
    parts += [f"width {width}" for width in study.shapes]
    parts += [f"k = {k:g}"] if k == k else []  # null where there are no splines
    spacing = results["spacing"].iloc[0]
    parts += [f"{spacing} knots"] if spacing in ("adaptive", "quantile") else []
    seeds = results["seed"].nunique()
    parts += [f"{seeds} seed{'s' if seeds > 1 else ''}"]
    noise = results["noise"].max()
    parts += [f"noise {noise:.2g}"] if noise > 0 else []
    return textwrap.fill(", ".join(parts), 50)


def tick_sizes(axis: Axis, sizes: list[int]) -> None:
    """Ticks at the sizes, labelled in plain numbers where these have room."""
    axis.set_major_locator(FixedLocator(spaced(sizes)))
    axis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:.0f}"))
    axis.set_minor_locator(FixedLocator(sizes))
    axis.set_minor_formatter(NullFormatter())


def tick_decades(axis: Axis, low: float, high: float) -> None:
    """Labels at decades or, where there are few, at 1, 2 and 5 of each in plain numbers."""
    axis.set_minor_formatter(NullFormatter())
    if high < _FEW_DECADES * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


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
