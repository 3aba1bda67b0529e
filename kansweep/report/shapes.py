"""What shapes were tried, as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from kansweep.kinds import Kind
from kansweep.sweep.tried import Search, Trial, named

_HEADINGS = ("shape", "parameters", "held-out RMSE", "standard error", "seconds", "")


def table(search: Search, kind: Kind) -> str:
    """Every shape at its best size, in the order of its parameters there; ``front`` is one that no
    other beats with as few."""
    best = [search.best(width) for width in search.shapes]
    rows: list[Sequence[str]] = [(_HEADINGS[0], kind.symbol, *_HEADINGS[1:])]
    for trial in sorted(best, key=lambda each: (each.n_params, each.rmse)):
        rows.append(_row(trial, search))
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        first, *numbers, notes = row
        cells = (number.rjust(size) for number, size in zip(numbers, wide[1:-1], strict=True))
        lines.append("  ".join([first.ljust(wide[0]), *cells, notes]).rstrip())
    return "\n".join(lines)


def _row(trial: Trial, search: Search) -> Sequence[str]:
    notes = ["chosen"] if trial.width == search.chosen else []
    notes += ["front"] if trial in search.front else []
    seconds = sum(each.seconds for each in search.of(trial.width))
    numbers = str(trial.size), str(trial.n_params), f"{trial.rmse:.2e}"
    return (
        named(trial.width),
        *numbers,
        f"{trial.standard_error:.0e}",
        f"{seconds:.1f}",
        ", ".join(notes),
    )
