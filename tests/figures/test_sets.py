"""Maps and local orders of sweeps of every make, looked at: nothing overlaps or is cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from models import mlps
from pandas import DataFrame
from studies import published, with_floor

from kansweep.figures import heat_map, local_orders, sets
from kansweep.laws import findings
from kansweep.laws.cells import SPLITS


def broken() -> DataFrame:
    table = published()
    lost = (table["n_train"] == 300) & (table["grid_size"] > 10)
    table.loc[lost, ["train_rmse", "test_rmse", "status"]] = [np.nan, np.nan, "failed"]
    return table


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
    study = findings.study(SWEEPS[sweep]())
    makers = (
        [heat_map.heat_map] if sweep == "MLP" else [heat_map.heat_map, local_orders.local_orders]
    )
    kinds = ("rmse_map", "local_orders")[: len(makers)]
    drawn = [make(study, split) for split in SPLITS for make in makers]
    assert [each.name for each in drawn] == [
        f"{split}_{kind}" for split in SPLITS for kind in kinds
    ]
    assert {each.name for each in sets.of_one(study)[4:]} == {f"test_{kind}" for kind in kinds}
    for figure in [each.figure for each in drawn]:
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
