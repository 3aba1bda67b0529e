"""The help, and how soon it comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from processes import python

from kansweep import cli
from kansweep.cli.composing import HELP, SUBCOMMANDS
from kansweep.config.commands import SCHEMAS
from kansweep.config.keys import keys


def test_help_version_completion_and_refusals_do_not_import_torch() -> None:
    script = """
import os, sys
from kansweep.cli import main

os.environ["COMP_LINE"] = "kansweep run solver="
for words in (
    ["--help"], ["--version"], ["run", "--help"], ["show", "--help"], ["plot", "--help"],
    ["check", "--help"], ["check"], ["report", "--help"], ["predict", "--help"],
    ["apply", "--help"], ["apply"], ["plot", "edges", "--help"],
    ["run", "--cfg", "job"], ["-sc", "query=bash"], ["run", "model.k=0"], ["run", "solvr=lm"],
):
    sys.argv = ["kansweep", *words]
    try:
        main()
    except SystemExit:
        pass
    slow = {"torch", "numba", "scipy", "pandas", "matplotlib"}
    assert not slow & set(sys.modules), words
"""
    assert python(script) == ""


def test_help_names_every_command_and_every_key(kansweep: Any) -> None:
    overview = kansweep("--help").out
    assert all(f"\n  {command} " in overview for command in cli.COMMANDS)
    for command, schema in SCHEMAS.items():
        words = ["plot", command] if command in SUBCOMMANDS else [command]
        assert " ".join(words) in overview
        status, out, err = kansweep(*words, "--help", "all")
        assert (status, err) == (0, "")
        assert out.startswith(f"Usage: kansweep {' '.join(words)} [key=value ...]")
        shown = [key for key in keys(schema) if "." not in key or not key.endswith(".name")]
        assert [key for key in shown if f"\n  {key}=" not in out] == []
        ours = out.partition("\nChoices")[0]  # Hydra lists these
        assert max(map(len, ours.splitlines())) <= 100
    assert "solver: adam, lbfgs, lbfgs_mlp, lm\n" in kansweep("run", "--help").out


def test_the_help_of_run_is_short_and_says_where_the_rest_is(kansweep: Any) -> None:
    short, long = kansweep("run", "--help").out, kansweep("run", "--help", "all").out
    assert "kansweep run --help all" in short
    for key in ("seeds=5", "data.sizes=", "model.k=3", "solver.penalty=", "run.mode="):
        assert f"\n  {key}" in short
    for key in ("model.widths=", "engine.timeout_min=", "solver.steps="):
        assert f"\n  {key}" not in short
        assert f"\n  {key}" in long
    listed = short.partition("Keys and their defaults\n\n")[2].partition("\nOther models")[0]
    groups = [group.split() for group in listed.split("\n\n")]
    sections = [group[0].partition("=")[0].partition(".")[0] for group in groups]
    assert sections == ["name", "data", "grid", "model", "solver", "run"]  # a blank line between


def test_without_a_command_the_help_is_the_refusal(kansweep: Any) -> None:
    assert kansweep() == (2, "", HELP)


def test_choices_of_ones_own_are_listed_too(kansweep: Any, tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "data" / "bumps" / "flat.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("formula: exp(-x1^2)\n")
    for words in (("--config-dir", "mine"), ("--config-dir=mine",)):
        out = kansweep("run", *words, "--help").out
        assert "\ndata/bumps: flat\n" in out
        assert "\nmodel: auto, chebyshev, " in out
    assert "bumps" not in kansweep("run", "--help").out
