"""Figures in the styles of a page: of its width, with texts of true size, nothing cut, in fonts
that are embedded."""

from __future__ import annotations

import re
import threading
from functools import cache
from io import BytesIO
from itertools import combinations

import matplotlib
import pytest
from artists import apart, laid_out, on_page, tick_boxes, visible
from cells import kans, mlps, with_floor
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from trained_nets import trained

import kansweep
from kansweep import study
from kansweep.config.commands import FormatsConfig
from kansweep.config.rules import ConfigError
from kansweep.figures import comparison, frontier, heat_map, local_orders, sets, styles
from kansweep.laws import findings

LABELS = {"screen": 9.0, "paper": 8.0, "slides": 16.0}  # points
SIZES = [4, 9, 20, 45, 100, 225, 500]


@cache
def studies() -> dict[str, findings.Study]:
    two = {}
    for target in ("a target", "another one"):
        two[f"s,data={target},model=kan"] = kans(2, data=target)
        two[f"s,data={target},model=mlp"] = mlps(-0.5, 2, [10_000], data=target)
    orders = {"cubic": kans(3), "a_longer_name_of_a_sweep,model.k=1": kans(3, k=1)}
    rows = kans(3, (60, 100, 150, 300), SIZES)
    error = (rows["n_params"].clip(upper=2 * rows["n_train"]) / 3 - 3) ** -4.0
    return {
        "four": findings.study(with_floor()),
        "two": findings.study(study.together(two)),
        "orders": findings.study(study.together(orders)),
        "best": findings.study(rows.assign(train_rmse=error, test_rmse=error)),
    }


def figures(of: str) -> list[Figure]:
    if of == "edges":
        return [kansweep.plot_edges(trained())]
    if of == "best":
        made = (frontier.frontier(studies()[of]), heat_map.heat_map(studies()[of], "test"))
        return [each.figure for each in made]
    draw = sets.of_several if of in ("two", "orders") else sets.of_one
    return [each.figure for each in draw(studies()[of], ["test"])]


def law() -> Figure:
    return local_orders.local_orders(studies()["four"], "test").figure


def texts(figure: Figure) -> list[Text]:
    """Titles, names of axes, and what stands among the curves or above them."""
    found = [text for text in figure.get_children() if isinstance(text, Text)]
    for axes in visible(figure):
        found += [text for text in axes.get_children() if isinstance(text, Text)]
        found += [axes.xaxis.label, axes.yaxis.label]
    return [text for text in found if text.get_text()]


@pytest.mark.parametrize(
    ("of", "name", "width"),
    [
        *((of, "paper", None) for of in ("four", "two", "orders", "best", "edges")),
        *(("two", "slides", None), ("best", "slides", None), ("two", "paper", 7.0)),
    ],
)
def test_nothing_overlaps_or_is_cut(of: str, name: str, width: float | None) -> None:
    with styles.applied(name, width):
        drawn = figures(of)
    for figure in drawn:
        assert figure.get_figwidth() == pytest.approx(width or styles.STYLES[name].width)
        renderer = laid_out(figure)
        panels = [axes.get_tightbbox(renderer) for axes in visible(figure)]
        legends = [box.get_window_extent(renderer) for box in figure.legends]
        written = [text.get_window_extent(renderer) for text in texts(figure)]
        assert on_page(figure, [*panels, *legends, *written], slack=1)
        assert not any(box.overlaps(other) for box in legends for other in [*panels, *written])
        for axes in visible(figure):
            assert axes.get_label() == "<colorbar>" or axes.bbox.width > 0.2 * figure.bbox.width
            for axis in (axes.xaxis, axes.yaxis):
                boxes = [box for box in tick_boxes(axis, renderer) if box.width > 1.5]
                assert apart(boxes)  # of labels that are shown
        above = [box for box in written if not any(box.overlaps(a.bbox) for a in figure.axes)]
        assert not any(one.overlaps(other) for one, other in combinations(above, 2))


@pytest.mark.parametrize("name", LABELS)
def test_texts_have_the_points_of_their_style_and_marks_go_with_it(name: str) -> None:
    with styles.applied(name):
        figure = law()
    (axes,) = figure.axes
    laid_out(figure)
    assert axes.xaxis.label.get_size() == LABELS[name]
    assert axes.title.get_size() == pytest.approx(LABELS[name] / 0.9)
    family = axes.xaxis.label.get_fontfamily()[0]
    assert family == ("STIXGeneral" if name == "paper" else "DejaVu Sans")
    if name != "screen":
        assert {tick.get_size() for tick in axes.get_xticklabels()} == {LABELS[name]}
    assert axes.lines[0].get_linewidth() == pytest.approx(1.2 * styles.STYLES[name].marks)


def test_a_narrow_page_has_the_legend_below_and_a_wide_one_beside() -> None:
    for width, below in ((3.4, True), (7.2, False)):
        with styles.applied("paper", width):
            figure = law()
        renderer = laid_out(figure)
        box, panel = figure.legends[0].get_window_extent(renderer), figure.axes[0].bbox
        assert (box.y1 < panel.y0) == below
        assert (box.x0 > panel.x1) != below
        assert panel.width > 0.5 * figure.bbox.width


@pytest.mark.parametrize(("name", "width"), [("paper", None), ("screen", 4.0)])
def test_files_have_the_width_that_is_asked_for_and_fonts_within(
    name: str, width: float | None
) -> None:
    files = {kind: BytesIO() for kind in ("pdf", "png", "svg")}
    with kansweep.figure_style(name, width):
        figure = law()
        for kind, file in files.items():
            figure.savefig(file, format=kind)
    inches = width or 3.4
    pdf = files["pdf"].getvalue()
    (box,) = re.findall(rb"/MediaBox \[ *0 0 ([\d.]+) ", pdf)
    assert float(box) / 72 == pytest.approx(inches, rel=0.01)
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert Image.open(files["png"]).width == pytest.approx(
        inches * styles.STYLES[name].dpi, rel=0.01
    )
    svg = files["svg"].getvalue()
    (points,) = re.findall(rb'<svg [^>]*?width="([\d.]+)pt"', svg)
    assert float(points) / 72 == pytest.approx(inches, rel=0.01)
    assert b"<text" not in svg


def test_a_style_ends_with_its_block_and_is_no_other_threads() -> None:
    def sizes() -> list[float]:
        return [*law().get_size_inches()]

    usual, settings, elsewhere = sizes(), dict(matplotlib.rcParams), []
    with kansweep.figure_style("slides"):
        thread = threading.Thread(target=lambda: elsewhere.extend(styles.saving().items()))
        thread.start()
        thread.join()
        assert sizes() != usual
    assert ("savefig.dpi", styles.STYLES["screen"].dpi) in elsewhere
    assert sizes() == usual == [7.2, 4.4]
    assert dict(matplotlib.rcParams) == settings


def test_numbers_of_a_large_map_stand_upright_where_they_would_run_into_each_other() -> None:
    many = kans(1, (300, 1000), range(5, 21))
    with styles.applied("paper"):
        narrow = heat_map.heat_map(findings.study(many), "test").figure
    wide = heat_map.heat_map(findings.study(many), "test").figure
    for figure, turned in ((narrow, 90.0), (wide, 0.0)):
        renderer = laid_out(figure)
        assert {text.get_rotation() for text in figure.axes[0].texts} == {turned}
        boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_there_is_a_style_for_every_word_and_no_other() -> None:
    rule = FormatsConfig.__dataclass_fields__["style"].metadata["rule"]
    assert set(rule.options) == set(styles.STYLES)
    for given, key in (({"style": "poster"}, "plot.style"), ({"width": 1.9}, "plot.width")):
        style_of_given = kansweep.figure_style(**{"style": "paper"} | given)
        with pytest.raises(ConfigError, match=f"`{key}` must be"), style_of_given:
            pass


def test_rows_of_a_comparison_say_their_laws_above_where_there_is_no_room_beside() -> None:
    with styles.applied("paper"):
        figure = comparison.comparison(studies()["two"], "test").figure
    told = [text.get_text() for text in figure.axes[0].texts]
    assert [line.partition(":")[0] for line in told] == ["model=mlp", "model=kan"]
    assert [text.get_text() for text in figure.legends[0].get_texts()][:2] == [
        *("model=kan", "model=mlp")
    ]
    assert not any(axes.get_legend() for axes in figure.axes)


def test_long_names_are_broken_into_lines() -> None:
    with styles.applied("paper"):
        figure = local_orders.local_orders(studies()["four"], "test").figure
    assert figure.axes[0].get_ylabel().count("\n") == 1
