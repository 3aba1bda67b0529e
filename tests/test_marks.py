"""What workers say of their tasks: written, read back, and what is made of other versions'."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict

import pytest

from kansweep import marks
from kansweep.events import Progressed
from kansweep.marks import Mark, Marks
from kansweep.refusals import StoreError

PROGRESS = Progressed(300, 20, replicas=4, step=7, train_rmse=1e-5, test_rmse=2e-5, reg=None)
MARK = Mark(running=("c", "d"), done=("a", "b"), progress=PROGRESS)


def test_what_a_worker_says_comes_back_as_the_same_event_with_the_process_that_said_it(tmp_path):
    store = Marks(tmp_path / "running")
    with store.hold("task") as write:
        write(MARK)
        (held,) = store.held()
    assert (held.running, held.done, held.progress) == (("c", "d"), ("a", "b"), PROGRESS)
    assert (held.host, held.pid) == (socket.gethostname(), os.getpid())
    assert store.held() == []


def test_the_file_is_flat_and_has_the_names_that_older_versions_read(tmp_path):
    store = Marks(tmp_path / "running")
    with store.hold("task") as write:
        write(MARK)
        record = json.loads((tmp_path / "running" / "task.json").read_text())
    assert record == {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        **asdict(PROGRESS),
        "running": ["c", "d"],
        "done": ["a", "b"],
    }


def test_a_worker_that_has_not_got_far_says_less(tmp_path):
    store = Marks(tmp_path / "running")
    assert store.of_dead_worker("task") is None
    with store.hold("task"):
        assert store.of_dead_worker("task") == Mark(host=socket.gethostname(), pid=os.getpid())
        assert "train_rmse" not in (tmp_path / "running" / "task.json").read_text()


@pytest.mark.parametrize(
    ("record", "mark"),
    [
        ({}, Mark()),
        (
            {"n_train": 3, "size": 5, "running": ["c"], "done": []},  # as training begins
            Mark(running=("c",)),
        ),
        ({**MARK.to_record(), "mood": "good"}, MARK),
    ],
)
def test_marks_of_other_versions_are_read_as_far_as_they_go(record, mark):
    assert Mark.from_record(record) == mark


@pytest.mark.parametrize("text", ["", "[1]", "{", "\x00"])
def test_a_mark_that_cannot_be_read_is_none(tmp_path, text):
    (tmp_path / "task.json").write_text(text)
    assert Marks(tmp_path).of_dead_worker("task") is None


def test_a_task_is_held_by_one_worker_and_another_is_told_by_which(tmp_path, monkeypatch):
    monkeypatch.setattr(marks, "PATIENCE", 0.0)
    store = Marks(tmp_path / "running")
    who = rf"by another process \(process {os.getpid()} on {socket.gethostname()}\)\."
    with store.hold("task"), pytest.raises(StoreError, match=who), store.hold("task"):
        pass
