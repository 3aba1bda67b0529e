"""The table of errors beside published ones, in every format."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from pandas import DataFrame, concat

from kansweep.laws.notation import DASH
from kansweep.laws.published import COLUMNS, SUMMARY_COLUMNS
from kansweep.report import published

ROW = {
    "table": "feynman",
    "data": "I.6.2_b",
    "formula": "exp(x^2)|y",
    "model": "kan",
    "shape": "2-1-1",
    "size": 20,
    "n_train": 3000,
    "n_params": 69,
    "n_seeds": 3,
    "rmse": 1.5e-6,
    "worst": 2.5e-6,
    "network": "human",
    "shape_rmse": 3e-3,
    "kan_rmse": 1.5e-3,
    "mlp_rmse": np.nan,
    "over_shape": 5e-4,
    "over_kan": 1e-3,
    "over_mlp": np.nan,
    "doubt": "read in two ways",
    "sweep": "feynman",
}


@pytest.fixture
def table() -> DataFrame:
    mlp = {"model": "mlp", "shape": "2-w-w-1", "network": "", "doubt": ""}
    return DataFrame([ROW, ROW | mlp], columns=COLUMNS)


def test_markdown_has_a_line_a_network(table: DataFrame) -> None:
    header, rule, first, second = published.markdown(table).splitlines()
    assert header.count("|") == rule.count("|") == first.replace(r"\|", "").count("|") == 12
    assert first == (
        r"| I.6.2_b: `exp(x^2)\|y` | KAN 2-1-1 (human) | G = 20 | 1.50e-06 | 2.50e-06 | 3.00e-03"
        f" | 1.50e-03 | {DASH} | 0.0005 | 0.001 | {DASH} |"
    )
    assert "| MLP 2-w-w-1 | w = 20 |" in second


def test_networks_that_are_alike_are_told_apart_by_their_sweeps(table: DataFrame) -> None:
    other = table.iloc[:1].assign(sweep="feynman_adaptive", network="")
    text = published.markdown(concat([table, other], ignore_index=True))
    _, _, first, second, third = text.splitlines()
    assert "| KAN 2-1-1 (human) (feynman) |" in first
    assert "| MLP 2-w-w-1 |" in second
    assert "| KAN 2-1-1 (feynman_adaptive) |" in third


def test_csv_holds_every_column_to_the_last_digit(table: DataFrame) -> None:
    table = table.assign(rmse=[1 / 3e6, 0.1])
    first, _ = csv.DictReader(io.StringIO(published.csv(table)))
    assert list(first) == COLUMNS
    assert float(first["rmse"]) == 1 / 3e6


def test_latex_escapes_what_it_would_read(table: DataFrame) -> None:
    text = published.latex(table)
    lines = text.splitlines()
    error, ratio = "S[table-format=1.2e-1]", "S[table-format=1.1e-1]"
    assert lines[0] == rf"\begin{{tabular}}{{lll{4 * error}c{2 * ratio}c}}"
    assert lines[-1] == r"\end{tabular}"
    rows = [line for line in lines if line.endswith(r" \\")]
    assert len(rows) == 3
    assert {row.count(" & ") for row in rows} == {10}
    assert r"I.6.2\_b: \texttt{exp(x\textasciicircum{}2)\textbar{}y} & KAN 2-1-1 (human)" in text
    assert " & $G = 20$ & " in text
    assert " & {--} & " in text


def test_what_it_comes_to_is_said_with_the_doubts(table: DataFrame) -> None:
    summary = DataFrame([["feynman", 2, 27, 1, 280.4, 2, 3.0]], columns=SUMMARY_COLUMNS)
    assert published.sentences(summary, table) == [
        "Feynman dataset: the best of our KANs is at or below the best published KAN in 1 of 2,"
        " median ratio 280, and at or below the published MLP in 2, median ratio 3; the table has"
        " 27 functions.",
        "  I.6.2_b: read in two ways.",
    ]
