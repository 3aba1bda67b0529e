"""Malformed calls of Python: each refused in a sentence, before anything is trained or written."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cells import published

import kansweep
from kansweep import KANRegressor

RESULTS = published()
LAWS = kansweep.fit_laws(RESULTS)
DAYS = np.full((30, 2), np.datetime64("2026-01-01"))
X = np.random.default_rng(0).uniform(-1, 1, (30, 2))
Y = X.sum(1)


def fit(*words: Any, **options: Any) -> Callable[[], object]:
    return lambda: KANRegressor(*words, **options).fit(X, Y)


def to(*arrays: Any) -> Callable[[], object]:
    return lambda: KANRegressor().fit(*arrays)


@cache
def fitted() -> KANRegressor:
    return KANRegressor([], grid_size=2).fit(X, Y)


def predict(*words: Any, **options: Any) -> Callable[[], object]:
    return lambda: kansweep.predict(RESULTS, *words, **options)


def run(*words: Any, **keys: Any) -> Callable[[], object]:
    return lambda: kansweep.run(*words, **keys)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (fit([-1]), "`hidden` must be a list of positive integers or auto, or null; got [-1]."),
        (fit("Auto"), "got 'Auto'. Did you mean `auto`?"),
        (fit(k=3.5), "`k` must be an integer from 1 to 10; got 3.5."),
        (fit(k=True), "`k` must be an integer from 1 to 10; got True."),
        (fit(grid_size=0), "`grid_size` must be a positive integer, or a list of positive"),
        (fit(grid_size=[]), "`grid_size` must be a positive integer, or a list of positive"),
        (fit(grid_size="5"), "`grid_size` must be a positive integer, or a list of positive"),
        (fit(random_state="a"), "`random_state` must be an integer, 0 or more, a generator of"),
        (fit(n_jobs=2.0), "`n_jobs` must be a positive integer, -1 or None; got 2.0."),
        (lambda: KANRegressor("auto").fit(X[:1], Y[:1]), "`X` must have 2 samples that count"),
        (lambda: KANRegressor().fit(X[:, 0], Y), "`X` must be (n_samples, n_features); got 1"),
        (lambda: KANRegressor().fit(X, Y[:-1]), "`y` must have a row for each of 30 samples; got"),
        (lambda: KANRegressor().predict(X), "is not fitted yet; call `fit` first."),
        (lambda: KANRegressor.from_cell("none"), "There is no file none."),
        (run(seeds=0), "`seeds` must be an integer from 1 to 1000000, or a list of distinct"),
        (run(seed=1), "There is no key `seed`. Did you mean `seeds`?"),
        (run(data__size=[9]), "There is no key `data.size`. Did you mean `data.sizes`?"),
        (run(grid={"sizes": [5, 3]}), "in ascending order without repeats; got [5, 3]."),
        (run(grid={"size": [5]}), "There is no key `grid.size`. Did you mean `grid.sizes`?"),
        (run(model__hidden="Auto"), "got 'Auto'. Did you mean `auto`?"),
        (run(run__verbosity="loud"), "`run.verbosity` must be quiet, normal or verbose; got"),
        (run("-q"), "`-q` is for the command line; write key=value."),
        (run("data"), "`data` cannot be read; write key=value, as in data.sizes=[100,300]."),
        (run(name="a/b"), "`name` must be 1 to 200 letters, digits and"),
        (run(solver="sgd"), "There is no solver=sgd; there is adam, lbfgs"),
        (lambda: kansweep.load_model("none"), "There is no file none."),
        (fit("deep"), "`hidden` must be a list of positive integers or auto, or null; got 'deep'"),
        (fit(warm_start="yes"), "`warm_start` must be true or false; got 'yes'."),
        (
            to(X.astype(str) + "a", Y),
            "`X` must be an array of real numbers",
        ),
        (
            to([[1.0, 2.0], [3.0]], Y),
            "`X` must be an array of real numbers",
        ),
        (
            to({"a": [1.0]}, Y),
            "`X` must be an array of real numbers: float",
        ),
        (
            to(DAYS, Y),
            "`X` must be an array of real numbers: it has datetime",
        ),
        (
            to(torch.ones(30, 2, requires_grad=True), Y),
            "`X` must be an array",
        ),
        (to(X, ["a"] * 30), "`y` must be an array of real numbers: could"),
        (to(X, Y, "balanced"), "`sample_weight` must be an array of real"),
        (run(3), "A word must be a text such as 'data=product'; got 3."),
        (run({"seeds": 1}), "A word must be a text such as 'data=product'; got {'seeds': 1}."),
        (run(callback="print"), "`callback` must be a function of a row, or None; got 'print'."),
        (run(progress="no"), "`progress` must be true or false; got 'no'."),
        (run(config_dir="nowhere"), "`config_dir` must be a folder; got 'nowhere'."),
        (run(data=3), "What is chosen for a section must be a name, as in data=product"),
        (lambda: kansweep.Sweep("nowhere"), "There is no sweep in nowhere."),
        (lambda: kansweep.Sweep("."), "There is no sweep in ."),
        (
            lambda: fitted().predict(X, return_std="yes"),
            "`return_std` must be true or false; got 'yes'.",
        ),
        (lambda: fitted().predict(X, return_std=1), "`return_std` must be true or false; got 1."),
        (lambda: fitted().predict_interval(X, 1), "`level` must be a number between 0 and 1; got"),
        (to(1e308 * X, Y), "`X` must be within 1e-150 and 1e+150 in size, or 0; its largest is"),
        (to(X, 1e-320 * Y), "`y` must be within 1e-150 and 1e+150 in size, or 0; its largest is"),
        (run(run__on_end=3), "`run.on_end` must be a shell command, or null; got 3."),
        (run(seeds={1, 2}), "`seeds` must be a number, a text, a flag, None, or a list or mapping"),
        (run(data__target=np.sin), "`data.target` must be a number, a text, a flag, None, or a"),
        (run("hydra.run.dir=x"), "`hydra.run.dir=x` is a key of Hydra's, for the command line"),
        (run("model.k=1,2"), "These are several sweeps, model.k=1,2; run them one by one."),
        (lambda: kansweep.load_results("none"), "There are no results in none."),
        (lambda: kansweep.fit_laws("outputs"), "`results` must be a table, as load_results gives"),
        (lambda: kansweep.fit_laws(None), "`results` must be a table, as load_results gives it"),
        (lambda: kansweep.fit_laws(RESULTS, ["G"]), "`x` must be 'grid_size' or 'n_params'; got"),
        (lambda: kansweep.predict(RESULTS[:0]), "`results` must have a row"),
        (lambda: kansweep.predict(LAWS), "`results` must have the columns"),
        (predict(0), "`size` must be an integer from 1 to 10000; got 0"),
        (predict(10**9), "`size` must be an integer from 1 to 10000; got 1000000000"),
        (predict("8"), "`size` must be an integer from 1 to 10000; got '8'"),
        (predict(n_train=-1), "`n_train` must be an integer from 1 to 2147483647; got -1"),
        (predict(sizes=5), "`sizes` must be a list out of the sweep's 5, 10, 20, 50, 100; got 5"),
        (predict(target="exp_sin"), "`target` must be a Target, or None; got 'exp_sin'."),
        (
            lambda: kansweep.compare_laws([RESULTS, RESULTS]),
            "`sweeps` must be results by their names; got list.",
        ),
        (
            lambda: kansweep.compare_laws({1: RESULTS, 2: RESULTS}),
            "`sweeps` must be results by their names; got [1, 2].",
        ),
        (
            lambda: kansweep.compare_laws({"a": RESULTS, "b": RESULTS}, "G"),
            "`x` must be 'grid_size' or 'n_params'; got 'G'.",
        ),
        (lambda: kansweep.plot_laws(LAWS, RESULTS), "`laws` must be those of fit_laws; it lacks x"),
        (lambda: kansweep.plot_edges("outputs"), "`network` must have a function on every edge"),
        (lambda: kansweep.plot_edges(fitted().network_, 3), "`target` must be one of exp_sin,"),
    ],
)
def test_a_malformed_call_is_refused_in_a_sentence(
    call: Callable[[], object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kansweep.sweep.runner.run", lambda *_: pytest.fail("it would train"))
    with pytest.raises((ValueError, TypeError, OSError, kansweep.StoreError)) as refused:
        call()
    assert message in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_flags_and_numbers_of_numpy_are_those_of_python() -> None:
    mean, deviation = fitted().predict(X, return_std=np.True_)
    np.testing.assert_array_equal(fitted().predict(X, return_std=np.False_), mean)
    assert deviation.shape == mean.shape
    low, high = fitted().predict_interval(X, np.float64(0.5))
    assert ((low < mean) & (mean < high)).all()
    assert fit([], grid_size=np.int64(2), warm_start=np.False_)()
    with kansweep.figure_style("paper", np.float64(3.4)):
        pass
