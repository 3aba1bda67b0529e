"""A sweep at work as a screenful of text."""

from __future__ import annotations

import pytest
from pandas import DataFrame

from kansweep.report.watched import Rate, screen

SIZES = (5, 10, 20, 50, 100, 200)
NAN = float("nan")
FAILED = [
    {"n_train": 300, "seed": s, "size": 5, "model": "kan", "error": f"Broken: {s}\nmore"}
    | {"stop_reason": "exception", "started_at": f"2026-01-0{s + 1}"}
    for s in range(7)
]


def cells(left: str = "waiting") -> DataFrame:
    rows = [(100, size, "done", 1e-3, 2e-3, 2.0) for size in SIZES]
    rows += [(300, size, left, NAN, NAN, NAN) for size in SIZES]
    return DataFrame(
        rows, columns=["n_train", "size", "status", "train_rmse", "test_rmse", "seconds"]
    ).assign(grid_size=lambda frame: frame["size"], model="kan")


@pytest.mark.parametrize(("width", "height"), [(160, 50), (80, 24), (40, 12), (12, 4), (3, 1)])
@pytest.mark.parametrize("failed", [[], FAILED])
def test_it_fits_any_terminal(width: int, height: int, failed: list[dict[str, object]]) -> None:
    lines = screen("name", cells(), failed, None, 2, width, height)
    assert 0 < len(lines) <= height
    assert max(map(len, lines)) <= width


def test_it_tells_how_far_it_is_and_what_failed() -> None:
    lines = screen("mine", cells(), FAILED, 0.5, 2, 160, 50)
    assert lines[0] == "mine: 12 cells, 6 done, 0 failed, 0 running, 6 waiting"
    assert lines[1] == f"[{'#' * 36}{'.' * 37}]  50%"
    assert "2 workers, 30 cells a minute, some 12 s to go" in lines
    errors = [line for line in lines if line.startswith("  n=300")]
    assert errors == [f"  n=300 seed={s} G=5: Broken: {s}" for s in range(2, 7)]  # the last five
    assert "Failed, the last of 7:" in lines


def test_narrow_terminals_are_shown_the_largest_sizes() -> None:
    narrow = "\n".join(screen("mine", cells(), [], None, 2, 60, 50))
    assert "…" in narrow
    assert "G=200" in narrow
    assert "G=5 " not in narrow


@pytest.mark.parametrize(
    ("left", "at_work", "words"),
    [
        ("waiting", 0, "No worker is at it; 6 cells are left."),
        ("waiting", 1, "1 worker, some 12 s to go"),  # 2 s each, as cells like them took
        ("done", 2, "All cells have ended."),
    ],
)
def test_the_pace_is_that_of_cells_like_them_until_one_has_ended(
    left: str, at_work: int, words: str
) -> None:
    assert words in screen("mine", cells(left), [], None, at_work, 80, 24)


def test_the_rate_is_that_of_the_last_minute() -> None:
    rate = Rate()
    assert rate.at(0.0, 10) is None
    assert rate.at(10.0, 10) is None
    assert rate.at(20.0, 20) == pytest.approx(0.5)
    for minute in range(1, 5):
        latest = rate.at(20.0 + 60.0 * minute, 20 + 600 * minute)
    assert latest == pytest.approx(10.0)
