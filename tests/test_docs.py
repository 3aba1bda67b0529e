"""Every example of the documentation, run: each document once, in its order and an empty folder.

What a block is shows in the document itself:

- ``sh``: commands, ``kansweep`` or ``python``, in this process, which has imported torch already.
  One that is refused says so by ``# exit status 2``, and prints why
- ``python``, ``yaml``: a first line such as ``# mine/data/bump.yaml`` names the file that it is;
  Python without one is run, all of a document in one namespace
- ``diff``: changes to kansweep itself, made to a copy of it, which is imported from then on
- ``text``: what the block before it prints, in part; decimals may differ a little, seconds at will
- ``console`` and all others: shown only

Of the README only Python is run, and only behind ``<!-- runs after: kansweep run ... -->``.
"""

from __future__ import annotations

import contextlib
import copy
import io
import re
import runpy
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins

ROOT = Path(__file__).parents[1]
gallery = SimpleNamespace(**runpy.run_path(str(ROOT / "docs" / "gallery.py")))
DOCS = sorted(path for path in (ROOT / "docs").glob("*.md") if path.name != "gallery.md")
_BLOCK = re.compile(
    r"(?:^<!-- runs after: (?P<after>.+) -->\n+)?"
    r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_STATUS = re.compile(r"# exit status (\d)$")
_FILE = re.compile(r"# (\S+\.(?:py|yaml))\n")
_NUMBER = re.compile(r"[-+]?\d+\.\d+(?:e[-+]?\d+)?(?P<seconds> s\b)?")


@dataclass(frozen=True)
class Block:
    kind: str
    text: str
    line: int
    after: str | None = None  # the command that makes what it needs

    @property
    def file(self) -> str | None:
        named = _FILE.match(self.text) if self.kind in ("python", "yaml") else None
        return named[1] if named else None


def blocks(document: str) -> Iterator[Block]:
    for match in _BLOCK.finditer(document):
        line = document.count("\n", 0, match.start("kind")) + 1
        yield Block(match["kind"], match["text"], line, match["after"])


class Session:
    """A reader who does what a document says, in the current folder."""

    def __init__(self, kansweep: Callable[..., Any]) -> None:
        self.call, self.folder = kansweep, Path.cwd()
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.printed = ""
        self.copied = False  # the code, which is then that of this folder

    def follow(self, document: str) -> None:
        for block in blocks(document):
            try:
                self.do(block)
            except Exception as error:
                error.add_note(f"in the block of line {block.line}:\n{block.text}")
                raise

    def do(self, block: Block) -> None:
        if block.file is not None:
            self.write(block.file, block.text)
        elif block.kind == "sh":
            commands = block.text.replace("\\\n", " ").splitlines()
            self.printed = "".join(map(self.run, commands))
        elif block.kind == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(block.text, f"line {block.line}", "exec"), self.names)
            self.printed = out.getvalue()
        elif block.kind == "diff":
            self.patch(block.text)
        elif block.kind == "text":
            compare(block.text, self.printed)

    def write(self, name: str, text: str) -> None:
        if name.startswith(("kansweep/", "configs/")):
            self.change()
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def change(self) -> None:
        """Have a copy of the code, of which nothing is imported yet."""
        if not self.copied:
            for part in ("kansweep", "configs"):
                shutil.copytree(ROOT / part, self.folder / part)  # with what is compiled
            sys.path.insert(0, str(self.folder))
        self.copied = True
        for name in ours():
            del sys.modules[name]

    def patch(self, text: str) -> None:
        self.change()
        for part in re.split(r"^--- .*\n", text, flags=re.MULTILINE)[1:]:
            header, *hunks = re.split(r"^@@.*\n", part, flags=re.MULTILINE)
            path = self.folder / header.removeprefix("+++ b/").strip()
            for hunk in hunks:
                lines = hunk.splitlines(keepends=True)
                old, new = ("".join(x[1:] for x in lines if x[0] in side) for side in (" -", " +"))
                content = path.read_text()
                found = content.count(old)
                assert found == 1, f"{path.name} has this {found}x:\n{old}"
                path.write_text(content.replace(old, new))

    def run(self, command: str) -> str:
        words, expected = shlex.split(command, comments=True), _STATUS.search(command)
        if not words:
            return ""
        assert words[0] in ("kansweep", "python"), f"only these two are run, not {words[0]}"
        status, out, err = self.outcome(words)
        assert status == (int(expected[1]) if expected else 0), f"it ends in {status}: {err}"
        return err if expected else out

    def outcome(self, words: list[str]) -> tuple[int, str, str]:
        if words[0] == "kansweep":
            outcome = self.call(*words[1:])
            return outcome.status, str(outcome.out), str(outcome.err)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            runpy.run_path(words[1], run_name="__main__")
        return 0, out.getvalue(), ""


def ours() -> dict[str, Any]:
    """What is imported of kansweep."""
    return {name: each for name, each in sys.modules.items() if name.split(".")[0] == "kansweep"}


def compare(shown: str, printed: str) -> None:
    """Every line shown is printed, in this order; what differs may be its decimals and spaces."""
    rest = iter(printed.splitlines())
    for line in filter(str.strip, shown.splitlines()):
        assert any(_alike(line, other) for other in rest), f"{line!r} is not printed:\n{printed}"


def _alike(line: str, other: str) -> bool:
    words = [" ".join(_NUMBER.sub("#", text).split()) for text in (line, other)]
    pairs = zip(_NUMBER.finditer(line), _NUMBER.finditer(other), strict=False)
    return words[0] == words[1] and all(_near(*pair) for pair in pairs)


def _near(a: re.Match[str], b: re.Match[str]) -> bool:
    if a["seconds"]:
        return True
    allowed = 0.0 if "e" in a[0] else 0.1
    return float(a[0]) == pytest.approx(float(b[0]), rel=0.3, abs=allowed)


@pytest.fixture
def reader(kansweep, monkeypatch):
    session, imported = Session(kansweep), ours()
    monkeypatch.setattr(sys, "path", sys.path.copy())
    Plugins.instance()  # gives Hydra's own choices to its store, once
    store = ConfigStore.instance()  # to which a changed copy gives its schemas
    monkeypatch.setattr(store, "repo", copy.deepcopy(store.repo))
    yield session
    for name, module in list(sys.modules.items()):  # those that the document wrote
        if Path(getattr(module, "__file__", None) or "/").is_relative_to(session.folder):
            del sys.modules[name]
    sys.modules.update(imported)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.stem)
def test_the_examples_of_a_document_run(path, reader, request):
    if path.stem not in ("extending", "python"):  # which draw figures of their own
        request.getfixturevalue("sketched")
    reader.follow(path.read_text())
    rows = [pd.read_parquet(found) for found in Path("outputs").glob("*/results.parquet")]
    assert all((part["status"] == "ok").all() for part in rows)
    if path.stem == "extending":
        columns = ["data", "model", "solver"]
        trained = {tuple(row) for part in rows for row in part[columns].itertuples(index=False)}
        for data in ("bump2", "wells:wells", "ripple", "pendulum"):
            assert (data, "kan", "lm") in trained
        assert ("exp_sin", "kan", "gradient") in trained
        assert "legendre" in {model for _, model, _ in trained}


def test_the_readmes_python_that_is_marked_runs(reader):
    for block in blocks((ROOT / "README.md").read_text()):
        if block.after is not None:
            reader.do(Block("sh", block.after, block.line))
            reader.do(block)


def test_the_gallerys_page_is_that_of_its_entries():
    assert gallery.PAGE.read_text() == gallery.page()
    drawn = {entry.image for entry in gallery.ENTRIES}
    assert set(gallery.FIGURES.glob("*")) <= drawn, "a figure that no entry has"


@pytest.mark.parametrize("entry", gallery.ENTRIES, ids=lambda entry: entry.name)
def test_the_gallerys_commands_are_understood(entry, kansweep):
    for command in entry.commands:
        program, *words = shlex.split(command)
        assert program == "kansweep"
        of_one = (word for word in words if word != "-m")  # of several sweeps the first
        one = [re.sub(r"^((?:data|model|solver)=[^,]+),.*", r"\1", word) for word in of_one]
        outcome = kansweep(*one, "--cfg", "job")
        assert outcome.status == 0, outcome.err


def test_the_job_for_continuous_integration_fails_where_the_law_is_broken(kansweep):
    (job,) = yaml.safe_load((ROOT / "docs" / "law.yml").read_text())["jobs"].values()
    steps = [step for step in job["steps"] if step.get("run", "").startswith("kansweep ")]
    run, check, report = (shlex.split(step["run"])[1:] for step in steps)
    assert steps[2]["if"] == "always()"
    assert kansweep(*run).status == 0
    assert kansweep(*check).status == 0
    assert kansweep(*report).status == 0
    (kept,) = (step["with"]["path"] for step in job["steps"] if "path" in step.get("with", {}))
    assert Path(kept).is_file()
    broken = [*check[:-1], "check.exponent=[-3.1,-2.9]", check[-1]]
    status, out, _ = kansweep(*broken)
    assert status == 1
    assert "::error" in out


def test_links_and_figures_of_the_documents_are_there():
    for path in (*(ROOT / "docs").glob("*.md"), ROOT / "README.md"):
        for target in re.findall(r"\]\(\s*([^)\s]+)\s*\)", path.read_text()):
            file, _, anchor = target.partition("#")
            if "://" not in target:
                found = path.parent / file if file else path
                assert found.exists(), f"{path.name} points to {file}"
                assert not anchor or anchor in _anchors(found), f"{path.name} points to {target}"


def _anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


# ------------------------------------------------------------------------------- of this module


def test_a_broken_example_is_found_out(reader):
    for text, told in (
        ("```sh\nkansweep run data.sizes=[0] name=x\n```\n", "`data.sizes` must be"),
        ("```sh\nkansweep --version  # exit status 2\n```\n", "it ends in 0"),
        ("```python\nprint(undefined)\n```\n", "undefined"),
        ("```python\nprint(3.0)\n```\n\n```text\n4.5\n```\n", "is not printed"),
        ("```diff\n--- a/k\n+++ b/kansweep/kinds.py\n@@\n-no such line\n+x\n```\n", "has this 0x"),
    ):
        with pytest.raises(Exception, match=re.escape(told)):
            reader.follow(text)


def test_what_a_block_is_shows_in_the_document():
    text = "<!-- runs after: kansweep run -->\n```python\n# a/b.py\n```\n\n```console\n$ y\n```\n"
    first, second = blocks(text)
    assert (first.kind, first.file, first.after) == ("python", "a/b.py", "kansweep run")
    assert (second.kind, second.file, second.after, second.line) == ("console", None, None, 6)
    compare("a 1.00e-3 in 2.0 s\n", "other\na   1.1e-3  in 90.1 s\n")
    for other in ("a 2.00e-3 in 2.0 s", "b 1.00e-3 in 2.0 s"):
        with pytest.raises(AssertionError):
            compare("a 1.00e-3 in 2.0 s\n", other)
