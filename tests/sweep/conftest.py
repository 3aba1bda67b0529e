"""Fixtures of the sweeps' tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pandas as pd
import pytest
from runs import CONFIGS, run, table
from scripted import Recording

from kansweep.config.run import RunConfig
from kansweep.networks import compiling
from kansweep.sweep import provenance, worker


@pytest.fixture(scope="module")
def undisturbed_of(tmp_path_factory) -> Callable[[str], tuple[RunConfig, pd.DataFrame]]:
    """A sweep of ``CONFIGS``, and the table of it where nothing went wrong."""

    @cache
    def of(name: str) -> tuple[RunConfig, pd.DataFrame]:
        folder, config = tmp_path_factory.mktemp("undisturbed") / "sweep", CONFIGS[name]()
        run(folder, config)
        return config, table(folder)

    return of


@pytest.fixture(scope="module")
def undisturbed(undisturbed_of) -> pd.DataFrame:
    return undisturbed_of("kan")[1]


@pytest.fixture
def recording(monkeypatch) -> Recording:
    recording = Recording()
    monkeypatch.setattr(worker, "make_solver", lambda _: recording)
    monkeypatch.setattr(compiling, "unused", lambda: False)  # what is loaded ahead is no cell
    # It takes longer than all the rest.
    monkeypatch.setattr(provenance, "git_revision", lambda: None)
    return recording
