"""Defaults, choices and refusals of a configuration."""

from __future__ import annotations

import pickle
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kansweep.config import models
from kansweep.config.commands import SCHEMAS, FigureConfig, PlotConfig, ShowConfig
from kansweep.config.data import DataConfig
from kansweep.config.engines import (
    DaskConfig,
    EngineConfig,
    ProcessConfig,
    SerialConfig,
    SubmititConfig,
)
from kansweep.config.keys import keys, points
from kansweep.config.loading import config_dir, from_record
from kansweep.config.models import GridConfig, KANConfig, ModelConfig
from kansweep.config.rules import ConfigError
from kansweep.config.run import RunConfig, RunModeConfig
from kansweep.config.solvers import LBFGSConfig, LMConfig, SolverConfig
from kansweep.data.targets import TARGETS
from kansweep.kinds import KINDS


def composed(kansweep: Any, *words: str) -> RunConfig:
    return from_record(yaml.safe_load(kansweep("run", "--cfg", "job", *words).out))


def choices(group: str) -> set[str]:
    return {path.stem for path in (config_dir() / group).glob("*.yaml")}


def test_the_yaml_files_leave_the_defaults_as_they_are(kansweep: Any) -> None:
    assert composed(kansweep) == RunConfig()


def test_example8_is_what_runs_by_default(kansweep: Any) -> None:
    assert composed(kansweep, "experiment=example8") == RunConfig()


def test_the_extended_example_changes_its_extent_and_no_setting(kansweep: Any) -> None:
    extended = composed(kansweep, "experiment=example8_extended")
    grids = GridConfig((5, 10, 20, 50, 100, 200, 500, 1000, 2000))
    assert extended == RunConfig(
        name="example8_extended", seeds=3, data=DataConfig(sizes=(30_000,)), grid=grids
    )


def test_example8_lbfgs_is_the_published_recipe(kansweep: Any) -> None:
    published = composed(kansweep, "experiment=example8_lbfgs")
    assert published == RunConfig(
        name="example8_lbfgs",
        seeds=1,
        data=DataConfig(n_test=1000),
        model=KANConfig(base="silu"),
        solver=LBFGSConfig(steps=50),
    )


def test_an_override_wins_over_the_experiment(kansweep: Any) -> None:
    words = ("experiment=example8_lbfgs", "seeds=[7]", "data=product", "solver=lm")
    changed = composed(kansweep, *words)
    assert (changed.seeds, changed.data.name, changed.solver) == ((7,), "product", LMConfig())


def test_every_target_and_solver_is_a_choice(kansweep: Any) -> None:
    assert choices("data") == {*TARGETS, "table"}
    for target in TARGETS:
        assert composed(kansweep, f"data={target}").data.name == target
    for solver, schema in SolverConfig.variants.items():
        words = (f"model={trained_by(schema)}", f"solver={solver}")
        assert composed(kansweep, *words).solver == schema()


def trained_by(solver: type[SolverConfig]) -> str:
    """The first kind of network that a solver trains."""
    return next(name for name, kind in KINDS.items() if solver.method(kind) is not None)


def test_every_engine_is_a_choice(kansweep: Any) -> None:
    for engine, schema in EngineConfig.variants.items():
        assert composed(kansweep, f"engine={engine}").engine == schema()
    words = ("engine=submitit", "engine.parameters={slurm_partition: long, mem_gb: 4}")
    sent = composed(kansweep, *words, "engine.workers=9").engine
    parameters = {"slurm_partition": "long", "mem_gb": 4}
    assert sent == SubmititConfig(workers=9, parameters=parameters)


def test_a_folder_of_ones_own_adds_choices(kansweep: Any, tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "solver" / "patient.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("defaults: [lm, _self_]\nmax_steps: 900\n")
    patient = composed(kansweep, "--config-dir", "mine", "solver=patient")
    assert patient.solver == LMConfig(max_steps=900)


def test_every_key_has_a_meaning_and_a_default_that_it_accepts() -> None:
    for schema in SCHEMAS.values():
        for key, item in keys(schema).items():
            assert item.meaning, key
            assert item.rule.holds(item.default), key


def test_a_number_of_seeds_counts_from_zero() -> None:
    assert RunConfig(seeds=3).seeds == (0, 1, 2)
    assert RunConfig(seeds=[4, 2]).seeds == (4, 2)


@pytest.mark.parametrize("solver", SolverConfig.variants.values())
def test_a_stored_configuration_reads_back_the_same(solver: type) -> None:
    model = ModelConfig.variants[trained_by(solver)]()
    stored = RunConfig(seeds=[3, 1], model=model, solver=solver())
    assert from_record(yaml.safe_load(yaml.safe_dump(as_lists(asdict(stored))))) == stored


def as_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_lists(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def test_a_stored_configuration_may_lack_newer_keys() -> None:
    assert from_record({"seeds": 2, "grid": {"sizes": [3]}}) == RunConfig(
        seeds=2, grid=GridConfig(sizes=(3,))
    )


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        (RunConfig, "seeds", 0),
        (RunConfig, "seeds", True),
        (RunConfig, "seeds", 2.5),
        (RunConfig, "seeds", []),
        (RunConfig, "seeds", [1, 1]),
        (RunConfig, "seeds", [-1]),
        (RunConfig, "outputs", ""),
        (RunConfig, "device", "gpu"),
        (RunConfig, "device", "cuda:x"),
        (RunConfig, "dtype", "float16"),
        (DataConfig, "name", ""),
        (DataConfig, "sizes", []),
        (DataConfig, "sizes", [-1]),
        (DataConfig, "sizes", [100, 100]),
        (DataConfig, "sizes", [True]),
        (DataConfig, "sizes", 100),
        (DataConfig, "n_test", 0),
        (DataConfig, "n_test", True),
        (GridConfig, "sizes", [10, 5]),
        (GridConfig, "sizes", [5, 5]),
        (GridConfig, "sizes", [0, 5]),
        (KANConfig, "hidden", [0]),
        (KANConfig, "hidden", 2),
        (KANConfig, "k", 0),
        (KANConfig, "base", "relu"),
        (LMConfig, "start", "warm"),
        (LMConfig, "restarts", -1),
        (LMConfig, "max_steps", 0),
        (LMConfig, "penalty", 0.0),
        (LMConfig, "penalty", float("nan")),
        (LMConfig, "penalty", float("inf")),
        (LMConfig, "tolerance", "small"),
        (LBFGSConfig, "steps", 0),
        (SerialConfig, "name", "cluster"),
        (ProcessConfig, "workers", 0),
        (ProcessConfig, "workers", 2.0),
        (DaskConfig, "workers", -1),
        (DaskConfig, "address", ""),
        (SubmititConfig, "cluster", "pbs"),
        (SubmititConfig, "timeout_min", 0),
        (SubmititConfig, "parameters", [1]),
        (SubmititConfig, "parameters", {"slurm_gres": None}),
        (RunModeConfig, "mode", "again"),
        (RunModeConfig, "fail_fast", 1),
        (ShowConfig, "format", "xml"),
        (PlotConfig, "name", "a/b"),
        (FigureConfig, "formats", []),
        (FigureConfig, "formats", ["png", "gif"]),
        (FigureConfig, "formats", ["png", "png"]),
    ],
)
def test_a_value_outside_its_rule_is_refused_by_name(section: Any, key: str, value: Any) -> None:
    with pytest.raises(ConfigError) as refusal:
        section(**{key: value})
    message = str(refusal.value)
    assert message.startswith(f"`{section.prefix}{key}` must be ")
    got = message.partition("; got ")[2].partition(". Did you")[0].removesuffix(".")
    assert got in (repr(value), "nan", "inf")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"sizes": [3]}, "There is no key `sizes`. Did you mean `grid.sizes`?"),
        ({"data": {"size": [3]}}, "There is no key `data.size`. Did you mean `data.sizes`?"),
        (
            {"data": {"n_test": 2.5}},
            "must be an integer, 1 or more, or null; got 2.5.",
        ),
        ({"solver": {"name": "lbfgs", "start": "auto"}}, "`solver.start` is a key of solver=lm"),
        ({"solver": {"name": "lbfsg"}}, "Did you mean `lbfgs`?"),
        ({"solver": 3}, "`solver` holds other keys; got 3 in its place."),
        ({"engine": []}, "`engine` holds other keys; got [] in its place."),
        (
            {"engine": {"workers": 2}},
            "`engine.workers` is a key of engine=process, engine=dask and engine=submitit, which",
        ),
        ({"engine": {"name": "submitit", "address": "a"}}, "is a key of engine=dask, which is not"),
        (
            {"engine": {"name": "dask", "address": "tcp://a:1", "workers": 3}},
            "`engine.workers` is for a cluster that kansweep starts itself",
        ),
    ],
)
def test_a_refusal_says_what_to_write_instead(record: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        from_record(record)
    assert message in str(refusal.value)


@given(st.text(max_size=220) | st.text("ab.,=-_/\\ \n", max_size=8))
def test_a_name_is_one_folder_below_the_outputs(name: str) -> None:
    try:
        accepted = RunConfig(name=name).name
    except ConfigError:
        return
    folder = Path("/sweeps", accepted)
    assert folder.resolve().parent == Path("/sweeps").resolve()
    assert folder.name == name


def test_a_multirun_name_is_accepted() -> None:
    assert RunConfig(name="example8,model.k=2").name == "example8,model.k=2"


def test_a_kind_without_keys_of_its_own_has_a_schema_that_goes_to_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ModelConfig, "variants", dict(ModelConfig.variants))
    third = {"name": "third", "title": "A third", "axis": "model.sizes", "sizes": (2, 4)}
    schema: Any = models._sized(replace(KINDS["mlp"], **third))
    settings = schema(hidden=[3])
    assert (settings.name, settings.sizes, settings.hidden) == ("third", (2, 4), (3,))
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_the_points_of_a_sweep_are_those_of_its_target_and_its_test_set() -> None:
    def of(**settings: Any) -> dict[str, Any]:
        return points(asdict(RunConfig(data=DataConfig(**settings))))

    same = {"sizes": (7,), "noise": 0.1, "sampling": "sobol"}  # of training points
    assert of(**same) == of() == {"data.name": "exp_sin", "data.n_test": 10_000}
    assert of(n_test=5) | {"data.n_test": 10_000} == of() != of(n_test=5)
    assert of(formula="x1", domain=(-2, 2)) != of(formula="x1")
