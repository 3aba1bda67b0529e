"""The functions of the KAN paper's tables, held against the published text and other libraries."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
import yaml
from places import ROOT

from kansweep.data.formula import parse
from kansweep.data.published import published

PUBLISHED = published().set_index("data")
FILES = {path.stem: path for path in (ROOT / "configs/data").glob("*/*.yaml")}


def chosen(name: str) -> dict[str, Any]:
    """What `data=feynman/<name>` or `data=special/<name>` is."""
    return dict(yaml.safe_load(FILES[name].read_text()))


def points(data: dict[str, Any], count: int = 20) -> np.ndarray:
    lower, upper = np.array(data["domain"]).T
    return np.random.default_rng(0).uniform(lower, upper, (count, len(lower)))


EQUATIONS = sorted(path.stem for path in (ROOT / "configs/data/feynman").iterdir())
SPECIAL = {
    "ellipj": lambda x, y: mpmath.ellipfun("sn", x, m=y),
    "ellipkinc": lambda x, y: mpmath.ellipf(x, y),
    "ellipeinc": lambda x, y: mpmath.ellipe(x, y),
    "jv": mpmath.besselj,
    "yv": mpmath.bessely,
    "kv": mpmath.besselk,
    "iv": mpmath.besseli,
    **{f"lpmv{m}": lambda x, y, m=m: mpmath.legenp(x, m, y, type=2) for m in range(3)},
    **{
        f"sph_harm{m}{n}": lambda x, y, m=m, n=n: mpmath.re(mpmath.spherharm(n, m, y, x))
        for m, n in ((0, 1), (1, 1), (0, 2), (1, 2), (2, 2))
    },
}


@pytest.mark.parametrize("name", EQUATIONS)
def test_an_equation_is_the_published_one(name: str) -> None:
    data = chosen(name)
    assert data["name"] == name
    variables = re.search(r" of \((.+)\)", FILES[name].read_text())
    assert variables is not None, "the file names the variables that x1, x2, … stand for"
    symbols = {each: sympy.Symbol(each) for each in variables[1].split(", ")}
    text = PUBLISHED.loc[name, "formula"].replace("ln(", "log(").replace("^", "**")
    value = sympy.lambdify(list(symbols.values()), sympy.sympify(text, symbols), "math")
    x = points(data)
    expected = [[value(*row)] for row in x.tolist()]
    np.testing.assert_allclose(parse(data["formula"])(x), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", SPECIAL)
def test_a_special_function_is_the_one_of_its_name(name: str) -> None:
    data = chosen(name)
    x = points(data)
    expected = [[float(SPECIAL[name](*row))] for row in x.tolist()]
    size = float(np.abs(expected).max())
    np.testing.assert_allclose(parse(data["formula"])(x), expected, rtol=1e-9, atol=1e-12 * size)


def test_every_published_function_is_there_and_no_other() -> None:
    names = [yaml.safe_load(path.read_text())["name"] for path in FILES.values() if is_of(path)]
    assert sorted(names) == sorted(PUBLISHED.index)
    assert len(EQUATIONS) == 27
    assert len(SPECIAL) == 15


def is_of(path: Path) -> bool:
    return path.parent.name in ("feynman", "special")


@pytest.mark.parametrize("path", sorted(filter(is_of, FILES.values())), ids=lambda path: path.stem)
def test_the_shapes_are_those_published(path: Path) -> None:
    data = yaml.safe_load(path.read_text())
    row = PUBLISHED.loc[data["name"]]
    named = {"best" if path.parent.name == "special" else "human": data["hidden"]} | data["shapes"]
    for name, hidden in named.items():
        assert row[f"{name}_shape"] == "-".join(map(str, [len(data["domain"]), *hidden, 1]))


def test_the_experiments_hold_every_function() -> None:
    for table, count in (("feynman", 27), ("special", 15)):
        experiment = yaml.safe_load((ROOT / f"configs/experiment/{table}.yaml").read_text())
        chosen = experiment["hydra"]["sweeper"]["params"]["data"].replace(" ", "").split(",")
        files = {f"{table}/{path.stem}" for path in (ROOT / "configs/data" / table).iterdir()}
        assert set(chosen) == files
        assert len(chosen) == count


def test_no_published_error_is_lost() -> None:
    errors = PUBLISHED.filter(regex="_rmse$")
    assert errors.notna().sum(axis=1).groupby(PUBLISHED["table"]).agg(["min", "max"]).to_dict() == {
        "min": {"feynman": 4, "special": 3},
        "max": {"feynman": 4, "special": 3},
    }
    assert (errors.fillna(1.0) > 0).all(axis=None)
    assert (errors["mlp_rmse"] < 0.02).all()
