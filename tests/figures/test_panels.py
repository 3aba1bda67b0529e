"""A panel a target, read back from its artists."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from artists import MINUS, laid_out, legend, lines, on_page, visible
from cells import kans, mlps
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from pandas import DataFrame
from scipy import stats

from kansweep import study
from kansweep.figures import panels, sets
from kansweep.laws import findings
from kansweep.laws.cells import SPLITS

TARGETS = ("bessel", "exp_sin", "exp_sin_4d", "a long formula + " * 4, "mean_100d")
THEORY = f"slope {MINUS}4 (theory)"
FLOOR = "floor: best splines"


def sweeps(targets=TARGETS, seeds=3) -> dict[str, DataFrame]:
    found = {}
    for i, target in enumerate(targets):
        floor = kans(seeds)["size"] ** -4.0
        found[f"kan_{i}"] = kans(seeds, data=target, floor_rmse=1.5 * floor)
        found[f"mlp_{i}"] = mlps(-0.5 - 0.1 * i, seeds, data=target)
    return found


def of_several(found: dict[str, DataFrame]) -> findings.Study:
    return findings.study(study.together(found))


def drawn(found: dict[str, DataFrame], split: str = "test") -> Figure:
    (only,) = panels.draw(of_several(found), [split])
    return only.figure


@cache
def usual() -> Figure:
    """To be read: what it holds is of five targets."""
    return drawn(sweeps())


def test_both_kinds_on_several_targets_want_panels_and_nothing_else_does():
    two = TARGETS[:2]
    for found, wanted in (
        (sweeps(two), True),
        (sweeps(two[:1]), False),
        ({name: rows for name, rows in sweeps(two).items() if name.startswith("mlp")}, False),
        ({name: rows for name, rows in sweeps(two).items() if name.startswith("kan")}, False),
    ):
        of_all = of_several(found)
        assert panels.wanted(of_all) == wanted
        (only,) = sets.of_several(of_all, ["test"])
        assert len(visible(only.figure)) == (2 if wanted else 1)


def test_a_panel_has_its_target_with_a_kan_and_an_mlp_and_their_exponents():
    figure = usual()
    titles = [axes.get_title(loc="left") for axes in visible(figure)]
    assert [title[:10] for title in titles] == sorted(target[:10] for target in TARGETS)
    for axes, title in zip(visible(figure), titles, strict=True):
        i = [target[:10] for target in TARGETS].index(title[:10])
        found = {line.get_linestyle(): line for line in lines(axes, "_mean")}
        assert len(found) == 2
        kan, mlp = found["-"], found["--"]
        assert list(kan.get_xdata()) == [3 * (size + 3) for size in (5, 10, 20, 50, 100)]
        assert list(mlp.get_xdata()) == [51, 151, 501, 2751, 10501]
        told = [text.get_text() for text in axes.texts]
        exponent = f"{MINUS}{0.5 + 0.1 * i:.2f}"
        assert f"MLP: {exponent} [{exponent}, {exponent}]" in told
        assert f"KAN: {MINUS}4.64 [{MINUS}4.64, {MINUS}4.64]" in told


def test_the_exponents_are_those_of_the_split():
    found = sweeps(TARGETS[:2])
    for name in ("mlp_0", "mlp_1"):
        rows = found[name]
        found[name] = rows.assign(train_rmse=rows["test_rmse"] * rows["n_params"] ** 0.05)
    told = {split: visible(drawn(found, split))[0].texts[0].get_text() for split in SPLITS}
    assert told["test"].startswith(f"MLP: {MINUS}0.50 ")
    assert told["train"].startswith(f"MLP: {MINUS}0.45 ")
    assert visible(drawn(found, "train"))[0].get_ylabel() == "train RMSE"


def test_the_theory_and_the_floor_are_those_of_the_kan_alone():
    for axes in visible(usual()):
        (reference,) = lines(axes, THEORY)
        x, y = np.asarray(reference.get_xdata()), np.asarray(reference.get_ydata())
        assert x == pytest.approx([24, 309])
        assert np.log(y[1] / y[0]) / np.log(x[1] / x[0]) == pytest.approx(-4)
        (floor,) = lines(axes, FLOOR)
        assert list(floor.get_xdata()) == [24, 39, 69, 159, 309]
        means = [stats.gmean(line.get_ydata()) for line in lines(axes, "_mean")]
        assert stats.gmean(floor.get_ydata()) == pytest.approx(
            0.75 * min(means)
        )  # of 1, 2, 4 by seed


def test_axes_are_the_same_and_labelled_at_the_edge_alone():
    figure = usual()
    axes = visible(figure)
    assert (
        len({panel.get_ylim() for panel in axes}) == len({panel.get_xlim() for panel in axes}) == 1
    )
    assert [panel.get_xlabel() != "" for panel in axes] == [False, False, True, True, True]
    ticks = [panel.xaxis.get_major_ticks()[0].label1.get_visible() for panel in axes]
    assert ticks == [False, False, True, True, True]
    assert [panel.get_ylabel() != "" for panel in axes] == [True, False, False, True, False]


def test_a_kind_looks_the_same_in_every_panel_and_unlike_the_other():
    seen = {
        (mean.get_linestyle(), mean.get_color(), kept.get_marker())
        for axes in visible(usual())
        for mean, kept in zip(lines(axes, "_mean"), lines(axes, "_kept"), strict=True)
    }
    assert len(seen) == 2
    assert all(len(set(part)) == 2 for part in zip(*seen, strict=True))


def test_one_legend_has_each_kind_once():
    assert legend(usual()) == [
        *("KAN", "MLP", THEORY, FLOOR, "single seeds", "95% band of their mean")
    ]


def test_sweeps_of_one_kind_and_target_are_told_apart():
    found = sweeps(TARGETS[:2]) | {"deep": mlps(-0.9, 3, data=TARGETS[0])}
    figure = drawn(found)
    assert legend(figure)[:3] == ["KAN", "MLP", "MLP (2)"]
    told = [text.get_text().partition(":")[0] for text in visible(figure)[0].texts]
    assert sorted(told) == ["deep", "kan_0", "mlp_0"]
    orders = sweeps(TARGETS[:2]) | {"linear": kans(3, k=1, data=TARGETS[0])}
    figure = drawn(orders)
    assert legend(figure)[:3] == ["KAN, k = 1", "KAN, k = 3", "MLP"]
    assert {THEORY, f"slope {MINUS}2 (theory)"} <= set(legend(figure))


def test_a_panel_may_have_one_kind_alone():
    found = sweeps(TARGETS[:3])
    del found["mlp_1"], found["kan_2"]
    figure = drawn(found)
    assert [len(axes.texts) for axes in visible(figure)] == [2, 1, 1]


def hollow() -> dict[str, DataFrame]:
    return {name: rows.assign(n_params=10**6) for name, rows in sweeps().items()}


def broken() -> dict[str, DataFrame]:
    found = sweeps()
    wild = found["mlp_1"]["size"] == 100
    found["mlp_1"] = found["mlp_1"].assign(
        test_rmse=found["mlp_1"]["test_rmse"].mask(wild, 1e300), status="ok"
    )
    found["kan_2"] = found["kan_2"].assign(status="failed", train_rmse=np.nan, test_rmse=np.nan)
    return found


CASES = {
    "five": sweeps,
    "one seed": lambda: sweeps(seeds=1),
    "two": lambda: sweeps(TARGETS[:2]),
    "four": lambda: sweeps(TARGETS[:4]),
    "seven": lambda: sweeps((*TARGETS, "product", "$x_1$")),
    "hollow": hollow,
    "broken": broken,
    "several": lambda: sweeps() | {"a deep one with a long name": mlps(-0.9, 3, data=TARGETS[0])},
    "narrow": lambda: {
        name: rows[rows["n_params"].between(50, 160)] for name, rows in sweeps().items()
    },
}


@pytest.mark.parametrize("case", CASES)
def test_nothing_overlaps_or_is_cut(case):
    figure = drawn(CASES[case]())
    renderer = laid_out(figure)
    tight = [axes.get_tightbbox(renderer) for axes in visible(figure)]
    (box,) = (legend.get_window_extent(renderer) for legend in figure.legends)
    assert on_page(figure, [*tight, box], slack=1)
    assert not any(box.overlaps(extent) for extent in tight)
    for i, extent in enumerate(tight):
        assert not any(extent.overlaps(other) for other in tight[:i])
    for axes in visible(figure):
        texts = [*axes.texts, axes._left_title]
        heights = sorted(
            text.get_window_extent(renderer).extents[[1, 3]].tolist() for text in texts
        )
        assert all(low[1] <= high[0] + 1 for low, high in pairwise(heights))
        assert heights[0][0] >= axes.bbox.y1
        assert axes.get_window_extent(renderer).width > 120
        labels = [t.label1 for t in axes.xaxis.get_major_ticks() if t.label1.get_visible()]
        lowest, highest = axes.get_xlim()
        inside = [t for t in labels if lowest <= t.get_position()[0] <= highest]
        assert len(inside) >= 2 or not axes.get_xlabel()
    assert all(axes.findobj(PolyCollection) for axes in visible(figure))
