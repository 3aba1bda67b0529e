"""Plans and keys: what identifies a cell, and what does not."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import python

from kansweep.config.data import DataConfig
from kansweep.config.engines import DaskConfig, ProcessConfig, SubmititConfig
from kansweep.config.keys import identity
from kansweep.config.keys import keys as options
from kansweep.config.loading import from_record
from kansweep.config.models import GridConfig, KANConfig, MLPConfig, ModelConfig
from kansweep.config.rules import ConfigError
from kansweep.config.run import RunConfig
from kansweep.config.solvers import LBFGSConfig, LMConfig
from kansweep.data.sampling import REVISIONS
from kansweep.kinds import SPLINES
from kansweep.sweep.plan import layer_widths, planned

SMALL = RunConfig(seeds=[0, 1], data=DataConfig(sizes=(30, 60)), grid=GridConfig(sizes=(3, 5)))


def keys(config: RunConfig) -> list[str]:
    return [cell.key for cell in planned(config).cells]


def test_the_default_plan_is_the_examples_matrix():
    plan = planned(RunConfig())
    assert len(plan.cells) == 100
    assert len(plan.chains) == 20
    assert layer_widths(RunConfig(), 5) == (2, 1, 1)
    assert [cell.size for cell in plan.chains[0].cells] == [5, 10, 20, 50, 100]
    assert {cell.n_train for cell in plan.cells} == {100, 300, 1000, 3000}


def test_cells_come_by_data_size_then_seed_then_grid_size():
    cells = planned(SMALL).cells
    order = [(cell.n_train, cell.seed, cell.size) for cell in cells]
    assert order == [(n, seed, size) for n in (30, 60) for seed in (0, 1) for size in (3, 5)]


def test_grids_finer_than_the_points_bear_are_left_out_and_the_others_keep_their_keys():
    whole = replace(SMALL, grid=GridConfig(sizes=(3, 5, 10)))
    part = replace(SMALL, grid=GridConfig(sizes=(3, 5, 10), points=1.5))
    # 3 edges of G + 3 numbers: 27 for 18 points a parameter and a half, 36 for 24, 58.5 for 39.
    cells = planned(part).cells
    assert [(cell.n_train, cell.size) for cell in cells] == [
        *[(30, 3)] * 2,
        *[(60, size) for _ in range(2) for size in (3, 5, 10)],
    ]
    assert {cell.key for cell in cells} <= set(keys(whole))
    mlp = MLPConfig(widths=(5, 10))
    assert len(planned(replace(part, model=mlp, solver=LBFGSConfig())).cells) == 8
    with pytest.raises(ConfigError, match=r"`grid.points` must leave a grid of `grid.sizes`; 7 "):
        planned(replace(SMALL, grid=GridConfig(sizes=(3, 5), points=7)))


def test_keys_are_all_different_and_the_same_again_and_name_their_cell():
    assert len(set(keys(SMALL))) == 8
    assert keys(SMALL) == keys(replace(SMALL))
    for cell in planned(SMALL).cells:
        name = f"n{cell.n_train}-s{cell.seed}-G{cell.size}-[0-9a-f]{{16}}"
        assert re.fullmatch(name, cell.key)


def revise(monkeypatch, revision):
    """Let `lm` have another revision."""
    method = LMConfig.methods[SPLINES]
    monkeypatch.setattr(LMConfig, "methods", {SPLINES: replace(method, revision=revision)})


def test_keys_are_those_of_the_first_version(monkeypatch):
    """Settings that came later leave them as they are; only a solver's revision changes them."""
    revise(monkeypatch, 2)
    assert keys(RunConfig())[:2] == ["n100-s0-G5-7ac2312cd7bf620d", "n100-s0-G10-42fdc380456d27da"]


def test_a_sweep_stored_before_a_setting_came_is_the_same():
    record = planned(SMALL).config_record
    later = ("noise", "sampling", "formula", "target", "domain", "inputs", "output", "sha256")
    older = {**record, "data": {k: v for k, v in record["data"].items() if k not in later}}
    assert len(older["data"]) < len(record["data"])
    older["grid"] = {k: v for k, v in record["grid"].items() if k != "spacing"}
    assert older["grid"] != record["grid"]
    assert identity(older) == identity(record)
    assert keys(from_record(older)) == keys(SMALL)


def test_the_cells_of_an_mlp_are_chains_of_one():
    config = replace(SMALL, model=MLPConfig(widths=(4, 7)), solver=LBFGSConfig())
    plan = planned(config)
    assert [chain.cells for chain in plan.chains] == [(cell,) for cell in plan.cells]
    assert {cell.size for cell in plan.cells} == {4, 7}
    assert layer_widths(config, 7) == (2, 7, 7, 1)
    wider = keys(replace(config, model=MLPConfig(widths=(4, 7, 9))))
    assert set(keys(config)) < set(wider)  # none depends on another
    assert all("-W" in key for key in wider)


def test_keys_are_the_same_in_another_process():
    script = (
        "import sys; from kansweep.config.run import RunConfig;"
        " from kansweep.sweep.plan import planned;"
        " assert planned(RunConfig()).cells[0].key == sys.argv[1]"
    )
    assert python(script, keys(RunConfig())[0], PYTHONHASHSEED="7") == ""


def test_a_sampling_that_gives_other_points_than_before_has_other_keys(monkeypatch):
    each = [replace(RunConfig(), data=DataConfig(sampling=s)) for s in ("grid", "uniform")]
    before = [set(keys(config)) for config in each]
    monkeypatch.setitem(REVISIONS, "grid", REVISIONS["grid"] + 1)
    after = [set(keys(config)) for config in each]
    assert after[0].isdisjoint(before[0])
    assert after[1] == before[1]


def changed(config: RunConfig, key: str) -> RunConfig:
    """The configuration with another value at a key, whether or not that is a valid one."""
    config = deepcopy(config)
    *path, name = key.split(".")
    part = getattr(config, path[0]) if path else config
    given = {
        "data.noise": 0.1,
        "data.sampling": "sobol",
        "data.formula": "x1 + x2",
        "data.target": "operator:mul",
        "data.domain": (0.0, 1.0),
        "data.name": "product",
        "data.hidden": (2,),
        "data.shapes": {"pruned": (2,)},
        "model.hidden": (2,),
        "model.prune": 0.1,
    }
    match getattr(part, name):
        case _ if key in given:
            value = given[key]
        case bool(old):
            value = not old
        case int(old) | float(old) | tuple(old):
            value = 2 * old
        case old:
            value = f"{old}x"
    setattr(part, name, value)
    return config


INDIFFERENT = {
    "name",
    "outputs",
    "engine.name",
    "run.mode",
    "run.fail_fast",
    "run.report",
    "run.on_end",
    "run.verbosity",
    "data.path",  # what a table holds decides, not where it lies
    "data.hidden",  # as model.hidden
    "data.shapes",
    "model.enough",
    "solver.trace",
}
EXTENT = {"seeds", "data.sizes", "grid.sizes", "grid.points", "model.widths"}


@pytest.mark.parametrize("solver", [LMConfig(), LBFGSConfig()])
def test_every_setting_that_may_change_the_numbers_changes_every_key(solver):
    config = replace(SMALL, solver=solver)
    varying = ("solver.", "engine.")
    settings = {key for key in options(RunConfig) if not key.startswith(varying)}
    for other in ModelConfig.variants.values():
        settings -= set(options(other)) - set(options(KANConfig))
    settings |= set(options(type(solver))) - {"solver.name"} | {"engine.name"}
    assert settings > INDIFFERENT | EXTENT - {"model.widths"} | {
        "device",
        "dtype",
        "data.n_test",
        "model.k",
    }
    for key in settings - INDIFFERENT - EXTENT - {"model.name"}:  # that is a kind, tested below
        other = changed(config, key)
        assert not set(keys(other)) & set(keys(config)), key
        assert identity(asdict(other)) != identity(asdict(config)), key
    for key in INDIFFERENT & settings:
        assert keys(changed(config, key)) == keys(config), key


def test_another_kind_of_network_is_another_sweep():
    kan = replace(SMALL, solver=LBFGSConfig())
    mlp = replace(kan, model=MLPConfig(widths=kan.grid.sizes))
    assert identity(asdict(mlp)) != identity(asdict(kan))
    assert not set(keys(mlp)) & set(keys(kan))


@pytest.mark.parametrize(
    "engine",
    [
        ProcessConfig(workers=3),
        DaskConfig(address="tcp://there:8786"),
        SubmititConfig(workers=5, cluster="local", parameters={"mem_gb": 4}),
    ],
)
def test_where_it_is_trained_changes_no_key(engine):
    plan = planned(replace(SMALL, engine=engine))
    assert [cell.key for cell in plan.cells] == keys(SMALL)
    assert keys(from_record(plan.config_record)) == keys(SMALL)


def test_solvers_and_smaller_grids_below_change_every_key():
    for other in (replace(SMALL, solver=LBFGSConfig()), replace(SMALL, grid=GridConfig((2, 3, 5)))):
        assert not set(keys(other)) & set(keys(SMALL))


def test_the_targets_own_width_may_be_given_or_not():
    assert keys(replace(SMALL, model=KANConfig(hidden=(1,)))) == keys(SMALL)


def test_which_gpu_it_is_does_not_matter():
    one, two, any_ = (planned(replace(SMALL, device=f"cuda{n}")) for n in (":0", ":1", ""))
    assert one.cells == two.cells == any_.cells != planned(SMALL).cells
    records = [identity(plan.config_record) for plan in (one, two, any_)]
    assert records[0] == records[1] == records[2]


@given(sizes=st.lists(st.integers(1, 200), min_size=2, max_size=6, unique=True).map(sorted))
def test_a_key_knows_the_grids_up_to_its_own_and_none_above(sizes):
    one_chain = replace(SMALL, seeds=[0], data=DataConfig(sizes=(30,)))

    def grids(*sizes: int) -> list[str]:
        return keys(replace(one_chain, grid=GridConfig(sizes)))

    whole = grids(*sizes)
    for last in range(1, len(sizes)):
        assert grids(*sizes[:last]) == whole[:last]
        above = grids(*sizes[: last - 1], *sizes[last:])[last - 1 :]
        assert not set(above) & set(whole)


@pytest.mark.parametrize(
    "larger",
    [
        replace(SMALL, seeds=[0, 1, 2]),
        replace(SMALL, data=DataConfig(sizes=(30, 45, 60))),
        replace(SMALL, grid=GridConfig(sizes=(3, 5, 9))),
    ],
)
def test_more_of_the_same_keeps_the_cells_there_are(larger):
    assert set(keys(SMALL)) < set(keys(larger))
    assert identity(planned(larger).config_record) == identity(planned(SMALL).config_record)


def test_a_changed_revision_of_a_solver_changes_its_keys_alone(monkeypatch):
    lm, lbfgs = keys(SMALL), keys(replace(SMALL, solver=LBFGSConfig()))
    revise(monkeypatch, 99)
    assert not set(keys(SMALL)) & set(lm)
    assert keys(replace(SMALL, solver=LBFGSConfig())) == lbfgs


def test_the_record_gives_the_same_plan_again():
    config = replace(SMALL, solver=LBFGSConfig(steps=3), model=KANConfig(k=2, base="silu"))
    record = planned(config).config_record
    assert keys(from_record(record)) == keys(config)


def test_an_additive_start_of_a_network_it_is_not_for_is_refused():
    product = replace(SMALL, data=replace(SMALL.data, name="product"))
    with pytest.raises(
        ConfigError, match=r"`solver\.start` .* one hidden node; the width is 2-2-1"
    ):
        planned(replace(product, solver=LMConfig(start="additive")))
    assert planned(replace(SMALL, solver=LMConfig(start="additive"))).chains
