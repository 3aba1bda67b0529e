"""Refusals: what cannot be run is said in a sentence, before anything is trained or written."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from kansweep import cli
from kansweep.config.commands import SCHEMAS
from kansweep.config.loading import load
from kansweep.config.rules import ConfigError
from kansweep.config.run import VARIANTS, RunConfig
from kansweep.data import sources
from kansweep.sweep.refusals import StoreError


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("rum", "predict, apply, check, report, shapes, clean. Did you mean `run`?"),
        ("run data.size=[1]", "There is no key `data.size`. Did you mean `data.sizes`?"),
        ("run data.formula=__import__(1)", "`data.formula` must use functions out of sin, cos"),
        ("run data.formula=log(x1)", "`data.formula` must be finite on its domain; log(x1) is not"),
        ("run data.path=t.csv", "`data.path` is a key of data=table, which is not the data"),
        (
            "run -m model=kan,mlp model.k=2",
            "`model.k` is a key of model=kan and model=pykan, which",
        ),
        ("run +foo=1", "There is no key `foo`."),
        ("run ++model.q=1", "There is no key `model.q`. Did you mean `model.k`?"),
        (
            "run solver=lmm",
            "there is adam, lbfgs, lbfgs_mlp, lm. Did you mean `lm`?",
        ),
        ("run data=bassel", "Did you mean `bessel`?"),
        ("run run=force", "`run` holds other keys; set one of those, such as `run.mode`."),
        ("run ~solver", "`solver` has no value."),
        ("run name=${nothing}", "Interpolation key 'nothing' not found"),
        ("run force", "`force` cannot be read; write key=value, as in data.sizes=[100,300]."),
        ("run model.k=1,2", "To sweep over it, add --multirun"),
        ("run -m model.k=1,2,0", "`model.k` must be an integer from 1 to 10; got 0."),
        (
            "run -m solver=lm,foo",
            "There is no solver=foo; there is adam, lbfgs, lbfgs_mlp, lm.",
        ),
        ("run --config-dir nowhere", "nowhere' not found"),
        ("run --cfg job -p nothing", "package 'nothing' not found"),
        ("run --faster", "unrecognized arguments: --faster; the options are told by --help."),
        ("show -q", "unrecognized arguments: -q; the options are told by --help."),
        ("apply data=new.csv output=p.csv", "`data` holds other keys; set one of those, such as"),
        ("run data=nosuch", "There is no data=nosuch; there is bessel, ellipeinc, ellipj,"),
        ("run engine=ray", "There is no engine=ray; there is dask, process, serial, submitit."),
        ("run engine=dask engine.address=tls://127.0.0.1:1", "must be that of a running scheduler"),
        ("run seeds=1000000", "may make 2,000,000 cells; got 20,000,000."),
        ("run -m engine=serial,dusk", "There is no engine=dusk; there is dask, process"),
        (
            "frobnicate name=x",
            "There is no command `frobnicate`; there is run, show, list, plot, predict,",
        ),
        ("plot name=nosuch", "There is no sweep in outputs/nosuch."),
        ("show", "There is no sweep in outputs; `kansweep run` makes one."),
        ("report format=pdf", "There is no key `format`."),
        ("plot names=x*", "`names` must match two sweeps or more; x* matches 0 of outputs."),
        ("plot edges edges.sed=0", "There is no key `edges.sed`. Did you mean `edges.seed`?"),
        ("plot edges plot.x=n_params", "There is no key `plot.x`."),
        (
            "edges",
            "There is no command `edges`; there is run, show, list, plot, predict,",
        ),
        (
            "run engine=submitit engine.cluster=local engine.parameters={lanes:3}",
            "`engine.parameters` must be submitit's own: ",
        ),
        ("run outputs=", "`outputs` must be a text that is not empty; got ''."),
    ],
)
def test_a_refusal_is_short_and_writes_nothing(
    kansweep: Any, tmp_path: Path, words: str, message: str
) -> None:
    status, out, err = kansweep(*words.split())
    assert (status, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) <= 8
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def performed(words: str) -> None:
    """What a command line does after Hydra, which is by far the slowest to say no."""
    command, *rest = words.replace("plot edges", "edges").split()
    choices = {section: f"{section}.name" for section in ("data", *VARIANTS)}
    keys = [(choices.get(key, key), value) for key, _, value in (w.partition("=") for w in rest)]
    record = OmegaConf.from_dotlist([f"{key}={value}" for key, value in keys])
    job = load(record, SCHEMAS[command])
    if isinstance(job, RunConfig):
        sources.check(job.data)
    (cli.COMMANDS | cli.SUBCOMMANDS)[command](job)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run data.noise=-1", "`data.noise` must be a number, 0 or more, or a share"),
        ("run data.noise=1%%", "such as 1%; got '1%%'."),
        ("run data.sampling=sobel", "Did you mean `sobol`?"),
        ("run data.sampling=grid", "such as 289 or 324; got 300."),
        ("run data.formula=x1 data.domain=[1,0]", "`data.domain` must be as [low,high]"),
        ("run data.formula=x1 data.target=os:getcwd", "give one of the two."),
        ("run data.target=os:nosuch", "cannot be imported: AttributeError"),
        ("run data=table", "`data.path` must name a file for data=table"),
        ("run data=table data.path=none.csv", "`data.path` must be a file that is there"),
        ("run solver=adam", "`solver` must be lm or lbfgs for model=kan; got adam."),
        (
            "run model=mlp solver.start=additive",
            "`solver.start` must be auto or random for model=mlp; got additive.",
        ),
        (
            "run model=mlp solver=adam solver.validation=0 solver.patience=5",
            "`solver.patience` must be null where `solver.validation` is 0; got 5.",
        ),
        (
            "run model=mlp solver=adam solver.validation=1",
            "`solver.validation` must be a number from 0 to less than 1; got 1.",
        ),
        ("run model=mlp model.k=2", "`model.k` is a key of model=kan and model=pykan, which"),
        ("run model=mlp model.widths=[5,4]", "`model.widths` must be a list of positive integers"),
        ("run model=mlp model.activation=sigmoid", "`model.activation` must be tanh, silu, relu"),
        (
            "run model=mlp solver=lbfgs grid.spacing=adaptive",
            "`grid.spacing` must be uniform for model=mlp; got",
        ),
        ("run grid.spacing=adaptiv", "`grid.spacing` must be uniform, adaptive or quantile; got"),
        ("run solver.steps=3", "`solver.steps` is a key of solver=lbfgs, which is not the solver"),
        ("run data.sizes=[100,-1]", "without repeats, or null; got [100, -1]."),
        ("run data.sizes=3", "`data.sizes` must be a list of integers, 2 or more, without repeats"),
        ("run data.n_test=2.5", "`data.n_test` must be an integer, 1 or more, or null; got 2.5."),
        ("run data.sizes=null", "`data.sizes` may be null for data=table alone."),
        ("run model.hidden=[1,a]", "must be a list of positive integers or auto, or null; got"),
        ("run seeds=true", "`seeds` must be an integer from 1 to 1000000, or a list"),
        ("run name=../elsewhere", "`name` must be 1 to 200 letters"),
        ("run device=cuda:99", "`device` must be"),
        ("run model.k=100", "`model.k` must be an integer from 1 to 10; got 100."),
        ("run seeds=99999999999", "`seeds` must be an integer from 1 to 1000000, or a list"),
        ("run grid.sizes=[99999999999]", "`grid.sizes` must be a list of positive integers"),
        ("run device=cuda:99999999999", "`device` must be cpu, cuda or cuda:N"),
        ("run data=product solver.start=additive", "one hidden node; the width is 2-2-1."),
        ("run grid.sizes=[]", "`grid.sizes` must be a list of positive integers, in ascending"),
        ("run grid.sizes=[5,5]", "in ascending order without repeats; got [5, 5]."),
        ("run grid.sizes=[10,5]", "in ascending order without repeats; got [10, 5]."),
        ("run grid.sizes=[0,5]", "`grid.sizes` must be a list of positive integers"),
        ("run data.sizes=[-1]", "`data.sizes` must be a list of integers, 2 or more"),
        ("run data.sizes=[100,100]", "without repeats, or null; got [100, 100]."),
        ("run model.k=2.5", "`model.k` must be an integer from 1 to 10; got 2.5."),
        ("run seeds=0", "`seeds` must be an integer from 1 to 1000000, or a list"),
        ("run seeds=[1,1]", "distinct integers, 0 or more; got [1, 1]."),
        ("run name=../../x", "`name` must be 1 to 200 letters"),
        ("run name=..", "`name` must be 1 to 200 letters"),
        ("run name=/x", "`name` must be 1 to 200 letters"),
        ("run device=tpu", "`device` must be cpu, cuda or cuda:N; got 'tpu'."),
        ("run dtype=float16", "`dtype` must be float64 or float32; got 'float16'."),
        ("run engine.workers=0", "a key of engine=process, engine=dask and engine=submitit, which"),
        ("run engine=process engine.workers=0", "`engine.workers` must be an integer, 1 or more"),
        ("run engine=process engine.workers=two", "`engine.workers` must be an integer, 1 or more"),
        ("run engine=process engine.address=a", "`engine.address` is a key of engine=dask, which"),
        ("run engine=dask engine.address=here", "`engine.address` must be as tcp://host:port"),
        ("run engine=dask engine.address=ucx://a:1", "`engine.address` must be as tcp://host:port"),
        ("run name=.latest", "`name` must be 1 to 200 letters"),
        ("run engine=submitit engine.cluster=pbs", "`engine.cluster` must be slurm or local"),
        ("run engine=submitit engine.timeout_min=0", "`engine.timeout_min` must be an integer"),
        ("run engine=submitit engine.parameters=3", "`engine.parameters` must be names with a"),
        ("run run.on_end=3", "`run.on_end` must be a shell command, or null; got 3."),
        ("run run.on_end=true", "`run.on_end` must be a shell command, or null; got True."),
        ("run run.mode=again", "`run.mode` must be cached, retry or force; got 'again'."),
        ("run run.fail_fast=maybe", "`run.fail_fast` must be true or false; got 'maybe'."),
        ("run solver.penalty=-1", "`solver.penalty` must be a positive number, or null; got -1"),
        ("plot name=../x", "`name` must be 1 to 200 letters"),
        ("show name=nothing", "There is no sweep in outputs/nothing."),
        ("show format=xml", "`format` must be table, markdown, csv, json or latex; got 'xml'."),
        ("plot", "There is no sweep in outputs; `kansweep run` makes one."),
        ("report", "There is no sweep in outputs; `kansweep run` makes one."),
        ("report name=nothing", "There is no sweep in outputs/nothing."),
        ("plot names=[a]", "`names` must be a list of two or more names of sweeps"),
        ("plot names=[a,../b]", "`names` must be a list of two or more names of sweeps"),
        ("plot name=a names=[a,b]", "`name` is one sweep and `names` are several; give one"),
        ("plot names=[nosuch,other]", "There is no sweep in outputs/nosuch."),
        ("plot plot.x=width", "`plot.x` must be grid_size or n_params, or null; got 'width'."),
        ("predict", "There is no sweep in outputs; `kansweep run` makes one."),
        ("predict size=0", "`size` must be an integer, 1 or more, or null; got 0."),
        ("predict sizes=[10,5]", "in ascending order without repeats, or null; got [10, 5]."),
        ("predict format=xml", "`format` must be table, csv or json; got 'xml'."),
        ("plot plot.margin=0", "`plot.margin` must be a positive number; got 0"),
        (
            "run model=pykan solver=lbfgs grid.spacing=adaptive",
            "`grid.spacing` must be uniform or quantile for model=pykan; got adaptive.",
        ),
        ("run model=pykan solver=lm", "`solver` must be lbfgs for model=pykan; got lm."),
        ("run model=pykan model.base=silu", "`model.base` is a key of model=kan, which is not"),
        (
            "run model=pykan solver=lbfgs device=cuda",
            "`device` must be cpu for model=pykan; got cuda.",
        ),
        ("plot edges", "There is no sweep in outputs; `kansweep run` makes one."),
        ("plot edges name=nothing", "There is no sweep in outputs/nothing."),
        ("plot edges edges.seed=-1", "`edges.seed` must be an integer, 0 or more, or null; got -1"),
        ("plot edges edges.size=[5]", "`edges.size` must be an integer, 1 or more, or null"),
        ("plot edges edges.n_train=all", "`edges.n_train` must be an integer, 1 or more, or null"),
        ("plot edges plot.formats=[gif]", "`plot.formats` must be a list of one or more of png"),
        ("plot plot.style=poster", "`plot.style` must be screen, paper or slides; got 'poster'."),
        (
            "plot plot.width=1",
            "`plot.width` must be a number of inches from 2 to 40, or null; got 1",
        ),
        ("plot edges plot.width=wide", "`plot.width`"),
        ("plot plot.formats=[gif]", "`plot.formats` must be a list of one or more of png, svg"),
        ("plot plot.formats=[]", "`plot.formats` must be a list of one or more of png, svg"),
        ("plot plot.formats=[png,png]", "without repeats; got ['png', 'png']."),
        ("plot format=markdown", "`format` must be text or latex; got 'markdown'."),
        ("plot plot.split=all", "`plot.split` must be train, test or both; got 'all'."),
        ("list format=latex", "`format` must be table, csv or json; got 'latex'."),
        ("list outputs=nowhere", "There is no sweep in nowhere; `kansweep run` makes one."),
        ("clean name=a yes=maybe", "`yes` must be true or false; got 'maybe'."),
        ("clean yes=true", "`name` must be given: that of the sweep to be cleaned."),
        ("show watch=maybe", "`watch` must be true or false; got"),
        ("show watch=true format=json", "`watch` goes with format=table; got format=json."),
        ("shapes model.hidden=Auto", "or auto, or null; got 'Auto'. Did you mean `auto`?"),
        ("shapes model=mlp", "`model.hidden` is no key of model=mlp."),
        ("run model.hidden=[auto]", "a list of positive integers or auto, or null; got ['auto']."),
        ("run model.hidden=[2,0]", "a list of positive integers or auto, or null; got [2, 0]."),
        ("run model.prune=1", "`model.prune` must be a number from 0 to less than 1; got 1"),
        ("run model.prune=-0.1", "`model.prune` must be a number from 0 to less than 1; got -0.1."),
        ("run model.prune=0.1 solver=lbfgs", "`model.prune` must be 0 for solver=lbfgs; got 0.1."),
        ("run model=mlp model.prune=0.1", "`model.prune` is a key of model=kan, which is not"),
        ("run model=module", "`model.target` must name what makes the modules, as package.module:"),
        ("run model=module model.target=my", "`model.target` must be as package.module:function"),
        ("run model=module model.hidden=[2]", "`model.hidden` is a key of model=kan, model=pykan,"),
        ("run model=pykan solver=lbfgs model.prune=0.1", "`model.prune` is a key of model=kan,"),
        ("run run.verbosity=loud", "`run.verbosity` must be quiet, normal or verbose; got 'loud'."),
        ("apply", "`data.path` must be given: a table with the inputs."),
        ("apply data.path=a.csv", "`output` must be given: a file for the predictions."),
        ("apply data.path=a.csv output=b.txt", "`output` must be a file that ends in .csv or"),
        ("apply data.path=a.csv output=b.csv size=0", "`size` must be an integer, 1 or more, or"),
        ("apply data.path=a.csv output=b.csv name=x", "There is no sweep in outputs/x."),
    ],
)
def test_a_refusal_is_one_sentence_with_the_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kansweep.sweep.runner.run", lambda *_: pytest.fail("it would train"))
    with pytest.raises((ConfigError, StoreError)) as refusal:
        performed(words)
    assert message in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("installed", "message"),
    [
        ({}, "the package pykan==0.2.8, which is not installed; pip install 'kansweep[pykan]'"),
        ({"pykan": "0.2.6"}, "the package pykan==0.2.8, of which 0.2.6 is installed; pip"),
        ({"pykan": "0.2.8"}, "the package scikit-learn, which is not installed; pip install"),
    ],
)
def test_a_network_that_is_not_installed_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, installed: dict[str, str], message: str
) -> None:
    def version(package: str) -> str:
        if package not in installed:
            raise PackageNotFoundError(package)
        return installed[package]

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kansweep.engines.imports.version", version)
    with pytest.raises(ConfigError) as refusal:
        performed("run model=pykan solver=lbfgs")
    assert f"model=pykan needs {message}" in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense: 3", "Key 'nonsense' not in 'RunConfig'"),
        ("data: {sizes: [a]}", "Value 'a' of type 'str' could not be converted to Integer"),
        ("name: [", "while parsing"),
        ("defaults: [override /solvr: lm]", "Could not override 'solvr'"),
    ],
)
def test_a_mistake_in_a_file_of_ones_own_is_named_with_the_file(
    kansweep: Any, tmp_path: Path, text: str, message: str
) -> None:
    mine = tmp_path / "mine" / "experiment" / "trial.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text(f"# @package _global_\n{text}\n")
    status, _, err = kansweep("run", "--config-dir", "mine", "experiment=trial")
    assert status == 2
    assert "experiment/trial" in err
    assert message in err
    assert len(err.splitlines()) <= 8


def test_a_yaml_file_runs_no_code(kansweep: Any, tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "experiment" / "trial.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("# @package _global_\nname: !!python/object/apply:os.mkdir [owned]\n")
    status, _, err = kansweep("run", "--config-dir", "mine", "experiment=trial")
    assert status == 2
    assert "could not determine a constructor" in err
    assert len(err.splitlines()) <= 8
    assert not (tmp_path / "owned").exists()


def test_hydras_own_variable_brings_the_traceback_back(
    kansweep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(Exception, match="Could not override 'solvr'"):
        kansweep("run", "solvr=lm")
