"""The HTML page: well formed, told in words, sealed off, and looked at in a real browser."""

from __future__ import annotations

import html
import json
import re
import shlex
import subprocess
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from cells import kans, mlps
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from machines import chromium
from matplotlib.figure import Figure
from pandas import DataFrame
from studies import fit_laws

from kansweep.cli.composing import register
from kansweep.config.data import DataConfig
from kansweep.config.engines import DaskConfig, ProcessConfig, SubmititConfig
from kansweep.config.loading import config_dir, from_record, load
from kansweep.config.models import GridConfig, KANConfig
from kansweep.config.overrides import override, overrides
from kansweep.config.run import RunConfig, RunModeConfig
from kansweep.config.solvers import LBFGSConfig, LMConfig
from kansweep.data import sources
from kansweep.data.targets import TARGETS
from kansweep.figures import drawn, scaling, sets
from kansweep.laws import findings, joint
from kansweep.report import making, markup, matrix
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
    given = {
        "study": study,
        "matrix": matrix.matrix(results.assign(status=results["status"].map(states))),
        "drawn": scaling.draw(study),
        "record": planned(asked).config_record,
        "command": shlex.join(["kansweep", "run", *overrides(asked)]),
        "joint": joint.describe(study.cells, 1.0),
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
    "one cell": lambda: swept(rows(job(seeds=1)).tail(1), job(seeds=1)),
}


@cache
def written(name: str) -> str:
    return page_of(SWEEPS[name]())


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
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    def all(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]

    def tags(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(params=SWEEPS, scope="module")
def read(request: pytest.FixtureRequest) -> tuple[str, Reader]:
    return written(request.param), Reader(written(request.param))


# ---------------------------------------------------------------------------- a sound document


def test_tags_balance_and_ids_are_unique_and_found(read: tuple[str, Reader]) -> None:
    text, page = read
    ids = page.all("id")
    assert len(ids) == len(set(ids)) > 100
    named = {
        name
        for _, names in page.elements
        for value in names.values()
        for name in re.findall(r"url\(#([^)]+)\)|^#(.+)", value)
    }
    assert {a or b for a, b in named} <= set(ids)
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert "width=device-width" in text


def test_nothing_is_fetched_and_nothing_is_run(read: tuple[str, Reader]) -> None:
    text, page = read
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "image", "iframe", "object", "embed", "base", "a"}
    references = [value for name in ("src", "href", "srcset", "action") for value in page.all(name)]
    assert all(value.startswith("#") for value in references)
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [name for name in names if name.startswith("on")]
    assert not re.search(r"@import|url\((?!#)|https?:", text)
    assert "default-src 'none'" in text


def test_every_table_has_a_caption_and_scopes(read: tuple[str, Reader]) -> None:
    _, page = read
    assert len(page.tags("caption")) == len(page.tags("table")) >= 3
    assert {head["scope"] for head in page.tags("th")} == {"col", "row"}
    levels = [tag for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels == ["h1", *["h2"] * (len(levels) - 1)]


def test_every_figure_says_its_numbers(read: tuple[str, Reader]) -> None:
    _, page = read
    labels = [attributes["aria-label"] for attributes in page.tags("svg")]
    assert len(labels) == len(page.tags("figure")) == len(page.tags("figcaption")) == 4
    assert {attributes["role"] for attributes in page.tags("svg")} == {"img"}
    assert all(re.search(r"[nG] = \d+: (\d\.\d\de-\d\d|no cell)", label) for label in labels)
    assert len(set(labels)) == 4


def test_the_page_is_the_same_for_the_same_sweep() -> None:
    assert page_of(SWEEPS["usual"]()) == written("usual")


# ------------------------------------------------------------------------------ what it says


def said(name: str) -> str:
    return "".join(Reader(written(name)).texts)


def test_a_law_is_a_sentence_with_its_verdict() -> None:
    text, laws = said("judged"), SWEEPS["judged"]().study.laws
    found = laws[(laws["n_train"] == 3000) & (laws["split"] == "test")].iloc[0]
    low, middle, high = (
        f"{found[name]:.2f}".replace("-", MINUS) for name in ("ci_low", "exponent", "ci_high")
    )
    assert (
        f"With 3000 training points, test RMSE falls as G to the {middle} [{low}, {high}],"
        f" consistent with the theory's {MINUS}4 (as RMSE over the floor: 0.05 [0.02, 0.08], 0 in"
        " theory), over G = 5 to 50, three seeds."
    ) in text
    assert f"which neither supports nor refutes the theory's {MINUS}4" in text
    assert "relative to the floor" in text
    assert "relative to the floor" not in said("usual")
    usual = f"consistent with the theory's {MINUS}4, over G = 5 to 50, three seeds."
    assert usual in said("usual")


def test_a_curve_without_a_law_says_why() -> None:
    text = said("usual")
    assert "With 100 training points the data are insufficient for a law: too few grid" in text
    assert text.index("With 3000 training") < text.index("With 300 training")
    assert text.index("With 300 training") < text.index("With 100 training")
    assert "over-parameterised: above 0.5 parameters a training point" in text
    assert "counts, but too few beside it do" in text


def test_one_seed_is_called_one() -> None:
    assert ", one seed." in said("one seed")


def test_failures_are_told_once_with_their_cells_and_text() -> None:
    text = said("failures")
    assert "Three cells failed (exception): n = 3000, seed 0, G = 50; n = 3000, seed 1" in text
    assert "Three cells diverged (non-finite): n = 100, seed 1, G = 20; " in text
    assert "Failures" not in said("usual")
    assert "</pre><script>alert('1')</script> & \"<img src=x>\" \ufffd\ufffd[31m" in text
    assert f"{making.MOST_NAMED} more" not in text
    many = job(seeds=10, data=DataConfig(sizes=(100, 300, 1000)))
    failed = rows(many).assign(status="failed", error="out of memory")
    page = page_of(swept(failed, many))
    assert page.count("out of memory") == 1
    assert f"; {len(failed) - making.MOST_NAMED} more." in page


def test_the_matrix_and_the_provenance_are_there() -> None:
    text = said("usual")
    usual = SWEEPS["usual"]()
    for median in usual.study.results.groupby(["n_train", "grid_size"])["test_rmse"].median():
        assert f"{median:.2e}" in text
    for word in ("node7", "2.13.0", "abc", "2026-01-02 03:04:00 UTC", "18 s", "k: 3"):
        assert word in text
    assert "4 grid sizes" in text
    assert "36 cells: 36 done." in text


def test_a_matrix_of_many_grid_sizes_runs_down() -> None:
    many = job(seeds=1, grid=GridConfig(sizes=tuple(range(2, 12))))
    page = page_of(swept(rows(many), many))
    assert 'scope="col" class="number">n=300</th>' in page
    assert 'scope="row" class="number">G=11</th>' in page
    assert 'scope="col" class="number">G=50</th>' in written("usual")


def test_an_order_beside_a_failed_cell_is_a_dash() -> None:
    assert "nan" not in said("failures")


def test_hostile_texts_are_escaped_wherever_they_stand() -> None:
    results = rows(job())
    for column in ("data", "host", "device", "version", "stop_reason", "error", "width"):
        results[column] = HOSTILE if column != "data" else "<b>$x_1$ & \"exp'</b>"
    results.loc[results["grid_size"] == 50, "status"] = "failed"
    laws = fit_laws(results).assign(note=HOSTILE)
    record = {**planned(job()).config_record, "name": f"{HOSTILE}\ud800"}
    figure = scaling.draw(findings.study(rows(job())))[0].figure
    page = page_of(
        swept(
            results.assign(width="2-1-1"),
            job(),
            laws=laws,
            record=record,
            command=HOSTILE,
            drawn=[drawn.Drawn(HOSTILE, figure, HOSTILE, HOSTILE)],
        )
    )
    read = Reader(page)
    assert not {"script", "img", "b"} & {tag for tag, _ in read.elements}
    page.encode()
    assert "\x00" not in page
    assert "<b>$x_1$ & \"exp'</b>" in "".join(read.texts)


def test_a_figure_that_is_not_known_is_told_by_what_is_written_in_it() -> None:
    figure = Figure()
    axes = figure.add_subplot(xlabel="grid size", ylabel="local order", title="k = 3")
    axes.plot([5, 100], [4.3, 3.9], label="n = 3000")
    axes.text(5, 4, "6.2e-3")
    axes.legend()
    page = Reader(
        page_of(swept(rows(job()), job(), drawn=[drawn.as_written("local_order", figure)]))
    )
    (label,) = (attributes["aria-label"] for attributes in page.tags("svg"))
    assert label == (
        "Local order against grid size (k = 3); 5 to 100 across, 3.9 to 4.3 upwards; n = 3000;"
        " 6.2e-3."
    )
    bare = Reader(
        page_of(swept(rows(job()), job(), drawn=[drawn.as_written("heat_map", Figure())]))
    )
    assert [attributes["aria-label"] for attributes in bare.tags("svg")] == ["Heat map."]


@given(st.text())
def test_any_text_reads_back(text: str) -> None:
    read = Reader(f'<p title="{markup.text(text)}">{markup.text(text)}</p>')
    (title,) = read.all("title")
    assert "".join(read.texts) == title
    assert len(title) == len(text)
    title.encode()


# ------------------------------------------------------------------------- the command in it


def composed(command: str) -> RunConfig:
    """The configuration that a command gives, through a shell's eyes and Hydra's."""
    program, run, *words = shlex.split(command)
    assert (program, run) == ("kansweep", "run")
    register("run", "scratch")
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return load(compose("config", overrides=words), RunConfig)


JOBS = [
    RunConfig(),
    job(name="a,b=c", outputs="my 'own' \"folder\"\\", seeds=[3, 1]),
    job(name="1e5", seeds=1, device="cuda:1", dtype="float32"),
    RunConfig(model=KANConfig(hidden=(), k=2, base="silu")),
    RunConfig(solver=LMConfig(penalty=1e-7, trace=True, start="additive", tolerance=1e-12)),
    RunConfig(solver=LBFGSConfig(steps=7), engine=ProcessConfig(workers=2)),
    RunConfig(engine=DaskConfig(address="tcp://10.0.0.1:8786")),
    RunConfig(engine=SubmititConfig(parameters={"slurm_partition": "a b", "mem_gb": 4})),
    RunConfig(run=RunModeConfig(mode="retry", fail_fast=True)),
    *(RunConfig(data=DataConfig(name=name, n_test=9)) for name in TARGETS),
    RunConfig(data=DataConfig(name="product"), model=KANConfig(hidden=(3, 2))),
]


@pytest.mark.parametrize("asked", JOBS, ids=range(len(JOBS)))
def test_the_overrides_give_the_same_configuration(asked: RunConfig) -> None:
    stored = from_record(planned(asked).config_record)
    suggested = sources.shape(stored.data)[1]
    command = shlex.join(["kansweep", "run", *overrides(stored, suggested)])
    assert planned(composed(command)) == planned(asked)


def test_the_default_needs_no_words_and_others_only_what_differs() -> None:
    stored = from_record(planned(RunConfig()).config_record)
    assert overrides(stored, TARGETS["exp_sin"].hidden) == []
    other = job(name="a,b", seeds=[0, 1], solver=LBFGSConfig())
    assert overrides(other) == [
        *('name="a,b"', "seeds=2", "data.sizes=[100,300,3000]", "grid.sizes=[5,10,20,50]"),
        "solver=lbfgs",
    ]


@given(st.text(st.characters(exclude_characters="\n\r$", exclude_categories=["Cs"]), min_size=1))
def test_any_text_survives_hydra(text: str) -> None:
    parser = OverridesParser.create()
    assert parser.parse_override(override("outputs", text)).value() == text
    within = parser.parse_override(override("engine.parameters", {"a": text, "b": True}))
    assert within.value() == {"a": text, "b": True}


def test_the_page_gives_the_command_that_repeats_the_sweep(kansweep: Any, tmp_path: Path) -> None:
    words = ("data.sizes=[40,60]", "grid.sizes=[3,6,12]", "seeds=2", "data.n_test=100")
    kansweep(
        "run",
        *words,
        'name="k=1,small"',
        "model.k=1",
        "outputs=here",
        "engine=process",
        "engine.workers=1",
    )
    status, out, err = kansweep("report", "outputs=here")
    assert (status, out, err) == (0, "here/k=1,small/report.html\n", "")
    text = (tmp_path / out.strip()).read_text()
    (command,) = re.findall(r"<pre>\n(kansweep run .*)</pre>", text)
    again = composed(html.unescape(command))
    stored = from_record(yaml.safe_load((tmp_path / "here/k=1,small/config.yaml").read_text()))
    assert [cell.key for cell in planned(again).cells] == [
        cell.key for cell in planned(stored).cells
    ]
    assert (again.name, again.outputs) == ("k=1,small", "outputs")


# ----------------------------------------------------------------------------- in a browser

DARK = "--blink-settings=preferredColorScheme=0"
WIDTHS = (320, 390, 768, 1280)

# Frames of several widths, each with the page as it is, and what a script outside finds in them.
LOOK = """
<!DOCTYPE html><meta charset="utf-8">{frames}<pre id="found"></pre><script>
const shade = text => {{
  const part = text.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
}};
const behind = (view, e) => {{
  const own = view.getComputedStyle(e).backgroundColor;
  return own === "rgba(0, 0, 0, 0)" && e.parentElement ? behind(view, e.parentElement) : own;
}};
addEventListener("load", () => {{
  const found = [...document.querySelectorAll("iframe")].map(frame => {{
    const view = frame.contentWindow, page = frame.contentDocument, root = page.documentElement;
    const shown = [...page.body.querySelectorAll("*")].filter(e => !e.parentElement.closest("svg"));
    const name = e => e.tagName + "." + (e.className.baseVal ?? e.className);
    const wide = shown.filter(e => !e.parentElement.closest(".scroll"))
      .filter(e => e.getBoundingClientRect().right > root.clientWidth + 1).map(name);
    const faint = shown.filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
      .filter(e => {{
        const pair = [view.getComputedStyle(e).color, behind(view, e)].map(shade);
        return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05) < 4.5;
      }}).map(name);
    const scrolled = [...page.querySelectorAll(".scroll")]
      .filter(e => e.scrollWidth > e.clientWidth + 1);
    return {{width: root.clientWidth, scrollWidth: root.scrollWidth, elements: shown.length, wide,
      faint, scrolled: scrolled.length, dark: shade(behind(view, page.body)) < 0.1}};
  }});
  document.getElementById("found").textContent = JSON.stringify(found);
}});
</script>
"""


def browse(folder: Path, text: str, *flags: str) -> tuple[str, set[str]]:
    """The document after loading, and the requests that it made over the network."""
    page, log = folder / "page.html", folder / "net.json"
    page.write_text(text, encoding="utf-8")
    command = [
        *(chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
        *("--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND", "--dump-dom"),
        *(f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", *flags, page.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    record = json.loads(log.read_text())
    start = record["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    begun = [event.get("params", {}) for event in record["events"] if event["type"] == start]
    own = "not an origin"  # what the browser asks of itself, of its maker
    return done.stdout, {job["url"] for job in begun if job.get("initiator", own) != own}


def looked(folder: Path, text: str, widths: tuple[int, ...], *flags: str) -> list[dict[str, Any]]:
    frames = "".join(f'<iframe width="{w}" srcdoc="{html.escape(text)}"></iframe>' for w in widths)
    document, requests = browse(folder, LOOK.format(frames=frames), *flags)
    assert requests == set()
    found: list[dict[str, Any]] = json.loads(
        html.unescape(re.findall(r'<pre id="found">(.*)</pre>', document)[0])
    )
    assert [each["elements"] > 50 for each in found] == [True] * len(widths)
    return found


@pytest.mark.parametrize("flags", [(), (DARK,)], ids=["light", "dark"])
def test_nothing_overflows_and_all_text_has_contrast(tmp_path: Path, flags: tuple[str]) -> None:
    text = written("judged, with failures")
    for found in looked(tmp_path, text, WIDTHS, *flags):
        assert found["scrollWidth"] <= found["width"]
        assert found["wide"] == found["faint"] == []
        assert found["dark"] == bool(flags)


def test_print_clips_no_table(tmp_path: Path) -> None:
    text = written("judged, with failures")
    a4 = 680  # CSS pixels between margins of 1.5 cm
    (found,) = looked(tmp_path, text.replace("@media print", "@media all"), (a4,), DARK)
    assert (found["wide"], found["scrolled"]) == ([], 0)


def test_the_page_makes_no_request_where_a_request_would_be_seen(tmp_path: Path) -> None:
    asks = '<img src="http://127.0.0.1:9/seen.png">'
    assert browse(tmp_path, asks)[1] == {"http://127.0.0.1:9/seen.png"}
    document, requests = browse(tmp_path, written("failures"))
    assert requests == set()
    assert "How to reproduce it" in document


def test_the_matrix_in_one_formula_is_told_where_there_are_cells_enough() -> None:
    results = rows(job())
    text = page_of(swept(results, job()))
    assert "A G^-alpha + C (P/n)^gamma" in text
    assert "it proves nothing" in text
    few = results[results["n_train"] == results["n_train"].max()]
    assert "(P/n)^gamma" not in page_of(swept(few, job()))


# ------------------------------------------------------------------------------------- MLPs


def of_mlps(**columns: Any) -> Report:
    asked = job(data=DataConfig(sizes=(300, 100_000)))
    results = mlps(-0.9, 3, numbers=(300, 100_000), host="node7", stop_reason="converged")
    results = results.assign(started_at=pd.Timestamp("2026-01-02", tz="UTC"), **columns)
    for column in ("version", "torch_version", "git_revision", "device", "solver"):
        results[column] = "x"
    results.loc[results["size"] == 5, ["status", "error"]] = ["failed", "out of memory"]
    return swept(results, asked)


def test_a_page_of_mlps_speaks_of_widths_and_claims_no_theory() -> None:
    page = Reader(page_of(of_mlps()))
    text = "".join(page.texts)
    assert "Scaling law of multilayer perceptrons, width 2-w-w-1, on exp_sin = " in text
    assert "2 data sizes \N{MULTIPLICATION SIGN} 5 widths \N{MULTIPLICATION SIGN} 3 seeds" in text
    exponent = f"{MINUS}0.90 [{MINUS}0.90, {MINUS}0.90]"
    assert (
        f"With 100000 training points, test RMSE falls as P to the {exponent}, a description, of"
        " which no theory is claimed, over w = 10 to 100 (P = 151 to 10501), three seeds."
    ) in text
    assert "P is the number of trainable parameters, w the width of the hidden layers." in text
    assert "no theory of multilayer perceptrons is claimed" in text
    assert "RMSE as a power of the number P of parameters" in text
    assert "n = 300, seed 0, w = 5" in text
    for absent in ("G = ", "grid", "spline", "Observed orders", "(P/n)^gamma", "(k+1)", "nan"):
        assert absent not in text.replace("grid.sizes", "").replace("\ngrid:", ""), absent
    labels = [attributes["aria-label"] for attributes in page.tags("svg")]
    assert any(
        label.startswith("Test RMSE against number P of parameters, both logarithmic. n = 300: ")
        and f"{mlps(-0.9)['test_rmse'].iloc[-1] * 2:.2e} at P = 10501" in label
        and label.endswith(f"exponent {exponent}.")
        for label in labels
    )
    assert any("w = 10: " in label for label in labels)
    assert "Noise" not in text


def test_a_law_rests_on_cells_of_its_own_kind() -> None:
    both = pd.concat([kans(3), mlps(-0.9, 3, numbers=(10_000,))], ignore_index=True)
    study = findings.study(both)
    for _, law in study.laws.iterrows():
        assert set(study.behind(law)["model"]) == {law["model"]}
        assert law["model"] == ("kan" if law["verdict"] == "consistent" else "mlp")


def test_a_page_names_the_noise_and_what_it_limits() -> None:
    results = rows(job()).assign(noise=1e-5)
    text = "".join(Reader(page_of(swept(results, job()))).texts)
    assert ", with noise of 1e-05 on the training outputs." in text
    assert "noise-limited: train RMSE below 2 times the noise of the training outputs" in text
    assert "with noise" not in said("usual")


def test_every_figure_of_both_kinds_has_a_caption_of_its_kind() -> None:
    captions = {
        (each.name, results["model"].iloc[0]): each.caption
        for results in (kans(numbers=(1000, 10_000)), mlps(numbers=(1000, 10_000)))
        for x in (None, "n_params")
        for each in sets.of_one(findings.study(results, x=x), ["test"])
    }
    assert [key for key, text in captions.items() if "theory" in text.lower()] == [
        ("test_rmse_vs_grid_size", "kan"),
        ("test_rmse_vs_data_size", "kan"),
        ("test_local_orders", "kan"),
        ("test_rmse_vs_n_params", "kan"),
    ]
    assert "a curve for each width w." in captions["test_rmse_vs_data_size", "mlp"]
    assert "number P of trainable parameters" in captions["test_rmse_vs_n_params", "mlp"]
    assert "data size and grid size" in captions["test_rmse_map", "kan"]
    assert "data size and width" in captions["test_rmse_map", "mlp"]
