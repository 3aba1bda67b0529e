"""Maps, local orders and orders of several sweeps, read back from their artists."""

from __future__ import annotations

from io import StringIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from models import mlps
from pandas import DataFrame

from kansweep import cells as law
from kansweep import heat_map as figures

FLOOR = {5: 6.62e-3, 10: 3.03e-4, 20: 1.72e-5, 50: 4.28e-7, 100: 2.66e-8}


def published(**columns) -> DataFrame:
    table = pd.read_csv(Path(__file__).parent / "data" / "example8_published.csv")
    table = table.assign(data="exp_sin", seed=0, k=3, width="2-1-1", status="ok", dtype="float64")
    table = table.assign(n_params=3 * (table["grid_size"] + 3), floor_rmse=np.nan)
    return table.assign(**columns)


def with_floor() -> DataFrame:
    table = published()
    return table.assign(floor_rmse=table["grid_size"].map(FLOOR))


def broken() -> DataFrame:
    table = published()
    lost = (table["n_train"] == 300) & (table["grid_size"] > 10)
    table.loc[lost, ["train_rmse", "test_rmse", "status"]] = [np.nan, np.nan, "failed"]
    return table


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def written(figure: Figure) -> dict[tuple[float, float], str]:
    return {text.get_position(): text.get_text() for text in figure.axes[0].texts}


# --------------------------------------------------------------------------------- the map


def test_map_has_every_error_in_its_place():
    told = written(figures.heat_map(published(), "test"))
    assert len(told) == 20
    assert told[0, 0] == "7.3e-3"  # n = 100, G = 5
    assert told[4, 3] == "3.3e-8"  # n = 3000, G = 100
    assert told[4, 0] == "1.6e+00"  # n = 100, G = 100: blown up
    assert written(figures.heat_map(published(), "train"))[0, 0] == "5.2e-3"


def test_map_frames_the_best_grid_of_each_data_size():
    figure = figures.heat_map(published(), "test")
    frames = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    places = {(round(patch.get_x() + 0.47), round(patch.get_y() + 0.45)) for patch in frames}
    assert places == {(2, 0), (3, 1), (4, 2), (4, 3)}
    assert "best grid" in legend(figure)


def test_map_parts_cells_with_more_parameters_than_points():
    figure = figures.heat_map(published(), "test")
    line = next(line for line in figure.axes[0].lines if line.get_linestyle() == "--")
    # 3 (G + 3) exceeds 100 from G = 50 on, 300 at G = 100, and neither 1000 nor 3000.
    assert line.get_xdata().tolist() == [2.5, 2.5, 3.5, 3.5, 4.5, 4.5, 4.5, 4.5]
    assert "n_params = n_train" in legend(figure)
    few = figures.heat_map(published(n_params=1), "test")
    assert "n_params = n_train" not in legend(few)


def test_map_marks_what_the_fits_leave_out():
    figure = figures.heat_map(published(), "test")
    rings = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    left_out = ~law.classify(published())["counts"]
    assert len(rings) == left_out.sum() == 8
    assert "left out of fits" in legend(figure)


def test_map_says_failed_where_there_is_no_error():
    told = written(figures.heat_map(broken(), "test"))
    assert [place for place, text in told.items() if text == "failed"] == [(2, 1), (3, 1), (4, 1)]


def test_colours_of_the_map_are_logarithmic_and_told_beside_it():
    figure = figures.heat_map(published(), "test")
    norm = figure.axes[0].collections[0].norm
    assert norm(1e-4) - norm(1e-6) == pytest.approx(norm(1e-2) - norm(1e-4))
    assert figure.axes[1].get_ylabel() == "test RMSE"


def test_map_is_made_of_shapes_alone():
    svg = StringIO()
    figures.heat_map(published(), "test").savefig(svg, format="svg")
    assert "<image" not in svg.getvalue()


# ------------------------------------------------------------------------------ local orders


def test_orders_stand_between_their_grids_hollow_where_a_cell_does_not_count():
    figure = figures.local_orders(with_floor(), "test")
    orders = law.observed_orders(with_floor())
    orders = orders[orders["split"] == "test"]
    for counts in (True, False):
        mine = orders[orders["counts"] == counts]
        x = np.sqrt((mine["size"] * mine["next_size"]).to_numpy(float))
        expected = {(round(a, 9), round(b, 9)) for a, b in zip(x, mine["order"], strict=True)}
        drawn = {
            (round(float(a), 9), round(float(b), 9))
            for line in figure.axes[0].lines
            if line.get_linestyle() == "None" and (line.get_markerfacecolor() != "white") == counts
            for a, b in zip(line.get_xdata(), line.get_ydata(), strict=True)
        }
        assert drawn == expected
    assert "hollow: a cell is left out" in legend(figure)


def test_orders_have_the_theorys_line_and_the_floors_curve():
    figure = figures.local_orders(with_floor(), "test")
    assert "k + 1 = 4 (theory)" in legend(figure)
    floor = next(line for line in figure.axes[0].lines if line.get_linestyle() == ":")
    assert np.round(floor.get_ydata(), 2).tolist() == [4.45, 4.14, 4.03, 4.01]
    assert "floor: best splines" not in legend(figures.local_orders(published(), "test"))


# --------------------------------------------------------------------- measured and predicted


def laws_of(orders: dict[int, float]) -> DataFrame:
    rows = [
        {
            "seed": seed,
            "grid_size": size,
            "k": k,
            "rmse": size ** -(order + 0.02 * seed),
        }
        for k, order in orders.items()
        for seed in range(3)
        for size in (5, 10, 20, 50)
    ]
    frame = DataFrame(rows).assign(n_train=10_000, n_params=1, status="ok")
    frame = frame.assign(data=[f"k={k}" for k in frame["k"]])
    return law.fit_laws(frame.assign(train_rmse=frame["rmse"], test_rmse=frame["rmse"]))


def test_measured_orders_stand_over_the_predicted_with_their_intervals():
    laws = laws_of({1: 2.0, 2: 3.1, 3: 3.5})
    figure = figures.measured_orders(laws)
    axes = figure.axes[0]
    assert axes.get_xticks().tolist() == [2, 3, 4]
    test = axes.containers[1]
    assert test[0].get_ydata().tolist() == pytest.approx([2.02, 3.12, 3.52])
    mine = laws[laws["split"] == "test"]
    ends = np.array([segment[:, 1] for segment in test[2][0].get_segments()])
    assert ends[:, 0] == pytest.approx(-mine["ci_high"].to_numpy())
    assert ends[:, 1] == pytest.approx(-mine["ci_low"].to_numpy())
    assert legend(figure) == ["theory: k + 1", "theory ± 0.25", "train RMSE", "test RMSE"]


# --------------------------------------------------------------------------- to be looked at

SWEEPS = {
    "published": published,
    "floor": with_floor,
    "broken": broken,
    "failed": lambda: published(status="failed", train_rmse=np.nan, test_rmse=np.nan),
    "one cell": lambda: published().query("n_train == 1000 and grid_size == 10"),
    "one data size": lambda: published().query("n_train == 1000"),
    "one grid size": lambda: published().query("grid_size == 10"),
    "MLP": lambda: mlps(numbers=(300, 3000)),
    "long title": lambda: published(data="exp(sin(pi*x1)+x2**2)*cos(x3)+log(1+x4**2)+x5"),
}


@pytest.mark.parametrize("sweep", SWEEPS)
def test_nothing_overlaps_or_is_cut(sweep):
    drawn = figures.draw(SWEEPS[sweep](), law.SPLITS)
    kinds = ("rmse_map", "local_orders") if sweep != "MLP" else ("rmse_map",)
    assert list(drawn) == [f"{split}_{kind}" for split in law.SPLITS for kind in kinds]
    for figure in drawn.values():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer, page = canvas.get_renderer(), figure.bbox
        panels = [axes.get_tightbbox(renderer) for axes in figure.axes]
        legends = [box.get_window_extent(renderer) for box in figure.legends]
        for extent in (*panels, *legends):
            assert extent.x0 >= -1
            assert extent.y0 >= -1
            assert extent.x1 <= page.x1 + 1
            assert extent.y1 <= page.y1 + 1
        assert not any(box.overlaps(axes.bbox) for box in legends for axes in figure.axes)
        for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            boxes = [tick.label1.get_window_extent(renderer) for tick in ticks]
            assert not any(first.overlaps(second) for first, second in pairwise(boxes))


# ------------------------------------------------------------------------------------- MLPs


def test_the_map_of_an_mlp_has_its_widths_and_it_has_no_orders():
    results = mlps(numbers=(300, 3000))
    drawn = figures.draw(results, ["test"])
    assert list(drawn) == ["test_rmse_map"]
    axes = drawn["test_rmse_map"].axes[0]
    assert axes.get_xlabel() == "width w"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["5", "10", "20", "50", "100"]
    assert written(drawn["test_rmse_map"])[0, 0] == "2.0e-2"  # 1 / 51
    assert legend(drawn["test_rmse_map"])[0] == "best width"
    line = next(line for line in axes.lines if line.get_linestyle() == "--")
    # 501 parameters at w = 20 exceed 300, 10,501 at w = 100 exceed 3000.
    assert line.get_xdata().tolist() == [1.5, 1.5, 3.5, 3.5]
