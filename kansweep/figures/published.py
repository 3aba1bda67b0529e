"""Our errors beside published ones, a line a function."""

from __future__ import annotations

import numpy as np
from matplotlib.lines import Line2D
from pandas import DataFrame

from kansweep.figures import style
from kansweep.figures.drawn import Drawn, as_written

_MARKS = ("our best", "best published KAN", "published MLP")


def published_errors(table: DataFrame) -> Drawn:
    """The least error of our networks of each function, of ``laws.published.beside``, and the best
    published ones."""
    best = table.loc[table.groupby("data", sort=False)["rmse"].idxmin()]
    rows = np.arange(len(best))[::-1]
    with style.figure(6.4, 1.2 + 0.22 * len(best)) as figure:
        axes = figure.add_subplot(xscale="log", xlabel="test RMSE", ylim=(-0.7, len(best) - 0.3))
        axes.hlines(rows, best["rmse"], best["kan_rmse"], color="0.8", linewidth=1.0, zorder=1)
        looks = style.looks(_MARKS)
        for column, look in zip(("rmse", "kan_rmse", "mlp_rmse"), looks, strict=True):
            axes.plot(best[column], rows, linestyle="", **look)
        axes.set_yticks(rows, [style.escaped(name) for name in best["data"]])
        handles = [
            Line2D([], [], linestyle="", label=label, **look)
            for label, look in zip(_MARKS, looks, strict=True)
        ]
        style.legend_along(figure, handles, len(handles), edge="upper")
    caption = (
        "Test RMSE of the best of our networks of each function, the median over the seeds, beside"
        " what was published: further left is better."
    )
    return as_written("published", figure, caption)
