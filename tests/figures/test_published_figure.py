"""The figure of errors beside published ones, read back from its artists."""

from __future__ import annotations

import numpy as np
from artists import laid_out, legend, on_page
from pandas import DataFrame

from kansweep.figures.published import published_errors

TABLE = DataFrame(
    {
        "data": ["I.1", "I.1", "I.1", "I.2"],
        "model": ["kan", "kan", "mlp", "kan"],
        "rmse": [1e-3, 1e-6, 1e-7, 1e-4],
        "kan_rmse": [1e-4, 1e-4, 1e-4, 1e-5],
        "mlp_rmse": [1e-3, 1e-3, 1e-3, np.nan],
    }
)


def test_every_function_has_a_line_with_our_best_and_the_published_ones() -> None:
    drawn = published_errors(TABLE)
    (axes,) = drawn.figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["I.1", "I.2"]
    assert axes.get_yticks().tolist() == [1, 0]  # the first on top
    ours, others, kans, mlps = (line.get_xdata() for line in axes.lines)
    assert list(ours) == [1e-6, 1e-4]
    assert others[0] == 1e-7
    assert list(kans) == [1e-4, 1e-5]
    assert mlps[0] == 1e-3
    labels = ["our best KAN", "our best MLP or other", "best published KAN", "published MLP"]
    assert legend(drawn.figure) == labels
    boxes = [label.get_window_extent(laid_out(drawn.figure)) for label in axes.get_yticklabels()]
    assert on_page(drawn.figure, boxes, 1.0)
    alone = published_errors(TABLE[TABLE["model"] == "kan"])
    assert legend(alone.figure) == [labels[0], *labels[2:]]
