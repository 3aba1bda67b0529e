"""Several outputs of targets, formulas and tables: names, units, structures and floors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kansweep.config.composing import composed
from kansweep.config.data import DataConfig
from kansweep.config.overrides import overrides
from kansweep.config.rules import ConfigError
from kansweep.data import floor, sources
from kansweep.data.derivatives import gradient
from kansweep.data.formula import parse
from kansweep.data.functions import from_formula
from kansweep.data.outputs import Outputs
from kansweep.data.targets import outputs_of

TWO = {"a": "exp(sin(2*x1) + x2^2)", "b": "1000*sin(x1 + x3)"}


def of(*texts: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"f{i}", text) for i, text in enumerate(texts))


def test_formulas_have_the_inputs_of_all_and_are_trained_in_units_of_their_spread() -> None:
    data = DataConfig(formula=TWO, noise="1%")
    assert sources.label(data) == "a, b"
    assert sources.shape(data) == (3, (2,), 2)
    source = sources.source(data)
    x, y = source.test(50, 0)
    own = [np.exp(np.sin(2 * x[:, 0]) + x[:, 1] ** 2), 1000 * np.sin(x[:, 0] + x[:, 2])]
    np.testing.assert_allclose(y, np.stack(own, 1), rtol=1e-12)
    assert source.outputs.names == ("a", "b")
    many = source.test(100_000, 0)[1]
    np.testing.assert_allclose(source.outputs.scale, many.std(0), rtol=0.02)
    np.testing.assert_array_equal(source.noise, 0.01 * source.outputs.scale)
    clean = sources.source(DataConfig(formula=TWO)).train(20_000, 0)[1]
    noise = source.train(20_000, 0)[1] - clean
    np.testing.assert_allclose(noise.std(0), source.noise, rtol=0.03)
    first, second = source.derivatives(x)
    assert (first.shape, second.shape) == ((50, 2, 3), (50, 2, 3, 3))
    np.testing.assert_array_equal(first[:, 1], gradient(parse(TWO["b"]).expression, x))


def test_the_words_of_several_formulas_are_read_as_they_were() -> None:
    job = composed(["data.formula={a: exp(sin(2*x1) + x2^2), b: 1000*sin(x1 + x3)}"])
    assert job.data.formula == TWO
    assert composed(overrides(job)).data == job.data


def test_what_all_outputs_are_together_is_that_of_one_where_there_is_one() -> None:
    error = np.array([0.1 + 0.2])
    assert Outputs(("y",), np.zeros(1), np.full(1, 7.0)).together(error) == error[0]
    two = Outputs(("a", "b"), np.zeros(2), np.array([1.0, 100.0]))
    assert two.together(np.array([3.0, 400.0])) == pytest.approx(np.sqrt((9 + 16) / 2))


def test_floors_of_several_outputs_are_those_of_each_alone() -> None:
    """With the hidden nodes of all of them; those in common once."""
    texts = "exp(sin(pi*x1)+x2^2)", "sin(2*(x1^2+x2))"
    both = from_formula(of(*texts), "both", None, None)
    alone = [from_formula(of(text), "one", None, None) for text in texts]
    each = floor.of_each(both, (2,), 3, 10)
    assert each == pytest.approx([floor.floor(one, (1,), 3, 10) for one in alone], rel=1e-9)
    spread = outputs_of(both).scale
    assert floor.floor(both, (2,), 3, 10) == pytest.approx(np.sqrt(np.mean((each / spread) ** 2)))
    shared = from_formula(of(texts[0], "tanh(sin(pi*x1)+x2^2)"), "both", None, None)
    assert floor.of_each(shared, (1,), 3, 10)[0] == pytest.approx(each[0], rel=1e-9)
    assert "2-2-2" in floor.missing(both, (1,), 3)


def test_an_output_that_splines_represent_has_the_floor_0() -> None:
    target = from_formula(of("exp(x1+x2)", "(x1+x2)^3"), "both", None, None)
    each = floor.of_each(target, (1,), 3, 5)
    assert each[0] > 0
    assert each[1] == 0


def test_jacobis_functions_have_their_names() -> None:
    source = sources.source(composed(["data=jacobi"]).data)
    assert source.outputs.names == ("sn", "cn", "dn")
    assert source.train(5, 0)[1].shape == (5, 3)


def test_a_target_in_python_names_its_outputs(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = "Target('t', '', lambda x: np.hstack([x, x**2]), 1, (), '', n_outputs=2{})"
    text = "import numpy as np\nfrom kansweep import Target\n"
    named = {"plain": "", "named": ", outputs=('a', 'b')", "short": ", outputs=('a',)"}
    text += "".join(f"{name} = {made.format(more)}\n" for name, more in named.items())
    Path("of_several_outputs.py").write_text(text)
    plain, named_, short = (DataConfig(target=f"of_several_outputs:{name}") for name in named)
    assert sources.source(plain).outputs.names == ("y1", "y2")
    assert sources.source(named_).outputs.names == ("a", "b")
    assert sources.resolved(plain).sha256 != sources.resolved(named_).sha256
    with pytest.raises(ConfigError, match="must name each of its outputs, 2 of them; got a"):
        sources.source(short)
