"""``kansweep.run``: the command's sweeps, its refusals as exceptions, nothing global."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from matplotlib.figure import Figure
from small import CELLS

import kansweep
from kansweep.config.composing import composed, words_of
from kansweep.session.sweep import Sweep

pytestmark = pytest.mark.usefixtures("sketched")

TINY: dict[str, Any] = {
    "seeds": 1,
    "data__sizes": [30],
    "data__n_test": 30,
    "grid__sizes": [2, 3],
    "progress": False,
}


@pytest.fixture
def command(request: pytest.FixtureRequest) -> Any:
    """The command line, in an empty folder; here the name is the package's."""
    return request.getfixturevalue("kansweep")


SAME = ["train_rmse", "test_rmse", "reg", "steps", "stop_reason", "key", "grid_size", "seed"]


def test_rows_are_those_of_the_command_in_its_folder(command: Any, tmp_path: Path) -> None:
    words = [word for word in words_of(TINY) if not word.startswith("progress")]
    assert command("run", *words).status == 0
    by_command = pd.read_parquet("outputs/example8/results.parquet")
    kept = kansweep.run(**TINY)  # nothing is left to train
    assert kept.results["started_at"].equals(by_command["started_at"])
    fresh = kansweep.run(*words, name="python", progress=False)
    pd.testing.assert_frame_equal(fresh.results[SAME], by_command[SAME])
    assert command("run", *words, "name=python").out.startswith("python: 2 cells, 2 of them kept")


def test_a_sweep_gives_what_the_commands_give(sweep: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    made = Sweep(sweep().relative_to(tmp_path))
    assert repr(made) == f"Sweep('outputs/example8': {CELLS} of {CELLS} cells)"
    assert made.name == "example8"
    assert made.failed.empty
    assert made.laws.shape[0] == 8
    assert all(isinstance(figure, Figure) for figure in (made.plot(), made.plot_edges()))
    assert made.load_model(n_train=40, size=6).grid_size == 6
    assert made.predict(24).rmse > 0
    assert "<html" in made.report().read_text()


def test_keys_of_python_and_words_give_the_same_configuration() -> None:
    words = ["data=product", "data.sizes=[100,300]", "seeds=[3,1]", "solver.penalty=null"]
    keys = {
        "data": "product",
        "data__sizes": np.array([100, 300]),
        "seeds": (3, 1),
        "solver": {"penalty": None},
    }
    assert composed(words_of(keys)) == composed(words)
    assert words_of({"data.n_test": np.int64(7), "outputs": Path("a b")}) == [
        "data.n_test=7",
        'outputs="a b"',
    ]
    formula = composed(words_of({"data": {"formula": "exp(-x1^2)/(1 + x2^2)"}})).data
    assert formula.formula == "exp(-x1^2)/(1 + x2^2)"
    assert formula == composed(["data.formula=exp(-x1^2)/(1 + x2^2)"]).data
    assert composed(["experiment=example8_lbfgs"]).solver.name == "lbfgs"


def test_configurations_of_ones_own_are_found(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "mine" / "data" / "bump.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("name: bump\nformula: exp(-x1^2)\nhidden: [1]\n")
    written: list[Sweep] = []
    monkeypatch.setattr(Sweep, "report", lambda self: written.append(self))
    made = kansweep.run("data=bump", "run.report=true", config_dir="mine", **TINY)
    assert written == [made]
    assert made.config.data.formula == "exp(-x1^2)"


def test_a_callback_hears_of_every_cell_and_may_end_the_run(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    heard: list[Mapping[str, Any]] = []
    made = kansweep.run(**TINY, callback=lambda row: len(heard) == 0 and not heard.append(row))
    assert len(heard) == len(made.results) == 1
    assert heard[0]["status"] == "ok"
    whole = kansweep.run(**TINY, callback=heard.append)
    assert [row["size"] for row in heard] == [2, 3] == whole.results["size"].tolist()
    assert kansweep.run(**TINY, callback=heard.append).results.shape == whole.results.shape
    assert len(heard) == 2  # nothing was trained

    def fails(row: Mapping[str, Any]) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        kansweep.run(**TINY, name="raised", callback=fails)
    assert len(Sweep(Path("outputs/raised")).results) == 1
    assert len(kansweep.run(**TINY, name="raised").results) == 2  # the folder is free again


def test_refusals_are_exceptions_in_the_commands_words(
    command: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    kansweep.run(**TINY)
    for words, error in (
        (["seeds=0"], kansweep.ConfigError),
        (["data=bla"], kansweep.ConfigError),
        (["data.sizes"], kansweep.ConfigError),
        (["device=cuda"], kansweep.ConfigError),
        (["data.path=nowhere.csv", "data=table"], kansweep.ConfigError),
        (["engine.workers=2"], kansweep.ConfigError),
        (["data.n_test=31"], kansweep.StoreError),
    ):
        before = sorted(Path().rglob("*"))
        with pytest.raises(error) as refused:
            kansweep.run(*words, progress=False)
        told = command("run", *words)
        assert (told.status, told.err) == (2, f"kansweep: {refused.value}\n")
        assert sorted(Path().rglob("*")) == before
    with pytest.raises(kansweep.ConfigError, match=r"`run\.on_end` is for the command line"):
        kansweep.run("run.on_end=date")
    with pytest.raises(kansweep.ConfigError, match="`-m` is for the command line"):
        kansweep.run("-m", "model.k=1,2")
    with pytest.raises(kansweep.ConfigError, match=r"several sweeps, data\.noise=0,"):
        kansweep.run("experiment=noise")
    with pytest.raises(kansweep.StoreError):
        Sweep(Path("outputs/nothing"))


def test_what_is_told_of_a_run_is_as_asked(
    tmp_path: Path, monkeypatch: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    kansweep.run(**TINY, run__verbosity="verbose")
    out, err = capfd.readouterr()
    assert out == ""
    assert [line.split()[:4] for line in err.splitlines()] == [
        ["1/2", "n=30", "seed=0", "G=2"],
        ["2/2", "n=30", "seed=0", "G=3"],
    ]
    shown: list[bool] = []
    monkeypatch.setattr("kansweep.session.run.Bar.start", lambda bar, *_: shown.append(bar.shown))
    for verbosity, progress in (("quiet", True), ("normal", False), ("normal", True)):
        kansweep.run(**TINY | {"progress": progress}, run__verbosity=verbosity)
    assert shown == [False, False, True]


def test_nothing_of_the_process_is_changed(
    tmp_path: Path, monkeypatch: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    threads, environment = torch.get_num_threads(), dict(os.environ)
    for _ in range(2):
        kansweep.run(**TINY | {"progress": True})
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert (torch.get_num_threads(), dict(os.environ)) == (threads, environment)
    assert not GlobalHydra.instance().is_initialized()
    assert capfd.readouterr() == ("", "")  # no terminal, no bar


def test_threads_run_sweeps_side_by_side(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    made: dict[str, Sweep] = {}

    def work(name: str) -> None:
        made[name] = kansweep.run(**TINY, name=name)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    frames = [made[name].results[SAME] for name in ("a", "b", "c")]
    for frame in frames[1:]:
        pd.testing.assert_frame_equal(frame, frames[0])
