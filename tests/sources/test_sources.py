"""Where data come from: sampled functions, of kansweep and of users, and the rows of tables."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import qmc

from kansweep.config.data import DataConfig
from kansweep.config.rules import ConfigError
from kansweep.data import sources
from kansweep.data.sampling import Sampled
from kansweep.data.targets import TARGETS, spread

EXP_SIN = TARGETS["exp_sin"]


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.uniform(0, 50, 100), "b": rng.normal(size=100)})
    frame.assign(y=1000 + frame["a"]).to_csv("t.csv", index=False)
    return frame


# ----------------------------------------------------------------------------------- sampling


@pytest.mark.parametrize("sampling", ["uniform", "sobol"])
@pytest.mark.parametrize("name", ["bessel", "exp_sin", "sine_mean", "jv"])
def test_a_larger_training_set_contains_the_smaller(name, sampling):
    source = Sampled(TARGETS[name], noise=0.1, sampling=sampling)
    for n, more in ((1, 2), (100, 300), (256, 257)):
        for few, many in zip(source.train(n, 3), source.train(more, 3), strict=True):
            np.testing.assert_array_equal(many[:n], few)


@pytest.mark.parametrize("sampling", ["uniform", "sobol", "grid"])
def test_points_lie_in_the_domain_and_differ_between_seeds_unless_on_a_grid(sampling):
    source = Sampled(TARGETS["jv"], sampling=sampling)
    lower, upper = source.bounds
    x, other = source.train(64, 0)[0], source.train(64, 1)[0]
    assert x.shape == (64, 2)
    assert ((x >= lower) & (x <= upper)).all()
    assert not np.array_equal(x, other)
    assert (set(map(tuple, x)) == set(map(tuple, other))) == (sampling == "grid")


@pytest.mark.parametrize("sampling", ["uniform", "sobol", "grid"])
def test_any_tenth_of_the_points_is_from_all_of_the_domain(sampling):
    """Methods train on the first points and judge by the last."""
    x = Sampled(EXP_SIN, sampling=sampling).train(31**2, 0)[0]
    for tenth in np.array_split(x, 10):
        assert (np.abs(tenth.mean(0)) < 0.25).all()
        assert (np.ptp(tenth, axis=0) > 1.8).all()


def test_sobol_points_are_more_even_than_uniform_ones():
    uniform, sobol = (
        qmc.discrepancy((Sampled(EXP_SIN, sampling=s).train(300, 0)[0] + 1) / 2)
        for s in ("uniform", "sobol")
    )
    assert sobol < uniform / 5


def test_a_grid_is_regular_and_has_the_corners():
    x, _ = Sampled(TARGETS["jv"], sampling="grid").train(9, 5)
    assert sorted(map(tuple, x)) == [(a, b) for a in (0, 1, 2) for b in (1, 5.5, 10)]


@pytest.mark.parametrize(
    ("name", "n", "near"), [("exp_sin", 300, "289 or 324"), ("nested", 100, "81 or 256")]
)
def test_a_grid_of_another_number_of_points_is_refused(name, n, near):
    with pytest.raises(ConfigError, match=rf"`data\.sizes` must .* such as {near}; got {n}"):
        sources.check(DataConfig(name=name, sizes=(n,), sampling="grid"))


@pytest.mark.parametrize("sampling", ["uniform", "sobol", "grid"])
def test_the_test_set_is_uniform_whatever_the_training_points(sampling):
    x, y = Sampled(EXP_SIN, 0.5, sampling).test(50, 2)
    np.testing.assert_array_equal(x, Sampled(EXP_SIN).test(50, 2)[0])
    np.testing.assert_array_equal(y, EXP_SIN.function(x))


# -------------------------------------------------------------------------------------- noise


def test_noise_is_added_to_training_outputs_alone_and_has_its_deviation():
    clean, noisy = Sampled(EXP_SIN), Sampled(EXP_SIN, noise=0.3)
    (x, y), (same, other) = clean.train(20_000, 4), noisy.train(20_000, 4)
    np.testing.assert_array_equal(x, same)
    assert np.std(other - y) == pytest.approx(0.3, rel=0.02)
    assert abs(np.mean(other - y)) < 0.01
    for part, again in zip(clean.test(100, 4), noisy.test(100, 4), strict=True):
        np.testing.assert_array_equal(part, again)


def test_noise_in_per_cent_is_a_share_of_the_targets_spread():
    assert sources.noise(DataConfig(noise="1%"), EXP_SIN) == pytest.approx(0.01 * spread(EXP_SIN))
    assert sources.noise(DataConfig(noise="2.5e-1%"), EXP_SIN) == pytest.approx(
        0.0025 * spread(EXP_SIN)
    )
    assert sources.noise(DataConfig(noise=0.2), EXP_SIN) == 0.2
    assert spread(EXP_SIN) == pytest.approx(1.40, abs=0.01)  # by Bessel and error functions


# --------------------------------------------------------------------------- users' functions


def test_a_formula_overrides_the_target_and_goes_by_its_text():
    data = DataConfig(formula="exp(sin(pi*x1) + x2^2)")
    x, y = sources.source(data).train(30, 0)
    np.testing.assert_allclose(y, EXP_SIN.function(x), rtol=1e-14)
    assert sources.label(data) == "exp(sin(pi*x1) + x2^2)"
    assert sources.shape(data) == (2, (1,), 1)


def test_a_formula_may_have_a_name_a_domain_and_hidden_widths():
    data = DataConfig(name="mine", formula="log(x1) * x3", domain=[1, 2], hidden=[4, 2])
    assert sources.label(data) == "mine"
    assert sources.shape(data) == (3, (4, 2), 1)
    lower, upper = sources.source(data).bounds
    assert (lower.tolist(), upper.tolist()) == ([1, 1, 1], [2, 2, 2])
    each = DataConfig(formula="x1 + x2", domain=[[0, 1], [-2, 3]])
    assert [end.tolist() for end in sources.source(each).bounds] == [[0, -2], [1, 3]]


@pytest.fixture
def module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)

    before = set(sys.modules)
    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_function_of_ones_own_is_imported_from_the_current_folder(module):
    module("own_a", "import numpy as np\ndef f(x1, x2, scale=3.0):\n    return scale * x1 + x2\n")
    data = DataConfig(target="own_a:f")
    x, y = sources.source(data).train(20, 0)
    np.testing.assert_array_equal(y[:, 0], 3 * x[:, 0] + x[:, 1])
    assert sources.label(data) == "own_a:f"
    assert str(sources.target(data).formula) == "own_a:f(x1, x2)"
    assert sys.path.count("") <= 1


def test_a_target_of_ones_own_keeps_what_it_says_of_itself(module):
    module(
        "own_b",
        "from dataclasses import replace\nfrom kansweep.data.targets import TARGETS\n"
        "wide = replace(TARGETS['exp_sin'], name='wide', domain=((-2.0, 2.0),))\n",
    )
    found = sources.target(DataConfig(target="own_b:wide"))
    assert (found.name, found.domain, found.structure) == (
        "wide",
        ((-2.0, 2.0),),
        EXP_SIN.structure,
    )


def test_code_that_says_something_else_is_another_content(module):
    module("own_c", "def f(x1):\n    return x1 ** 2\ndef g(x1):\n    return x1 ** 2 + 1e-7\n")
    f, g = (sources.resolved(DataConfig(target=f"own_c:{name}")) for name in "fg")
    assert None not in (f.sha256, g.sha256)
    assert f.sha256 != g.sha256
    assert sources.resolved(f) == f
    with pytest.raises(ConfigError, match=r"`data\.sha256` must be that of own_c:g"):
        sources.resolved(replace(f, target="own_c:g"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "cannot be imported: AttributeError"),
        ("raise OSError('no luck')", "cannot be imported: OSError: no luck"),
        ("f = 3", "is neither"),
        ("def f(): return 1", "has none"),
        ("def f(x): raise KeyError('x')", "it raised KeyError: 'x'"),
        ("def f(x): return x[:3]", "it raised ValueError"),
        ("def f(x): return 2.0", "is 2 everywhere"),
        ("def f(x): return (x > 0) / (x > 0)", "must be finite on its domain"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_code_that_is_no_function_is_refused(module, text, told):
    name = f"own_{abs(hash(text))}"
    module(name, text)
    with pytest.raises(ConfigError, match=r"^`data\.target` must") as refused:
        sources.check(DataConfig(target=f"{name}:f"))
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"formula": "log(x1)"}, "must be finite on its domain; log(x1) is not at x1 = -"),
        ({"formula": "x1 - x1"}, "must not be constant"),
        ({"formula": "x1", "target": "a:b"}, "give one of the two"),
        ({"formula": "x1 + x2", "domain": [[0, 1]] * 3}, "one for each of 2 inputs; got 3"),
        ({"domain": [0, 1]}, "exp_sin has its own"),
        ({"hidden": [3]}, "model.hidden changes it"),
        ({"name": "exp_sim"}, "Did you mean `exp_sin`?"),
        ({"path": "t.csv"}, "is a key of data=table"),
        ({"sizes": None}, "`data.sizes` may be null for data=table alone"),
        ({"name": "table"}, "`data.path` must name a file"),
        ({"name": "table", "path": "t.csv", "noise": 0.1}, "`data.noise` is no key of data=table"),
        ({"name": "table", "path": "t.csv", "formula": "x1"}, "is no key of data=table"),
        ({"noise": "1"}, "a share of the target's spread such as 1%; got '1'"),
        ({"noise": -0.1}, "`data.noise` must be a number, 0 or more"),
        ({"target": "no_colon"}, "as package.module:function"),
        ({"formula": "x1", "domain": [1, 0]}, "`data.domain` must be as [low,high]"),
    ],
)
def test_what_does_not_go_together_is_refused(given, told):
    with pytest.raises(ConfigError) as refused:
        sources.check(DataConfig(**given))
    assert told in str(refused.value)


# ------------------------------------------------------------------------------------- tables


def test_a_tables_rows_are_shared_out_by_the_seed(table):
    data = sources.resolved(DataConfig(name="table", path="t.csv", sizes=None, n_test=None))
    assert (data.inputs, data.output, data.n_test) == (("a", "b"), "y", 20)
    assert data.sizes == (25, 80)
    source = sources.source(data)
    x_test, y_test = source.test(20, 0)
    x, y = source.train(80, 0)
    together = np.concatenate([x, x_test])
    expected = table[["a", "b"]].to_numpy()
    np.testing.assert_array_equal(np.sort(together, axis=0), np.sort(expected, axis=0))
    np.testing.assert_allclose(y[:, 0], 1000 + x[:, 0])
    np.testing.assert_allclose(y_test[:, 0], 1000 + x_test[:, 0])
    np.testing.assert_array_equal(source.train(25, 0)[0], x[:25])
    assert not np.array_equal(source.train(25, 1)[0], x[:25])


def test_a_tables_domain_and_units_are_those_of_its_columns(table):
    data = DataConfig(name="table", path="t.csv", sizes=None, n_test=10, inputs=["a"], output="y")
    source = sources.source(sources.resolved(data))
    assert [end.tolist() for end in source.bounds] == [[table["a"].min()], [table["a"].max()]]
    outputs = source.outputs
    assert outputs.names == ("y",)
    assert [*outputs.offset, *outputs.scale] == pytest.approx(
        [1000 + table["a"].mean(), table["a"].std(ddof=0)]
    )
    assert source.noise == 0


def test_a_table_that_changed_under_a_sweep_is_found_out(table):
    data = sources.resolved(DataConfig(name="table", path="t.csv", sizes=None, n_test=None))
    table.assign(y=7 * table["a"]).to_csv("t.csv", index=False)
    with pytest.raises(ConfigError, match=r"t\.csv has changed"):
        sources.source(data)
    with pytest.raises(ConfigError, match=r"`data\.sha256` must be that of t\.csv"):
        sources.resolved(data)


def test_more_rows_than_there_are_are_refused(table):
    with pytest.raises(ConfigError, match=r"ask for, 90 \+ 20; t\.csv has 100"):
        sources.resolved(DataConfig(name="table", path="t.csv", sizes=(30, 90), n_test=None))
