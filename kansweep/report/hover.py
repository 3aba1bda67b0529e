"""What a browser shows where the pointer is on a marker: its curve, as a legend names it, and its
numbers, as the axes call them."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from kansweep.laws.notation import printable


def marked(drawing: Figure) -> dict[str, list[str]]:
    """What the markers of every line say of themselves, by the id that the line has got for it."""
    told: dict[str, list[str]] = {}
    for axes in drawing.axes:
        is_map = any(isinstance(each, QuadMesh) for each in axes.collections)
        for line in () if is_map else axes.lines:  # in the cells of a map, which are numbered
            if line.get_marker() not in ("", "None", None) and line.get_linestyle() == "None":
                identity = f"marks{len(told)}"
                line.set_gid(identity)
                told[identity] = _markers(drawing, axes, line)
    return told


def _markers(drawing: Figure, axes: Axes, line: Line2D) -> list[str]:
    """A text a marker that is drawn."""
    sides = [
        next(filter(None, (label(each) for each in shared.get_siblings(axes))), "")
        for label, shared in (
            (Axes.get_ylabel, axes.get_shared_y_axes()),
            (Axes.get_xlabel, axes.get_shared_x_axes()),
        )
    ]
    points = np.column_stack([np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata())])
    shown = points[np.isfinite(points.astype(float)).all(axis=1)]
    name = _curve(drawing, axes, line)
    of = f"{name}: " if name else ""
    return [f"{of}{sides[0]} {y:.3g} at {sides[1]} {x:.4g}" for x, y in shown]


def _curve(drawing: Figure, axes: Axes, line: Line2D) -> str:
    """What a legend calls the colour of a line, that of its row of axes before that of the page;
    '' where none does, or two entries do that have its marker as well."""
    row = axes.get_shared_y_axes().get_siblings(axes)
    for legends in ([each.get_legend() for each in row], drawing.legends):
        entries = [entry for legend in legends if legend for entry in _entries(legend)]
        named = {words: mark for color, mark, words in entries if color == to_hex(line.get_color())}
        if len(named) > 1:
            named = {words: mark for words, mark in named.items() if mark == line.get_marker()}
        if len(named) == 1:
            return next(iter(named))
    return ""


def _entries(legend: Legend) -> Iterable[tuple[str, object, str]]:
    """Colour, marker and words of every line of a legend."""
    for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
        if isinstance(handle, Line2D):
            words = " ".join(text.get_text().split())
            yield to_hex(handle.get_color()), handle.get_marker(), words


def tell(root: ElementTree.Element, told: dict[str, list[str]]) -> None:
    """Give every marker of a drawing its title."""
    for group in root.iter():
        texts = told.get(group.get("id", ""), [])
        marks = [each for each in group.iter() if each.tag.endswith("}use")] if texts else []
        for mark, words in zip(marks, texts, strict=False) if len(marks) == len(texts) else ():
            ElementTree.SubElement(mark, "title").text = printable(words)
