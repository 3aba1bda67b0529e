"""Notebooks as pages of the site, for mkdocs: their texts and code, as they are kept in docs/."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """A page beside every notebook, which stays to be downloaded."""
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        notebook = json.loads(Path(str(file.abs_src_path)).read_text())
        uri = str(Path(file.src_uri).with_suffix(".md"))
        files.append(File.generated(config, uri, content=_page(notebook, Path(file.src_uri).name)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links to a notebook lead to its page, but for that page's own."""
    return re.sub(r"\]\((\S+/\S+)\.ipynb\)", r"](\1.md)", markdown)


def _page(notebook: dict[str, Any], name: str) -> str:
    first, *rest = (_cell(cell) for cell in notebook["cells"])
    kept = f"This page is the notebook [{name}]({name}), to be run as it stands."
    return "\n\n".join([first, kept, *rest, ""])


def _cell(cell: dict[str, Any]) -> str:
    text = "".join(cell["source"])
    return text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
