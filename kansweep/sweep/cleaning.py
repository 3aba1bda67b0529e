"""What of a sweep's folder can go: what is drawn and fitted again at will, and what no cell of the
plan is any more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kansweep.sweep.plan import Plan
from kansweep.sweep.refusals import naming_the_file
from kansweep.sweep.store import Store


@dataclass(frozen=True)
class Removable:
    """Files that can go for one reason, and their size in bytes."""

    what: str
    files: tuple[Path, ...]
    size: int


def removable(store: Store, plan: Plan | None) -> list[Removable]:
    """What can go, by reason; None plans nothing, as where several sweeps stand together.
    ``results.parquet`` stays, since others read it; so do the log and the traces of planned cells,
    which nothing makes again."""
    layout = store.layout
    keys = {cell.key for cell in plan.cells} if plan is not None else set()
    folders = () if plan is None else (layout.cells, layout.states, layout.traces)
    unplanned = (path for folder in folders for path in _in(folder) if path.stem not in keys)
    derived = [*_in(layout.figures), layout.report, layout.laws, layout.comparison, layout.index]
    derived += layout.folder.glob(layout.published("*").name)
    found = {
        "derived, made again when it is asked for": derived,
        "of cells that are no longer planned": unplanned,
    }
    groups = (_group(what, tuple(files)) for what, files in found.items())
    return [group for group in groups if group.files]


def remove(store: Store, groups: Sequence[Removable]) -> None:
    """Remove them, rows before weights, while no run is at work; raises StoreError."""
    with store.locked():
        for path in (path for group in groups for path in group.files):
            with naming_the_file(path, "removed"):
                path.unlink(missing_ok=True)


def remove_empty(store: Store) -> None:
    """Remove the folder itself where nothing is left in it."""
    with suppress(OSError):
        store.layout.figures.rmdir()
    with suppress(OSError):
        store.folder.rmdir()


def _group(what: str, files: tuple[Path, ...]) -> Removable:
    sizes = {}
    for path in files:
        with suppress(OSError):
            sizes[path] = path.stat().st_size
    return Removable(what, tuple(sizes), sum(sizes.values()))


def _in(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from sorted(path for path in folder.iterdir() if path.is_file())
