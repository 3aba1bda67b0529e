"""Orders from grid to grid, read back from their artists."""

from __future__ import annotations

import numpy as np
from artists import legend
from cells import published, with_floor
from matplotlib.figure import Figure
from pandas import DataFrame
from studies import observed_orders

from kansweep.figures import local_orders
from kansweep.laws import findings


def drawn(results: DataFrame, split: str) -> Figure:
    return local_orders.local_orders(findings.study(results), split).figure


def test_orders_stand_between_their_grids_hollow_where_a_cell_does_not_count():
    figure = drawn(with_floor(), "test")
    orders = observed_orders(with_floor())
    orders = orders[orders["split"] == "test"]
    for counts in (True, False):
        mine = orders[orders["counts"] == counts]
        x = np.sqrt((mine["size"] * mine["next_size"]).to_numpy(float))
        expected = {(round(a, 9), round(b, 9)) for a, b in zip(x, mine["order"], strict=True)}
        points = {
            (round(float(a), 9), round(float(b), 9))
            for line in figure.axes[0].lines
            if line.get_linestyle() == "None" and (line.get_markerfacecolor() != "white") == counts
            for a, b in zip(line.get_xdata(), line.get_ydata(), strict=True)
        }
        assert points == expected
    assert "hollow: a cell is left out" in legend(figure)


def test_orders_have_the_theorys_line_and_the_floors_curve():
    figure = drawn(with_floor(), "test")
    assert "k + 1 = 4 (theory)" in legend(figure)
    floor = next(line for line in figure.axes[0].lines if line.get_linestyle() == ":")
    assert np.round(floor.get_ydata(), 2).tolist() == [4.45, 4.14, 4.03, 4.01]
    assert "floor: best splines" not in legend(drawn(published(), "test"))


def test_orders_are_in_sight_where_no_cell_counts():
    results = published().assign(n_params=10**6)
    low, high = drawn(results, "test").axes[0].get_ylim()
    orders = observed_orders(results)
    orders = orders.loc[orders["split"] == "test", "order"]
    assert low < orders.min() < orders.max() < high
