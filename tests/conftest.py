"""Fixtures that several test modules share."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from kansweep import cli

torch.set_num_threads(1)  # as the runner does


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


CommandLine = Callable[..., Outcome]


@pytest.fixture
def kansweep(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[CommandLine]:
    """The command line, called with its words in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    handler = signal.getsignal(signal.SIGTERM)
    # A shell's background job, as the tests may be, has SIGINT ignored.
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)

    def call(*words: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["kansweep", *words])
        capsys.readouterr()
        try:
            status = cli.main()
        except SystemExit as exit:
            status = int(exit.code or 0)
        return Outcome(status, *capsys.readouterr())

    yield call
    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, interrupt)
