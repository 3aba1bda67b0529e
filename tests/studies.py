"""What several test modules read off results: their curves, laws and orders."""

from __future__ import annotations

import pandas as pd
from pandas import DataFrame

from kansweep.laws import cells, fits, orders, references
from kansweep.laws.cells import DEFAULT, Curve, Rules


def at(results: DataFrame, seed: int | None = None, **where) -> pd.Series:
    where |= {} if seed is None else {"seed": seed}
    return (results[list(where)] == pd.Series(where)).all(axis=1)


def only(laws: DataFrame, **where) -> pd.Series:
    found = laws[at(laws, **where)]
    assert len(found) == 1
    return found.iloc[0]


def reasons(results: DataFrame, rules: Rules = DEFAULT) -> dict[int, str]:
    classified = cells.classify(results, rules)
    return dict(zip(classified["size"], classified["reason"], strict=True))


def curves(results: DataFrame, rules: Rules = DEFAULT) -> list[Curve]:
    return cells.classified(cells.checked(results), rules)


def fit_laws(results: DataFrame, x: str | None = None, rules: Rules = DEFAULT) -> DataFrame:
    return fits.fit_laws(curves(results, rules), x or cells.axis(results), rules)


def observed_orders(results: DataFrame, rules: Rules = DEFAULT) -> DataFrame:
    return orders.observed_orders(cells.classify(results, rules))


def envelope(results: DataFrame, split: str, rules: Rules = DEFAULT) -> DataFrame:
    return references.envelope(cells.classify(results, rules), split)
