"""One self-contained HTML page about a sweep or several: what was found, on what, and how to repeat
it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from kansweep.laws.notation import DASH
from kansweep.report import markup, sections, several
from kansweep.report.contents import Report, Together

_HASH = base64.b64encode(hashlib.sha256(markup.SCRIPT.encode()).digest()).decode()
# A browser then fetches nothing at all, and runs the page's own script alone.
_POLICY = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{_HASH}'"


def page(report: Report) -> str:
    """The text of a complete HTML document, the same for the same report."""
    bodies = {title: make(report) for title, make in sections.SECTIONS.items()}
    return _document(str(report.record["name"]), sections.about(report), bodies)


def page_of_several(made: Together) -> str:
    """Of several sweeps, likewise."""
    bodies = {title: make(made) for title, make in several.SECTIONS.items()}
    return _document(several.title(made), several.about(made), bodies)


def _document(name: str, about: str, bodies: Mapping[str, str]) -> str:
    name = markup.text(name)
    there = {title: body for title, body in bodies.items() if body}
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{name} {DASH} kansweep</title>",
            f"<style>\n{markup.STYLE}</style>\n</head>\n<body>",
            f"<header>\n<h1>{name}</h1>\n{about}\n{markup.contents(there)}\n</header>\n<main>",
            *(
                f'<section>\n<h2 id="{markup.anchor(title)}">{title}</h2>\n{body}\n</section>'
                for title, body in there.items()
            ),
            f"</main>\n<script>{markup.SCRIPT}</script>\n</body>\n</html>\n",
        ]
    )
