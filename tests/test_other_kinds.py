"""Kinds of networks that nobody wrote code for come out right: one without a grid, one with."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from cells import kans, mlps
from matplotlib.figure import Figure
from pandas import DataFrame

from kansweep import kinds, study
from kansweep.figures import sets
from kansweep.laws import findings, fits, joint
from kansweep.report import matrix, terminal
from kansweep.report.contents import Report
from kansweep.report.page import page

pytestmark = pytest.mark.usefixtures("sketched")

HERMITE = kinds.Kind(
    name="hermite",
    title="Hermite KAN",
    networks="Hermite networks",
    size="degree",
    symbol="d",
    meaning="the degree of the polynomials",
    axis="model.degrees",
    smaller="lower",
    larger="higher degrees",
    best="best degree",
    extended=True,
    offers=(kinds.GRADIENT,),
    network="nowhere:Hermite",
    mark="hermite",
    qualifier="Hermite KAN",
)
RATIONAL = kinds.Kind(
    name="rational",
    title="rational KAN",
    networks="rational networks",
    size="grid size",
    symbol="G",
    meaning="the number of grid intervals",
    axis=kinds.GRID,
    smaller="coarser",
    larger="larger grids",
    best="best grid",
    extended=False,
    offers=(kinds.GRADIENT,),
    network="nowhere:Rational",
    mark="rational",
    qualifier="rational",
)
NUMBERS = (3000, 10_000)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (HERMITE, RATIONAL):
        monkeypatch.setitem(kinds.KINDS, kind.name, kind)


def hermite(seeds: int = 3) -> DataFrame:
    rows = mlps(-1.5, seeds, numbers=NUMBERS)
    degrees = {"model": "hermite", "width": "2-20-20-1", "n_params": 20 * rows["size"]}
    return rows.assign(**degrees, floor_rmse=1e-3)


def rational(seeds: int = 3) -> DataFrame:
    return kans(seeds, numbers=NUMBERS).assign(model="rational", k=None)


def several() -> findings.Study:
    sweeps = {"kan": kans(3), "mlp": mlps(-0.9, 3), "herm": hermite(), "rational": rational()}
    return findings.study(study.together(sweeps))


def labels(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def text_of(results: DataFrame) -> str:
    """All that a page says, and what is said of its figures."""
    cells = results.assign(status="done", key="", stop_reason="", started_at=pd.NaT)
    for column in ("version", "torch_version", "git_revision", "host", "device", "solver"):
        cells[column] = "x"
    of_sweep = study.of_one(cells.assign(status="ok"))
    report = Report(
        study=of_sweep,
        matrix=matrix.matrix(cells),
        drawn=sets.of_one(of_sweep),
        record={"name": "trial", "seeds": 3, "data": {}},
        command="kansweep run",
        joint=joint.describe(of_sweep.ended, 1.0),
    )
    texts: list[str] = []
    reader = HTMLParser()
    reader.handle_data = texts.append  # type: ignore[method-assign]
    reader.handle_starttag = (  # type: ignore[method-assign]
        lambda tag, attrs: texts.append(dict(attrs).get("aria-label") or "")
    )
    reader.feed(page(report))
    return "".join(texts)


def test_laws_stand_against_the_sizes_that_a_kind_has_and_describe() -> None:
    for results, axes in ((hermite(), {"n_params"}), (rational(), {"grid_size", "n_params"})):
        laws = study.of_one(results).laws
        assert laws.columns.tolist() == fits.LAW_COLUMNS
        assert set(laws["x"]) == axes
        assert set(laws["verdict"]) == {"descriptive"}
        assert set(laws["model"]) == set(results["model"])
        assert laws[["theory", "k", "exponent_vs_floor"]].isna().all(axis=None)
        assert laws["note"].str.endswith("no theory of its exponent is claimed").all()


def test_a_law_of_one_kind_rests_on_no_cell_of_another() -> None:
    rows = pd.concat([mlps(-0.9, 3, numbers=NUMBERS), hermite(), rational()], ignore_index=True)
    together = findings.study(rows)
    assert together.x == "n_params"
    for _, law in together.laws.iterrows():
        assert set(together.behind(law)["model"]) == {law["model"]}
    exponents = together.laws.groupby("model")["exponent"].max()
    assert exponents["mlp"] == pytest.approx(-0.9)
    assert len(exponents) == exponents.round(6).nunique() == 3


def test_the_terminal_speaks_of_degrees_and_of_grids_without_a_theory() -> None:
    text = terminal.summary(findings.study(hermite()))
    assert text.startswith("exp_sin (Hermite KAN): RMSE ~ n_params^exponent\n")
    assert "degrees" in text.splitlines()[1]
    assert "orders" not in text
    assert "Higher degrees gain more from data" in text
    assert "Least test RMSE, geometric means over seeds: d = 100 at n = 3000" in text
    on_grid = findings.study(rational())
    text = terminal.summary(on_grid)
    assert text.startswith("exp_sin (rational): RMSE ~ grid_size^exponent\n")
    assert "orders in G" in text.splitlines()[1]
    assert "4.00 4.00 4.00 4.00" in text
    assert "| exp_sin (rational) |  | test | 10000 | 4.00 | 4.00 | 4.00 | 4.00 |" in (
        terminal.orders_table(on_grid)
    )
    assert terminal.orders_table(findings.study(hermite())) == ""
    for results in (hermite(), rational()):
        assert "nan" not in terminal.summary(findings.study(results)).lower()


def test_figures_have_no_line_of_a_theory_and_dashed_curves() -> None:
    curves = ["rmse_vs_{}", "rmse_vs_data_size"]
    for results, x, more in (
        (hermite(), "n_params", ["rmse_map"]),
        (rational(), "grid_size", ["rmse_map", "local_orders"]),
    ):
        drawn = sets.of_one(findings.study(results), ["test"])
        assert [each.name for each in drawn] == [
            f"test_{name}".format(x) for name in (*curves, *more)
        ]
        for each in drawn:
            assert not [label for label in labels(each.figure) if "theory" in label]
            assert "theory" not in each.caption
        means = [line for line in drawn[0].figure.axes[0].lines if line.get_label() == "_mean"]
        assert {line.get_linestyle() for line in means} == {"--"}
        assert "best degree" in labels(drawn[2].figure)[0] or x == "grid_size"


def test_a_page_claims_no_theory_and_names_what_the_kind_grows_along() -> None:
    text = text_of(hermite())
    assert "Scaling law of Hermite networks, width 2-20-20-1, on exp_sin" in text
    assert "d the degree of the polynomials." in text
    assert "no theory of Hermite networks is claimed" in text
    assert "over d = 5 to 100 (P = 100 to 2000), three seeds: a description, of which" in text
    for absent in ("spline", "grid size", "G = ", "(k+1)", "nan", "Observed orders"):
        assert absent not in text, absent
    text = text_of(rational())
    assert "G is the number of grid intervals." in text
    assert "no theory of rational networks is claimed" in text
    assert "Observed orders" in text
    for absent in ("spline", "(k+1)", "nan", "None"):
        assert absent not in text.replace("None: every cell counts", ""), absent


def test_kinds_stand_together_each_with_its_own_law() -> None:
    drawn = sets.of_several(several(), ["test"])
    assert [each.name for each in drawn] == ["test_rmse_vs_n_params"]
    shown = labels(drawn[0].figure)
    assert [label.partition(":")[0] for label in shown[:4]] == ["herm", "kan", "mlp", "rational"]
    assert len([label for label in shown if "theory" in label]) == 1
    lines = [line for line in drawn[0].figure.axes[0].lines if line.get_label() == "_mean"]
    assert [line.get_linestyle() for line in lines] == ["--", "-", "--", "--"]


def test_kinds_on_a_grid_are_drawn_against_it_also_on_several_targets() -> None:
    sweeps = {
        f"{name}_{data}": make(3).assign(data=data)
        for name, make in (("kan", kans), ("rational", rational))
        for data in ("bessel", "exp_sin")
    }
    of_all = findings.study(study.together(sweeps))
    panel, compared = sets.of_several(of_all, ["test"])
    assert compared.name == "test_comparison"
    assert panel.name == "test_rmse_vs_grid_size"
    assert {"KAN", "rational KAN"} <= set(labels(panel.figure))
    orders = findings.study(study.together({**sweeps, "k1": kans(3, k=1)}))
    compared = sets.of_several(orders, ["test"])[-1]
    assert compared.name == "orders"
    assert compared.figure.axes[0].get_xticks().tolist() == [2, 4]


def test_the_matrix_and_the_joint_formula_ask_the_kind() -> None:
    swept = matrix.matrix(hermite().assign(status="done"))
    assert swept["grid_size"].isna().all()
    assert set(swept["model"]) == {"hermite"}
    assert matrix.texts(swept)[0] == ["n_train", "d=5", "d=10", "d=20", "d=50", "d=100"]
    assert matrix.matrix(rational().assign(status="done"))["grid_size"].tolist()[:2] == [5, 10]
    assert joint.describe(findings.study(hermite()).ended, 1.0).empty
    assert not joint.describe(findings.study(rational()).ended, 1.0).empty


def test_modules_are_extended_where_their_rows_say_so() -> None:
    cold = mlps(-1.5, 3, numbers=NUMBERS).assign(model="module", width="2-1")
    warm = cold.assign(start_grid=cold["size"].min())
    assert kinds.extended(warm).all()
    assert kinds.extended(kans(3)).all()
    assert not kinds.extended(cold).any()
    assert not kinds.extended(mlps(-1.5, 3)).any()
    assert kinds.KINDS["module"].shape("2-1", 5) == "2-…-1"


def test_floors_and_exactness_are_those_of_splines() -> None:
    assert study.with_floor(hermite())["floor_rmse"].isna().all()
    assert study.with_floor(rational())["floor_rmse"].isna().all()
    assert not study.rules(rational().assign(data="product", k=3)).exact
    assert np.isnan(HERMITE.exponent(3))
