"""Figures, read back from their artists: what is drawn where, and that it can be read."""

from io import BytesIO

import artists
import matplotlib
import numpy as np
import pandas as pd
import pytest
from artists import MINUS, apart, laid_out, legend, on_page, tick_boxes
from cells import EXP_SIN_FLOOR, GRIDS, kans, mlps, published
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame
from processes import python
from scipy import stats
from studies import envelope, fit_laws

from kansweep import study
from kansweep.figures import scaling, styles
from kansweep.laws import cells, findings
from kansweep.laws.cells import SPLITS, classify

NAMES = [
    *("train_rmse_vs_grid_size", "train_rmse_vs_data_size"),
    *("test_rmse_vs_grid_size", "test_rmse_vs_data_size"),
]


def matrix(seeds=5, numbers=(100, 300, 1000, 3000), sizes=GRIDS, k=3) -> DataFrame:
    """Every cell, with errors that scatter by seed about G^-(k+1) and saturate where n is small."""
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product(
        [range(seeds), numbers, sizes], names=["seed", "n_train", "grid_size"]
    )
    frame = index.to_frame(index=False)
    error = frame["grid_size"] ** -(k + 1.0) + (5.0 * frame["n_train"]) ** -2.0
    noise = np.exp(0.1 * rng.standard_normal((2, len(frame))))
    frame = frame.assign(train_rmse=error * noise[0], test_rmse=error * noise[1], status="ok")
    n_params = 3 * (frame["grid_size"] + k)
    return frame.assign(data="f", k=k, width="2-1-1", dtype="float64", n_params=n_params)


def draw(results: DataFrame, splits=SPLITS, **given) -> dict[str, Figure]:
    study = findings.study(results, **given)
    return {each.name: each.figure for each in scaling.draw(study, splits)}


def drawn(results: DataFrame, name: str = "test_rmse_vs_grid_size") -> Figure:
    return draw(results, [name.partition("_")[0]])[name]


def lines(figure: Figure, label: str) -> list[Line2D]:
    return artists.lines(figure.axes[0], label)


def points(found: list[Line2D]) -> set[tuple[float, float]]:
    pairs = [np.column_stack([line.get_xdata(), line.get_ydata()]) for line in found]
    return {(float(x), float(y)) for x, y in np.concatenate(pairs) if np.isfinite(y)}


def references(figure: Figure, k: int = 3) -> list[Line2D]:
    return lines(figure, f"slope {MINUS}{k + 1} (theory)")


# ----------------------------------------------------------------------------- what is drawn


def test_one_sweep_gives_four_figures_against_grid_and_data_size():
    figures = draw(published())
    assert list(figures) == NAMES
    assert [figure.axes[0].get_ylabel() for figure in figures.values()] == [
        *("train RMSE", "train RMSE", "test RMSE", "test RMSE")
    ]
    assert {figure.axes[0].get_xlabel() for figure in figures.values()} == {
        *("grid size G", "training points n")
    }
    for figure in figures.values():
        assert figure.axes[0].get_xscale() == figure.axes[0].get_yscale() == "log"
        assert figure.axes[0].get_title() == "exp_sin, width 2-1-1, k = 3, 1 seed"


@pytest.mark.parametrize("name", NAMES)
def test_hollow_markers_are_exactly_the_cells_left_out(name):
    results = published()
    cells = classify(results)
    x, y = ("n_train" if "data" in name else "size"), name[: name.index("_vs")]
    figure = drawn(results, name)
    for label, counts, face in (("_left out", False, "white"), ("_kept", True, None)):
        mine = cells[cells["counts"] == counts]
        assert points(lines(figure, label)) == set(zip(mine[x], mine[y], strict=True))
        for line in lines(figure, label):
            expected = face if face else line.get_color()
            assert to_rgb(line.get_markerfacecolor()) == to_rgb(expected)
    assert "hollow: left out of the fit" in legend(figure)


def test_cell_that_counts_but_lies_before_a_gap_is_hollow_too():
    results = matrix(seeds=1, numbers=(10_000,), sizes=(3, 5, 7, 10, 20, 50))
    results.loc[results["grid_size"].isin([5, 7]), "test_rmse"] *= 3
    assert {x for x, _ in points(lines(drawn(results), "_left out"))} == {3.0, 5.0, 7.0}


def test_mean_is_geometric_and_single_seeds_are_dots():
    results = matrix(seeds=4, numbers=(3000,))
    figure = drawn(results)
    (mean,) = lines(figure, "_mean")
    for x, y in zip(mean.get_xdata(), mean.get_ydata(), strict=True):
        assert y == pytest.approx(stats.gmean(results.loc[results["grid_size"] == x, "test_rmse"]))
    assert points(lines(figure, "_seeds")) == set(
        zip(results["grid_size"], results["test_rmse"], strict=True)
    )
    assert not lines(drawn(published()), "_seeds")


def test_band_is_student_t_of_log_errors_from_three_seeds_on():
    results = matrix(seeds=3, numbers=(3000,))
    (band,) = drawn(results).axes[0].findobj(PolyCollection)
    corners = band.get_paths()[0].vertices
    for size in GRIDS:
        logs = np.log(results.loc[results["grid_size"] == size, "test_rmse"])
        known = np.exp(stats.ttest_1samp(logs, 0).confidence_interval(0.95))
        at_size = corners[np.isclose(corners[:, 0], size), 1]
        assert [at_size.min(), at_size.max()] == pytest.approx(known, rel=1e-9)
    two = drawn(matrix(seeds=2, numbers=(3000,)))
    bands = two.axes[0].findobj(PolyCollection)
    assert not any(path.vertices.size for band in bands for path in band.get_paths())
    assert "95% band of their mean" not in legend(two)


def test_legend_gives_each_curve_once_with_its_law():
    assert legend(drawn(published())) == [
        "n = 100: insufficient",
        f"n = 300: {MINUS}4.08 [{MINUS}6.51, {MINUS}1.65]",
        f"n = 1000: {MINUS}3.55 [{MINUS}7.57, 0.47]",
        f"n = 3000: {MINUS}4.08 [{MINUS}4.23, {MINUS}3.92]",
        f"slope {MINUS}4 (theory)",
        "hollow: left out of the fit",
    ]
    assert legend(drawn(published(), "test_rmse_vs_data_size")) == [
        *("G = 5", "G = 10", "G = 20", "G = 50", "G = 100", "best grid that counts"),
        *(f"slope {MINUS}4 (theory)", "hollow: left out of the fit"),
    ]


def test_exponents_are_those_of_the_laws_and_never_fitted_here():
    results = published()
    laws = fit_laws(results).assign(exponent=-1.25, ci_low=-2.5, ci_high=0.5, verdict="")
    figure = draw(results, laws=laws)["train_rmse_vs_grid_size"]
    assert legend(figure)[0] == f"n = 100: {MINUS}1.25 [{MINUS}2.50, 0.50]"
    figure = draw(results, x="grid_size", laws=fit_laws(results, x="n_params"))[
        "train_rmse_vs_grid_size"
    ]
    assert legend(figure)[3] == "n = 3000"


# ------------------------------------------------------------------------------ the references


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_reference_has_the_slope_of_the_theory_through_the_cells_that_count(k):
    results = matrix(k=k)
    cells = classify(results)
    figure = drawn(results)
    fitted = [cells[(cells["n_train"] == n) & cells["counts"]] for n in (100, 300, 1000, 3000)]
    fitted = [part for part in fitted if len(part) > 1]
    assert len(references(figure, k)) == len(fitted) > 1
    for line, part in zip(references(figure, k), fitted, strict=True):
        x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        slope = np.log(y[-1] / y[0]) / np.log(x[-1] / x[0])
        assert slope == pytest.approx(-(k + 1), rel=1e-12)
        assert [x.min(), x.max()] == pytest.approx([part["size"].min(), part["size"].max()])
        middle = y[0] * (stats.gmean(part["size"]) / x[0]) ** slope
        assert middle == pytest.approx(stats.gmean(part["test_rmse"]), rel=1e-12)
    assert legend(figure).count(f"slope {MINUS}{k + 1} (theory)") == 1


def test_data_sizes_have_their_one_reference_on_the_envelope():
    results = published()
    figure = drawn(results, "test_rmse_vs_data_size")
    best = envelope(results, "test")
    (line,) = references(figure)
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert np.log(y[-1] / y[0]) / np.log(x[-1] / x[0]) == pytest.approx(-4, rel=1e-12)
    assert list(x) == pytest.approx([100, 3000])
    middle = y[0] * (stats.gmean(best["n_train"]) / x[0]) ** -4
    assert middle == pytest.approx(stats.gmean(best["rmse"]), rel=1e-12)
    assert points(lines(figure, "best grid that counts")) == set(
        zip(best["n_train"], best["rmse"], strict=True)
    )


def test_reference_on_the_envelope_ends_where_the_grids_do():
    results = matrix(seeds=1, numbers=(100, 1000, 10_000, 100_000), sizes=(5, 10, 20))
    results["test_rmse"] = results["train_rmse"] = results["grid_size"] ** -4.0
    assert envelope(results, "test")["size"].tolist() == [10, 20, 20, 20]
    (line,) = references(drawn(results, "test_rmse_vs_data_size"))
    assert list(line.get_xdata()) == pytest.approx([100, 1000])


def test_floor_is_drawn_where_it_is_known():
    results = published().assign(floor_rmse=lambda table: table["grid_size"].map(EXP_SIN_FLOOR))
    (floor,) = lines(drawn(results), "floor: best splines")
    assert list(floor.get_xdata()) == GRIDS
    assert list(floor.get_ydata()) == pytest.approx(list(EXP_SIN_FLOOR.values()), rel=1e-12)
    assert floor.get_linestyle() == ":"
    levels = lines(drawn(results, "test_rmse_vs_data_size"), "floor: best splines")
    assert [line.get_ydata()[0] for line in levels] == pytest.approx(
        list(EXP_SIN_FLOOR.values()), rel=1e-12
    )
    assert legend(drawn(results)).count("floor: best splines") == 1
    assert "floor: best splines" not in legend(drawn(published()))


# -------------------------------------------------------------------------------- can it be read


def test_curves_are_told_apart_without_colour():
    figure = drawn(matrix(), "test_rmse_vs_data_size")
    means, kept = lines(figure, "_mean"), lines(figure, "_kept")
    assert len({line.get_marker() for line in kept}) == len(kept) == 5
    light = [np.dot(to_rgb(line.get_color()), [0.2126, 0.7152, 0.0722]) for line in means]
    assert max(np.diff(light)) < -0.05  # each darker than the last
    sizes = [line.get_markersize() for line in kept]
    assert max(np.diff(sizes)) < 0  # where curves coincide, each marker shows around the next


def test_ticks_stand_at_the_sizes_in_plain_numbers():
    axes = drawn(published()).axes[0]
    assert list(axes.get_xticks()) == GRIDS
    assert [axes.xaxis.get_major_formatter()(x) for x in GRIDS] == ["5", "10", "20", "50", "100"]
    axes = drawn(published(), "test_rmse_vs_data_size").axes[0]
    assert list(axes.get_xticks()) == [100, 300, 1000, 3000]


def crowded() -> DataFrame:
    numbers = (100, 150, 200, 300, 500, 700, 1000, 2000, 5000, 10_000, 20_000, 100_000)
    return matrix(2, numbers, (3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 50, 100, 200, 500))


def broken() -> DataFrame:
    results = matrix(seeds=3)
    wild = (results["n_train"] == 1000) & (results["grid_size"] == 100)
    results.loc[wild, "test_rmse"] = 1e300
    lost = (results["n_train"] == 300) & (results["grid_size"] >= 50)
    return results.assign(
        status=results["status"].where(~lost, "failed"),
        test_rmse=results["test_rmse"].where(~lost),
        train_rmse=results["train_rmse"].where(~lost),
    )


def exact() -> DataFrame:
    results = matrix()
    scatter = results["test_rmse"] / results["train_rmse"]
    return results.assign(train_rmse=1e-15 * scatter, test_rmse=1e-15 / scatter)


def floored() -> DataFrame:
    results = matrix()
    return results.assign(floor_rmse=results["grid_size"].map(EXP_SIN_FLOOR))


def wordy() -> DataFrame:
    return matrix().assign(data="exp(sin(pi*x1) + x2**2) + $x3$ * log(2 + x4) - tanh(x5)" * 3)


SWEEPS = {
    "published": published,
    "seeds": matrix,
    "floor": floored,
    "crowded": crowded,
    "broken": broken,
    "failed": lambda: matrix(2).assign(status="failed", train_rmse=np.nan, test_rmse=np.nan),
    "round-off": exact,
    "one cell": lambda: matrix(3, (1000,), (10,)),
    "one data size": lambda: matrix(3, (1000,)),
    "one grid size": lambda: matrix(3, sizes=(10,)),
    "formula": wordy,
    "MLP": lambda: mlps(-0.9, 3, numbers=(300, 3000, 100_000)),
    "MLP of one width": lambda: mlps(sizes=(20,)),
}


@pytest.mark.parametrize(
    ("sweep", "split"), [*((sweep, "test") for sweep in SWEEPS), ("crowded", "train")]
)
def test_nothing_overlaps_or_is_cut(sweep, split):
    for figure in draw(SWEEPS[sweep](), [split]).values():
        renderer, axes, (box,) = laid_out(figure), figure.axes[0], figure.legends
        panel = axes.get_tightbbox(renderer)
        legend_box = box.get_window_extent(renderer)
        assert not legend_box.overlaps(axes.bbox)
        assert legend_box.x0 >= panel.x1 - 1
        assert on_page(figure, [panel, legend_box], slack=0)
        for axis in (axes.xaxis, axes.yaxis):
            boxes = tick_boxes(axis, renderer)
            assert boxes
            assert apart(boxes)


def test_blown_up_cells_leave_the_axis_and_are_marked_at_its_edge():
    figure = drawn(broken())
    bottom, top = figure.axes[0].get_ylim()
    assert top < 1e4
    (mark,) = lines(figure, "_above the axis")
    assert list(mark.get_xdata()) == [100]
    assert bottom < mark.get_ydata()[0] <= top
    assert "above the axis" in legend(figure)
    assert max(y for _, y in points(lines(figure, "_left out"))) < top


def test_failed_cells_are_marked_one_below_another():
    figure = drawn(broken(), "test_rmse_vs_data_size")
    marks = points(lines(figure, "_failed"))
    assert {x for x, _ in marks} == {300.0}
    assert len(marks) == 2  # G = 50 and 100, not on top of each other
    assert min(y for _, y in marks) > max(y for _, y in points(lines(figure, "_kept")))
    assert legend(figure).count("failed") == 1
    everything = drawn(SWEEPS["failed"]())
    assert len(points(lines(everything, "_failed"))) == 4 * 5


def test_diverged_seeds_are_no_dots():
    results = matrix(seeds=3, numbers=(3000,))
    lost = (results["seed"] == 1) & (results["grid_size"] == 20)
    results.loc[lost, ["status", "test_rmse"]] = ["diverged", 1e-3]
    assert (20.0, 1e-3) not in points(lines(drawn(results), "_seeds"))


# -------------------------------------------------------------------------------- its manners


def test_several_targets_or_none_are_refused():
    both = pd.concat([matrix(), matrix().assign(data="g")])
    for results in (both, matrix().iloc[:0]):
        with pytest.raises(ValueError, match="one target, one `k`"):
            draw(results)


def test_drawing_changes_neither_its_input_nor_matplotlib():
    results, settings = matrix(), dict(matplotlib.rcParams)
    laws = fit_laws(results)
    before = results.copy(deep=True), laws.copy(deep=True)
    draw(results, laws=laws)
    pd.testing.assert_frame_equal(results, before[0])
    pd.testing.assert_frame_equal(laws, before[1])
    assert dict(matplotlib.rcParams) == settings


def test_drawing_needs_neither_torch_nor_pyplot():
    heavy = "{'torch', 'matplotlib.pyplot'}"
    assert python(f"import sys, kansweep.figures; assert not {heavy} & {{*sys.modules}}") == ""


def test_saved_figures_carry_their_fonts():
    figure = drawn(published())
    pdf, first, second = BytesIO(), BytesIO(), BytesIO()
    with matplotlib.rc_context(styles.SAVE_STYLE):
        figure.savefig(pdf, format="pdf")
        figure.savefig(first, format="svg", metadata={"Date": None})
        figure.savefig(second, format="svg", metadata={"Date": None})
    assert b"/FontFile2" in pdf.getvalue()  # TrueType, embedded
    assert b"<text" not in first.getvalue()  # glyphs as paths: no font needed
    assert first.getvalue() == second.getvalue()


# ----------------------------------------------------------------------------------- MLPs


def several() -> dict[str, DataFrame]:
    return {"kan": kans(3), "mlp": mlps(-0.9, 3)}


def together(sweeps: dict[str, DataFrame]) -> Figure:
    results = study.together(sweeps)
    (only,) = scaling.draw_together(findings.study(results), ["test"])
    assert only.name == f"test_rmse_vs_{cells.axis(results)}"
    return only.figure


def test_mlps_are_drawn_against_parameters_and_data_with_widths_for_curves():
    results = mlps(-0.9, 3, numbers=(30_000, 100_000), noise=1e-9)
    figures = draw(results, ["test"])
    assert list(figures) == ["test_rmse_vs_n_params", "test_rmse_vs_data_size"]
    for figure in figures.values():
        assert figure.axes[0].get_title() == ("exp_sin, MLP, width 2-w-w-1, 3 seeds, noise 1e-09")
        assert {line.get_linestyle() for line in lines(figure, "_mean")} == {"--"}
        assert not [label for label in legend(figure) if "theory" in label or "floor" in label]
    exponent = f"{MINUS}0.90 [{MINUS}0.90, {MINUS}0.90]"
    assert legend(figures["test_rmse_vs_n_params"])[:2] == [
        *(f"n = 30000: {exponent}", f"n = 100000: {exponent}")
    ]
    by_data = legend(figures["test_rmse_vs_data_size"])
    assert by_data[:6] == [
        *("w = 5", "w = 10", "w = 20", "w = 50", "w = 100", "best width that counts")
    ]
    assert points(lines(figures["test_rmse_vs_n_params"], "_seeds")) == set(
        zip(results["n_params"], results["test_rmse"], strict=True)
    )


def test_an_mlp_is_not_drawn_against_a_grid_that_it_has_not():
    results = mlps()
    for rows in (results, study.together(several())):
        with pytest.raises(
            ValueError, match="`x` must be 'n_params' for networks that have no grid"
        ):
            findings.study(rows, x="grid_size")
    mixed = pd.concat([kans(), mlps()], ignore_index=True)
    with pytest.raises(ValueError, match="one kind of model"):
        draw(mixed)


def test_kans_and_mlps_in_one_figure_are_told_apart_by_line_colour_and_marker():
    figure = together(several())
    assert figure.axes[0].get_xlabel() == "trainable parameters P"
    kan, mlp = lines(figure, "_mean")
    assert (kan.get_linestyle(), mlp.get_linestyle()) == ("-", "--")
    assert to_rgb(kan.get_color()) != to_rgb(mlp.get_color())
    kept = lines(figure, "_kept")
    assert len({line.get_marker() for line in kept}) == 2
    exponent = f"{MINUS}0.90 [{MINUS}0.90, {MINUS}0.90]"
    steep = f"{MINUS}4.64 [{MINUS}4.64, {MINUS}4.64]"
    assert legend(figure)[:3] == [
        *(f"kan: {steep}", f"mlp: {exponent}", f"slope {MINUS}4 (theory)")
    ]
    handles = figure.legends[0].legend_handles
    assert [handle.get_linestyle() for handle in handles[:2]] == ["-", "--"]
    (reference,) = references(figure)
    assert list(reference.get_xdata()) == pytest.approx([24, 309])  # the KAN's


def test_sweeps_with_floors_of_their_own_have_each_its_line():
    floors = {k: kans(k=k)["size"] ** -(k + 1.0) for k in (2, 3)}
    figure = together({f"k={k}": kans(k=k, floor_rmse=floor) for k, floor in floors.items()})
    found = lines(figure, "floor: best splines")
    for line, floor in zip(found, floors.values(), strict=True):
        assert list(line.get_ydata()) == pytest.approx(list(floor))
    colors = [to_rgb(line.get_color()) for line in lines(figure, "_mean")]
    assert [to_rgb(line.get_color()) for line in found] == colors
    assert legend(figure).count("floor: best splines") == 1
    shared = together(
        {name: kans(seeds, floor_rmse=floors[3]) for name, seeds in (("a", 1), ("b", 2))}
    )
    (line,) = lines(shared, "floor: best splines")
    assert to_rgb(line.get_color()) == (0.0, 0.0, 0.0)
