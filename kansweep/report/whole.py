"""Tables of what describes a whole sweep at once, as HTML, '' where there is nothing to say."""

from __future__ import annotations

import math

from pandas import DataFrame, Series

from kansweep.laws.notation import listed, signed
from kansweep.report import markup

_DELTA = "\N{GREEK SMALL LETTER DELTA}"


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
        " the seeds."
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
