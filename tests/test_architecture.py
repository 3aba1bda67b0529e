"""Imports form wings, and what must stand in one place stands there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter

import pytest
from places import ROOT

PACKAGE = ROOT / "kansweep"
# From the ground up: each imports only what stands before it, and the rest of its own.
WINGS = [
    *("kinds", "config", "data", "networks", "solvers", "engines", "sweep"),
    *("laws", "trained", "figures", "report", "study", "estimator", "notebook"),
    *("session", "cli"),
]
MOST_FLAT = 8  # modules beside the wings
HYDRA = {"hydra", "omegaconf"}
MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix().removesuffix("/__init__"): ast.parse(
        path.read_text()
    )
    for path in PACKAGE.rglob("*.py")
}
ROOMS = {name for name in MODULES if name not in ("__init__", "__main__")}
TRAINING = {
    f"sweep/{name}"
    for name in ("chain", "provenance", "recorder", "samples", "trials", "units", "worker")
}


def wing(module: str) -> str:
    return module.partition("/")[0]


def in_wings(*names: str) -> set[str]:
    return {module for module in ROOMS if wing(module) in names}


def imported(name: str) -> set[str]:
    """What a module imports anywhere in it, lazily or for types too: packages, and our modules."""
    names: set[str] = set()
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    ours = {full.removeprefix("kansweep.").replace(".", "/") for full in names}
    return {full.partition(".")[0] for full in names} | (ours & ROOMS)


def at_start(name: str) -> Iterator[ast.AST]:
    """Everything that runs when a module is imported: nothing in functions or for types alone."""

    def within(tree: ast.AST) -> Iterator[ast.AST]:
        for node in ast.iter_child_nodes(tree):
            typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            if not typing and not isinstance(node, ast.FunctionDef):
                yield node
                yield from within(node)

    return within(MODULES[name])


def brought_in(name: str) -> set[str]:
    """The packages that are imported with a module, by way of our own modules too."""
    packages: set[str] = set()
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen |= {module}
        for node in at_start(module):
            if isinstance(node, ast.Import):
                packages |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                packages |= {node.module}
                fulls = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
                ours = {full.removeprefix("kansweep.").replace(".", "/") for full in fulls}
                waiting += ours & ROOMS
    return packages | {package.partition(".")[0] for package in packages}


def calls(name: str) -> list[tuple[str, ast.Call]]:
    """Every call in a module, with the name it goes by there."""
    nodes = [node for node in ast.walk(MODULES[name]) if isinstance(node, ast.Call)]
    return [(ast.unparse(node.func), node) for node in nodes]


def callers(*patterns: str) -> set[str]:
    """The modules that call something whose name matches one of the patterns."""
    return {
        name
        for name in MODULES
        if any(re.match(f"{pattern}$", call) for call, _ in calls(name) for pattern in patterns)
    }


# ----------------------------------------------------------------------------------- the wings


def test_no_module_imports_from_a_wing_above_its_own() -> None:
    upwards = {
        f"{module} -> {other}"
        for module in ROOMS
        for other in imported(module) & ROOMS
        if WINGS.index(wing(other)) > WINGS.index(wing(module))
    }
    assert upwards == set()


def test_no_imports_go_round_in_a_circle() -> None:
    graph = {module: (imported(module) & ROOMS) - {module} for module in ROOMS}
    assert len(list(TopologicalSorter(graph).static_order())) == len(ROOMS)


def test_every_module_stands_in_a_wing_and_few_are_flat() -> None:
    assert {wing(module) for module in ROOMS} == set(WINGS)
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_FLAT


def test_no_file_and_no_function_is_long() -> None:
    long = {path.name for path in PACKAGE.rglob("*.py") if path.read_text().count("\n") > 350}
    assert long == set()
    lengths = sorted(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for tree in MODULES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    )
    assert lengths[-1] <= 45
    assert lengths[int(0.9 * len(lengths))] <= 20


def test_the_page_on_architecture_shows_the_house_as_it_is() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    drawn = re.findall(r"^│ (\w+) ", page, re.MULTILINE)
    assert drawn == WINGS[::-1]
    paths = re.findall(r"`((?:\w+/)+\w+)\.py`", page)
    named = {path.removesuffix("/__init__") for path in paths if wing(path) != "tests"}
    assert len(named) > 20
    assert named - ROOMS == set()


# -------------------------------------------------------------------- what each may bring with it

TRAINERS = in_wings("networks", "solvers", "estimator") | TRAINING
TORCH_FREE = in_wings(*WINGS) - TRAINERS | {"solvers/reasons"}


@pytest.mark.parametrize("module", sorted(TORCH_FREE))
def test_a_module_that_does_not_train_brings_in_no_torch(module: str) -> None:
    assert "torch" not in brought_in(module)


@pytest.mark.parametrize(
    ("wings", "barred"),
    [
        ("kinds config data networks solvers engines", {"pandas", "pyarrow", "matplotlib"}),
        ("laws trained", {"matplotlib"}),
        ("figures report study notebook session cli", {"matplotlib.pyplot"}),
    ],
)
def test_a_wing_never_brings_in(wings: str, barred: set[str]) -> None:
    kept = in_wings(*wings.split()) - {"cli/composing"}
    assert {module: brought_in(module) & barred for module in kept} == {
        module: set() for module in kept
    }


def test_only_what_composes_a_configuration_knows_hydra() -> None:
    assert {name for name in MODULES if imported(name) & HYDRA} == {
        "cli/completing",
        "cli/composing",
        "config/composing",
        "config/loading",
    }
    assert not brought_in("sweep/plan") & HYDRA


def test_networks_know_no_configuration() -> None:
    assert {name for name in in_wings("networks") if in_wings("config") & imported(name)} == set()


def test_only_the_rows_and_their_index_know_parquet() -> None:
    knowing = {name for name in MODULES if "pyarrow" in imported(name)}
    assert knowing == {"sweep/rows", "sweep/index"}
    readers = {"sweep/rows", "sweep/index", "sweep/store", "data/tables"}  # the last a user's
    assert callers(r".*parquet.*") <= readers


def test_engines_know_no_task_and_only_their_own_packages() -> None:
    for package, engine in (("distributed", "dask"), ("dask", "dask"), ("submitit", "submitit")):
        assert {name for name in MODULES if package in imported(name)} == {f"engines/{engine}"}


def test_only_the_kinds_and_their_own_files_name_a_kind() -> None:
    """Elsewhere one asks the kind: no comparison with `kan` or `mlp`, no test for a class of it."""
    asking = re.compile(r"""[!=]=\s*["'](kan|mlp)["']|isinstance\([^)]*\b(KAN|MLP)(Config)?\b""")
    texts = {module: ast.unparse(tree) for module, tree in MODULES.items()}
    assert {module for module, text in texts.items() if asking.search(text)} == set()


# ----------------------------------------------------------------------- what stands in one place


def test_only_the_command_line_prints_or_exits() -> None:
    printing = callers("print", "exit", r"sys\.exit", "SystemExit")
    assert {wing(name) for name in printing} == {"cli", "__main__"}
    assert callers(r"os\._exit") == {"engines/process"}  # a worker whose run is no more


def test_no_module_sets_a_global_seed() -> None:
    assert callers(r"(torch(\.\w+)?|random|(np|numpy)\.random)\.(manual_seed(_all)?|seed)") == set()


def test_nothing_draws_from_a_global_generator() -> None:
    """Every draw of torch is given its generator, every one of NumPy comes from one."""
    legacy = r"(np|numpy)\.random\.(?!default_rng|Generator|SeedSequence)\w+"
    assert callers(legacy) == {"networks/global_draws"}  # where a user's code may, and is undone
    draw = r"torch\.(rand\w*|normal|bernoulli|multinomial)|.*\.(normal|uniform|random)_"
    careless = [
        f"{name}: {ast.unparse(node)}"
        for name in MODULES
        for call, node in calls(name)
        if re.fullmatch(draw, call) and "generator" not in {word.arg for word in node.keywords}
    ]
    assert careless == []
