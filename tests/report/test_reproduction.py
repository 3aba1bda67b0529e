"""The command in the page gives the same sweep again."""

from __future__ import annotations

import html
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from reports import job

from kansweep.cli.composing import register
from kansweep.config.data import DataConfig
from kansweep.config.engines import DaskConfig, ProcessConfig, SubmititConfig
from kansweep.config.loading import config_dir, from_record, load
from kansweep.config.models import KANConfig
from kansweep.config.overrides import override, overrides
from kansweep.config.run import RunConfig, RunModeConfig
from kansweep.config.solvers import LBFGSConfig, LMConfig
from kansweep.data import sources
from kansweep.data.targets import TARGETS
from kansweep.sweep.plan import planned

pytestmark = pytest.mark.usefixtures("sketched")


def composed(command: str) -> RunConfig:
    """The configuration that a command gives, through a shell's eyes and Hydra's."""
    program, run, *words = shlex.split(command)
    assert (program, run) == ("kansweep", "run")
    register("run", "scratch")
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return load(compose("config", overrides=words), RunConfig)


JOBS = [
    RunConfig(),
    job(name="a,b=c", outputs="my 'own' \"folder\"\\", seeds=[3, 1]),
    job(name="1e5", seeds=1, device="cuda:1", dtype="float32"),
    RunConfig(model=KANConfig(hidden=(), k=2, base="silu")),
    RunConfig(solver=LMConfig(penalty=1e-7, trace=True, start="additive", tolerance=1e-12)),
    RunConfig(solver=LBFGSConfig(steps=7), engine=ProcessConfig(workers=2)),
    RunConfig(engine=DaskConfig(address="tcp://10.0.0.1:8786")),
    RunConfig(engine=SubmititConfig(parameters={"slurm_partition": "a b", "mem_gb": 4})),
    RunConfig(run=RunModeConfig(mode="retry", fail_fast=True)),
    *(RunConfig(data=DataConfig(name=name, n_test=9)) for name in TARGETS),
    RunConfig(data=DataConfig(name="product"), model=KANConfig(hidden=(3, 2))),
]


@pytest.mark.parametrize("asked", JOBS, ids=range(len(JOBS)))
def test_the_overrides_give_the_same_configuration(asked: RunConfig) -> None:
    stored = from_record(planned(asked).config_record)
    suggested = sources.shape(stored.data)[1]
    command = shlex.join(["kansweep", "run", *overrides(stored, suggested)])
    assert planned(composed(command)) == planned(asked)


def test_the_default_needs_no_words_and_others_only_what_differs() -> None:
    stored = from_record(planned(RunConfig()).config_record)
    assert overrides(stored, TARGETS["exp_sin"].hidden) == []
    other = job(name="a,b", seeds=[0, 1], solver=LBFGSConfig())
    assert overrides(other) == [
        *('name="a,b"', "seeds=2", "data.sizes=[100,300,3000]", "grid.sizes=[5,10,20,50]"),
        "solver=lbfgs",
    ]


@given(st.text(st.characters(exclude_characters="\n\r$", exclude_categories=["Cs"]), min_size=1))
def test_any_text_survives_hydra(text: str) -> None:
    parser = OverridesParser.create()
    assert parser.parse_override(override("outputs", text)).value() == text
    within = parser.parse_override(override("engine.parameters", {"a": text, "b": True}))
    assert within.value() == {"a": text, "b": True}


def test_the_page_gives_the_command_that_repeats_the_sweep(
    kansweep: Any, sweep: Any, tmp_path: Path
) -> None:
    folder = sweep("k=1,small", k=1)
    record = yaml.safe_load((folder / "config.yaml").read_text())
    record |= {"outputs": "here", "engine": {"name": "process", "workers": 1}}
    (folder / "config.yaml").write_text(yaml.safe_dump(record))
    folder.parent.rename(tmp_path / "here")
    status, out, err = kansweep("report", "outputs=here")
    assert (status, out, err) == (0, "here/k=1,small/report.html\n", "")
    text = (tmp_path / out.strip()).read_text()
    (command,) = re.findall(r"<pre>\n(kansweep run .*)</pre>", text)
    again = composed(html.unescape(command))
    stored = from_record(yaml.safe_load((tmp_path / "here/k=1,small/config.yaml").read_text()))
    assert [cell.key for cell in planned(again).cells] == [
        cell.key for cell in planned(stored).cells
    ]
    assert (again.name, again.outputs) == ("k=1,small", "outputs")
