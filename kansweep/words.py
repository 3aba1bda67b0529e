"""Sentences about a sweep: what its laws say, and its figures for those who do not see them."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from pandas import DataFrame, Series

from kansweep import law
from kansweep.law import listed as listed

DASH = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"
MINUS = "\N{MINUS SIGN}"
_NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_VERDICTS = {
    "consistent": "consistent with the theory's {}",
    "inconsistent": "inconsistent with the theory's {}",
    "inconclusive": "which neither supports nor refutes the theory's {}",
}


# ------------------------------------------------------------------------------------ of a law


def finding(found: Series, cells: DataFrame) -> str:
    """What one law against grid size says, or why there is none."""
    where = f"With {found['n_train']} training points"
    if found["verdict"] == "insufficient":
        return f"{where} the data are insufficient for a law: {entry(found['note'])}."
    verb = "falls" if found["exponent"] < 0 else "grows"
    verdict = _VERDICTS[found["verdict"]].format(signed(found["theory"], 0))
    relative = exponent_vs_floor(found)
    floor = f" (as RMSE over the floor: {relative}, 0 in theory)" if relative else ""
    sizes = used(cells, found)["grid_size"]
    return (
        f"{where}, {found['split']} RMSE {verb} as G to the {exponent(found)},"
        f" {verdict}{floor}, over G = {sizes.min()} to {sizes.max()},"
        f" {counted(found['n_seeds'], 'seed')}."
    )


def used(cells: DataFrame, found: Series) -> DataFrame:
    """The cells that a law rests on."""
    mine = (cells["data"] == found["data"]) & (cells["n_train"] == found["n_train"])
    rests: DataFrame = cells[mine & cells["used"].astype(bool)]
    return rests


def exponent(found: Series) -> str:
    """Such as `-4.08 [-4.23, -3.92]`, with minus signs; '' where there is none."""
    return _interval(found, "exponent", "ci_low", "ci_high")


def exponent_vs_floor(found: Series) -> str:
    return _interval(found, "exponent_vs_floor", "vs_floor_low", "vs_floor_high")


def _interval(found: Series, middle: str, low: str, high: str) -> str:
    if middle not in found or pd.isna(found[middle]):
        return ""
    return f"{signed(found[middle])} [{signed(found[low])}, {signed(found[high])}]"


# --------------------------------------------------------------------------------- of a figure


def caption(name: str, drawing: Figure) -> str:
    """What the eye finds in a figure, and how to read it."""
    split, _, x = name.partition("_rmse_vs_")
    if x == "grid_size":
        return (
            f"{split.capitalize()} RMSE against grid size, a curve for each number n of training"
            " points. Filled markers are what the laws rest on; the dashed line has the theory's"
            " slope."
        )
    if x == "data_size":
        return (
            f"{split.capitalize()} RMSE against training points, a curve for each grid size G. At a"
            " fixed grid there is no power law: the error falls until the data resolve the grid."
            " The theory's line belongs to the best grids alone."
        )
    if name.endswith("_rmse_map"):
        return (
            f"{name.partition('_')[0].capitalize()} RMSE of every data and grid size. A frame marks"
            " the least of each data size, a ring what the laws leave out; beyond the dashed line a"
            " network has more parameters than points."
        )
    if name.endswith("_local_orders"):
        return (
            f"How fast the {name.partition('_')[0]} RMSE falls from each grid to the next, a curve"
            " for each number n of training points, beside the theory's order and the floor's."
            " Hollow markers involve a cell that the laws leave out."
        )
    return f"{_axes(drawing) or name.replace('_', ' ').capitalize()}."


def in_numbers(name: str, drawing: Figure, cells: DataFrame, laws: DataFrame) -> str:
    """What a figure shows, its curves with their numbers, for those who do not see it."""
    split, _, x = name.partition("_rmse_vs_")
    if split not in law.SPLITS or x not in ("grid_size", "data_size"):
        return _written(name, drawing)
    mine = laws[(laws["split"] == split) & (laws["x"] == "grid_size")]
    theory = listed(sorted({signed(value, 0) for value in mine["theory"]}))
    if x == "grid_size":
        parts = [
            f"n = {n_train}: {_ends(part, 'grid_size', 'G', split)}{_law(mine, n_train)}"
            for n_train, part in cells.groupby("n_train")
        ]
        against = "grid size G"
    else:
        parts = [
            f"G = {grid_size}: {_ends(part, 'n_train', 'n', split)}"
            for grid_size, part in cells.groupby("grid_size")
        ]
        against = "number n of training points"
    return (
        f"{split.capitalize()} RMSE against {against}, both logarithmic. {'; '.join(parts)}."
        f" The theory's exponent in G is {theory}."
    )


def _ends(cells: DataFrame, along: str, symbol: str, split: str) -> str:
    """The first and the last error of a curve."""
    sound = cells.dropna(subset=[f"{split}_rmse"]).sort_values(along)
    ends = sound.iloc[[0, -1]] if len(sound) > 1 else sound
    parts = [
        f"{rmse(cell[f'{split}_rmse'])} at {symbol} = {cell[along]}" for _, cell in ends.iterrows()
    ]
    return " to ".join(parts) or "no cell without failure"


def _law(laws: DataFrame, n_train: Any) -> str:
    for _, found in laws[laws["n_train"] == n_train].iterrows():
        return f", exponent {exponent(found)}" if exponent(found) else ", insufficient for a law"
    return ""


def _written(name: str, drawing: Figure) -> str:
    """A figure of which no more is known: what is written in it, and how far it reaches."""
    parts = [_axes(drawing) or name.replace("_", " ").capitalize()]
    for axes in drawing.axes:
        if axes.lines and axes.dataLim.width >= 0:
            (left, low), (right, high) = axes.dataLim.min, axes.dataLim.max
            parts.append(f"{left:.3g} to {right:.3g} across, {low:.3g} to {high:.3g} upwards")
    legends = [*drawing.legends, *filter(None, (axes.get_legend() for axes in drawing.axes))]
    parts += [listed(text.get_text() for text in legend.get_texts()) for legend in legends]
    parts.append(listed(text.get_text() for axes in drawing.axes for text in axes.texts))
    return f"{'; '.join(' '.join(part.split()) for part in parts if part)}."


def _axes(drawing: Figure) -> str:
    """`y against x (title)` of every axes, as far as it has them."""
    parts = []
    for axes in drawing.axes:
        against = " against ".join(filter(None, [axes.get_ylabel(), axes.get_xlabel()]))
        title = axes.get_title()
        parts.append(f"{against} ({title})" if against and title else against or title)
    words = "; ".join(" ".join(part.split()) for part in parts if part)
    return words[:1].upper() + words[1:]


# ---------------------------------------------------------------------------------- of a value


def signed(value: float, digits: int = 2) -> str:
    return DASH if pd.isna(value) else f"{value:.{digits}f}".replace("-", MINUS)


def rmse(value: float) -> str:
    return DASH if pd.isna(value) else f"{value:.2e}"


def entry(value: Any) -> str:
    """A text of a table, '' where it has none."""
    return "" if pd.isna(value) else str(value)


def counted(number: int, noun: str) -> str:
    word = _NUMBERS[number] if number < len(_NUMBERS) else str(number)
    return f"{word} {noun}{'' if number == 1 else 's'}"
