"""The page of several sweeps."""

from __future__ import annotations

from functools import cache

import pytest
from cells import kans, mlps
from pandas import DataFrame
from reports import HOSTILE, Reader

from kansweep import study
from kansweep.figures import comparison
from kansweep.report.contents import Sweep, Together
from kansweep.report.matrix import matrix
from kansweep.report.page import page_of_several

POINTS = [10_000]


def sweeps() -> dict[str, DataFrame]:
    made = {
        "solver": "lm",
        "host": "node7",
        "version": "0.1.0",
        "torch_version": "2",
        "git_revision": None,
    }
    made |= {"device": "cpu", "stop_reason": "", "grad_norm": 0.0, "started_at": None}
    found = {
        "kans": kans(3, POINTS),
        "mlps": mlps(-0.8, 3, POINTS),
        "wide": mlps(-0.9, 2, POINTS),
        "other": kans(3, [3000], data="product"),
    }
    return {name: rows.assign(**made) for name, rows in found.items()}


def together(found: dict[str, DataFrame]) -> Together:
    of_all = study.of_several(found)
    drawn = [comparison.comparison(of_all, "test")] if comparison.wanted(of_all) else []
    states = {"ok": "done", "failed": "failed"}
    of_each = {
        name: Sweep(matrix(rows.assign(status=rows["status"].map(states))), f"kansweep run {name}")
        for name, rows in found.items()
    }
    return Together(of_all, drawn, of_each)


@cache
def read() -> Reader:
    return Reader(page_of_several(together(sweeps())))


def test_it_has_all_sweeps_their_laws_what_they_cost_and_how_to_repeat_them() -> None:
    text = "".join(read().texts)
    assert "Four sweeps beside each other" in text
    for name in sweeps():
        assert f"kansweep run {name}\n" in f"{text}\n"
        assert text.count(name) > 4
    captions = [text for text in read().texts if "edian test RMSE over all seeds" in text]
    assert [caption.partition(":")[0] for caption in captions] == [
        *("kans", "mlps (MLP)", "wide (MLP)", "other")
    ]
    assert "What each sweep cost" in text


def test_its_result_is_what_is_compared_and_how() -> None:
    text = "".join(read().texts)
    assert "exp_sin: n = 10000, test RMSE: kans falls faster than mlps" in text
    assert "two tests of exponents, whose p are adjusted together by Holm's method" in text
    assert "exp_sin: RMSE of mlps over that of kans at equal parameters" in text
    assert "No theory of multilayer perceptrons is claimed." in text
    assert "at equal seconds" not in text.partition("Laws")[0]  # described in the tables alone


@pytest.mark.parametrize("apart", [True, False])
def test_sweeps_that_are_not_compared_are_told_as_such(apart: bool) -> None:
    found = sweeps()
    pair = ("kans", "other") if apart else ("kans", "mlps")
    rows = {name: found[name] for name in pair}
    if not apart:
        rows["mlps"] = rows["mlps"].assign(n_train=77_000)
    text = "".join(Reader(page_of_several(together(rows))).texts)
    told = (
        "No two of these sweeps are of one target" if apart else "they share no number of training"
    )
    assert told in text
    assert "<figure>" not in text


def test_hostile_names_are_escaped_and_failures_told() -> None:
    rows = sweeps()["mlps"].assign(status="failed", test_rmse=None, error=HOSTILE)
    page = Reader(page_of_several(together({"kans": sweeps()["kans"], "<b>&": rows})))
    assert not {"img", "b"} & {tag for tag, _ in page.elements}
    assert "15 cells failed" in "".join(page.texts)
