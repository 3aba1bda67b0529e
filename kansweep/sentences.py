"""Sentences about a sweep: what its laws say, and its figures for those who do not see them."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from pandas import DataFrame, Series

from kansweep import cells as law
from kansweep import kinds
from kansweep.cells import listed as listed
from kansweep.kinds import KAN, KINDS, MLP, Kind

DASH = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"
MINUS = "\N{MINUS SIGN}"
_NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_VERDICTS = {
    "consistent": "consistent with the theory's {}",
    "inconsistent": "inconsistent with the theory's {}",
    "inconclusive": "which neither supports nor refutes the theory's {}",
    "descriptive": "a description, of which no theory is claimed",
}


# ------------------------------------------------------------------------------------ of a law


def finding(found: Series, cells: DataFrame) -> str:
    """What one law says, of a KAN against grid size and of an MLP against parameters, or why there
    is none."""
    where = f"With {found['n_train']} training points"
    if found["verdict"] == "insufficient":
        return f"{where} the data are insufficient for a law: {entry(found['note'])}."
    verb = "falls" if found["exponent"] < 0 else "grows"
    verdict = _VERDICTS[found["verdict"]].format(signed(found["theory"], 0))
    relative = exponent_vs_floor(found)
    floor = f" (as RMSE over the floor: {relative}, 0 in theory)" if relative else ""
    rests = used(cells, found)
    symbol = kinds.of(rests).symbol
    over = f"{symbol} = {rests['size'].min()} to {rests['size'].max()}"
    if found["x"] == "n_params":
        over += f" (P = {rests['n_params'].min():.0f} to {rests['n_params'].max():.0f})"
    return (
        f"{where}, {found['split']} RMSE {verb} as {axis(found['x'])} to the {exponent(found)},"
        f" {verdict}{floor}, over {over},"
        f" {counted(found['n_seeds'], 'seed')}."
    )


def used(cells: DataFrame, found: Series) -> DataFrame:
    """The cells that a law rests on."""
    mine = (cells["data"] == found["data"]) & (cells["n_train"] == found["n_train"])
    mine &= (cells["model"] == MLP) == bool(pd.isna(found["theory"]))
    rests: DataFrame = cells[mine & cells["used"].astype(bool)]
    return rests


def axis(x: str) -> str:
    """The symbol of an axis of the laws."""
    return {"grid_size": KINDS[KAN].symbol, "n_params": "P"}[x]


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


def caption(name: str, drawing: Figure, kind: Kind = KINDS[KAN]) -> str:
    """What the eye finds in a figure, and how to read it."""
    split, _, x = name.partition("_rmse_vs_")
    has_theory = kind is KINDS[KAN]
    if x in law.AXES:
        against = {"grid_size": "grid size", "n_params": "the number P of trainable parameters"}[x]
        theory = "; the dashed line has the theory's slope" if has_theory else ""
        return (
            f"{split.capitalize()} RMSE against {against}, a curve for each number n of training"
            f" points. Filled markers are what the laws rest on{theory}."
        )
    if x == "data_size" and not has_theory:
        return (
            f"{split.capitalize()} RMSE against training points, a curve for each"
            f" {kind.size} {kind.symbol}. No law is fitted to it."
        )
    if x == "data_size":
        return (
            f"{split.capitalize()} RMSE against training points, a curve for each grid size G. At a"
            " fixed grid there is no power law: the error falls until the data resolve the grid."
            " The theory's line belongs to the best grids alone."
        )
    if name.endswith("_rmse_map"):
        return (
            f"{name.partition('_')[0].capitalize()} RMSE of every data size and {kind.size}. A"
            " frame marks the least of each data size, a ring what the laws leave out; beyond the"
            " dashed line a network has more parameters than points."
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
    if split not in law.SPLITS or x not in (*law.AXES, "data_size"):
        return _written(name, drawing)
    kind = kinds.of(cells)
    mine = laws[laws["split"] == split]
    if x == "data_size":
        parts = [
            f"{kind.symbol} = {size}: {_ends(part, 'n_train', 'n', split)}"
            for size, part in cells.groupby("size")
        ]
        against = "number n of training points"
    else:
        along = law.AXES[x]
        parts = [
            f"n = {n_train}: {_ends(part, along, axis(x), split)}"
            f"{_law(mine[mine['x'] == x], n_train)}"
            for n_train, part in cells.groupby("n_train")
        ]
        against = {"grid_size": "grid size G", "n_params": "number P of parameters"}[x]
    told = f"{split.capitalize()} RMSE against {against}, both logarithmic. {'; '.join(parts)}."
    theory = listed(sorted({signed(value, 0) for value in mine["theory"].dropna()}))
    return f"{told} The theory's exponent in G is {theory}." if theory else told


def _ends(cells: DataFrame, along: str, symbol: str, split: str) -> str:
    """The first and the last error of a curve."""
    sound = cells.dropna(subset=[f"{split}_rmse"]).sort_values(along)
    ends = sound.iloc[[0, -1]] if len(sound) > 1 else sound
    parts = [
        f"{rmse(cell[f'{split}_rmse'])} at {symbol} = {cell[along]:.0f}"
        for _, cell in ends.iterrows()
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
