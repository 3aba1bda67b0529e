"""Figures of the laws: RMSE against size or parameters and against data size, log-log."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from pandas import DataFrame

from kansweep.figures import style
from kansweep.figures.curves import (
    AXES,
    MARKERS,
    Axis,
    PlottedCurve,
    against_data,
    by_sweep,
    error_limits,
    fill,
    plotted,
)
from kansweep.figures.drawn import Drawn
from kansweep.kinds import Kind
from kansweep.laws.cells import SPLITS, WHOSE
from kansweep.laws.findings import Study
from kansweep.laws.notation import listed, rmse, signed
from kansweep.laws.references import Reference
from kansweep.laws.verdicts import INSUFFICIENT


def draw(study: Study, splits: Iterable[str] = SPLITS) -> list[Drawn]:
    """The figures of one sweep: each split's RMSE against the study's axis and data size.

    A curve without a law is drawn without an exponent.
    """
    if len(study.cells[WHOSE].drop_duplicates()) != 1:
        raise ValueError(
            "`results` must hold cells of one target, one `k` and one kind of model, and at least"
            " one."
        )
    drawn = []
    for split in splits:
        drawn += [_against_axis(study, split), _against_data(study, split)]
    return drawn


def draw_together(study: Study, splits: Iterable[str] = SPLITS) -> list[Drawn]:
    """Several sweeps in one figure a split, each by its largest data size."""
    title, whose = "each by its largest data size", "a curve for each sweep at its largest number"
    labels = {"title": title, "ylabel": "{} RMSE"}
    words = f"{{}} RMSE against {{}}, {whose} of training points."
    return [_largest(study, split, labels, words, "{}_rmse_vs_{}") for split in splits]


def draw_outputs(study: Study, each: Study, splits: Iterable[str] = SPLITS) -> list[Drawn]:
    """Each of several outputs of one sweep in one figure a split, at the largest data size."""
    n_train = each.cells["n_train"].max()
    title = f"{style.title(study)}\neach output at n = {n_train}"
    labels = {"title": title, "ylabel": "{} RMSE, in each output's unit"}
    words = f"{{}} RMSE of each output in its own unit against {{}}, at n = {n_train}."
    return [_largest(each, split, labels, words, "{}_rmse_of_each_vs_{}") for split in splits]


def _largest(study: Study, split: str, labels: dict[str, str], words: str, name: str) -> Drawn:
    """A curve for each target at its largest data size; the split goes into label, words and name,
    the axis into the last two."""
    axis, largest = by_sweep(study.x), study.largest()
    curves = plotted(largest, split, axis)
    references = [line for curve in curves for line in curve.references]
    labels = {**labels, "xlabel": axis.label, "ylabel": labels["ylabel"].format(split)}
    caption = (
        f"{words.format(split.capitalize(), axis.words)} {MARKERS} Filled ones are what the laws"
        f" rest on{_floor(curves)}."
    )
    numbers = _numbers(largest, split, axis, curves)
    return Drawn(name.format(split, study.x), _figure(curves, references, labels), caption, numbers)


def _against_axis(study: Study, split: str) -> Drawn:
    axis = AXES[study.x]
    of_split = plotted(study, split, axis)
    references = [line for curve in of_split for line in curve.references]
    labels = {"xlabel": axis.label, "ylabel": _error(study, split), "title": style.title(study)}
    figure = _figure(of_split, references, labels)
    theory = "; the dashed line has the theory's slope" if study.kind.has_theory else ""
    caption = (
        f"{split.capitalize()} RMSE against {axis.words}, a curve for each number n of training"
        f" points. {MARKERS} Filled ones are what the laws rest on{theory}{_floor(of_split)}."
    )
    numbers = _numbers(study, split, axis, of_split)
    return Drawn(f"{split}_rmse_vs_{study.x}", figure, caption, numbers)


def _against_data(study: Study, split: str) -> Drawn:
    axis = against_data(study.kind)
    of_split = plotted(study, split, axis)
    best = study.envelope[split].rename(columns={"n_train": "x"})
    labels = {"xlabel": axis.label, "ylabel": _error(study, split), "title": style.title(study)}
    figure = _figure(of_split, study.on_envelope(split), labels, best)
    caption = f"{split.capitalize()} RMSE against {axis.words}, {_by_size(study.kind)} {MARKERS}"
    numbers = _numbers(study, split, axis, of_split)
    return Drawn(f"{split}_rmse_vs_data_size", figure, caption, numbers)


def _error(study: Study, split: str) -> str:
    """The axis of errors: those of several outputs are told together in units of each's spread."""
    return f"{split} RMSE" if study.outputs is None else f"{split} RMSE of all, in units of spread"


def _figure(
    curves: list[PlottedCurve],
    references: list[Reference],
    labels: dict[str, str],
    best: DataFrame | None = None,
) -> Figure:
    """One figure; ``best`` is the envelope where x is the data size."""
    with style.figure(7.2, 4.4) as figure:
        axes = figure.add_subplot(xscale="log", yscale="log")
        limits = error_limits(curves, references)
        handles = list(fill(axes, curves, references, limits, best).values())
        _set_ticks(axes, sorted({x for curve in curves for x in curve.cells["x"]}))
        axes.set(**labels)
        title = None if best is not None else "exponent [95% interval]"
        style.legend_beside(figure, handles, title)
    return figure


def _set_ticks(axes: Axes, sizes: list[int]) -> None:
    margin = max(1.15, (sizes[-1] / sizes[0]) ** 0.04)
    axes.set_xlim(sizes[0] / margin, sizes[-1] * margin)
    style.tick_sizes(axes.xaxis, sizes)
    axes.yaxis.set_minor_formatter(NullFormatter())


# --------------------------------------------------------------------------- what is said of it


def _floor(curves: list[PlottedCurve]) -> str:
    """What the dotted line is, where there is one."""
    known = any(curve.cells["floor"].notna().any() for curve in curves)
    return ", the dotted one is the floor, the error of the composed best splines" if known else ""


def _by_size(kind: Kind) -> str:
    curves = f"a curve for each {kind.size} {kind.symbol}."
    if not kind.has_theory:
        return f"{curves} No law is fitted to it."
    return (
        f"{curves} At a fixed grid there is no power law: the error falls until the data resolve"
        f" the grid. The theory's line belongs to the {kind.best}s alone."
    )


def _numbers(study: Study, split: str, axis: Axis, curves: list[PlottedCurve]) -> str:
    """Every curve with its ends and its law."""
    parts = [f"{curve.name}: {_ends(curve, axis.symbol)}{_law(curve)}" for curve in curves]
    against = f"{split.capitalize()} RMSE against {axis.quantity}, both logarithmic."
    theories = study.shown.loc[study.shown["split"] == split, "theory"].dropna()
    theory = listed(sorted({signed(value, 0) for value in theories}))
    ending = f" The theory's exponent in {study.kind.symbol} is {theory}." if theory else ""
    return f"{against} {'; '.join(parts)}.{ending}"


def _ends(curve: PlottedCurve, symbol: str) -> str:
    """The first and the last error of a curve."""
    sound = curve.cells.dropna(subset=["rmse"])
    ends = sound.iloc[[0, -1]] if len(sound) > 1 else sound
    parts = [f"{rmse(cell['rmse'])} at {symbol} = {cell['x']:.0f}" for _, cell in ends.iterrows()]
    return " to ".join(parts) or "no cell without failure"


def _law(curve: PlottedCurve) -> str:
    if not curve.law:
        return ""
    insufficient = curve.law == INSUFFICIENT
    return ", insufficient for a law" if insufficient else f", exponent {curve.law}"
