"""The figure of the best sizes, looked at: what is drawn, and that nothing overlaps or is cut."""

from __future__ import annotations

import numpy as np
import pytest
from artists import laid_out, on_page
from cells import kans, mlps

from kansweep.figures import frontier, sets
from kansweep.laws import findings
from kansweep.report import frontier as words

SIZES = [4, 9, 20, 45, 100, 225, 500]


def levelling(**columns):
    results = kans(3, (60, 100, 150, 300), SIZES)
    grid = np.minimum(results["n_params"], 2 * results["n_train"]) / 3 - 3
    return results.assign(train_rmse=grid**-4.0, test_rmse=grid**-4.0, **columns)


SWEEPS = {
    "all inside": levelling,
    "some at the edge": lambda: levelling().query("size <= 100"),
    "one seed": lambda: levelling().query("seed == 0"),
    "MLP": lambda: mlps(seeds=2, numbers=(100, 300, 1000)),
    "no seconds": lambda: levelling().drop(columns="seconds"),
}


@pytest.mark.parametrize("sweep", SWEEPS)
def test_nothing_overlaps_or_is_cut(sweep):
    study = findings.study(SWEEPS[sweep]())
    drawn = frontier.frontier(study)
    renderer = laid_out(drawn.figure)
    panels = [axes.get_tightbbox(renderer) for axes in drawn.figure.axes]
    legends = [box.get_window_extent(renderer) for box in drawn.figure.legends]
    assert len(panels) == (2 if sweep == "no seconds" else 3)
    assert on_page(drawn.figure, [*panels, *legends], slack=1)
    assert not any(box.overlaps(axes.bbox) for box in legends for axes in drawn.figure.axes)


def test_it_is_one_of_a_sweep_s_figures_where_there_are_data_sizes_enough():
    names = [each.name for each in sets.of_one(findings.study(levelling()))]
    assert names[-1] == "test_frontier"
    few = findings.study(levelling().query("n_train < 150"))
    assert "test_frontier" not in [each.name for each in sets.of_one(few)]
    of_training = sets.of_one(findings.study(levelling()), ["train"])
    assert "test_frontier" not in [each.name for each in of_training]


def test_its_law_and_its_edge_are_told():
    whole, short = (findings.study(SWEEPS[name]()) for name in ("all inside", "some at the edge"))
    assert "along the best sizes:\nexponent" in frontier.frontier(whole).figure.axes[0].get_title()
    assert "no law" in frontier.frontier(short).figure.axes[0].get_title()
    lines = "\n".join(words.lines(short))
    assert "at the edge of the list, being the largest tried: n = 100, 150, 300" in lines
    assert "RMSE ~ (n)^" in "\n".join(words.lines(whole))
    assert "the largest tried" in words.section(short)
    assert "no law of them" in words.section(short)
    assert "exponents, Student&#x27;s t over three seeds" in words.section(whole)
