"""`model.hidden=auto` and `kansweep shapes` on the command line."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from folders import times
from processes import python

from kansweep.sweep import shapes

WORDS = ("data.sizes=[250]", "data.n_test=50", "grid.sizes=[5,10,20]", "seeds=1", "name=found")


def test_shapes_are_shown_and_a_run_takes_the_choice_of_them(kansweep: Any, tmp_path: Path) -> None:
    status, out, err = kansweep("shapes", *WORDS, "model.hidden=[7]")
    assert (status, err) == (0, "")
    assert out.startswith("Trying 2-1 …\nTrying 2-1-1 …\nShape: 2-1-1, the choice out of 2 in ")
    rows = [line.split() for line in out.splitlines() if line.startswith("2-")]
    assert [row[0] for row in rows] == ["2-1", "2-1-1"]
    assert rows[1][-2:] == ["chosen,", "front"]
    folder = tmp_path / "outputs/found"
    assert {path.name for path in (folder / "figures").iterdir()} == {"shapes.png", "shapes.svg"}
    assert not (folder / "config.yaml").exists()

    table = (folder / "shapes.csv").read_text()
    for trained in (3, 0):
        status, out, err = kansweep("run", *WORDS, "model.hidden=auto")
        assert (status, err) == (0, "")
        assert "Trying" not in out
        assert f" {trained} trained, 0 failed" in out
    assert yaml.safe_load((folder / "config.yaml").read_text())["model"]["hidden"] == [1]
    assert set(pd.read_parquet(folder / "results.parquet")["width"]) == {"2-1-1"}
    assert (folder / "shapes.csv").read_text() == table

    style = ("plot.style=paper", "plot.width=3", "plot.formats=[pdf]")
    assert kansweep("shapes", *WORDS, *style).out.splitlines()[-1].endswith("/shapes.pdf")
    assert "`plot.style` must be screen" in kansweep("shapes", *WORDS, "plot.style=nice").err
    assert "There is no key `plot.style`." in kansweep("run", *WORDS, *style).err

    before = times(folder)
    assert kansweep("run", *WORDS, "model.hidden=[1]").status == 0  # what was found, said
    assert times(folder).items() >= {k: v for k, v in before.items() if "cells" in str(k)}.items()


def test_a_kept_choice_is_taken_without_torch(tmp_path: Path) -> None:
    script = """
import sys
from kansweep.cli import main

main()
assert "torch" not in sys.modules
"""
    words = ("run", *WORDS, "model.hidden=auto", f"outputs={tmp_path}")
    assert "AssertionError" in python(script, *words)  # as it was trained
    assert python(script, *words) == ""


def test_an_interrupted_search_says_how_to_go_on(
    kansweep: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(shapes, "_tried", interrupted)
    status, _, err = kansweep("run", *WORDS, "model.hidden=auto")
    assert status == 130
    assert err.startswith("Interrupted: the shapes that were tried are kept. Go on with: kansweep ")
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("run", "model=mlp", "model.hidden=auto"), "`model.hidden` is a key of model="),
        (("shapes", "model=mlp"), "`model.hidden` is no key of model=mlp."),
        (("run", "model.hidden=automatic"), "or auto, or null; got 'automatic'. Did you mean"),
        (("run", "model.hidden=auto", "data.sizes=[10]"), "`data.sizes` must hold 20 or more for"),
        (("shapes", "data.sizes=[10]"), "`data.sizes` must hold 20 or more for"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    kansweep: Any, tmp_path: Path, words: tuple[str, ...], why: str
) -> None:
    status, out, err = kansweep(*words)
    assert (status, out) == (2, "")
    assert why in err
    assert list(tmp_path.iterdir()) == []
