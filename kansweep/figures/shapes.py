"""The shapes that were tried: held-out RMSE against parameters, and the front of both."""

from __future__ import annotations

from math import isfinite
from typing import Any

from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from kansweep.figures import style
from kansweep.figures.drawn import Drawn, as_written
from kansweep.sweep.tried import Search, named

_FRONT: dict[Any, Any] = {
    "color": "#d55e00",
    "linewidth": 7.0,
    "alpha": 0.4,
    "zorder": 1,
    "label": "front",
}


def draw(search: Search, name: str) -> Drawn:
    """A curve a shape, over the sizes that were tried of it; ``name`` is what was learned."""
    with style.figure(6.4, 4.6) as figure:
        axes = figure.subplots()
        front = search.front
        axes.plot([t.n_params for t in front], [t.rmse for t in front], **_FRONT)
        for width, look in zip(search.shapes, style.looks(search.shapes), strict=True):
            tried = [trial for trial in search.of(width) if isfinite(trial.rmse)]
            label, chosen = named(width), width == search.chosen
            axes.plot(
                [trial.n_params for trial in tried],
                [trial.rmse for trial in tried],
                label=f"{label}, chosen" if chosen else label,
                linewidth=1.8 if chosen else 0.8,
                **look,
            )
        if search.enough is not None:
            axes.axhline(
                search.enough, color="0.4", linewidth=0.8, linestyle=":", label="asked for"
            )
        axes.set(xscale="log", yscale="log", xlabel="parameters", ylabel="held-out RMSE")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:g}"))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_formatter(NullFormatter())
        style.headline(figure, f"{style.escaped(name, 45)}: shapes tried")
        style.legend_beside(figure, axes.lines)
    caption = (
        "RMSE at training points held out, against parameters, of every shape along growing sizes."
        " The heavy line joins what nothing with fewer parameters beats."
    )
    return as_written("shapes", figure, caption)
