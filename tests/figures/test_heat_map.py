"""The map of a matrix, read back from its artists."""

from __future__ import annotations

from io import StringIO

import pytest
from artists import legend, texts
from cells import broken, mlps, published
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from pandas import DataFrame

from kansweep.figures import heat_map, sets
from kansweep.laws import findings
from kansweep.laws.cells import classify


def drawn(results: DataFrame, split: str) -> Figure:
    return heat_map.heat_map(findings.study(results), split).figure


def test_map_has_every_error_in_its_place():
    told = texts(drawn(published(), "test").axes[0])
    assert len(told) == 20
    assert told[0, 0] == "7.3e-3"  # n = 100, G = 5
    assert told[4, 3] == "3.3e-8"  # n = 3000, G = 100
    assert told[4, 0] == "1.6e+00"  # n = 100, G = 100: blown up
    assert texts(drawn(published(), "train").axes[0])[0, 0] == "5.2e-3"


def test_map_frames_the_best_grid_of_each_data_size():
    figure = drawn(published(), "test")
    frames = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    places = {(round(patch.get_x() + 0.47), round(patch.get_y() + 0.45)) for patch in frames}
    assert places == {(2, 0), (3, 1), (4, 2), (4, 3)}
    assert "best grid" in legend(figure)


def test_map_parts_cells_with_more_parameters_than_points():
    figure = drawn(published(), "test")
    line = next(line for line in figure.axes[0].lines if line.get_linestyle() == "--")
    # 3 (G + 3) exceeds 100 from G = 50 on, 300 at G = 100, and neither 1000 nor 3000.
    assert line.get_xdata().tolist() == [2.5, 2.5, 3.5, 3.5, 4.5, 4.5, 4.5, 4.5]
    assert "n_params = n_train" in legend(figure)
    few = drawn(published(n_params=published()["grid_size"]), "test")
    assert "n_params = n_train" not in legend(few)


def test_map_marks_what_the_fits_leave_out():
    figure = drawn(published(), "test")
    rings = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    left_out = ~classify(published())["counts"]
    assert len(rings) == left_out.sum() == 8
    assert "left out of fits" in legend(figure)


def test_map_says_failed_where_there_is_no_error():
    told = texts(drawn(broken(), "test").axes[0])
    assert [place for place, text in told.items() if text == "failed"] == [(2, 1), (3, 1), (4, 1)]


def test_colours_of_the_map_are_logarithmic_and_told_beside_it():
    figure = drawn(published(), "test")
    norm = figure.axes[0].collections[0].norm
    assert norm(1e-4) - norm(1e-6) == pytest.approx(norm(1e-2) - norm(1e-4))
    assert figure.axes[1].get_ylabel() == "test RMSE"


def test_map_is_made_of_shapes_alone():
    svg = StringIO()
    drawn(published(), "test").savefig(svg, format="svg")
    assert "<image" not in svg.getvalue()


def test_the_map_of_an_mlp_has_its_widths_and_it_has_no_orders():
    results = mlps(numbers=(300, 3000))
    maps = sets.of_one(findings.study(results), ["test"])[2:]
    assert [each.name for each in maps] == ["test_rmse_map"]
    figure = maps[0].figure
    axes = figure.axes[0]
    assert axes.get_xlabel() == "width w"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["5", "10", "20", "50", "100"]
    assert texts(axes)[0, 0] == "2.0e-2"  # 1 / 51
    assert legend(figure)[0] == "best width"
    line = next(line for line in axes.lines if line.get_linestyle() == "--")
    # 501 parameters at w = 20 exceed 300, 10,501 at w = 100 exceed 3000.
    assert line.get_xdata().tolist() == [1.5, 1.5, 3.5, 3.5]
