"""`kansweep check`: its exit status, what it writes, and that it notices a broken law."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from folders import files
from omegaconf import OmegaConf
from places import ROOT

from kansweep.cli.checking import check
from kansweep.config.commands import CheckConfig
from kansweep.config.loading import load
from kansweep.config.rules import ConfigError
from kansweep.sweep.layout import Layout
from kansweep.sweep.refusals import StoreError
from kansweep.sweep.store import Store

pytestmark = pytest.mark.usefixtures("sketched")


def recipe() -> list[list[str]]:
    """The commands of `make check`, without its variables."""
    text = (ROOT / "Makefile").read_text()
    (variable,) = re.findall(r"^CHECKED := (.+)$", text, re.MULTILINE)
    (body,) = re.findall(r"^check: .+\n((?:\t.+\n)+)", text, re.MULTILINE)
    text = body.replace("$(CHECKED)", variable).replace("\\\n", "")
    text = text.replace("$(if $(GITHUB_ACTIONS),github,text)", "text")
    return [shlex.split(line)[1:] for line in text.splitlines()]


def break_law(folder: Path) -> None:
    """Let every error fall by one order less, as if the splines were of one degree less."""
    store = Store(folder)
    for path in Layout(folder).cells.iterdir():
        row = store.row(path.stem)
        for name in ("train_rmse", "test_rmse"):
            row[name] *= row["size"] / 5
        store.write_cell(row, store.read_state(path.stem))


def test_the_check_of_continuous_integration_notices_a_broken_law(
    kansweep: Any, tmp_path: Path
) -> None:
    run, checked = recipe()
    assert kansweep(*run).status == 0
    status, out, err = kansweep(*checked)
    assert (status, err) == (0, "")
    assert out.count("holds ") == len(out.splitlines()) == 3
    break_law(tmp_path / "build" / "check")
    status, out, err = kansweep(*checked)
    assert (status, err) == (1, "")
    assert out.count("FAILED") == 3


def test_it_is_part_of_what_continuous_integration_runs() -> None:
    assert re.search(r"^ci: .*\bcheck\b", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert "make ci" in (ROOT / ".github/workflows/ci.yml").read_text()


def test_a_check_writes_nothing_but_what_it_is_asked_for(
    kansweep: Any, sweep: Any, tmp_path: Path
) -> None:
    sweep()
    before = files(tmp_path)
    status, out, err = kansweep("check", "check.worst={3: 1e-9}", "check.verdict=insufficient")
    assert (status, err) == (1, "")
    assert [line.split()[:2] for line in out.splitlines()] == [
        *(["holds", "verdict"], ["FAILED", "worst"])
    ]
    assert files(tmp_path) == before
    told = kansweep("check", "check.worst=9", "format=junit", "file=laws.xml")
    assert told.out.startswith("holds   worst  exp_sin, n = 60, test  ")
    assert files(tmp_path) - before == {"laws.xml"}
    root = ElementTree.parse(tmp_path / "laws.xml").getroot()
    assert root.get("failures") == "0"
    assert kansweep("check", "check.worst=9", "format=github").out.startswith("::notice ")
    assert kansweep("check", "check.worst=9", "format=junit").out.startswith("<?xml ")


def test_a_sweep_is_held_against_what_was_stored(kansweep: Any, sweep: Any, tmp_path: Path) -> None:
    sweep("first")
    sweep("second,k=3")
    assert kansweep("plot", "name=first", "plot.formats=[png]").status == 0
    for words in (["name=first"], ["names=[first,'second,k=3']"]):
        for stored in ("second,k=3", "first/results.parquet"):
            held = kansweep("check", *words, f"check.against=outputs/{stored}", "check.n_train=all")
            assert (held.status, held.err) == (0, "")
    refused = kansweep("check", "check.against=outputs/first/laws.csv")
    assert refused.status == 2  # all of its laws are insufficient
    assert "first/laws.csv has nothing of exp_sin, n = 60, test." in refused.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Nothing is to be checked; give `check.verdict`, `check.exponent`, `check.worst` or"),
        (["check.worst=9", "check.n_train=[61]"], "`check.n_train` must be out of 40, 60; got 61."),
        (["check.worst=9", "check.data=g"], "`check.data` must be out of exp_sin; got g."),
        (["check.worst={4: 1}"], "`check.worst` must be out of 3, 6, 12; got 4."),
        (["check.worst={}"], "`check.worst` must be a positive number, or one for each of some"),
        (["check.worst=-1"], "`check.worst` must be a positive number, or one for each of some"),
        (["check.worst={a: 1}"], "`check.worst` must be a positive number, or one for each of"),
        (["check.exponent=-4"], "`check.exponent` must be as [low,high], or null; got -4."),
        (["check.exponent=[-3,-4]"], "`check.exponent` must be as [low,high], or null; got"),
        (["check.verdict=consistant"], "got 'consistant'. Did you mean `consistent`?"),
        (["check.verdict=[consistent,no]"], "or a list of such without repeats, or null; got"),
        (["check.worst=9", "check.split=all"], "`check.split` must be train, test, both,"),
        (["check.worst=9", "check.n_train=60"], "`check.n_train` must be a list of positive"),
        (["check.worst=9", "check.factor=2"], "`check.factor` is for `check.against`, which is"),
        (["check.worst=9", "check.margin=1"], "`check.margin` is for `check.verdict`, which is"),
        (["check.against=a.parquet"], "`check.against`: a.parquet cannot be read: there is no"),
        (["check.against=a.csv"], "`check.against`: a.csv cannot be read: there is no such file"),
        (["check.against=broken.parquet"], "broken.parquet cannot be read: "),
        (["check.against=empty.csv"], "empty.csv cannot be read: No columns"),
        (["check.against=other.csv"], "other.csv is no laws.csv; it lacks data, n_train, x, split"),
        (["check.against=other.parquet"], "other.parquet cannot be read: `results` must have the"),
        (["check.worst=9", "file=none/x"], "none/x cannot be written: No such file or directory."),
        (["check.worst=9", "format=xml"], "`format` must be text, junit or github; got 'xml'."),
        (["check.worst=9", "name=a", "names=[a,b]"], "`name` is one sweep and `names` are several"),
    ],
)
def test_what_cannot_be_checked_is_refused_in_a_sentence(
    sweep: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    sweep()
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    before = files(tmp_path)
    with pytest.raises((ConfigError, StoreError)) as refused:
        check(load(OmegaConf.from_dotlist(words), CheckConfig))  # as after Hydra, which is slow
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert files(tmp_path) == before


@pytest.mark.parametrize("words", [[], ["check.worst={4: 1}"], ["check.worst=9", "file=none/x"]])
def test_a_refusal_has_a_status_of_its_own(kansweep: Any, sweep: Any, words: list[str]) -> None:
    sweep()
    status, out, err = kansweep("check", *words)
    assert (status, out, len(err.splitlines())) == (2, "", 1)


def test_a_sweep_that_is_not_finished_is_not_checked(kansweep: Any, sweep: Any) -> None:
    folder = sweep()
    lost, *others = sorted(Layout(folder).cells.glob("n60-*"))
    lost.unlink()
    refused = kansweep("check", "check.worst=9")
    assert refused.status == 2
    assert refused.err == (
        "kansweep: 1 of 12 cells of outputs/example8 are not done yet; `kansweep run` trains"
        " them.\n"
    )
    assert kansweep("check", "check.worst=9", "check.n_train=[40]").status == 0
    for path in (*others, *Layout(folder).cells.glob("n40-*")):
        path.unlink()
    empty = kansweep("check", "check.worst=9")
    assert empty.status == 2
    assert "No cell of outputs/example8 is done yet" in empty.err
