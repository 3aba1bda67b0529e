"""Tables of what describes a whole sweep at once, as HTML, '' where there is nothing to say."""

from __future__ import annotations

import math

from pandas import DataFrame, Series

from kansweep import kinds
from kansweep.laws.notation import listed, signed
from kansweep.report import markup
from kansweep.report.matrix import texts

MOST_ACROSS = 9  # columns of the matrix, before the sizes run down instead
_DELTA = "\N{GREEK SMALL LETTER DELTA}"


def medians(cells: DataFrame, of: str = "") -> str:
    """The errors of all cells of one sweep, called `of` where there are several."""
    kind = kinds.of(cells)
    lines = [[cell.replace("n_train", "n") for cell in line] for line in texts(cells)]
    if len(lines[0]) > MOST_ACROSS:
        (_, *sizes), *rest = zip(*lines, strict=True)
        lines = [[kind.size, *(f"n={size}" for size in sizes)], *map(list, rest)]
    header, *rows = lines
    caption = (
        f"{f'{of}: median' if of else 'Median'} test RMSE over all seeds that are done, by training"
        f" points n and {kind.size} {kind.symbol}; other averages over seeds are geometric means"
    )
    return markup.table(caption, header, rows, "H" + "n" * (len(header) - 1))


def pooled(laws: DataFrame) -> str:
    """The law of all data sizes together, a line a split."""
    if laws.empty:
        return ""
    rows = [
        [
            row["split"],
            *(_estimate(row, term) for term in ("delta", "c", "a")),
            f"{row['rms']:.3f}",
            *(str(row[name]) for name in ("n_cells", "n_seeds")),
        ]
        for _, row in laws.iterrows()
    ]
    header = ["RMSE", f"{_DELTA} [95%]", "c [95%]", "a [95%]", "rms left", "cells", "seeds"]
    caption = (
        f"All data sizes at once: ln(RMSE / floor) = a + {_DELTA} ln G + c P/n, fitted seed by seed"
    )
    note = (
        f"{_DELTA} is what the exponent departs from the floor's, in theory 0; c is what P"
        " parameters on n points cost. Of the cells that count; the intervals are Student's t over"
        " the seeds or, of a single seed, over its residuals."
    )
    return f"{markup.table(caption, header, rows, 'hnnnnnn')}\n{markup.paragraph(note, 'note')}"


def _estimate(row: Series, term: str) -> str:
    return f"{signed(row[term])} [{signed(row[f'{term}_low'])}, {signed(row[f'{term}_high'])}]"


def joint(forms: DataFrame) -> str:
    """The whole matrix described by one formula, beside others; nothing for few cells."""
    if forms.empty:
        return ""
    rows = [
        [
            row["form"],
            listed(_parameter(row, name) for name in row["parameters"]),
            f"{row['rms_log']:.2f}",
            f"{row['aicc']:.1f}",
            _number(row["held_out_grid"]),
            _number(row["held_out_data"]),
            f"{row['condition']:.0f}",
            listed(row["at_bound"]) or "none",
        ]
        for _, row in forms.iterrows()
    ]
    header = ["RMSE as", "parameters", "rms of ln", "AICc", "largest grid unseen"]
    header += ["most data unseen", "condition", "at a bound"]
    note = (
        f"A description of all {forms['n_cells'].iloc[0]} cells at once, those left out of the laws"
        " included; it proves nothing. P is the number of parameters, and every form ends at the"
        " target's spread. The first is the joint form A G^-alpha exp(c P/(P+n)) + B n^-beta"
        " without the terms that do not lower AICc; in brackets are 95% intervals by bootstrap over"
        " the seeds. A lower AICc describes these cells better; the unseen columns are rms errors"
        " of ln RMSE where the fit was not shown those cells."
    )
    caption = "The test RMSE of the whole matrix in one formula"
    return f"{markup.table(caption, header, rows, 'hpnnnnnw')}\n{markup.paragraph(note, 'note')}"


def _parameter(row: Series, name: str) -> str:
    value = f"{name} = {row['parameters'][name]:.3g}"
    if name not in row["intervals"]:
        return value
    low, high = row["intervals"][name]
    return f"{value} [{low:.3g}, {high:.3g}]"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"
