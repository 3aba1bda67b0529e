"""What the shell is offered to complete."""

from __future__ import annotations

import os
from typing import Any

import pytest

from kansweep.cli import COMMANDS


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("kansweep ", set(COMMANDS)),
        ("kansweep sh", set(COMMANDS)),
        (
            "kansweep run solver=",
            {f"solver={name}" for name in ("adam", "lbfgs", "lbfgs_mlp", "lm")},
        ),
        ("kansweep run solver=lbfgs solver.s", {"solver.steps="}),
        ("kansweep run data.n", {"data.name=", "data.n_test=", "data.noise="}),
        ("kansweep plot plot.s", {"plot.split=", "plot.style="}),
        ("kansweep plot plot.f", {"plot.formats."}),
        ("kansweep report na", {"name=", "names="}),
        ("kansweep predict n_", {"n_train=", "n_trains."}),
        ("kansweep apply data.p", {"data.path="}),
        ("kansweep apply out", {"outputs=", "output="}),
        ("kansweep check check.e", {"check.exponent="}),
        ("kansweep check fi", {"file="}),
        ("kansweep rum solver=", set()),
    ],
)
def test_the_shell_is_offered_what_fits(
    kansweep: Any, monkeypatch: pytest.MonkeyPatch, line: str, offers: set[str]
) -> None:
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    status, out, err = kansweep("-sc", "query=bash")
    assert (status, set(out.split()), err) == (0, offers, "")


def test_hydra_is_asked_about_the_line_without_the_command(
    kansweep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(command: str, arguments: list[str]) -> list[object]:
        seen.append((command, os.environ["COMP_LINE"], int(os.environ["COMP_POINT"])))
        return []

    seen: list[tuple[str, str, int]] = []
    monkeypatch.setattr("kansweep.cli.completing.compose", look)
    for line in ("kansweep show form", "kansweep  show  "):
        monkeypatch.setenv("COMP_LINE", line)
        monkeypatch.setenv("COMP_POINT", str(len(line)))
        kansweep("-sc", "query=bash")
    assert seen == [("show", "kansweep form", 13), ("show", "kansweep   ", 11)]


@pytest.mark.parametrize(
    ("shell", "last"),
    [
        ("bash", "hydra_bash_completion kansweep"),
        ("fish", "complete -c kansweep -x -a '(hydra_fish_completion)'"),
        ("zsh", "compdef _kansweep kansweep"),
    ],
)
def test_the_completion_installs(
    kansweep: Any, monkeypatch: pytest.MonkeyPatch, shell: str, last: str
) -> None:
    monkeypatch.delenv("COMP_LINE", raising=False)
    status, out, _ = kansweep("-sc", f"install={shell}")
    assert status == 0
    assert out.rstrip().endswith(last)


@pytest.mark.parametrize("shell", ["fish", "bash"])
def test_commands_are_offered_a_line_each(
    kansweep: Any, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    monkeypatch.setenv("COMP_LINE", "kansweep ")
    assert kansweep("-sc", f"query={shell}").out.splitlines() == list(COMMANDS)
