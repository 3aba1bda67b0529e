"""The laws of the errors of derivatives: m orders less for the m-th."""

from __future__ import annotations

import numpy as np
import pytest
from artists import laid_out, on_page
from cells import kans
from pandas import DataFrame
from studies import only

from kansweep import study
from kansweep.figures import sets
from kansweep.laws.fits import LAW_COLUMNS
from kansweep.report import terminal


def results(gradient: float = -3.0, hessian: float = -2.0, **columns) -> DataFrame:
    """Exact power laws, of three seeds, with a little of a seed's own slope."""
    rows = kans(3)
    own = 0.01 * (rows["seed"] - 1)
    errors = {
        "gradient_rmse": rows["size"] ** (gradient + own),
        "hessian_rmse": 5 * rows["size"] ** (hessian + own),
    }
    return rows.assign(**{**errors, **columns})


def test_derivatives_converge_by_their_order_less() -> None:
    found = study.of_one(results()).derivatives
    assert list(found) == ["gradient", "hessian"]
    for split, theory in (("gradient", -3), ("hessian", -2)):
        law = only(found[split].shown, split=split)
        assert law["theory"] == theory
        assert law["exponent"] == pytest.approx(theory)
        assert law["exponent_finest"] == pytest.approx(theory)
        assert np.isnan(law["exponent_vs_floor"])
        assert (law["verdict"], law["n_seeds"], law["primary"]) == ("consistent", 3, False)
        assert set(found[split].laws["split"]) == {split}


def test_a_derivative_that_does_not_converge_so_fast_is_inconsistent() -> None:
    found = study.of_one(results(gradient=-2.5, hessian=-1.0)).derivatives
    assert set(found["gradient"].shown["verdict"]) == {"inconsistent"}
    assert set(found["hessian"].shown["verdict"]) == {"inconsistent"}


def test_values_and_what_counts_are_as_they_are_without_derivatives() -> None:
    with_them, without = study.of_one(results()), study.of_one(kans(3))
    assert with_them.laws.equals(without.laws)
    assert with_them.orders.equals(without.orders)
    assert not without.derivatives
    counted = with_them.derivatives["hessian"].cells
    for column in ("counts", "used", "reason"):
        assert counted[column].tolist() == with_them.cells[column].tolist()


def test_seeds_without_the_columns_leave_and_curves_without_them_have_no_law() -> None:
    rows = results()
    rows.loc[rows["seed"] == 1, "gradient_rmse"] = np.nan  # trained by an older version
    law = only(study.of_one(rows).derivatives["gradient"].shown, split="gradient")
    assert law["n_seeds"] == 2
    assert "without seed 1: no sound cell at G = 5, 10" in law["note"]
    rows["hessian_rmse"] = rows["hessian_rmse"].where(rows["size"] > 5)
    law = only(study.of_one(rows).derivatives["hessian"].shown, split="hessian")
    assert law["verdict"] == "insufficient"
    assert law["note"].startswith("no seed has every cell of G = 5, 10, 20, 50, 100")


def test_orders_and_tables_are_those_of_the_derivative() -> None:
    found = study.of_one(results())
    text = terminal.laws(found.derivatives["hessian"])
    title, header, line, verdicts = text.splitlines()
    assert title == "exp_sin: RMSE of the Hessian ~ grid_size^exponent, in theory -2"
    assert line.split()[:3] == ["hessian", "10000", "-2.00"]
    assert line.endswith("2.00 2.00 2.00 2.00")
    assert "finest doubling" in header
    assert verdicts == "  Verdicts: by equivalence, within 0.25 of -2 over the finest doubling"
    laws = found.laws_of_all(derivatives=True)
    assert laws.columns.tolist() == LAW_COLUMNS
    assert laws["split"].unique().tolist() == ["train", "test", "gradient", "hessian"]


def test_figures_have_the_line_of_the_derivatives_theory() -> None:
    names = set()
    for each in sets.of_derivatives(study.of_one(results())):
        names.add(each.name)
        renderer, panel = laid_out(each.figure), each.figure.axes[0]
        assert on_page(each.figure, [panel.get_tightbbox(renderer)], slack=0)
        if each.name.endswith("grid_size"):
            labels = {text.get_text() for text in each.figure.legends[0].get_texts()}
            lost = 1 if each.name.startswith("gradient") else 2
            assert f"slope \N{MINUS SIGN}{4 - lost} (theory)" in labels
    assert names == {
        f"{split}_rmse_vs_{x}"
        for split in ("gradient", "hessian")
        for x in ("grid_size", "data_size")
    }
    several = study.of_several({"a": results(), "b": results()})
    assert len(sets.of_derivatives(several)) == 2
