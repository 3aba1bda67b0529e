"""Pieces of HTML: escaped text, tables, figures as inline SVG, and the style of a page.

Whatever is not made here is escaped; nothing that a page holds is fetched, and nothing but its own
script is run, which makes its tables sortable.
"""

import base64
import html
import io
import re
from collections.abc import Iterable, Sequence
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

from kansweep.figures.styles import SAVE_STYLE
from kansweep.laws.notation import printable
from kansweep.report import hover

_POINT = 4 / 3  # a point in CSS pixels

STYLE = """\
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --faint: #57606a; --rule: #d5d9de;
  --shade: #f4f6f8; --accent: #0b57a8; --bad: #a40e26; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 66rem; padding: 1.5rem 1rem 4rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial,
  sans-serif; overflow-wrap: anywhere; }
h1, h2 { line-height: 1.25; }
h1 { margin: 0 0 .25rem; font-size: 1.75rem; }
h2 { margin: 2.75rem 0 .75rem; padding-bottom: .25rem; border-bottom: 1px solid var(--rule);
  font-size: 1.25rem; }
p, li { max-width: 46rem; }
.about, figcaption, caption, .note { color: var(--faint); }
.findings { padding: 0; list-style: none; }
.findings li { margin: 0 0 .6rem; padding: .1rem 0 .1rem .85rem;
  border-left: .25rem solid var(--accent); }
.findings li.open { border-color: var(--rule); color: var(--faint); }
nav ol { columns: 13rem; margin: 1.25rem 0 0; padding: 0 0 0 1.5rem; font-size: .9375rem; }
a { color: var(--accent); }
.scroll { overflow-x: auto; margin: 1rem 0; }
.scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums;
  overflow-wrap: normal; }
caption { padding: 0 0 .5rem; text-align: left; }
caption span { position: sticky; left: 0; display: inline-block;
  max-width: min(46rem, calc(100vw - 2.5rem)); }
th, td { padding: .3rem .75rem; border-bottom: 1px solid var(--rule); text-align: left;
  vertical-align: top; white-space: nowrap; }
th:first-child, td:first-child { padding-left: .25rem; }
thead th { border-bottom-color: var(--faint); }
tbody th { font-weight: 600; }
.number { text-align: right; }
.words { min-width: 11rem; white-space: normal; }
pre { margin: .75rem 0; padding: .75rem 1rem; border-radius: .5rem; background: var(--shade);
  font: .8125rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  white-space: pre-wrap; }
.error { border-left: .25rem solid var(--bad); }
th button { all: unset; cursor: pointer; }
th button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
th button::after { content: " \\2195"; color: var(--faint); font-weight: 400; }
th[aria-sort=ascending] button::after { content: " \\2191"; color: inherit; }
th[aria-sort=descending] button::after { content: " \\2193"; color: inherit; }
figure { margin: 1.25rem 0 2rem; }
figure .scroll { margin: 0; }
figure svg { display: block; max-width: 100%; height: auto; padding: .5rem; border-radius: .5rem;
  border: 1px solid var(--rule); background: #fff; color: #000; }
figure svg * { stroke-linejoin: round; stroke-linecap: butt; }
figcaption { margin-top: .5rem; max-width: 46rem; font-size: .875rem; }
@media screen and (max-width: 40rem) {
  figure svg { max-width: none; width: 42rem; }
}
@media screen and (prefers-color-scheme: dark) {
  :root { --paper: #14171b; --ink: #e4e7eb; --faint: #a3acb8; --rule: #39414b; --shade: #1e2329;
    --accent: #6cb2ff; --bad: #ff8a96; }
  figure svg { filter: brightness(.92); }
}
@media print {
  @page { margin: 1.5cm; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  h2 { margin-top: 1.5rem; break-after: avoid; }
  nav, th button::after { display: none; }
  figure, li, tr, .scroll { break-inside: avoid; }
  p:has(+ pre) { break-after: avoid; }
  figure { margin: .5rem 0 1rem; }
  figure svg { max-height: 8.5cm; border: 0; padding: 0; }
  figure svg.tall { max-height: 22cm; }
  .scroll { overflow: visible; }
  table { font-size: 8pt; }
  caption { break-after: avoid; }
  thead { display: table-header-group; }
  th, td { padding: .15rem .4rem; white-space: normal; }
  .words { min-width: 0; }
  pre { border: 1px solid var(--rule); font-size: 8pt; }
}
"""


SCRIPT = """\
const number = text => parseFloat(text.replace(/\\u2212/g, "-"));
const order = (a, b) => {
  const [x, y] = [number(a), number(b)];
  return isNaN(x) || isNaN(y) ? isNaN(x) - isNaN(y) || a.localeCompare(b) : x - y;
};
for (const head of document.querySelectorAll("thead th")) {
  const button = document.createElement("button"), body = head.closest("table").tBodies[0];
  button.textContent = head.textContent;
  head.replaceChildren(button);
  button.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending", at = head.cellIndex;
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...body.rows], key = row => row.cells[at].textContent;
    body.append(...rows.sort((a, b) => (up ? 1 : -1) * order(key(a), key(b))));
  });
}
"""
"""Makes tables sortable by their headings: rows by the first number of an entry, else by words."""


def text(value: object) -> str:
    """Escaped for an element or a quoted attribute; what is no character of a text is U+FFFD."""
    return html.escape(printable(str(value)))


def paragraph(words: str, look: str = "") -> str:
    return f"<p{_class(look)}>{text(words)}</p>"


def block(words: str, look: str = "") -> str:
    """Text as it stands, line by line."""
    return f"<pre{_class(look)}>\n{text(words.rstrip())}</pre>"


def items(entries: Iterable[tuple[str, str]], look: str = "") -> str:
    """A list of texts, each with its own look."""
    lines = [f"<li{_class(item)}>{text(words)}</li>" for words, item in entries]
    return "\n".join([f"<ul{_class(look)}>", *lines, "</ul>"])


def _class(look: str) -> str:
    return f' class="{look}"' if look else ""


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], columns: str) -> str:
    """A table of texts in a container that scrolls where it is too narrow.

    `columns` has a letter a column: `h` and `H` for one that names its row, in words or number,
    `w` for words, `n` for numbers, `p` for prose, which may break into lines.
    """
    looks = {"n": "number", "H": "number", "p": "words"}
    classes = [_class(looks.get(column, "")) for column in columns]
    titles = zip(header, classes, strict=True)
    lines = ["".join(f'<th scope="col"{look}>{text(title)}</th>' for title, look in titles)]
    for row in rows:
        cells = zip(row, columns, classes, strict=True)
        lines.append("".join(_cell(entry, column in "hH", look) for entry, column, look in cells))
    head, *body = (f"<tr>{line}</tr>" for line in lines)
    return "\n".join(
        [
            f'<div class="scroll" role="region" tabindex="0" aria-label="{text(caption)}">',
            f"<table>\n<caption><span>{text(caption)}</span></caption>",
            f"<thead>\n{head}\n</thead>\n<tbody>",
            *body,
            "</tbody>\n</table>\n</div>",
        ]
    )


def contents(titles: Iterable[str]) -> str:
    """Links to the sections of these titles."""
    lines = [f'<li><a href="#{anchor(title)}">{text(title)}</a></li>' for title in titles]
    return "\n".join(['<nav aria-label="Contents">\n<ol>', *lines, "</ol>\n</nav>"])


def anchor(title: str) -> str:
    """The id of a section."""
    return re.sub(r"[^a-z]+", "-", title.lower())


def download(name: str, content: str) -> str:
    """A link that saves this text as a file, out of the page itself."""
    encoded = base64.b64encode(content.encode()).decode()
    return f'<a download="{text(name)}" href="data:text/csv;base64,{encoded}">{text(name)}</a>'


def _cell(entry: str, names_row: bool, look: str) -> str:
    tag, scope = ("th", ' scope="row"') if names_row else ("td", "")
    return f"<{tag}{scope}{look}>{text(entry)}</{tag}>"


def figure(drawing: Figure, prefix: str, caption: str, alternative: str) -> str:
    """The drawing as inline SVG, its ids beginning with `prefix`; `alternative` is it in words."""
    label = f'role="img" aria-label="{text(alternative)}"'
    svg = _svg(drawing, prefix).replace("<svg ", f"<svg {label} ", 1)
    svg = f'<div class="scroll" role="region" tabindex="0" aria-label="{text(caption)}">{svg}</div>'
    return f"<figure>\n{svg}\n<figcaption>{text(caption)}</figcaption>\n</figure>"


def _svg(drawing: Figure, prefix: str) -> str:
    """Without prolog, metadata, comments, its own style sheet (which would be the whole page's)
    and namespaces (HTML has its own), and with ids that no other drawing has."""
    buffer = io.BytesIO()
    told = hover.marked(drawing)
    with matplotlib.rc_context(SAVE_STYLE):
        drawing.savefig(buffer, format="svg")
    root = ElementTree.fromstring(buffer.getvalue())
    hover.tell(root, told)
    for parent in list(root.iter()):
        parent.tag = _local(parent.tag)
        parent.attrib = {
            _local(name): _prefixed(name, value, prefix) for name, value in parent.attrib.items()
        }
        for child in list(parent):
            if _local(child.tag) in ("metadata", "style"):
                parent.remove(child)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    look = {"class": "tall"} if height > width else {}
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "width": f"{width * _POINT:.0f}",
        "height": f"{height * _POINT:.0f}",
        **look,
    }
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)


def _prefixed(name: str, value: str, prefix: str) -> str:
    """An attribute's value with the prefix before the ids in it: its own, `#id` and `url(#id)`."""
    return f"{prefix}-{value}" if name == "id" else re.sub(r"(^|url\()#", rf"\1#{prefix}-", value)


def _local(name: str) -> str:
    return name.rpartition("}")[2]
