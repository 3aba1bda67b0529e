"""The figure of a network's edges."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import TICKUP
from nets import random_kan
from trained_nets import as_model, composed, trained

from kansweep.data.targets import TARGETS
from kansweep.figures import edges, style
from kansweep.notebook import plot_edges
from kansweep.trained.kan import TrainedKAN
from kansweep.trained.matching import matched


def network(*width: int) -> TrainedKAN:
    return as_model(random_kan(width, replicas=1).to_arrays())


def curves(axes: Axes) -> list[Line2D]:
    return [line for line in axes.get_lines() if line.get_label() != "knots"]


def lines(axes: Axes) -> dict[str, np.ndarray]:
    return {str(line.get_label()): line.get_xydata() for line in curves(axes)}


def legend(figure: Figure) -> list[str]:
    (found,) = figure.legends
    return [found.get_title().get_text(), *(text.get_text() for text in found.get_texts())]


def drawn_inside(figure: Figure) -> bool:
    figure.canvas.draw()
    box = figure.get_tightbbox()
    size = figure.get_size_inches()
    return bool(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= size[0] and box.y1 <= size[1])


def test_every_edge_is_drawn_with_the_targets_own_function() -> None:
    figure = plot_edges(trained())
    assert figure.get_suptitle() == "exp_sin, width 2-1-1, k = 3, G = 20"
    assert [axes.get_title() for axes in figure.axes] == [
        r"$\varphi_{1}$: $x_{1}$ $\to$ $h_{1,1}$",
        r"$\varphi_{1}$: $x_{2}$ $\to$ $h_{1,1}$",
        r"$\varphi_{2}$: $h_{1,1}$ $\to$ $y$",
    ]
    assert [axes.get_xlabel() for axes in figure.axes] == ["$x_{1}$", "$x_{2}$", "$h_{1,1}$"]
    for axes, curve in zip(figure.axes, matched(trained(), TARGETS["exp_sin"]), strict=True):
        found = lines(axes)
        np.testing.assert_array_equal(found["learned"].T, [curve.x, curve.learned])
        np.testing.assert_array_equal(found["target's own function"].T, [curve.x, curve.true])
        solid, dashed = curves(axes)
        assert (solid.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
        assert dashed.get_zorder() > solid.get_zorder()
    assert legend(figure) == ["", "learned", "target's own function", "knots"]
    assert drawn_inside(figure)


def test_a_target_is_taken_from_the_sweep_unless_it_is_named() -> None:
    bare = TrainedKAN(trained().layers)
    assert legend(plot_edges(bare)) == ["", "learned", "knots"]
    assert plot_edges(bare).get_suptitle() == "width 2-1-1, k = 3, G = 20"
    for target in ("exp_sin", TARGETS["exp_sin"]):
        assert len(legend(plot_edges(bare, target))) == 4
    assert legend(plot_edges(TrainedKAN(trained().layers, "a user's table, $5"))) == [
        "",
        "learned",
        "knots",
    ]


def test_where_nothing_is_known_no_line_is_dashed() -> None:
    figure = edges.draw(network(2, 2, 1), TARGETS["product"])
    assert len(figure.axes) == 6
    assert all(list(lines(axes)) == ["learned"] for axes in figure.axes)
    assert legend(figure) == ["", "learned", "knots"]


def test_that_some_edges_are_not_determined_is_said() -> None:
    figure = plot_edges(composed())
    assert len(figure.axes) == 26
    dashed = sum(len(lines(axes)) == 2 for axes in figure.axes)
    assert dashed == 8 + 2 + 1
    assert legend(figure)[0] == "not dashed: edges that the target does not determine one by one"
    assert drawn_inside(figure)


def test_knots_are_ticks_at_the_foot_of_an_edge() -> None:
    breaks = np.array([[[0.0, 0.1, 0.2, 0.9, 1.0], [0.0, 0.5, 0.6, 0.7, 1.0]]])
    arrays = random_kan((2, 1), replicas=1).to_arrays() | {"0.breaks": breaks}
    figure = edges.draw(as_model(arrays))
    for axes, expected in zip(figure.axes, 2 * breaks[0] - 1, strict=True):
        (ticks,) = [line for line in axes.get_lines() if line.get_label() == "knots"]
        np.testing.assert_allclose(ticks.get_xdata(), expected)
        assert ticks.get_marker() == TICKUP


def test_edges_into_a_node_have_one_scale() -> None:
    figure = plot_edges(trained())
    heights = [float(np.diff(axes.get_ylim())[0]) for axes in figure.axes]
    assert heights[0] == pytest.approx(heights[1])
    for axes in figure.axes:
        low, high = axes.get_ylim()
        values = lines(axes)["learned"][:, 1]
        assert low < values.min() < values.max() < high


@pytest.mark.parametrize("constant", [0.0, 1e-3, 2.0, -1e6])
def test_an_edge_that_is_constant_is_drawn_flat(constant: float) -> None:
    net = network(1, 1)
    net.layers[0].coef[:] = constant
    low, high = edges.draw(net).axes[0].get_ylim()
    assert low < constant < high
    assert high - low >= 1.0


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        ((100, 1, 1), 25),
        ((2, 50, 50, 1), 28),
        ((3, 9), 27),
        ((8, 8), 25),
        ((1,) * 40, 39),
    ],
)
def test_of_many_edges_the_first_are_drawn_and_the_others_counted(
    width: tuple[int, ...], shown: int
) -> None:
    net = network(*width)
    figure, total = edges.draw(net), len(net.edges)
    assert len(figure.axes) == shown
    missing = f"{total - shown} of {total} edges are not shown"
    assert legend(figure)[0] == (missing if shown < total else "")


def test_several_outputs_are_told_apart() -> None:
    titles = [axes.get_title() for axes in edges.draw(network(1, 2)).axes]
    assert titles == [
        r"$\varphi_{1}$: $x_{1}$ $\to$ $y_{1}$",
        r"$\varphi_{1}$: $x_{1}$ $\to$ $y_{2}$",
    ]


def test_a_long_formula_is_cut_and_a_dollar_is_one() -> None:
    title = edges.draw(TrainedKAN(network(1, 1).layers, "$" + "x1+" * 30)).get_suptitle()
    assert title.startswith(r"\$x1+x1")
    assert "…, width 1-1, k = 3, G = 4" in title
    assert len(title) < 80


def test_the_looks_are_those_of_the_other_figures() -> None:
    line, dashed = curves(plot_edges(trained()).axes[0])
    assert line.get_color() == style.looks([0])[0]["color"]
    assert dashed.get_color() == style.REFERENCE["color"]
