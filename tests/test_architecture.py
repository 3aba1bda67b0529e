"""Imports form layers, and what must stand in one place stands there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "kansweep"
MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix(): ast.parse(path.read_text())
    for path in PACKAGE.rglob("*.py")
}
HYDRA = {"hydra", "omegaconf"}
LATE = {"worker", "tables"}  # imported where a task is performed, or a table read; not before
NUMERICS = {
    name
    for name in MODULES
    if name in {"bspline", "kan", "mlp", "protocol", "jacobian", "gauge", "linalg"}
}


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Everything in a module but what only the type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from nodes(node)


def imported(name: str) -> set[str]:
    """What a module imports anywhere in it: packages, and modules by their full names."""
    found: set[str] = set()
    for node in nodes(MODULES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found | {full.partition(".")[0] for full in found}


def reached(name: str) -> set[str]:
    """What is imported with a module, by way of kansweep's own modules too."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = imported(waiting.pop()) - found
        found |= new
        own = {full.removeprefix("kansweep.").replace(".", "/") for full in new}
        waiting += [module for module in own if module in MODULES and module not in LATE]
    return found


def calls(name: str) -> list[tuple[str, ast.Call]]:
    """Every call in a module, with the name it goes by there."""
    found = [node for node in nodes(MODULES[name]) if isinstance(node, ast.Call)]
    return [(ast.unparse(node.func), node) for node in found]


def callers(*patterns: str) -> set[str]:
    """The modules that call something whose name matches one of the patterns."""
    return {
        name
        for name in MODULES
        if any(re.match(f"{pattern}$", call) for call, _ in calls(name) for pattern in patterns)
    }


def test_the_modules_are_found() -> None:
    assert {
        "cli/training",
        "config/run",
        "kan",
        "law",
        "plot",
        "solvers/lm",
        "store",
        "sweep",
    } <= set(MODULES)


@pytest.mark.parametrize(
    ("module", "barred"),
    [
        ("plot", {"torch", *HYDRA}),
        ("report", {"torch", "matplotlib.pyplot", *HYDRA}),
        ("words", {"torch", *HYDRA}),
        ("markup", {"torch", *HYDRA}),
        ("model", {"torch", *HYDRA}),
        ("weights", {"torch", *HYDRA}),
        ("gauged", {"torch", "pandas", "matplotlib", *HYDRA}),
        ("edges", {"torch", "matplotlib.pyplot", *HYDRA}),
        ("law", {"torch", "matplotlib", *HYDRA}),
        ("observations", {"torch", "matplotlib", *HYDRA}),
        ("joint", {"torch", "matplotlib", *HYDRA}),
        ("summary", {"torch", "matplotlib", *HYDRA}),
        ("analysis", {"torch", *HYDRA}),
        ("report", {"torch", *HYDRA}),
        ("table", {"torch", "matplotlib", *HYDRA}),
        ("store", {"torch", "matplotlib.pyplot", *HYDRA}),
        ("columns", {"torch", "pandas", "pyarrow", *HYDRA}),
        ("reasons", {"torch", "pandas", "pyarrow", *HYDRA}),
        ("events", {"torch", "pandas", "pyarrow", *HYDRA}),
        ("marks", {"torch", "pandas", "pyarrow", *HYDRA}),
        ("outputs", {"torch", "pandas", "pyarrow", *HYDRA}),
        ("schedule", {"torch"}),
        ("runner", {"torch"}),
        ("sweep", {"torch", "pandas", *HYDRA}),
        ("targets", {"torch", *HYDRA}),
        ("config/rules", {"torch", "pandas", *HYDRA}),
        ("floor", {"torch", "pandas", *HYDRA}),
        ("config/loading", {"torch", "pandas"}),
        ("config/keys", {"torch", "pandas", "numpy", *HYDRA}),
    ],
)
def test_a_module_never_brings_in(module: str, barred: set[str]) -> None:
    assert reached(module) & barred == set()


def test_numerics_know_no_configuration_and_no_files() -> None:
    outside = {"pandas", "pyarrow", "kansweep.config", "kansweep.store", "kansweep.sweep", *HYDRA}
    assert {name: reached(name) & outside for name in NUMERICS} == {
        name: set() for name in NUMERICS
    }


def test_only_the_command_lines_composing_and_config_know_hydra() -> None:
    assert {name for name in MODULES if imported(name) & HYDRA} == {
        "cli/composing",
        "config/loading",
    }


def test_only_the_store_and_its_rows_know_parquet() -> None:
    knowing = {name for name in MODULES if "pyarrow" in imported(name)}
    assert knowing == {"rows"}
    assert callers(r".*parquet.*") <= {"rows", "store", "tables"}  # the last reads a user's
    assert {name for name in MODULES if imported(name) & {"kansweep.rows"}} == {"schedule", "store"}


def test_engines_know_no_task_and_only_their_own_packages() -> None:
    engines = {name for name in MODULES if name.startswith("engines/")}
    assert len(engines) == 5
    packages = {"kansweep.schedule", "kansweep.runner", "kansweep.store", "torch", "pandas"}
    assert {name for name in engines if imported(name) & packages} == set()
    assert {name for name in MODULES if imported(name) & {"distributed", "dask"}} == {
        "engines/dask"
    }
    assert {name for name in MODULES if "submitit" in imported(name)} == {"engines/submitit"}


def test_only_the_command_line_prints_or_exits() -> None:
    printing = callers("print", "exit", r"sys\.exit", "SystemExit")
    assert {name.partition("/")[0] for name in printing} == {"cli", "__main__"}
    assert callers(r"os\._exit") == {"engines/process"}  # a worker whose run is no more


def test_no_module_sets_a_global_seed() -> None:
    assert callers(r"(torch(\.\w+)?|random|(np|numpy)\.random)\.(manual_seed(_all)?|seed)") == set()


def test_nothing_draws_from_a_global_generator() -> None:
    """Every draw of torch is given its generator, every one of NumPy comes from one."""
    assert callers(r"(np|numpy)\.random\.(?!default_rng|Generator|SeedSequence)\w+") == set()
    draw = r"torch\.(rand\w*|normal|bernoulli|multinomial)|.*\.(normal|uniform|random)_"
    careless = [
        f"{name}: {ast.unparse(node)}"
        for name in MODULES
        for call, node in calls(name)
        if re.fullmatch(draw, call) and "generator" not in {word.arg for word in node.keywords}
    ]
    assert careless == []
