"""Fixtures that several test modules share."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import yaml
from matplotlib.figure import Figure
from small import SMALL

from kansweep import cli
from kansweep.solvers.gauss_newton import race
from kansweep.sweep.layout import LATEST

torch.set_num_threads(1)  # as the runner does


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """No race's winner is remembered from one test to the next, which may have made it up."""
    race.remembered.cache_clear()
    yield
    race.remembered.cache_clear()


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
            status = import_module("kansweep.cli").main()  # a document may have changed it
        except SystemExit as exit:
            status = int(exit.code or 0)
        return Outcome(status, *capsys.readouterr())

    yield call
    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, interrupt)


@pytest.fixture
def sketched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made as ever and saved as empty pages, for tests of what is said beside them: to
    lay them out and to paint them takes most of a command's time."""
    page = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 50"></svg>'
    monkeypatch.setattr(Figure, "savefig", lambda figure, file, **_: file.write(page))


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """The folder of the small sweep of one order; it is trained when it is first asked for."""
    outputs = tmp_path_factory.mktemp("trained") / "outputs"

    def folder(k: int) -> Path:
        name = f"k{k}"
        if not (outputs / name).exists():
            words = ["run", *SMALL, f"model.k={k}", f"name={name}", f"outputs={outputs}"]
            handler = signal.getsignal(signal.SIGTERM)
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(sys, "argv", ["kansweep", *words])
                assert cli.main() == cli.OK
            signal.signal(signal.SIGTERM, handler)
        return outputs / name

    return folder


@pytest.fixture
def sweep(tmp_path: Path, trained_once: Callable[[int], Path]) -> Callable[..., Path]:
    """Puts the small sweep below `outputs`, as if it had just been run there under a name."""

    def put(name: str = "example8", k: int = 3) -> Path:
        outputs = tmp_path / "outputs"
        folder = shutil.copytree(trained_once(k), outputs / name)
        config = folder / "config.yaml"
        record = yaml.safe_load(config.read_text()) | {"name": name, "outputs": "outputs"}
        config.write_text(yaml.safe_dump(record, sort_keys=False))
        (outputs / LATEST).write_text(name)
        return folder

    return put
