"""Our errors beside published ones, a line a function."""

from __future__ import annotations

import numpy as np
from matplotlib.lines import Line2D
from pandas import DataFrame

from kansweep.figures import style
from kansweep.figures.drawn import Drawn, as_written
from kansweep.kinds import KINDS


def published_errors(table: DataFrame) -> Drawn:
    """The least errors of each function in ``laws.published.beside``, those of our KANs of splines
    and of other networks, and the published ones."""
    by_function = table.groupby("data", sort=False)
    is_kan = table["model"].map(lambda name: KINDS[name].has_theory).astype(bool)
    errors = {
        "our best KAN": table["rmse"].where(is_kan),
        "our best MLP or other": table["rmse"].where(~is_kan),
        "best published KAN": table["kan_rmse"],
        "published MLP": table["mlp_rmse"],
    }
    least = {label: values.groupby(by_function.ngroup()).min() for label, values in errors.items()}
    shown = {label: values for label, values in least.items() if values.notna().any()}
    names = list(by_function.groups)
    rows = np.arange(len(names))[::-1]
    with style.figure(6.4, 1.2 + 0.22 * len(names)) as figure:
        axes = figure.add_subplot(xscale="log", xlabel="test RMSE", ylim=(-0.7, len(names) - 0.3))
        every = DataFrame(shown)
        axes.hlines(
            rows, every.min(axis=1), every.max(axis=1), color="0.85", linewidth=1.0, zorder=1
        )
        looks = dict(zip(shown, style.looks(list(shown)), strict=True))
        for label, values in shown.items():
            axes.plot(values, rows, linestyle="", **looks[label])
        axes.set_yticks(rows, [style.escaped(name) for name in names])
        handles = [
            Line2D([], [], linestyle="", label=label, **look) for label, look in looks.items()
        ]
        style.legend_along(figure, handles, len(handles), edge="upper")
    caption = (
        "Least test RMSE of our KANs of splines and of our other networks of each function, medians"
        " over the seeds, beside what was published: further left is better."
    )
    return as_written("published", figure, caption)
