"""Every engine gives the same cells."""

from __future__ import annotations

from dataclasses import replace

import pytest
from runs import CELLS, Watch, assert_same, run, table

from kansweep import engines
from kansweep.config.engines import DaskConfig, ProcessConfig, SubmititConfig

ENGINES = {
    "process": ProcessConfig(workers=2),
    "dask": DaskConfig(workers=2),
    "submitit": SubmititConfig(cluster="local", workers=2),
}


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
    r"ignore:Port \d+ is already in use",
)
@pytest.mark.parametrize(
    ("name", "model"), [*((name, "kan") for name in ENGINES), ("process", "module")]
)
def test_every_engine_gives_the_same_cells(tmp_path, undisturbed_of, name, model):
    whole, undisturbed = undisturbed_of(model)
    usual = replace(whole, data=replace(whole.data, sizes=(40,)))  # two chains, one a worker
    expected = undisturbed[undisturbed["key"].str.contains("n40-")].reset_index(drop=True)
    config = replace(usual, engine=ENGINES[name])
    watch = Watch()
    engine = engines.make(config.engine, tmp_path / "jobs")
    summary = run(tmp_path / "s", config, watch, engine)
    assert (summary.done, summary.failed) == (CELLS // 2, [])
    assert {row["key"] for row in watch.rows} == set(expected["key"])
    assert_same(table(tmp_path / "s"), expected)
    assert run(tmp_path / "s", usual).done == 0  # by another engine too
    assert not (tmp_path / "s" / "running").exists()
