"""Maps and local orders of sweeps of every make, looked at: nothing overlaps or is cut."""

from __future__ import annotations

import numpy as np
import pytest
from artists import apart, laid_out, on_page, tick_boxes
from cells import broken, mlps, published, with_floor

from kansweep.figures import frontier, heat_map, local_orders, sets
from kansweep.laws import findings
from kansweep.laws.cells import SPLITS

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
    others = {f"test_{kind}" for kind in kinds}
    others |= {"test_frontier"} if frontier.wanted(study) else set()
    assert {each.name for each in sets.of_one(study)[4:]} == others
    for figure in [each.figure for each in drawn if each.name.startswith("test_")]:
        renderer = laid_out(figure)
        panels = [axes.get_tightbbox(renderer) for axes in figure.axes]
        legends = [box.get_window_extent(renderer) for box in figure.legends]
        assert on_page(figure, [*panels, *legends], slack=1)
        assert not any(box.overlaps(axes.bbox) for box in legends for axes in figure.axes)
        for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
            assert apart(tick_boxes(axis, renderer))
