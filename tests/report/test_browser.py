"""The page looked at in a real browser."""

from __future__ import annotations

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from machines import chromium
from reports import written

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


SORT = """
<!DOCTYPE html><meta charset="utf-8"><iframe srcdoc="{page}"></iframe><pre id="found"></pre><script>
addEventListener("load", () => {{
  const page = document.querySelector("iframe").contentDocument, found = [];
  const table = [...page.querySelectorAll("table")].find(t => t.rows[0].cells.length > 4);
  for (let click = 0; click < 2; click++) {{
    table.querySelectorAll("thead th")[1].firstChild.click();
    found.push([...table.tBodies[0].rows].map(row => row.cells[1].textContent));
  }}
  document.getElementById("found").textContent = JSON.stringify(found);
}});
</script>
"""


def test_a_heading_sorts_its_table_both_ways(tmp_path: Path) -> None:
    document, _ = browse(tmp_path, SORT.format(page=html.escape(written("usual"))))
    up, down = json.loads(html.unescape(re.findall(r'<pre id="found">(.*)</pre>', document)[0]))
    numbers = [int(text) for text in up]
    assert numbers == sorted(numbers) == [100, 100, 300, 300, 3000, 3000]
    assert down == up[::-1]
