"""Figures read back from their artists: what is drawn, what is written, and whether it fits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

MINUS = "\N{MINUS SIGN}"


def legend(figure: Figure) -> list[str]:
    """The entries of the one legend."""
    return [text.get_text() for text in figure.legends[0].get_texts()]


def lines(axes: Axes, label: str) -> list[Line2D]:
    return [line for line in axes.lines if line.get_label() == label]


def visible(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_visible()]


def texts(axes: Axes) -> dict[tuple[float, float], str]:
    return {text.get_position(): text.get_text() for text in axes.texts}


def laid_out(figure: Figure) -> RendererBase:
    """The renderer of a figure that is laid out, by which its boxes are measured."""
    canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    return canvas.get_renderer()


def on_page(figure: Figure, boxes: Sequence[Bbox], slack: float) -> bool:
    """Whether boxes are within the figure, but for so many pixels."""
    page = figure.bbox
    return all(
        min(box.x0, box.y0) >= -slack and box.x1 <= page.x1 + slack and box.y1 <= page.y1 + slack
        for box in boxes
    )


def tick_boxes(axis: Axis, renderer: RendererBase) -> list[Bbox]:
    """Of the major ticks' labels within the axis, in their order."""
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [tick.label1.get_window_extent(renderer) for tick in ticks]


def apart(boxes: Sequence[Bbox]) -> bool:
    """Whether no box overlaps the next."""
    return not any(first.overlaps(second) for first, second in pairwise(boxes))
