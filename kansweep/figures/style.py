"""The looks that all figures share: the page and its fonts, colours and markers, titles, ticks.

A figure is drawn `with style.figure(width, height)`, in the inches and points that it has on a
screen. The style that is applied puts it on its page: of another width in proportion, with texts,
lines and markers of its own sizes, and a legend below where there is no room for it beside.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from kansweep.figures.styles import STYLES, TEXT, current
from kansweep.laws.findings import Study

_POINTS = 72.0  # an inch
_LEAST = 3.0  # inches on a screen, of what a legend stands beside
_LETTER = 0.6  # of a text's size: the mean width of a letter
_USUAL = 37.0  # widths of a letter m, of the axis of a figure on a screen

# ------------------------------------------------------------------------------ the page


@contextmanager
def figure(width: float, height: float, text: float = TEXT) -> Iterator[Figure]:
    """An empty figure, to be drawn in the style that is applied: of so many inches where this has
    no width of its own, else as wide as this and high in proportion. ``text``: points of plain text
    on a screen."""
    style = current()
    scale = 1.0 if style.width is None else style.width / width
    layout = ConstrainedLayoutEngine(w_pad=style.margin, h_pad=style.margin)
    with matplotlib.rc_context(style.settings | {"font.size": points(text)}):
        page = Figure((scale * width, scale * height), layout=layout)
        yield page
        if style != STYLES["screen"]:
            _scale_marks(page, style.marks)
            _fit(page, layout)


def points(on_screen: float) -> float:
    """What a length beside or of texts is in the style that is applied, of one on a screen."""
    return on_screen * current().text / TEXT


def across(least: float, most: int) -> int:
    """How many panels have room side by side, each of so many inches on a screen or more."""
    width = current().width
    return most if width is None else max(1, min(most, int(width / points(least))))


def letters(panels: int, on_screen: float) -> int:
    """How many letters of so many points on a screen have room above one of so many panels."""
    width = current().width
    return 1000 if width is None else int(_POINTS * width / panels / (_LETTER * points(on_screen)))


def legend_beside(page: Figure, handles: Sequence[Artist], title: str | None = None) -> None:
    """A legend at the right, or below where it would leave too little of a given width."""
    place: dict[str, Any] = {"loc": "outside right upper", "alignment": "left"}
    legend = page.legend(handles=handles, title=title, **place)
    left = page.get_figwidth() - _inches(legend)[0]
    if current().width is None or left > points(_LEAST):
        page.set_figheight(max(page.get_figheight(), points(0.2 * len(handles) + 0.8)))
    else:
        legend.remove()
        legend_along(page, handles, 3, title)


def legend_along(
    page: Figure,
    handles: Sequence[Artist],
    columns: int,
    title: str | None = None,
    edge: str = "lower",
) -> None:
    """A legend along the lower or upper edge, in at most so many columns; a page of a given width
    grows by its height."""
    place: dict[str, Any] = {"handles": handles, "loc": f"outside {edge} center", "title": title}
    if current().width is None:
        page.legend(ncols=columns, **place)
        return
    place |= _CLOSE
    legend = page.legend(ncols=columns, **place)
    room = page.get_figwidth() - 2.0 * current().margin
    _wrap(legend.get_title(), room)
    while _inches(legend)[0] > room and columns > 1:
        legend.remove()
        columns -= 1
        legend = page.legend(ncols=columns, **place)
        _wrap(legend.get_title(), room)
    for text in legend.get_texts():
        _wrap(text, room - points(0.5))
    page.set_figheight(page.get_figheight() + _inches(legend)[1])


def headline(page: Figure, words: str) -> None:
    """A title above all panels."""
    title = page.suptitle(words, fontsize=points(10.0))
    if current().width is not None:
        _wrap(title, page.get_figwidth() - 2.0 * current().margin)


def make_room(page: Figure, lines: int) -> None:
    """Let a page of a given width grow by lines of text above its panels."""
    if current().width is not None:
        page.set_figheight(page.get_figheight() + points(_LINE * lines) / _POINTS)


def _inches(artist: Artist) -> tuple[float, float]:
    """Width and height, as it is drawn."""
    page = artist.get_figure(root=True)
    width, height = artist.get_window_extent().size
    return (width / page.dpi, height / page.dpi) if page is not None else (0.0, 0.0)


def _wrap(text: Text, room: float) -> bool:
    """Whether a text's lines, level or upright, are longer than so many inches: they are broken."""
    text.set_linespacing(1.0)  # some fonts ask for a whole line between two
    words, width = text.get_text(), _inches(text)[1 if text.get_rotation() else 0]
    if width > room:
        longest = int(max(map(len, words.split("\n"))) * room / width)
        text.set_text("\n".join(textwrap.fill(line, longest) for line in words.split("\n")))
    return width > room


def _scale_marks(page: Figure, scale: float) -> None:
    """Lines and markers of what is drawn and of the legends, all in the same proportion."""
    drawn = [each for axes in page.axes for each in (*axes.lines, *axes.patches, *axes.collections)]
    own = filter(None, (axes.get_legend() for axes in page.axes))
    for artist in [*drawn, *(each for key in (*page.legends, *own) for each in key.legend_handles)]:
        if isinstance(artist, Line2D):
            artist.set_markersize(scale * artist.get_markersize())
            artist.set_markeredgewidth(scale * artist.get_markeredgewidth())
        if isinstance(artist, Line2D | Patch):
            artist.set_linewidth(scale * artist.get_linewidth())
        elif isinstance(artist, Collection):
            artist.set_linewidth([scale * width for width in np.atleast_1d(artist.get_linewidth())])


def _fit(page: Figure, layout: ConstrainedLayoutEngine) -> None:
    """Break titles and the names of axes where they are longer than what they stand beside."""
    for axes in page.axes:
        for axis in (axes.xaxis, axes.yaxis):  # these make ticks when they are asked for them
            axis.get_major_ticks(1), axis.get_minor_ticks(1)
    layout.execute(page)
    broken = [_wrap(axes.yaxis.label, _inches(axes.patch)[1]) for axes in page.axes]
    if any(broken):
        layout.execute(page)
    for axes in page.axes:
        _wrap(axes.title, _inches(axes.patch)[0])
        _wrap(axes.xaxis.label, _inches(axes.patch)[0])


# ----------------------------------------------------------------------- what is drawn


REFERENCE: dict[Any, Any] = {"linestyle": "--", "linewidth": 1.1, "color": "#d55e00", "zorder": 3}
FLOOR: dict[Any, Any] = {"linestyle": ":", "linewidth": 0.9, "label": "floor: best splines"}
_LINE = 10.5  # points from one line above a panel to the next
_CLOSE = {"columnspacing": 1.2, "handlelength": 1.6, "handletextpad": 0.6}  # of a legend
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


def escaped(name: Any, longest: int = 1000) -> str:
    """A name as it is, where Matplotlib would read formulas in it; a long one is cut."""
    text = str(name)
    text = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return text.replace("$", r"\$")


def head(axes: Axes, title: str, lines: Sequence[str]) -> None:
    """The panel's title, and under it lines of text: nothing of them stands among the curves."""
    at: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    for i, line in enumerate(reversed(lines)):
        offset = points(4.0 + _LINE * i)
        text = axes.annotate(line, (0.0, 1.0), xytext=(0.0, offset), fontsize=points(8.0), **at)
        text.set_in_layout(current().width is None)  # it may stand above the next panel too
    axes.set_title(title, loc="left", pad=points(7.0 + _LINE * len(lines)))


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
    axis.set_major_locator(_SizeLocator(axis, sizes))
    axis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:.0f}"))
    axis.set_minor_locator(FixedLocator(sizes))
    axis.set_minor_formatter(NullFormatter())


def tick_decades(axis: Axis, low: float, high: float) -> None:
    """Labels at decades or, where there are few, at 1, 2 and 5 of each in plain numbers."""
    axis.set_minor_formatter(NullFormatter())
    if high < _FEW_DECADES * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


class _SizeLocator(FixedLocator):
    """Of sizes, those whose labels have room on an axis."""

    def __init__(self, axis: Axis, sizes: list[int]) -> None:
        super().__init__(sizes)
        self._sizes, self._patch = sizes, axis.axes.patch
        self._usual = None if current().width is None else _USUAL * points(TEXT)

    def __call__(self) -> list[int]:
        if self._usual is None:
            return spaced(self._sizes)
        return spaced(self._sizes, self._usual / (_POINTS * _inches(self._patch)[0]))


def spaced(sizes: list[int], crowding: float = 1.0) -> list[int]:
    """The two ends and, from above, whatever keeps a label's width from those taken before.

    ``crowding`` is by how much labels are larger, of an axis, than usual.
    """
    span = np.log(sizes[-1] / sizes[0])
    taken = sorted({sizes[0], sizes[-1]})
    for size in reversed(sizes):
        room = [crowding * (0.02 + 0.011 * len(f"{size}{other}")) for other in taken]
        away = [abs(np.log(size / other)) for other in taken]
        if all(a >= r * span and a > 0 for a, r in zip(away, room, strict=True)):
            taken.append(size)
    return sorted(taken)
