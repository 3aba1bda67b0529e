"""The HTML page as a document: well formed, escaped and sealed off."""

from __future__ import annotations

import base64
import hashlib
import io
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from reports import HOSTILE, SWEEPS, Reader, job, made, rows, swept, written
from studies import fit_laws

from kansweep.figures import drawn, scaling
from kansweep.figures.heat_map import heat_map
from kansweep.laws import findings
from kansweep.report import markup
from kansweep.report.page import page as page_of
from kansweep.sweep.plan import planned


@pytest.fixture(params=SWEEPS, scope="module")
def read(request: pytest.FixtureRequest) -> tuple[str, Reader]:
    return written(request.param), Reader(written(request.param))


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


def test_nothing_is_fetched_and_nothing_but_its_own_script_is_run(read: tuple[str, Reader]) -> None:
    text, page = read
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"link", "img", "image", "iframe", "object", "embed", "base"}
    assert re.findall(r"<script.*?</script>", text, re.DOTALL) == [
        f"<script>{markup.SCRIPT}</script>"
    ]
    references = [value for name in ("src", "href", "srcset", "action") for value in page.all(name)]
    assert all(value.startswith(("#", "data:text/csv;base64,")) for value in references)
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [name for name in names if name.startswith("on")]
    assert not re.search(r"@import|url\((?!#)|https?:", text)
    digest = base64.b64encode(hashlib.sha256(markup.SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert f'content="{policy}"' in text


def test_its_contents_lead_to_every_section(read: tuple[str, Reader]) -> None:
    _, page = read
    anchors = [value for value in page.all("href") if re.fullmatch("#[a-z-]+", value)]
    assert anchors == [f"#{heading['id']}" for heading in page.tags("h2")]


def test_its_tables_can_be_saved() -> None:
    links = Reader(written("usual")).tags("a")
    saved = {each["download"]: each["href"] for each in links if "download" in each}
    assert list(saved) == ["laws.csv", "cells.csv"]
    content = base64.b64decode(saved["laws.csv"].partition(",")[2])
    laws = pd.read_csv(io.BytesIO(content))
    assert laws["exponent"].tolist() == pytest.approx(
        made("usual").study.laws["exponent"].tolist(), nan_ok=True
    )


def test_every_marker_says_its_numbers_where_the_pointer_is() -> None:
    figure = scaling.draw(findings.study(rows(job())))[0].figure
    page = Reader(markup.figure(figure, "f1", "", ""))
    marks = [line for axes in figure.axes for line in axes.lines if line.get_linestyle() == "None"]
    assert len(page.tags("title")) == sum(np.isfinite(line.get_ydata()).sum() for line in marks) > 9
    line = next(line for line in marks if line.get_label() == "_kept")
    x, y = line.get_xdata()[0], line.get_ydata()[0]
    assert any(
        told.endswith(f": train RMSE {y:.3g} at grid size G {x:g}") and told.startswith("n = ")
        for told in page.texts
    )


def test_marks_in_a_map_are_at_no_numbers() -> None:
    figure = heat_map(findings.study(rows(job())), "test").figure
    assert any(axes.lines for axes in figure.axes)
    assert Reader(markup.figure(figure, "f1", "", "")).tags("title") == []


def test_a_marker_names_its_curve_as_a_legend_does() -> None:
    figure = Figure()
    upper, lower = figure.subplots(2)
    for x, (name, look) in enumerate([("a", "or"), ("b", "ob"), ("c", "sb")]):
        upper.plot([x], [1], look, label=name)
    for x, (name, look) in enumerate([("d", "or"), ("d again", "or"), ("_e", "og")]):
        lower.plot([x], [2], look, label=name)
    upper.legend()
    lower.legend()
    told = Reader(markup.figure(figure, "f1", "", "")).texts
    # By colour, and by marker where two entries have it.
    named = ["a:  1 at  0", "b:  1 at  1", "c:  1 at  2"]
    nameless = [" 2 at  0", " 2 at  1", " 2 at  2"]
    assert [text for text in told if " at " in text] == [*named, *nameless]


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
    assert not {"img", "b"} & {tag for tag, _ in read.elements}
    assert len(read.tags("script")) == 1
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
