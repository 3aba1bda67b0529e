"""`model=module`: a torch module of somebody else's or one's own, through the whole of kansweep."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from folders import times

import kansweep as offered
from kansweep.config.loading import from_record
from kansweep.config.overrides import overrides
from kansweep.data.targets import TARGETS
from kansweep.networks import inspection

pytestmark = pytest.mark.usefixtures("sketched")

FEW = ("data.sizes=[60]", "data.n_test=100", "seeds=2", "solver.steps=2")
NET = """
from torch import nn


def net(n_inputs, n_outputs, size, depth=1, activation="Tanh"):
    layers = [nn.Linear(n_inputs, size), getattr(nn, activation)()]
    layers += depth * [nn.Linear(size, size), getattr(nn, activation)()]
    return nn.Sequential(*layers, nn.Linear(size, n_outputs))
"""


@pytest.fixture
def run(kansweep: Any, tmp_path: Path) -> Any:
    def call(factory: str, *words: str) -> Any:
        target = factory if ":" in factory else f"user_nets:{factory}"
        return kansweep("run", "model=module", f"model.target={target}", *FEW, *words)

    yield call
    inspection._tried.cache_clear()
    for name, module in list(sys.modules.items()):
        if Path(getattr(module, "__file__", None) or "/").parent == tmp_path:
            del sys.modules[name]


def results(name: str) -> pd.DataFrame:
    return pd.read_parquet(f"outputs/{name}/results.parquet")


def shown(outcome: Any) -> str:
    told = [line for line in outcome.err.splitlines() if not line.startswith("Sweep ")]
    assert (outcome.status, told) == (0, [])
    return str(outcome.out)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # of torch.compile
def test_a_published_layer_goes_to_a_law_by_one_command_and_no_code_of_ours(
    kansweep: Any, run: Any
) -> None:
    """inkan's layer is a sum of cubic splines of each input, so the error falls as G^-4."""
    words = ("model.parameters.compile_basis=false", "data.formula=sin(3*x1)+exp(x2)")
    sizes = ("model.sizes=[4,6,9,16]", "data.sizes=[200]", "solver.steps=10")
    shown(run("inkan:KANLayer", *words, *sizes, "name=inkan"))
    rows = results("inkan")
    assert set(rows["status"]) == {"ok"}
    assert rows["n_params"].tolist()[::2] == [2 * (size + 3) + 2 for size in (4, 6, 9, 16)]
    error = np.exp(np.log(rows["test_rmse"]).groupby(rows["size"]).mean())
    (slope, _), *_ = np.polyfit(np.log(error.index), np.log(error), 1, full=True)
    assert slope == pytest.approx(-4, abs=0.4)
    assert "sin(3*x1)+exp(x2) (module): RMSE ~ n_params^exponent" in shown(
        kansweep("plot", "name=inkan", "plot.formats=[png]")
    )
    laws = pd.read_csv("outputs/inkan/laws.csv")
    assert laws["verdict"].tolist() == ["descriptive"] * 2
    assert "s=16" in shown(kansweep("show", "name=inkan"))
    record = yaml.safe_load(Path("outputs/inkan/config.yaml").read_text())
    words = overrides(from_record(record))  # of the report's command
    assert "model=module" in words
    assert "model.parameters={compile_basis: false}" in words


def test_a_trained_module_is_read_back_as_a_function(run: Any, kansweep: Any) -> None:
    shown(run("tanh_net", "model.sizes=[3,6]", "name=read"))
    model = offered.load_model("outputs/read", size=6, seed=1)
    row = results("read").query("size == 6 and seed == 1").iloc[0]
    assert (model.width, model.n_params) == ((2, 1), row["n_params"])
    x = np.random.default_rng(0).uniform(-1, 1, (400, 2))
    rmse = np.sqrt(np.mean((model(x) - TARGETS["exp_sin"].function(x)) ** 2))
    assert rmse == pytest.approx(row["test_rmse"], rel=0.3)
    step = np.array([1e-6, 0.0])
    slopes = (model(x + step) - model(x - step)) / 2e-6
    np.testing.assert_allclose(model.gradient(x)[:, :, 0], slopes, rtol=1e-6, atol=1e-8)
    assert model(x[0]).shape == (1,)
    assert [type(part).__name__ for part in model.module] == ["Linear", "Tanh", "Linear"]
    refused = kansweep("plot", "edges", "name=read")
    assert (refused.status, "holds modules; only " in refused.err) == (2, True)


def test_weights_whose_factory_is_gone_or_changed_say_so(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "gone.py"
    path.write_text(NET)
    shown(run("gone:net", "model.sizes=[3]", "name=read"))
    del sys.modules["gone"]
    path.write_text(NET.replace('"Tanh"', '"ReLU"'))
    with pytest.warns(UserWarning, match="gone:net has changed since these weights were trained"):
        offered.load_model("outputs/read")
    del sys.modules["gone"]
    path.unlink()
    with pytest.raises(ValueError, match=r"npz is of a factory that must .* gone:net cannot be"):
        offered.load_model("outputs/read")


@pytest.mark.parametrize(
    "words",
    [
        ("model.parameters.depth=2", "model.parameters.activation=SiLU"),
        ("+model.parameters.depth=2", "++model.parameters.activation=SiLU"),
        ("model.parameters={depth: 2, activation: SiLU}",),
    ],
)
def test_arguments_of_a_factory_are_given_in_three_ways(
    run: Any, tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "spelt.py").write_text(NET)
    shown(run("spelt:net", "model.sizes=[3]", *words, "name=given"))
    record = yaml.safe_load(Path("outputs/given/config.yaml").read_text())["model"]
    assert record["parameters"] == {"depth": 2, "activation": "SiLU"}
    assert results("given")["n_params"].tolist() == [2 * 3 + 3 + 12 + 3 + 1] * 2


def test_a_changed_module_is_another_sweep_and_an_unchanged_one_trains_nothing(
    run: Any, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(NET)
    words = ("mine:net", "model.sizes=[3,4]", "name=mine")
    shown(run(*words))
    before = times(Path("outputs/mine"))
    assert "4 of them kept, 0 trained" in shown(run(*words))
    assert "4 of them kept, 2 trained" in shown(run("mine:net", "model.sizes=[3,4,5]", "name=mine"))
    for change, told in (
        (("Tanh", "SiLU"), "what differs is `model.sha256` ("),
        (("", ""), "`model.parameters` ({} → {'depth': 2})"),
    ):
        (tmp_path / "mine.py").write_text(NET.replace(*change) if change[0] else NET)
        del sys.modules["mine"]
        inspection._tried.cache_clear()
        more = () if change[0] else ("model.parameters.depth=2",)
        status, out, err = run(*words, *more)
        assert (status, out, told in err) == (2, "", True), err
        assert "name=…" in err
    assert before.items() <= times(Path("outputs/mine")).items()
    status, _, err = run("mine:net", "model.sizes=[3]", "name=x", "model.sha256=abc")
    assert (status, "`model.sha256` must be that of mine:net, " in err) == (2, True)


def test_a_module_that_can_be_refined_is_extended_and_resumed_from_its_weights(run: Any) -> None:
    words = ("Hats", "model.sizes=[3,6,12]", "data.formula=sin(x1)+exp(x2)")
    shown(run(*words, "name=hats"))
    rows = results("hats")
    assert rows["start_grid"].tolist() == [3] * 6
    assert rows["n_params"].tolist() == [8, 14, 26] * 2
    for key in rows["key"][rows["size"] == 12]:
        Path(f"outputs/hats/cells/{key}.parquet").unlink()
    assert "4 of them kept, 2 trained" in shown(run(*words, "name=hats"))
    pd.testing.assert_series_equal(results("hats")["test_rmse"], rows["test_rmse"], rtol=1e-9)
    shown(run(*words, "model.extended=false", "name=cold"))
    assert results("cold")["start_grid"].isna().all()
    record = yaml.safe_load(Path("outputs/hats/config.yaml").read_text())["model"]
    assert record["extended"] is True


def test_a_module_that_gives_nan_is_rows_that_diverged_and_the_rest_is_trained(run: Any) -> None:
    status, out, err = run("Fading", "model.sizes=[3,5,7]", "name=nan")
    assert (status, "6 trained, 4 failed" in out) == (1, True)
    rows = results("nan").set_index("size")
    assert rows["status"].to_dict() == {3: "ok", 5: "diverged", 7: "diverged"}
    assert "size=5: diverged, non-finite" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("raising",), "user_nets:raising raised FloatingPointError: not today."),
        (("on_a_gpu",), "user_nets:on_a_gpu raised "),
        (("wide_outputs",), "`model.target` must make modules that map points (100, 2)"),
        (("nowhere:net",), "nowhere:net cannot be imported: ModuleNotFoundError"),
        (("tanh_net", "model.parameters={depth: {a: 1}}"), "`model.parameters` must be names"),
        (("tanh_net", "model.target=null"), "`model.target` must name what makes the modules"),
        (("tanh_net", "model.target=nets"), "`model.target` must be as package.module:function"),
        (("tanh_net", "model.hidden=[2]"), "`model.hidden` is a key of model=kan, "),
        (("tanh_net", "model.extended=true"), "must make modules with a method refined(size)"),
        (("-m", "tanh_net", "model.sizes=[3],[4,-1]"), "`model.sizes` must be a list"),
    ],
)
def test_what_is_of_no_use_is_refused_before_anything_is_written(
    run: Any, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    factory, *rest = (word for word in words if word != "-m")
    status, out, err = run(factory, *rest, *(["-m"] if "-m" in words else []))
    assert (status, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_several_modules_at_once_have_names_of_their_own(run: Any) -> None:
    words = ("model.sizes=[3]", "model.parameters.layers=1,2", "-m", "name=several")
    out = shown(run("tanh_net", *words))
    assert "names=several,model.parameters.layers=*" in out
    assert {path.name for path in Path("outputs").iterdir() if path.is_dir()} == {
        "several,model.parameters.layers=1",
        "several,model.parameters.layers=2",
    }
