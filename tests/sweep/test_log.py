"""The log of a run, for people who look on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kansweep.sweep.events import Finished, Started
from kansweep.sweep.log import RunLog

ROW = {
    "n_train": 100,
    "seed": 1,
    "size": 5,
    "model": "kan",
    "status": "ok",
    "error": None,
    "stop_reason": "poor fit",
    "train_rmse": 1e-3,
    "test_rmse": 2e-3,
    "seconds": 0.25,
}
FAILED = ROW | {"status": "failed", "error": "ValueError: no\nlines", "train_rmse": None}


def test_a_line_a_cell_and_one_at_each_end(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    for _ in range(2):  # runs append
        with RunLog(path) as log:
            log(Started(3, 1))
            log(Finished(ROW))
            log(Finished(FAILED))
    stamp = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00 ")
    lines = path.read_text().splitlines()
    assert all(stamp.match(line) for line in lines)
    assert [stamp.sub("", line) for line in lines[:4]] == [
        "run begins: 3 cells, 1 of them kept",
        "2/3 n=100 seed=1 G=5 status=ok stop=poor_fit train_rmse=1.000e-03 test_rmse=2.000e-03"
        " seconds=0.250",
        "3/3 n=100 seed=1 G=5 status=failed stop=poor_fit test_rmse=2.000e-03 seconds=0.250"
        " error=ValueError: no",
        "run ends: 3 of 3 cells, 1 failed in it",
    ]
    assert len(lines) == 8


def test_it_says_what_stopped_the_run(tmp_path: Path) -> None:
    def interrupted() -> None:
        with RunLog(tmp_path / "log") as log:
            log(Started(3, 0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (
        (tmp_path / "log")
        .read_text()
        .endswith("run is stopped by KeyboardInterrupt: 0 of 3 cells, 0 failed in it\n")
    )


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    with RunLog(tmp_path / "none" / "log") as log:
        log(Started(3, 0))
        log(Finished(ROW))
    assert list(tmp_path.iterdir()) == []  # nor is a folder made for it
