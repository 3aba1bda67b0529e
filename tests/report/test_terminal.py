"""Laws in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
from cells import EXP_SIN_FLOOR, kans, mlps, published
from pandas import DataFrame

from kansweep.laws import findings, fits
from kansweep.report import terminal


def printed(results: DataFrame, laws: DataFrame | None = None) -> str:
    return terminal.summary(findings.study(results, laws=laws))


def orders_table(results: DataFrame) -> str:
    return terminal.orders_table(findings.study(results))


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_terminal_table_reads_as_a_result():
    text = printed(published())
    told = lines(text)
    assert told[0] == "exp_sin: RMSE ~ grid_size^exponent, in theory -4"
    orders = "5 10 20 50 100 4.34 4.17 3.96 3.91"
    assert f"test 3000 -4.08 [-4.23, -3.92] -3.91 descriptive 1 {orders}" in told
    assert "test 300 -4.08 [-6.51, -1.65] -3.75 descriptive 1 5 10 20 4.41 3.75" in told
    assert "test 100 insufficient 1 5" in told
    assert "n = 300: G = 50, 100 over-parameterised" in told
    assert "n = 1000: G = 50, 100 over-fitted" in told
    assert "n = 300, 1000, 3000: one seed: no verdict, for the interval is that of its own" in text
    assert "Primary: test RMSE at n = 3000" in told
    assert "Verdicts: by equivalence, within 0.25 of -4 over the finest doubling" in told
    assert (
        "More data does no harm: does not hold (15 comparisons within a factor of 1.1 of one"
        in text
    )
    assert (
        "Larger grids gain more from data: holds (4 comparisons within a factor of 1.1 of" in text
    )
    assert "over seeds: G = 20 at n = 100 (3.07e-04); G = 50 at n = 300 (5.00e-06); " in text
    assert text.isascii()  # so that any terminal can show it
    ends = {line.index("]") for line in text.splitlines()[1:9] if "]" in line}
    assert len(ends) == 1


def test_floor_has_its_column_and_its_row_of_orders_where_it_is_known():
    results = published().assign(floor_rmse=published()["grid_size"].map(EXP_SIN_FLOOR))
    told = lines(printed(results))
    orders = "5 10 20 50 100 4.34 4.17 3.96 3.91"
    assert f"test 3000 -4.08 [-4.23, -3.92] +0.05 [0.02, 0.09] descriptive 1 {orders}" in told
    assert "floor 5 10 20 50 100 4.45 4.14 4.03 4.01" in told
    assert "Verdicts: by equivalence, within 0.25 of 0 against the floor" in told
    without = lines(printed(published()))
    assert not any(line.startswith("floor") for line in without)


def test_laws_read_back_from_a_file_print_the_same(tmp_path):
    both = pd.concat([kans(3), mlps(-0.9, 3, numbers=(10_000,))], ignore_index=True)
    for results in (published(), both):
        laws = findings.study(results).laws
        for lacking in (0, 1, 5, 7):  # as older versions wrote them
            laws[fits.LAW_COLUMNS[: len(fits.LAW_COLUMNS) - lacking]].to_csv(
                tmp_path / "laws.csv", index=False
            )
            again = pd.read_csv(tmp_path / "laws.csv")
            known = laws.assign(exponent_finest=np.nan) if lacking > 1 else laws
            assert printed(results, again) == printed(results, known)


def test_an_order_across_a_size_that_is_left_out_says_so():
    results = kans(3)
    results.loc[results["grid_size"] == 20, "test_rmse"] *= 3
    told = lines(printed(results))
    assert any(line.endswith("4.00 4.00 (across a gap) 4.00") for line in told)
    assert "n = 10000: fitted across the gap at G = 20" in told


def test_orders_are_a_markdown_table_with_the_floors_and_what_does_not_count_in_parentheses():
    results = published().assign(floor_rmse=published()["grid_size"].map(EXP_SIN_FLOOR))
    told = orders_table(results).splitlines()
    assert told[0] == "| data | k | RMSE | n | 5 to 10 | 10 to 20 | 20 to 50 | 50 to 100 |"
    assert told[1] == "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |"
    assert "| exp_sin | 3 | test | 3000 | 4.34 | 4.17 | 3.96 | 3.91 |" in told
    assert "| exp_sin | 3 | test | 300 | 4.41 | 3.75 | (1.68) | (-12.74) |" in told
    assert told[-1] == "| exp_sin | 3 | floor |  | 4.45 | 4.14 | 4.03 | 4.01 |"


def test_an_mlp_has_its_widths_and_no_orders_and_no_theory():
    results = mlps(-0.9, 3, numbers=(3000, 100_000))
    told = lines(printed(results))
    assert told[0] == "exp_sin (MLP): RMSE ~ n_params^exponent"
    assert told[1] == "RMSE n_train exponent 95% interval verdict seeds widths"
    assert "test 100000 -0.90 [-0.90, -0.90] descriptive 3 5 10 20 50 100" in told
    assert "n = 3000: w = 50, 100 over-parameterised" in told
    assert "n = 3000, 100000: a description: no theory of its exponent is claimed" in told
    least = "Least test RMSE, geometric means over seeds: "
    assert any(line.startswith(f"{least}w = 100 at n = 3000 (") for line in told)
    assert any(line.startswith("Wider networks gain more from data: ") for line in told)
    assert not any("theory -" in line or "G = " in line for line in told)
    assert orders_table(results) == ""


def test_both_kinds_are_told_apart_even_on_one_target():
    results = pd.concat([kans(3, numbers=(3000, 10_000)), mlps(-0.9, 3)], ignore_index=True)
    text = printed(results)
    told = lines(text)
    assert "exp_sin: RMSE ~ n_params^exponent, in theory -4" in told
    assert "exp_sin (MLP): RMSE ~ n_params^exponent" in told
    assert "test 100000 -0.90 [-0.90, -0.90] descriptive 3 5 10 20 50 100" in told
    line = next(line for line in told if line.startswith("test 10000 -4.64 "))
    assert "-4.00 [-4.00, -4.00] consistent" in line  # against grid size, as the theory is
    least = "Least test RMSE, geometric means over seeds: "
    assert any(line.startswith(f"exp_sin: {least}G = 100 at n = 3000") for line in told)
    assert any(line.startswith(f"exp_sin (MLP): {least}w = 100 at") for line in told)
    assert "nan" not in text.lower()
    assert text.isascii()
    assert orders_table(results).splitlines()[-1] == (
        "| exp_sin | 3 | train | 10000 | 4.00 | 4.00 | 4.00 | 4.00 |"
    )
