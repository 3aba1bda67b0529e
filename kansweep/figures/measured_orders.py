"""Measured against predicted order, of several sweeps with splines of several orders."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from pandas import DataFrame

from kansweep.figures import style
from kansweep.figures.drawn import Drawn, as_written
from kansweep.laws.cells import SPLITS
from kansweep.laws.findings import Study


def wanted(study: Study) -> bool:
    """Whether there are several orders to compare, against grid size."""
    return study.x == "grid_size" and study.shown["theory"].nunique() > 1


def measured_orders(study: Study) -> Drawn:
    """The exponents of several sweeps, each at its largest data size, with their intervals."""
    laws = study.largest().shown.dropna(subset=["theory"])
    margin = study.rules.margin
    with style.figure(6.4, 4.8) as figure:
        axes = figure.add_subplot()
        theories = sorted({-theory for theory in laws["theory"]})
        ends = np.array([theories[0] - 0.6, theories[-1] + 0.6])
        handles: list[Any] = axes.plot(ends, ends, label="theory: k + 1", **style.REFERENCE)
        band = axes.fill_between(
            ends, ends - margin, ends + margin, color="0.9", label=f"theory ± {margin:g}"
        )
        handles.append(band)
        handles += _draw_exponents(axes, laws.dropna(subset=["exponent"]))
        axes.set_xticks(theories)
        axes.set(xlabel="predicted order k + 1", ylabel="measured order, with 95% interval")
        style.legend_beside(figure, handles)
    caption = (
        "Measured against predicted order, a mark with its 95% interval for each sweep at its"
        " largest number of training points. The dashed line is the theory's, the band its margin."
    )
    return as_written("orders", figure, caption)


def _draw_exponents(axes: Axes, laws: DataFrame) -> list[Any]:
    handles = []
    shift = dict(zip(SPLITS, (-0.08, 0.08), strict=True))
    for split, look in zip(SPLITS, style.looks(SPLITS), strict=True):
        part = laws[laws["split"] == split]
        middle = -part["exponent"]
        error = [middle + part["ci_high"], -part["ci_low"] - middle]
        x = -part["theory"] + shift[split]
        axes.errorbar(x, middle, np.abs(error), capsize=3.0, linestyle="", **look)
        handles.append(Line2D([], [], linestyle="", label=f"{split} RMSE", **look))
    return handles
