"""`kansweep list`, `clean`, `show watch=true` and `run.on_end`."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from places import environment
from processes import PATIENCE
from small import CELLS, SMALL

from kansweep.sweep import files
from kansweep.sweep.layout import Layout

pytestmark = pytest.mark.usefixtures("sketched")

Sweep = Callable[..., Path]


def test_list_tells_every_sweep(kansweep: Any, sweep: Sweep) -> None:
    first, second = sweep("first"), sweep("second", 2)
    next((second / "cells").iterdir()).unlink()
    assert kansweep("plot", "name=first", "plot.formats=[png]").status == 0
    status, out, err = kansweep("list")
    assert (status, err) == (0, "")
    header, *lines = out.splitlines()
    assert header.split() == ["name", "target", "model", "cells", "last", "run", "size", "verdict"]
    assert [line.split()[:4] for line in lines] == [
        ["first", "exp_sin", "kan", f"{CELLS}/{CELLS}"],
        ["second", "exp_sin", "kan", f"{CELLS - 1}/{CELLS}"],
    ]
    rows = json.loads(kansweep("list", "format=json").out)
    taken = sum(path.stat().st_size for path in first.rglob("*") if path.is_file())
    assert rows[0]["size"] == taken
    assert rows[0]["verdict"] is not None  # of the law that was fitted
    assert rows[1]["verdict"] is None
    table = list(csv.DictReader(io.StringIO(kansweep("list", "format=csv").out)))
    assert [row["name"] for row in table] == ["first", "second"]


def test_list_tells_who_is_at_work_and_what_cannot_be_read(kansweep: Any, sweep: Sweep) -> None:
    busy, damaged = sweep("busy"), sweep("damaged")
    (damaged / "config.yaml").write_text("")
    lock = files.Lock.take(Layout(busy).lock, 0.0)
    assert lock is not None
    lines = kansweep("list").out.splitlines()
    lock.release()
    assert "running" in lines[1]
    assert lines[2].split()[:4] == ["damaged", "?", "?", f"{CELLS}/?"]


def test_a_folder_may_be_renamed_and_copied(kansweep: Any, sweep: Sweep) -> None:
    old = sweep("old")
    shutil.copytree(old, old.parent / "copy")
    old.rename(old.parent / "new")
    for name in ("new", "copy"):
        assert kansweep("show", f"name={name}").out.startswith(f"{name}: ")
        assert f"{CELLS} of them kept" in kansweep("run", *SMALL, f"name={name}").out


def test_clean_removes_what_is_derived_and_no_longer_planned(kansweep: Any, sweep: Sweep) -> None:
    folder = sweep("mine")
    assert kansweep("run", *SMALL[:1], "grid.sizes=[3,6]", *SMALL[2:], "name=mine").status == 0
    assert kansweep("plot", "name=mine", "plot.formats=[png]").status == 0
    before = kansweep("show", "name=mine", "format=csv").out
    status, out, err = kansweep("clean", "name=mine", "yes=true")
    assert (status, err) == (0, "")
    assert "of cells that are no longer planned" in out
    assert not list((folder / "figures").iterdir())
    assert not (folder / "laws.csv").exists()
    assert len(list((folder / "cells").iterdir())) == len(list((folder / "states").iterdir())) == 8
    assert (folder / "results.parquet").exists()
    assert kansweep("show", "name=mine", "format=csv").out == before
    again = kansweep("clean", "name=mine", "yes=true").out
    assert "no longer planned" not in again


def test_clean_removes_what_is_made_of_several_sweeps(kansweep: Any, sweep: Sweep) -> None:
    first, _ = sweep("first"), sweep("second", 2)
    assert kansweep("plot", "names=[first,second]", "plot.formats=[png]").status == 0
    folder = first.parent / "first+second"
    assert (folder / "comparison.csv").exists()
    status, out, err = kansweep("clean", "name=first+second", "yes=true")
    assert (status, err) == (0, "")
    assert out.endswith("Removed from outputs/first+second.\n")
    assert not folder.exists()
    assert (first / "results.parquet").exists()
    status, _, err = kansweep("clean", "name=first+third", "yes=true")
    assert (status, "There is no outputs/first+third; " in err) == (2, True)


def test_clean_asks_and_waits_for_no_run(
    kansweep: Any, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = sweep("mine")
    (folder / "laws.csv").write_text("data\n")
    status, _, err = kansweep("clean", "name=mine")
    assert (status, err) == (
        2,
        "kansweep: `yes` must be true where nobody can be asked; got False.\n",
    )
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    for answer, kept in (("n", True), ("y", False)):
        monkeypatch.setattr("builtins.input", lambda _, answer=answer: answer)
        assert kansweep("clean", "name=mine").status == 0
        assert (folder / "laws.csv").exists() == kept


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["list"], "There is no sweep in outputs; `kansweep run` makes one."),
        (["list", "format=xml"], "`format` must be table, csv or json; got 'xml'."),
        (["clean"], "`name` must be given: that of the sweep to be cleaned."),
        (["clean", "name=none"], "There is no sweep in outputs/none."),
        (["show", "watch=true", "format=csv"], "`watch` goes with format=table; got format=csv."),
        (["run", "run.on_end=''"], "`run.on_end` must be a shell command, or null; got ''."),
    ],
)
def test_refusals(kansweep: Any, words: list[str], message: str) -> None:
    status, out, err = kansweep(*words)
    assert (status, out) == (2, "")
    assert message in err


def test_watching_needs_a_terminal(kansweep: Any, sweep: Sweep) -> None:
    sweep("mine")
    status, _, err = kansweep("show", "name=mine", "watch=true")
    assert status == 2
    assert "`watch` must be false where there is no terminal" in err


def test_a_watched_sweep_that_is_done_leaves_the_terminal_as_it_was(
    sweep: Sweep, tmp_path: Path
) -> None:
    sweep("mine")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "kansweep", "show", "name=mine", "watch=true"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, cwd=tmp_path, env=environment(TERM="xterm")
    ) as process:
        os.close(theirs)
        seen = b""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                seen += os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
        assert process.wait(PATIENCE) == 0
    os.close(ours)
    inside, _, after = seen.partition(b"\x1b[?1049l")  # back from the alternate screen
    assert b"\x1b[?1049h" in inside
    assert b"mine: 12 cells, 12 done" in inside
    assert b"median test RMSE" in after
    assert b"\x1b[?25h" in seen[seen.rindex(b"\x1b[?25l") :]  # the cursor is there again


@pytest.mark.parametrize("fails", [False, True])
def test_a_command_is_told_how_a_run_ended(
    kansweep: Any, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    if fails:
        monkeypatch.setattr("kansweep.sweep.chain._sample", _fail)
    command = "env | grep ^KANSWEEP_ | sort > told; exit 3"
    status, _, err = kansweep("run", *SMALL, "seeds=1", "name=mine", f"run.on_end='{command}'")
    assert status == int(fails)
    assert f"`run.on_end` ended with status 3: {command}" in err
    told = dict(line.split("=", 1) for line in Path("told").read_text().splitlines())
    done = 0 if fails else CELLS // 2
    assert {name.removeprefix("KANSWEEP_"): told[name] for name in told} == {
        "NAME": "mine",
        "FOLDER": str(Path("outputs/mine").absolute()),
        "OUTCOME": "failed" if fails else "done",
        "STATUS": str(int(fails)),
        "CELLS": str(CELLS // 2),
        "DONE": str(done),
        "FAILED": str(CELLS // 2 - done),
        "LEFT": "0",
    }


def _fail(*_: object) -> None:
    raise RuntimeError("broken")


def test_an_interrupted_run_tells_so(kansweep: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kansweep.sweep.runner._perform", interrupt)
    words = ["run", *SMALL, "run.on_end='echo $KANSWEEP_OUTCOME $KANSWEEP_LEFT > told'"]
    assert kansweep(*words).status == 130
    assert Path("told").read_text() == f"interrupted {CELLS}\n"
