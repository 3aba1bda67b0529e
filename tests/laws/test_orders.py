"""Observed orders against closed forms and the published table."""

from __future__ import annotations

import pytest
from cells import power_law, published
from studies import at, observed_orders

# ------------------------------------------------------------------------ the published table


def test_published_table_gives_the_known_orders():
    orders = observed_orders(published())
    mine = orders[at(orders, n_train=3000, split="test")]
    assert mine["order"].round(2).tolist() == [4.34, 4.17, 3.96, 3.91]
    assert mine[["size", "next_size"]].to_numpy().tolist() == [
        *([5, 10], [10, 20], [20, 50], [50, 100])
    ]
    assert mine["counts"].all()


# --------------------------------------------------------------------------- many in one frame


def test_orders_follow_the_closed_form_even_where_cells_do_not_count():
    results = power_law([-3.0, -4.0], [2.0, 8.0])
    results.loc[at(results, grid_size=100), "test_rmse"] *= 64.0
    orders = observed_orders(results)
    test = orders[orders["split"] == "test"]
    assert test["order"].tolist() == pytest.approx([3.5, 3.5, 3.5, 3.5 - 6.0], rel=1e-12)
    assert test["counts"].tolist() == [True, True, True, False]
    assert orders.loc[orders["split"] == "train", "order"].to_numpy() == pytest.approx(3.5)
