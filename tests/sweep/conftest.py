"""Fixtures of the sweeps' tests."""

from __future__ import annotations

import pandas as pd
import pytest
from runs import run, table
from scripted import Recording

from kansweep.networks import compiling
from kansweep.sweep import provenance, worker


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("undisturbed") / "sweep"
    run(folder)
    return table(folder)


@pytest.fixture
def recording(monkeypatch) -> Recording:
    recording = Recording()
    monkeypatch.setattr(worker, "make_solver", lambda _: recording)
    monkeypatch.setattr(compiling, "unused", lambda: False)  # what is loaded ahead is no cell
    # It takes longer than all the rest.
    monkeypatch.setattr(provenance, "git_revision", lambda: None)
    return recording
