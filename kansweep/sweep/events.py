"""What happens in a run, told to whoever listens: the command line's bar, a worker's mark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Damaged:
    """Files of planned cells that are no row or no weights."""

    paths: tuple[Path, ...]


@dataclass(frozen=True)
class Started:
    """The cells of the plan are counted, and those of them that are kept."""

    total: int
    cached: int


@dataclass(frozen=True)
class Progressed:
    """Where the cells of one size stand, as medians over the replicas still in training."""

    n_train: int
    size: int
    replicas: int
    step: int
    train_rmse: float
    test_rmse: float
    reg: float | None


@dataclass(frozen=True)
class Finished:
    """A cell has ended and is on disk, as this row."""

    row: Mapping[str, Any]


Event = Damaged | Started | Progressed | Finished
Listener = Callable[[Event], None]


def to_all(*listeners: Listener) -> Listener:
    """One listener that tells each of them, in this order."""

    def tell(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return tell
