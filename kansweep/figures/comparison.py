"""Sweeps of one target beside each other: RMSE against parameters and against seconds, side by
side, a row a target."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kansweep.figures import style
from kansweep.figures.curves import (
    AXES,
    MARKERS,
    PlottedCurve,
    by_sweep,
    error_limits,
    fill,
    plotted,
)
from kansweep.figures.drawn import Drawn
from kansweep.laws.findings import Study
from kansweep.laws.notation import rmse

Rows = dict[str, list[PlottedCurve]]  # by the title of a row
_SECONDS = "seconds to get there"
_ROW = 2.6  # inches
_LEAST = 2.2  # of a panel
_LINE = 34  # characters of a legend


def wanted(study: Study) -> bool:
    """Whether two sweeps stand beside each other."""
    return len(study.beside.curves) > 1


def comparison(study: Study, split: str) -> Drawn:
    """Each target's sweeps at the most training points that all of them have."""
    beside = replace(study.beside, x="n_params")  # whatever else the study is drawn against
    rows = _rows(beside, split)
    timed = {title: _timed(beside, curves) for title, curves in rows.items()}
    panels = [rows, timed] if any(timed.values()) else [rows]
    figure = _figure(panels, split)
    caption = (
        f"{split.capitalize()} RMSE against the number P of trainable parameters"
        f"{' and against the seconds to get there' if len(panels) > 1 else ''}, a row for each"
        " target at the number n of training points that all of its sweeps have, with the exponent"
        f" against P and its 95% interval. {MARKERS} Filled ones are what the laws rest on; dashed"
        " curves are of kinds of networks of which no theory is claimed."
    )
    if len(panels) > 1:
        caption += (
            " Where a network is extended from smaller ones, their seconds are on the way; of seeds"
            " that were trained together each has an equal share."
        )
    return Drawn(f"{split}_comparison", figure, caption, _numbers(rows, timed))


def _rows(study: Study, split: str) -> Rows:
    """The curves of every row, called and coloured the same in all."""
    targets = dict(zip(study.results["data"], study.results["target"], strict=True))
    named = list(dict.fromkeys(study.results["data"]))
    curves = {curve.sweep: curve for curve in plotted(study, split, by_sweep("n_params"))}
    of_target = {t: [n for n in named if targets[n] == t] for t in dict.fromkeys(targets.values())}
    labels = {name: label for names in of_target.values() for name, label in _labels(names).items()}
    several = list(dict.fromkeys(labels.values()))
    looks = dict(zip(several, style.looks(several), strict=True))
    rows: Rows = {}
    for target, names in of_target.items():
        n_train = study.results.loc[study.results["data"] == names[0], "n_train"].iloc[0]
        rows[f"{style.escaped(target, 40)}, n = {n_train}"] = [
            _called(curves[name], labels[name], looks[labels[name]]) for name in names
        ]
    return rows


def _called(curve: PlottedCurve, label: str, look: dict[str, Any]) -> PlottedCurve:
    name = label if curve.kind.name in label else curve.kind.of(label)
    return replace(curve, name=style.escaped(name, 60), look=look)


def _labels(names: list[str]) -> dict[str, str]:
    """Names of sweeps by what they do not share: `s,model=kan` and `s,model=mlp` by the model."""
    parts = {name: name.split(",") for name in names}
    common = set.intersection(*map(set, parts.values()))
    own = {name: [part for part in parts[name] if part not in common] for name in names}
    return {name: ",".join(of_name) or name for name, of_name in own.items()}


def _timed(study: Study, curves: list[PlottedCurve]) -> list[PlottedCurve]:
    """The same curves against seconds, as far as these are known; there is no floor there."""
    timed = []
    for curve in curves:
        means = study.cell_seconds.query("data == @curve.sweep").set_index("size")["seconds"]
        rows = study.timed[study.timed["data"] == curve.sweep]
        x = curve.cells["size"].map(means).to_numpy(float)
        if np.isnan(x).all():
            continue
        cells = curve.cells.assign(x=x, floor=np.nan, low=np.nan, high=np.nan)
        seeds = rows[["seconds", f"{curve.split}_rmse"]].set_axis(["x", "rmse"], axis=1)
        timed.append(replace(curve, cells=cells.dropna(subset=["x"]), seeds=seeds))
    return timed


# ------------------------------------------------------------------------------ the drawing


def _figure(panels: list[Rows], split: str) -> Figure:
    titles = list(panels[0])
    beside = style.across(_LEAST, len(panels) + 1) > len(panels)  # room for legends of the rows
    size = (3.1 * len(panels) + (2.8 if beside else 0.5), _ROW * len(titles) + 0.9)
    keys: dict[str, Artist] = {}
    with style.figure(*size) as figure:
        grid = figure.subplots(len(titles), len(panels), sharex="col", sharey="row", squeeze=False)
        for title, row in zip(titles, grid, strict=True):
            handles = _draw_row(list(row), [rows[title] for rows in panels])
            tell = _legend_beside if beside else _laws_above
            keys |= tell(list(row), title, panels[0][title], handles)
            row[0].set(ylabel=f"{split} RMSE")
        style.make_room(figure, 0 if beside else sum(len(_laws(c)) for c in panels[0].values()))
        for column, rows in enumerate(panels):
            x = np.concatenate([c.cells["x"] for curves in rows.values() for c in curves])
            style.tick_decades(grid[-1, column].xaxis, float(np.nanmin(x)), float(np.nanmax(x)))
            grid[-1, column].set(xlabel=_SECONDS if column else AXES["n_params"].label)
        about = None if beside else "above each row: exponent in P [95% interval]"
        style.legend_along(figure, list(keys.values()), 4, about)
    return figure


def _draw_row(row: list[Axes], panels: list[list[PlottedCurve]]) -> dict[str, Artist]:
    """Draw one target; what legends have of it, by label."""
    references = [line for curve in panels[0] for line in curve.references]
    limits = error_limits([curve for curves in panels for curve in curves], references)
    handles: dict[str, Artist] = {}
    for axes, curves in zip(row, panels, strict=True):
        axes.set(xscale="log", yscale="log")
        if curves:
            handles = fill(axes, curves, references if axes is row[0] else [], limits) | handles
    return handles


def _legend_beside(
    row: list[Axes], title: str, curves: list[PlottedCurve], handles: dict[str, Artist]
) -> dict[str, Artist]:
    """A legend of the curves and their laws at the end of their row; the other entries."""
    row[0].set_title(title, loc="left")
    own = [handles.pop(curve.label) for curve in curves]
    for handle, curve in zip(own, curves, strict=True):
        handle.set_label(_in_lines(curve.label))
    look: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0), "alignment": "left"}
    row[-1].legend(handles=own, title="exponent in P [95% interval]", **look)
    return handles


def _laws_above(
    row: list[Axes], title: str, curves: list[PlottedCurve], handles: dict[str, Artist]
) -> dict[str, Artist]:
    """The laws above their row; the entries of all curves by their names alone, and the others."""
    style.head(row[0], title, _laws(curves))
    own = {curve.name: handles.pop(curve.label) for curve in curves}
    for name, handle in own.items():
        handle.set_label(name)
    return own | handles


def _laws(curves: list[PlottedCurve]) -> list[str]:
    """The law of every curve, in lines that have room above a row."""
    longest = style.letters(1, 8.0)
    told = [curve.label for curve in curves if curve.law]
    return [line for label in told for line in textwrap.wrap(label, longest)]


def _in_lines(label: str) -> str:
    """An entry of a legend, its interval in one piece."""
    if len(label) <= _LINE:
        return label
    name, _, law = label.rpartition(": ")
    lines = [*textwrap.wrap(f"{name}:", _LINE), f"  {law}"] if name else textwrap.wrap(law, _LINE)
    return "\n".join(lines)


# --------------------------------------------------------------------------- what is said of it


def _numbers(rows: Rows, timed: Rows) -> str:
    """Every curve with its ends and its law."""
    told = []
    for title, curves in rows.items():
        against = {curve.sweep: curve for curve in timed[title]}
        parts = [_ends(curve, against.get(curve.sweep)) for curve in curves]
        told.append(f"{title}: {'; '.join(parts)}.")
    return " ".join(told)


def _ends(curve: PlottedCurve, timed: PlottedCurve | None) -> str:
    sound = curve.cells.dropna(subset=["rmse"])
    law = f", exponent {curve.law}" if curve.law else ""
    ends = [f"{rmse(cell['rmse'])} at P = {cell['x']:.0f}" for _, cell in sound.iterrows()]
    words = " to ".join(dict.fromkeys([*ends[:1], *ends[-1:]])) or "no cell without failure"
    if timed is not None and len(timed.cells):
        seconds = timed.cells["x"]
        words += f" in {seconds.iloc[0]:.2g} to {seconds.iloc[-1]:.2g} s"
    return f"{curve.name}: {words}{law}"
