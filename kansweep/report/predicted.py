"""A prediction for reading and for other programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pandas as pd

from kansweep.kinds import Kind
from kansweep.laws.notation import counted
from kansweep.laws.prediction import Prediction


def text(
    found: Prediction,
    form: str,
    name: str,
    kind: Kind,
    each: Mapping[str, Prediction | str] = MappingProxyType({}),
) -> str:
    """As `table`, in words, or as `csv` or `json`; behind it the same of `each` of several outputs,
    by its name, or why there is none."""
    records = {output: _record(one) for output, one in each.items() if isinstance(one, Prediction)}
    if form == "csv":
        rows = [{**record, "output": output} for output, record in records.items()]
        return pd.DataFrame([_record(found), *rows]).to_csv(index=False).rstrip("\n")
    if form == "json":
        return json.dumps(_record(found) | ({"outputs": records} if records else {}), indent=2)
    parts = [_in_words(found, name, kind)]
    for output, one in each.items():
        of = f"{name}, {output},"
        parts.append(f"{of} has none: {one}." if isinstance(one, str) else _in_words(one, of, kind))
    return "\n".join(parts)


def _in_words(found: Prediction, name: str, kind: Kind) -> str:
    lines = [_place(found, name, kind), _predicted(found), _rests_on(found, kind)]
    lines += [line for line in (_power_law(found), _beyond(found, kind), _measured(found)) if line]
    return "\n".join(lines)


def sentence(found: Prediction, kind: Kind) -> str:
    """On a cell that was not trained, for the page."""
    place = found.place
    return (
        f"A cell that was not trained, {kind.symbol} = {place.size} at n = {place.n_train}: a new"
        f" seed's test RMSE is predicted as {found.rmse:.2e}, with the 95% interval"
        f" [{found.low:.2e}, {found.high:.2e}], by {found.formula} over"
        f" {counted(len(found.cells), 'cell')} of {counted(found.n_seeds, 'seed')}."
    )


def _record(found: Prediction) -> dict[str, Any]:
    """Plain values, null where there is none."""
    place, measured = found.place, found.measured
    record = {
        **vars(place),
        "rmse": found.rmse,
        "low": found.low,
        "high": found.high,
        "formula": found.formula,
        "power_law": found.power_law,
        "power_law_of": found.power_law_of or None,
        "size_beyond": found.beyond.get("size", 1.0),
        "n_train_beyond": found.beyond.get("n_train", 1.0),
        "n_cells": len(found.cells),
        "n_seeds": found.n_seeds,
        "measured_least": measured.min() if len(measured) else None,
        "measured_most": measured.max() if len(measured) else None,
        "measured_seeds": len(measured),
    }
    return {key: None if pd.isna(value) else value for key, value in record.items()}


def _place(found: Prediction, name: str, kind: Kind) -> str:
    place = found.place
    cost = place.n_params / place.n_train
    return (
        f"{name} at {kind.symbol} = {place.size}, n = {place.n_train}"
        f" (P = {place.n_params:.0f}, P/n = {cost:.2g}):"
    )


def _predicted(found: Prediction) -> str:
    return (
        f"  test RMSE {found.rmse:.2e}, 95% interval of one seed"
        f" [{found.low:.2e}, {found.high:.2e}]"
    )


def _rests_on(found: Prediction, kind: Kind) -> str:
    cells = found.cells
    sizes, numbers = (" ".join(map(str, sorted(set(cells[of])))) for of in ("size", "n_train"))
    values = ", ".join(f"{name} = {value:.3g}" for name, value in found.parameters.items())
    among = f"{counted(len(cells), 'cell')} of {counted(found.n_seeds, 'seed')}"
    alone = "; how seeds differ one seed does not tell" if found.n_seeds == 1 else ""
    return (
        f"  by {found.formula}: {values}\n"
        f"  from {among}: {kind.symbol} = {sizes}, n = {numbers}{alone}"
    )


def _power_law(found: Prediction) -> str:
    if not found.power_law_of:
        return ""
    ratio = found.power_law / found.rmse
    return (
        f"  the plain power law of n = {found.power_law_of} says {found.power_law:.2e},"
        f" {ratio:.2g} times that"
    )


def _beyond(found: Prediction, kind: Kind) -> str:
    """Where a place lies outside of what was fitted, and by how much."""
    words = {"size": kind.symbol, "n_train": "n", "P/n": "P/n"}
    parts = [
        f"{words[name]} is {factor:.3g} times the largest"
        if factor > 1
        else f"{words[name]} is {factor:.3g} of the smallest"
        for name, factor in found.beyond.items()
    ]
    return f"  extrapolated: {', '.join(parts)} that the prediction rests on" if parts else ""


def _measured(found: Prediction) -> str:
    if not len(found.measured):
        return ""
    least, most = found.measured.min(), found.measured.max()
    of = counted(len(found.measured), "seed")
    return f"  measured there: {least:.2e} to {most:.2e} of {of}"
