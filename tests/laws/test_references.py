"""The envelope, and the line of the theory's slope."""

from __future__ import annotations

import pytest
from cells import published
from pandas import DataFrame
from studies import envelope

from kansweep.laws.references import through


def test_envelope_of_the_published_table_takes_only_cells_that_count():
    best = envelope(published(), "test")
    assert best["n_train"].tolist() == [100, 300, 1000, 3000]
    assert best["size"].tolist() == [5, 20, 20, 100]  # not 50 at 300, over-parameterised
    assert best["rmse"].tolist() == pytest.approx([7.32e-3, 2.34e-5, 4.69e-5, 3.27e-8])


def test_a_line_needs_a_theory_and_a_range():
    points = DataFrame({"x": [5.0, 10.0, 20.0], "rmse": [4.0, 1.0, 0.25]})
    (line,) = through(points, -4.0)
    assert line.x.tolist() == pytest.approx([5.0, 20.0])
    assert line.rmse.tolist() == pytest.approx([16.0, 0.0625])  # 1 at the mean, x = 10
    assert through(points, float("nan")) == through(points.iloc[:1], -4.0) == []
