"""Several outputs from the words of a command to rows, laws, predictions and files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from folders import files

import kansweep as package
from kansweep import study
from kansweep.config.commands import ExpectedConfig
from kansweep.config.loading import from_record
from kansweep.data import sources
from kansweep.laws import cells, checks

FORMULA = "data.formula={heat: exp(sin(2*x1) + x2^2), flow: 1000*sin(x1 + x2)}"
SMALL = ("data.sizes=[300]", "data.n_test=200", "grid.sizes=[3,6,12]", "seeds=3")
EACH = ["outputs", "test_rmse_each", "train_rmse_each", "floor_rmse_each", "spread_each"]


@pytest.fixture(scope="module")
def trained_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outputs = tmp_path_factory.mktemp("several") / "outputs"
    return package.run(FORMULA, *SMALL, name="two", outputs=outputs, progress=False).folder


@pytest.fixture
def trained(kansweep: Any, tmp_path: Path, trained_folder: Path) -> pd.DataFrame:
    """The rows of a sweep of two outputs of very different scale, which lies below `outputs`."""
    folder = shutil.copytree(trained_folder, tmp_path / "outputs" / "two")
    return pd.read_parquet(folder / "results.parquet")


def test_a_row_has_the_errors_of_each_output_and_of_all_in_units_of_their_spread(
    trained: pd.DataFrame,
) -> None:
    """Computed again from what the kept networks predict."""
    data = from_record(yaml.safe_load(Path("outputs/two/config.yaml").read_text())).data
    source = sources.source(data)
    grid = np.random.default_rng(1).uniform(-1, 1, (200_000, 2))
    spread = source.target.function(grid).std(0)
    for row in trained.to_dict("records"):
        assert list(row["outputs"]) == ["heat", "flow"]
        model = package.load_model(Path("outputs/two/states") / f"{row['key']}.npz")
        for split, n in (("train", row["n_train"]), ("test", 200)):
            x, y = getattr(source, split)(n, row["seed"])
            own = np.stack([np.exp(np.sin(2 * x[:, 0]) + x[:, 1] ** 2), 1e3 * np.sin(x.sum(1))], 1)
            np.testing.assert_allclose(y, own, rtol=1e-12)
            each = np.sqrt(np.mean((model(x) - own) ** 2, axis=0))
            np.testing.assert_allclose(row[f"{split}_rmse_each"], each, rtol=1e-7)
            units = each / row["spread_each"]
            assert row[f"{split}_rmse"] == pytest.approx(np.sqrt(np.mean(units**2)), rel=1e-7)
        np.testing.assert_allclose(row["spread_each"], spread, rtol=0.02)
        assert 0.5 < row["test_rmse"] / row["floor_rmse"] < 20


def test_laws_are_told_drawn_and_kept_of_each_output_and_of_all(
    kansweep: Any, trained: pd.DataFrame
) -> None:
    status, out, err = kansweep("plot", "name=two", "plot.formats=[png]", "plot.split=test")
    assert (status, err) == (0, "")
    titles = [line for line in out.splitlines() if "RMSE ~" in line]
    assert [title.partition(":")[0] for title in titles] == ["heat, flow", "flow", "heat"]
    assert Path("outputs/two/figures/test_rmse_of_each_vs_grid_size.png").exists()
    laws = pd.read_csv("outputs/two/laws.csv")
    assert laws.columns[-1] == "output"
    assert set(laws["data"]) == {"heat, flow"}
    wanted = (laws["split"] == "test") & (laws["x"] == "grid_size")
    own = laws[wanted].set_index("output")["exponent"]
    assert set(own.index) == {"heat", "flow", np.nan}
    for name, part in trained.explode(EACH).groupby("outputs"):
        slopes = [
            np.polyfit(np.log(one["size"]), np.log(one["test_rmse_each"].astype(float)), 1)[0]
            for _, one in part.groupby("seed")
        ]
        assert own[name] == pytest.approx(np.mean(slopes), rel=1e-9)
    assert kansweep("report", "name=two").status == 0
    page = Path("outputs/two/report.html").read_text()
    assert "flow, test" in page
    assert "heat = exp(sin(2*x1) + x2^2)" in page
    status, out, _ = kansweep("check", "name=two", "check.against=outputs/two/laws.csv")
    assert (status, "flow:" in out) == (0, False)
    checked = kansweep("check", "name=two", "check.worst=1e-9", "check.output=flow")
    assert (checked.status, checked.out.count("FAILED  worst  flow, n = 300, test")) == (1, 1)


def test_each_output_is_predicted_by_its_name(kansweep: Any, trained: pd.DataFrame) -> None:
    words = ("predict", "name=two", "size=24", "n_train=300")
    record = json.loads(kansweep(*words, "format=json").out)
    assert list(record["outputs"]) == ["heat", "flow"]
    assert record["outputs"]["flow"]["rmse"] > 1000 * record["rmse"] / 3
    assert "two, flow, at G = 24" in kansweep(*words).out
    points = pd.DataFrame({"x1": [0.1, 0.2], "x2": [0.5, -0.5]})
    points.to_csv("new.csv", index=False)
    assert kansweep("apply", "name=two", "data.path=new.csv", "output=p.csv").status == 0
    found = pd.read_csv("p.csv")
    assert list(found) == [
        f"{a}_{b}" for b in ("heat", "flow") for a in ("prediction", "low", "high")
    ]
    own = 1e3 * np.sin(points.sum(axis=1))
    network = package.load_model("outputs/two")
    titles = [axes.get_title() for axes in package.plot_edges(network).axes]
    assert titles[-2].endswith(r"$\to$ flow")
    network = package.load_model(next(Path("outputs/two/states").iterdir()))  # knows no names
    titles = [axes.get_title() for axes in package.plot_edges(network).axes]
    assert titles[-2].endswith(r"$\to$ $y_{2}$")
    assert found["prediction_flow"].to_numpy() == pytest.approx(own, rel=1e-3)


def test_each_output_is_checked_by_its_name(trained_folder: Path) -> None:
    """In its own unit, against what is stored of it."""
    of_both = package.Sweep(trained_folder).study

    def told(stored: pd.DataFrame | None = None, **words: Any) -> list[tuple[str, bool]]:
        expected = ExpectedConfig(**words, against=None if stored is None else "FILE")
        return [(check.of, check.holds) for check in checks.perform(of_both, expected, stored)]

    rows = cells.checked(of_both.results)
    largest = np.stack(rows["test_rmse_each"]).max(0)
    for name, most in zip(("heat", "flow"), largest, strict=True):
        of = f"{name}, n = 300, test"
        assert told(output=name, worst=float(1.001 * most)) == [(of, True)]
        assert told(output=name, worst=float(0.999 * most)) == [(of, False)]
    better = [each / [1, 2] for each in rows["test_rmse_each"]]
    for stored, holds in (
        (of_both.laws_of_all(), True),
        (rows, True),
        (rows.assign(test_rmse_each=better), False),
    ):
        of_each = dict(told(stored, output=("heat", "flow"), split="both"))
        assert len(of_each) == 4
        assert [of for of, held in of_each.items() if not held] == (
            [] if holds else ["flow, n = 300, test"]
        )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"output": "het"}, "`check.output` must be out of heat, flow; got het."),
        ({"output": "flow", "data": "g"}, "`check.data` must be out of heat, flow; got g."),
        ({"output": "flow", "split": "hessian"}, "of the hessian some of these cells have none."),
    ],
)
def test_outputs_that_cannot_be_checked_are_refused(
    trained_folder: Path, words: dict[str, Any], message: str
) -> None:
    of_both = package.Sweep(trained_folder).study
    with pytest.raises(package.ConfigError) as refused:
        checks.perform(of_both, ExpectedConfig(worst=1.0, **words))
    assert message in str(refused.value)
    several = study.of_several({"a": of_both.results, "b": of_both.results})
    with pytest.raises(
        package.ConfigError, match=r"`check\.output` must be null for a sweep of one"
    ):
        checks.perform(several, ExpectedConfig(worst=1.0, **words))


def test_files_from_before_outputs_hold_nothing_of_them(trained_folder: Path) -> None:
    of_both = package.Sweep(trained_folder).study
    expected = ExpectedConfig(against="FILE", output="flow")
    old = of_both.laws_of_all().drop(columns="output")
    for stored in (old, cells.checked(of_both.results.drop(columns=["outputs"]))):
        with pytest.raises(package.ConfigError, match="FILE has nothing of flow, n = 300, test"):
            checks.perform(of_both, expected, stored)


# ----------------------------------------------------------------------------------- tables


SCALES = {"tiny": 1e-6, "huge": 1e3}


@pytest.fixture
def scales(tmp_path: Path) -> Path:
    """A table of two outputs of order one, and of the same in other units."""
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-1, 1, (2, 500))
    one, other = np.exp(np.sin(2 * a) + b**2), 5 + np.sin(2 * (a + b))
    table = {"a": a, "tiny": one * SCALES["tiny"], "one": one, "b": b, "other": other}
    table |= {"huge": other * SCALES["huge"], "same": np.ones(500)}
    pd.DataFrame(table).to_csv(tmp_path / "t.csv", index=False)
    return tmp_path / "t.csv"


TABLE = ("run", "data=table", "data.path=t.csv", "data.sizes=[200]", "grid.sizes=[4,8]", "seeds=1")
TABLE += ("solver.restarts=2",)


def test_outputs_of_any_scale_are_fitted_as_well_together_as_alone(
    kansweep: Any, scales: Path
) -> None:
    def rows(output: str, name: str) -> pd.DataFrame:
        words = (f"data.output={output}", "data.inputs=[a,b]", f"name={name}")
        assert kansweep(*TABLE, *words).status == 0
        return pd.read_parquet(f"outputs/{name}/results.parquet")

    both, plain = rows("[tiny,huge]", "both"), rows("[one,other]", "plain")
    assert set(both["width"]) == {"2-2-2"}
    np.testing.assert_allclose(both["test_rmse"], plain["test_rmse"], rtol=1e-6)
    for index, (name, scale) in enumerate(SCALES.items()):
        each = both["test_rmse_each"].str[index]
        np.testing.assert_allclose(each, scale * plain["test_rmse_each"].str[index], rtol=1e-6)
        alone = rows(name, name)
        assert alone["outputs"].isna().all()
        assert each.iloc[-1] < 1.2 * alone["test_rmse"].iloc[-1]


def test_a_list_of_one_column_is_that_column(kansweep: Any, scales: Path) -> None:
    """Its cells have the same keys, so that folders stay what they are."""
    words = (*TABLE, "data.inputs=[a,b]", "model.hidden=[]")
    assert kansweep(*words, "data.output=huge", "name=one").status == 0
    assert ", 2 of them kept" in kansweep(*words, "data.output=[huge]", "name=one").out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("data.output=[tiny,hueg]", "got 'hueg'. Did you mean `huge`?"),
        ("data.output=[tiny,tiny]", "a list of such without repeats"),
        ("data.output=[]", "a list of such without repeats"),
        ("data.output=[[tiny],huge]", "a list of such without repeats"),
        (
            "data.output=[a,b,tiny,one,other,huge,same]",
            "`data.output` must leave a column of t.csv",
        ),
        ("data.output=[tiny,same]", "'same' does not: leave it out of data.output"),
        ("data.output=[tiny,huge] data.inputs=[a,tiny]", "must not hold `data.output`, 'tiny'"),
    ],
)
def test_columns_that_are_no_outputs_are_refused(
    kansweep: Any, scales: Path, words: str, told: str
) -> None:
    before = files(scales.parent)
    status, out, err = kansweep(*TABLE, *words.split())
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert told in err
    assert files(scales.parent) == before


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("{a: x1, a: x2}", "must name each output once; got 'a' twice"),
        ("{a: x1}", "two or more names with a formula each"),
        ("{}", "two or more names with a formula each"),
        ("{a b: x1, c: x2}", "two or more names with a formula each"),
        ("{a: x1, b: 0*x1}", "must not be constant; b is 0 everywhere"),
        ("{a: x1, b: log(x1)}", "must be finite on its domain; a = x1, b = log(x1) is not at"),
        ("{a: x1, b: y}", "`y` is none"),
    ],
)
def test_formulas_that_are_no_outputs_are_refused(kansweep: Any, word: str, told: str) -> None:
    status, out, err = kansweep("run", f"data.formula={word}")
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert told in err
    assert not Path("outputs").exists()


# ------------------------------------------------------------------------------------ kinds

KINDS = {
    "mlp": "model.widths=[3] model.restarts=1",
    "rbf": "grid.sizes=[3]",
    "module": "model.target=user_nets:Hats model.sizes=[4]",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_network_has_several_outputs(kansweep: Any, kind: str) -> None:
    words = ("data.sizes=[60]", "data.n_test=50", "seeds=1", *KINDS[kind].split())
    assert kansweep("run", f"model={kind}", FORMULA, *words).status == 0
    (path,) = Path("outputs").glob("*/results.parquet")
    (row,) = pd.read_parquet(path).to_dict("records")
    units = row["test_rmse_each"] / row["spread_each"]
    assert row["test_rmse"] == pytest.approx(np.sqrt(np.mean(units**2)), rel=1e-9)
    assert (units < 0.7).all()
