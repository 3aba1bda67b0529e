"""The notebooks of the documentation, their cells run in order in an empty folder."""

from __future__ import annotations

import ast
import html
import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def code(path: Path) -> list[str]:
    """Its cells as Python, without magics, which are the notebook's own."""
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    lines = [[line for line in cell["source"] if not line.startswith("%")] for cell in cells]
    return ["".join(of_cell) for of_cell in lines]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebooks_cells_run(path: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(code(path), 1):
        try:
            exec(compile(cell, f"{path.name}, cell {number}", "exec"), names)
        except Exception as error:
            error.add_note(f"in code cell {number}:\n{cell}")
            raise


def test_there_are_two_and_they_hold_no_outputs() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["sweep", "table"]
    for path in NOTEBOOKS:
        record = json.loads(path.read_text())
        assert (record["nbformat"], record["nbformat_minor"]) == (4, 5)
        cells = record["cells"]
        assert len({cell["id"] for cell in cells}) == len(cells)
        assert {cell["cell_type"] for cell in cells} == {"code", "markdown"}
        of_code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert all(cell["outputs"] == [] for cell in of_code)
        assert all(cell["execution_count"] is None for cell in of_code)
        assert all(ast.parse(cell) for cell in code(path))


def test_each_is_a_page_of_the_site(tmp_path: Path) -> None:
    build = pytest.importorskip("mkdocs.commands.build")
    config = importlib.import_module("mkdocs.config").load_config(
        str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), plugins=[], strict=False, validation={}
    )
    build.build(config)
    for path in NOTEBOOKS:
        page = (tmp_path / "notebooks" / path.stem / "index.html").read_text()
        shown = html.unescape(re.sub(r"<[^>]+>", "", page))
        for cell in code(path):
            assert all(line in shown for line in cell.splitlines())
        assert (tmp_path / "notebooks" / path.name).read_bytes() == path.read_bytes()
    linking = (tmp_path / "python/index.html").read_text()
    links = re.findall(r'href="([^"]*notebooks[^"]*)"', linking)
    assert {"../notebooks/sweep/", "../notebooks/table/"} <= set(links)
