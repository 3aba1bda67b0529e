"""Reports of sweeps of every make, and a reader of their pages."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from pandas import DataFrame
from studies import fit_laws

from kansweep.config.data import DataConfig
from kansweep.config.models import GridConfig
from kansweep.config.overrides import overrides
from kansweep.config.run import RunConfig
from kansweep.figures import scaling
from kansweep.laws import findings, joint
from kansweep.laws.prediction import Place, Prediction
from kansweep.report import matrix
from kansweep.report.contents import Report
from kansweep.report.page import page as page_of
from kansweep.sweep.plan import planned

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


HOSTILE = "</pre><script>alert('1')</script> & \"<img src=x>\" \x00\x1b[31m"


GRIDS, NUMBERS = (5, 10, 20, 50), (100, 300, 3000)


def rows(job: RunConfig) -> DataFrame:
    """A row a cell, with errors that scatter by seed about G^-(k+1)."""
    frame = DataFrame([vars(cell) for cell in planned(job).cells])
    rng = np.random.default_rng(0)
    frame["grid_size"] = frame["size"] if "size" in frame else frame["grid_size"]
    error = frame["grid_size"] ** -4.0 * np.exp(0.1 * rng.standard_normal(len(frame)))
    return frame.assign(
        data=job.data.name,
        k=job.model.k,
        width="2-1-1",
        solver="lm",
        n_params=3 * (frame["grid_size"] + 3),
        train_rmse=error,
        test_rmse=1.1 * error,
        floor_rmse=np.nan,
        status="ok",
        stop_reason="converged",
        grad_norm=1e-3,
        seconds=0.5,
        dtype="float64",
        device="cpu",
        error=None,
        version="0.1.0",
        torch_version="2.13.0",
        git_revision="abc",
        host="node7",
        started_at=pd.Timestamp("2026-01-02 03:04", tz="UTC"),
    )


def job(**changes: Any) -> RunConfig:
    sizes = {"data": DataConfig(sizes=NUMBERS), "grid": GridConfig(sizes=GRIDS)}
    return RunConfig(**{"seeds": 3, **sizes, **changes})


def swept(
    results: DataFrame, asked: RunConfig, laws: DataFrame | None = None, **changes: Any
) -> Report:
    """What `kansweep report` makes a page of, with the curves alone for figures."""
    study = findings.study(results, laws=laws)
    states = {"ok": "done", "diverged": "failed", "failed": "failed"}
    with patch.multiple(joint, STARTS=3, RESAMPLES=10):  # how well it fits is not of the page
        described = joint.describe(study.ended, 1.0)
    given = {
        "study": study,
        "matrix": matrix.matrix(results.assign(status=results["status"].map(states))),
        "drawn": scaling.draw(study),
        "record": planned(asked).config_record,
        "command": shlex.join(["kansweep", "run", *overrides(asked)]),
        "joint": described,
    }
    return Report(**{**given, **changes})


def with_failures(results: DataFrame) -> DataFrame:
    lost = (results["grid_size"] == 50) & (results["n_train"] == 3000)
    diverged = (results["grid_size"] == 20) & (results["seed"] == 1)
    results.loc[lost, ["status", "stop_reason", "error"]] = ["failed", "exception", HOSTILE]
    results.loc[diverged, ["status", "stop_reason"]] = ["diverged", "non-finite"]
    results.loc[lost | diverged, ["train_rmse", "test_rmse", "grad_norm"]] = np.nan
    return results


def judged(results: DataFrame) -> Report:
    """With every column of the laws filled, one law a verdict."""
    laws = fit_laws(results)
    verdicts = {100: "insufficient", 300: "inconclusive", 3000: "consistent"}
    laws["verdict"] = laws["n_train"].map(verdicts)
    relative = {"exponent_vs_floor": 0.05, "vs_floor_low": 0.02, "vs_floor_high": 0.08}
    laws.loc[laws["exponent"].notna(), list(relative)] = list(relative.values())
    return swept(results, job(), laws=laws)


def remarkable() -> Report:
    """With errors of derivatives, a floor that training does not reach, a seed astray, a gap, and
    a prediction."""
    sizes = (5, 10, 20, 50, 100)
    asked = job(grid=GridConfig(sizes=sizes), data=DataConfig(sizes=(1000, 3000)), seeds=5)
    results = rows(asked)
    size, error = results["grid_size"], results["train_rmse"]
    results["floor_rmse"] = 0.4 * size**-4.0
    results = results.assign(gradient_rmse=9 * error * size, hessian_rmse=99 * error * size**2)
    results.loc[(results["seed"] == 4) & (size == 50), ["train_rmse", "test_rmse"]] *= 10
    results.loc[(results["n_train"] == 3000) & (size == 10), "test_rmse"] *= 3
    of = Place(200, 3000, 609.0, 1e-9)
    predicted = Prediction(of, 2e-9, 1e-9, 4e-9, "floor exp(a + c P/n)", {}, results.head(8), 5)
    return swept(results, asked, predicted=predicted)


def noisy() -> Report:
    """The error against the clean target falls with the data alone."""
    asked = job(data=DataConfig(sizes=(100, 1000, 10_000)))
    results = rows(asked).assign(noise=0.1, train_rmse=0.1)
    error = (1 + 0.02 * results["seed"]) * results["n_train"] ** -0.46
    return swept(results.assign(test_rmse=error), asked)


SWEEPS: dict[str, Callable[[], Report]] = {
    "usual": lambda: swept(rows(job()), job()),
    "judged": lambda: judged(rows(job())),
    "failures": lambda: swept(with_failures(rows(job())), job()),
    "judged, with failures": lambda: judged(with_failures(rows(job()))),
    "one seed": lambda: swept(rows(job(seeds=1)), job(seeds=1)),
    "nothing counts": lambda: swept(rows(job()).assign(n_params=10**6), job()),
    "all failed": lambda: swept(
        rows(job()).assign(status="failed", error="x", train_rmse=np.nan, test_rmse=np.nan), job()
    ),
    "remarkable": remarkable,
    "noisy": noisy,
    "one cell": lambda: swept(rows(job(seeds=1)).tail(1), job(seeds=1)),
}


@cache
def made(name: str) -> Report:
    return SWEEPS[name]()


@cache
def written(name: str) -> str:
    return page_of(made(name))


class Reader(HTMLParser):
    """Elements with their attributes; complains of what is not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    def all(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]

    def tags(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@cache
def said(name: str) -> str:
    return words(made(name))


def words(report: Report) -> str:
    """What a page says beside its figures, which take longer to draw than all the rest."""
    return "".join(Reader(page_of(replace(report, drawn=[]))).texts)
