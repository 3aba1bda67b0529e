"""Sweeps of one target beside each other, read back from the figure's artists."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from artists import MINUS, laid_out, legend, lines, on_page
from cells import kans, mlps
from matplotlib.figure import Figure
from pandas import DataFrame

from kansweep import study
from kansweep.figures import comparison
from kansweep.figures.drawn import Drawn
from kansweep.laws import findings

KINDS = ("kan", "mlp", "rbf", "chebyshev", "fourier", "wavelet", "pykan")


@cache
def sweeps(targets: int = 2, kinds: int = 2) -> dict[str, DataFrame]:
    """As a multirun names them; kinds beyond the second are MLPs too."""
    found = {}
    for t in range(targets):
        of_target = {"data": f"target {t}"}
        rows = kans(2, **of_target)
        found[f"s,data={t},model=kan"] = rows.assign(seconds=rows["size"] / 5)
        for i, kind in enumerate(KINDS[1:kinds]):
            rows = mlps(-0.5 - 0.2 * i, 2, [10_000], **of_target)
            found[f"s,data={t},model={kind}"] = rows.assign(seconds=2.0 ** (rows["seed"] + i))
    return found


def of(found: dict[str, DataFrame], **points: dict) -> findings.Study:
    return findings.study(study.together(found, points))


@cache
def usual() -> Drawn:
    return drawn(sweeps())


def drawn(found: dict[str, DataFrame]) -> Drawn:
    return comparison.comparison(of(found), "test")


def of_rows(figure: Figure) -> list[list[str]]:
    legends = [axes.get_legend() for axes in figure.axes]
    return [[text.get_text() for text in each.get_texts()] for each in legends if each]


def test_a_row_a_target_with_parameters_and_the_seconds_to_get_there() -> None:
    figure = usual().figure
    assert len(figure.axes) == 4
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        *("target 0, n = 10000", "", "target 1, n = 10000", "")
    ]
    for left, right in (figure.axes[:2], figure.axes[2:]):
        kan, mlp = lines(left, "_mean")
        assert list(kan.get_xdata()) == [24, 39, 69, 159, 309]
        assert list(mlp.get_xdata()) == [51, 151, 501, 2751, 10501]
        timed = lines(right, "_mean")
        assert list(timed[0].get_xdata()) == pytest.approx([1, 3, 7, 17, 37])
        assert list(timed[1].get_xdata()) == pytest.approx([2**0.5] * 5)  # of 1 and 2 by seed
        assert timed[0].get_ydata().tolist() == kan.get_ydata().tolist()
        assert left.get_ylim() == right.get_ylim()


def test_a_rows_legend_says_the_laws_of_its_sweeps_by_what_tells_them_apart() -> None:
    first, second = of_rows(usual().figure)
    exponent = f"{MINUS}0.50"
    assert first == [
        *(f"model=kan: {MINUS}4.64 [{MINUS}4.64, {MINUS}4.64]",),
        f"model=mlp: {exponent} [{exponent}, {exponent}]",
    ]
    assert first == second
    alone = {name.partition("=")[0]: rows for name, rows in list(sweeps(1).items())[:1]}
    other = {"mine": mlps(-0.5, 2, [10_000], data="target 0")}
    (told,) = of_rows(drawn(alone | other).figure)
    assert [label.partition(":")[0] for label in told] == ["s,data", "mine (MLP)"]
    assert comparison._labels(["a", "a,k=2"]) == {"a": "a", "a,k=2": "k=2"}


def test_its_laws_are_against_parameters_where_all_sweeps_have_a_grid_too() -> None:
    found = {"cubic": kans(2), "linear": kans(2, k=1)}
    study_ = of(found)
    assert study_.x == "grid_size"
    (told,) = of_rows(comparison.comparison(study_, "test").figure)
    against = study_.laws.query("x == 'n_params' and split == 'test'").set_index("data")["exponent"]
    for name, label in zip(found, told, strict=True):
        assert label.startswith(f"{name}: {MINUS}{-against[name]:.2f} [")
    assert against["cubic"] < -4.5  # and -4 against the grid


def test_a_sweep_looks_the_same_in_every_row_and_unlike_the_others() -> None:
    figure = drawn(sweeps(2, 4)).figure
    seen = [
        [(kept.get_color(), kept.get_marker()) for kept in lines(axes, "_kept")]
        for axes in figure.axes
    ]
    assert all(len(set(row)) == len({marker for _, marker in row}) == 4 for row in seen)
    assert seen == seen[:1] * 4


def test_only_sweeps_that_can_be_compared_stand_there() -> None:
    found = sweeps(2)
    assert comparison.wanted(of(found))
    assert not comparison.wanted(of({name: found[name] for name in list(found)[1:3]}))
    name = next(name for name in found if name.endswith("=mlp"))
    apart = comparison.comparison(of(found, **{name: {"data.n_test": 5}}), "test").figure
    titles = [axes.get_title(loc="left") for axes in apart.axes]
    assert titles == ["target 1, n = 10000", ""]


def test_what_it_shows_is_told_in_words_too() -> None:
    told = drawn(sweeps(1))
    assert told.numbers == (
        "target 0, n = 10000: model=kan: 2.26e-03 at P = 24 to 1.41e-08 at P = 309 in 1 to 37 s,"
        f" exponent {MINUS}4.64 [{MINUS}4.64, {MINUS}4.64]; model=mlp: 1.98e-01 at P = 51 to"
        f" 1.38e-02 at P = 10501 in 1.4 to 1.4 s, exponent {MINUS}0.50 [{MINUS}0.50, {MINUS}0.50]."
    )
    assert "seconds" in told.caption
    untimed = {name: rows.assign(seconds=np.nan) for name, rows in sweeps(1).items()}
    assert len(drawn(untimed).figure.axes) == 1
    assert "seconds" not in drawn(untimed).caption


def broken() -> dict[str, DataFrame]:
    found = dict(sweeps(2, 3))
    wild = found["s,data=0,model=mlp"]["size"] == 100
    rows = found["s,data=0,model=mlp"]
    found["s,data=0,model=mlp"] = rows.assign(test_rmse=rows["test_rmse"].mask(wild, 1e300))
    nothing = {"status": "failed", "train_rmse": np.nan, "test_rmse": np.nan, "seconds": np.nan}
    found["s,data=1,model=rbf"] = found["s,data=1,model=rbf"].assign(**nothing)
    return found


CASES = {
    "seven": lambda: sweeps(1, 7),
    "five targets": lambda: sweeps(5, 2),
    "broken, with long names": lambda: {
        f"{name},{'long' * 9 * (i % 2)}": rows for i, (name, rows) in enumerate(broken().items())
    },
}


@pytest.mark.parametrize("case", CASES)
def test_nothing_overlaps_or_is_cut(case: str) -> None:
    figure = drawn(CASES[case]()).figure
    renderer = laid_out(figure)
    boxes = [axes.get_tightbbox(renderer, bbox_extra_artists=[]) for axes in figure.axes]
    keys = [axes.get_legend() for axes in figure.axes] + figure.legends
    beside = [each.get_window_extent(renderer) for each in keys if each]
    assert on_page(figure, [*boxes, *beside], slack=1)
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in [*boxes[:i], *beside])
    assert not any(a.overlaps(b) for i, a in enumerate(beside) for b in beside[:i])
    assert all(axes.get_window_extent(renderer).width > 150 for axes in figure.axes)
    assert len(legend(figure)) == len(set(legend(figure)))
