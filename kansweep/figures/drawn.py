"""A figure with all that is said of it: it is made where the figure is made."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.figure import Figure

from kansweep.laws.notation import listed


@dataclass(frozen=True, eq=False)
class Drawn:
    """One figure: ``caption`` is what the eye finds in it and how to read it, ``numbers`` what it
    shows for those who do not see it."""

    name: str  # of its file
    figure: Figure
    caption: str
    numbers: str


def as_written(name: str, figure: Figure, caption: str = "") -> Drawn:
    """A figure whose numbers are what is written in it, and how far it reaches."""
    headline = _headline(figure) or name.replace("_", " ").capitalize()
    parts = [headline]
    for axes in figure.axes:
        if axes.lines and axes.dataLim.width >= 0:
            (left, low), (right, high) = axes.dataLim.min, axes.dataLim.max
            parts.append(f"{left:.3g} to {right:.3g} across, {low:.3g} to {high:.3g} upwards")
    legends = [*figure.legends, *filter(None, (axes.get_legend() for axes in figure.axes))]
    parts += [listed(text.get_text() for text in legend.get_texts()) for legend in legends]
    parts.append(listed(text.get_text() for axes in figure.axes for text in axes.texts))
    numbers = f"{'; '.join(' '.join(part.split()) for part in parts if part)}."
    return Drawn(name, figure, caption or f"{headline}.", numbers)


def _headline(figure: Figure) -> str:
    """`y against x (title)` of every axes, as far as it has them."""
    parts = []
    for axes in figure.axes:
        against = " against ".join(filter(None, [axes.get_ylabel(), axes.get_xlabel()]))
        title = axes.get_title()
        parts.append(f"{against} ({title})" if against and title else against or title)
    words = "; ".join(" ".join(part.split()) for part in parts if part)
    return words[:1].upper() + words[1:]
