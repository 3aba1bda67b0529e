"""The figure of errors beside published ones, read back from its artists."""

from __future__ import annotations

import numpy as np
from artists import laid_out, legend, on_page
from pandas import DataFrame

from kansweep.figures.published import published_errors

TABLE = DataFrame(
    {
        "data": ["I.1", "I.1", "I.2"],
        "rmse": [1e-3, 1e-6, 1e-4],
        "kan_rmse": [1e-4, 1e-4, 1e-5],
        "mlp_rmse": [1e-3, 1e-3, np.nan],
    }
)


def test_every_function_has_a_line_with_our_best_and_the_published_ones() -> None:
    drawn = published_errors(TABLE)
    (axes,) = drawn.figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["I.1", "I.2"]
    assert axes.get_yticks().tolist() == [1, 0]  # the first on top
    ours, kans, mlps = (line.get_xdata() for line in axes.lines)
    assert list(ours) == [1e-6, 1e-4]
    assert list(kans) == [1e-4, 1e-5]
    assert mlps[0] == 1e-3
    assert legend(drawn.figure) == ["our best", "best published KAN", "published MLP"]
    boxes = [label.get_window_extent(laid_out(drawn.figure)) for label in axes.get_yticklabels()]
    assert on_page(drawn.figure, boxes, 1.0)
