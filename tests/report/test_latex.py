"""LaTeX tables: what LaTeX would read is well formed, and says what the study says."""

from __future__ import annotations

import pytest
from cells import kans, mlps, published

from kansweep import study
from kansweep.laws import beside, comparison, findings
from kansweep.report import latex, matrix


def entries(table: str) -> list[list[str]]:
    """The rows of a tabular, whose columns are as many as its first line says."""
    first, *lines, last = table.splitlines()
    assert (first[:15], last) == (r"\begin{tabular}", r"\end{tabular}")
    assert [lines[i] for i in (0, 2, -1)] == [r"\toprule", r"\midrule", r"\bottomrule"]
    rows = [lines[1], *lines[3:-1]]
    assert all(row.endswith(r" \\") for row in rows)
    split = [[entry.strip() for entry in row.removesuffix(r" \\").split(" & ")] for row in rows]
    assert len({len(row) for row in split}) == 1
    assert table.count("{") == table.count("}")
    return split


def test_the_matrix_has_a_column_a_size() -> None:
    cells = published().assign(status="done", seconds=1.0, size=lambda rows: rows["grid_size"])
    cells.loc[cells["size"] == 100, "status"] = "waiting"
    header, *rows = entries(latex.matrix(matrix.matrix(cells)))
    assert header == ["{$n$}", *(f"{{$G = {size}$}}" for size in (5, 10, 20, 50, 100))]
    assert [row[0] for row in rows] == ["100", "300", "1000", "3000"]
    assert rows[3][1:] == ["6.77e-03", "3.35e-04", "1.86e-05", "4.93e-07", "{--}"]


def test_laws_and_orders_are_those_of_the_terminal() -> None:
    study = findings.study(published())
    rows = {(row[1], row[2]): row for row in entries(latex.laws(study))[1:]}
    assert rows["test", "3000"] == [
        *(r"exp\_sin", "test", "3000", "-4.08", "$[-4.23, -3.92]$", "-4", "descriptive", "1")
    ]
    assert rows["test", "100"][3:] == ["{--}", "{--}", "-4", "insufficient", "1"]
    header, *lines = entries(latex.orders(study))
    assert header[4:] == [r"{5\,--\,10}", r"{10\,--\,20}", r"{20\,--\,50}", r"{50\,--\,100}"]
    of = {(row[2], row[3]): row[4:] for row in lines}
    assert of["test", "3000"] == ["4.34", "4.17", "3.96", "3.91"]
    assert of["test", "300"] == ["4.41", "3.75", "{--}", "{--}"]


def test_what_has_no_theory_and_no_orders_has_none() -> None:
    study = findings.study(mlps())
    assert all(row[5] == "{--}" for row in entries(latex.laws(study))[1:])
    assert latex.orders(study) == ""


@pytest.mark.parametrize(
    ("numbers", "form"),
    [
        (["100", "{--}", "3000"], "S[table-format=4.0]"),
        (["-4.10", "0.25", "-10.36"], "S[table-format=-2.2]"),
        (["6.77e-03", "1.00e+00"], "S[table-format=1.2e-1]"),
        (["1.0e+02", "1.5e-16"], "S[table-format=1.1e-2]"),
        (["1.07e+03", "276"], "S[table-format=3.2e1]"),
        (["1.00e+00"], "S[table-format=1.2]"),
        (["{--}"], "c"),
    ],
)
def test_a_column_is_as_wide_as_its_numbers(numbers: list[str], form: str) -> None:
    """siunitx leaves out an exponent of 0."""
    first, *_ = latex.table("lS", ["a", "{b}"], [["-1", number] for number in numbers]).splitlines()
    assert first == rf"\begin{{tabular}}{{l{form}}}"


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("x_1^2 & 5%", r"x\_1\textasciicircum{}2 \& 5\%"),
        (r"\#$~{", r"\textbackslash{}\#\$\textasciitilde{}\{"),
        ("a<b>|c", r"a\textless{}b\textgreater{}\textbar{}c"),
    ],
)
def test_names_are_printed_as_they_are(text: str, printed: str) -> None:
    assert latex.escaped(text) == printed


def test_a_comparison_has_a_table_of_exponents_and_one_of_errors() -> None:
    found = {"kans": kans(3, [10_000]), "wide": mlps(-0.9, 2, [10_000])}
    compared = study.of_several(found).comparison
    rows = compared[(compared["split"] == "test") & compared["estimate"].notna()]
    (of_exponents, *exponents), (of_errors, *errors) = map(
        entries, latex.comparison(compared, "test")
    )
    assert of_exponents[3:6] == ["{$n$}", "{Difference}", r"{95\,\% interval}"]
    assert of_errors[3:] == ["{$n$}", "{Ratio}", r"{95\,\% interval}", "At equal", "{Seeds}"]
    assert len(exponents) + len(errors) == len(rows) > len(exponents) == 1
    row = rows[rows["quantity"] == comparison.EXPONENT].iloc[0]
    assert exponents[0][1:5] == ["wide", "kans", "10000", f"{row['estimate']:.2f}"]
    assert exponents[0][5] == rf"$[\num{{{row['low']:.2f}}}, \num{{{row['high']:.2f}}}]$"
    of = rows[rows["quantity"] == beside.RMSE].iloc[0]
    assert float(errors[0][4]) == pytest.approx(of["estimate"], rel=5e-3)
    assert errors[0][6] == f"${of['symbol']} = {of['at']:.0f}$"
    assert latex.comparison(compared[:0], "test") == []
