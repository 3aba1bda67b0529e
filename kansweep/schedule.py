"""A plan less what is on disk: the tasks that are left, each a batch of chains for one worker.

Nothing here trains, and nothing imports torch: a finished sweep is found to be one at once.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kansweep import __version__, sources
from kansweep.config.models import GridConfig, MLPConfig
from kansweep.config.run import RunConfig
from kansweep.config.solvers import DIRECT_LIMIT
from kansweep.rows import Stamp
from kansweep.store import Store
from kansweep.sweep import OK, Cell, Plan, layer_widths

# What one batch may hold: points times edges, which the Jacobian grows with, and squared
# parameters, which normal equations do where they are formed; a few hundred megabytes either way.
# A test point has no row in the Jacobian, and takes a quarter of a training point.
BATCH_WORK, BATCH_SQUARES = 400_000, 4_000_000


@dataclass(frozen=True)
class Stretch:
    """Consecutive cells of a chain to train, and the cell before them if its grid is extended."""

    cells: tuple[Cell, ...]
    before: str | None

    @property
    def alike(self) -> tuple[int, ...]:
        """Data size and sizes: stretches that share them can be trained in lockstep."""
        return (self.cells[0].n_train, *(cell.size for cell in self.cells))


@dataclass(frozen=True)
class Task:
    """Stretches that are alike, for one worker, with all that their rows and resumption need.

    A task that was cut off goes on when it is given to a worker again: ``remaining`` tells what of
    it is not written yet.
    """

    config: RunConfig  # with the seeds of these stretches alone
    stretches: tuple[Stretch, ...]
    run: str | None  # which run it belongs to: it is void once another one has the folder
    replaces: Mapping[str, Stamp] = field(default_factory=dict)  # rows that are there, but not kept
    suspects: frozenset[str] = frozenset()  # cells in progress when a worker died
    stillborn: int = 0  # how often a worker died before it had begun

    @property
    def name(self) -> str:
        return self.stretches[0].cells[0].key

    @property
    def cells(self) -> tuple[Cell, ...]:
        return tuple(cell for stretch in self.stretches for cell in stretch.cells)

    def narrowed(self, stretches: Iterable[Stretch], **changes: Any) -> Task:
        """The task with these of its stretches, or parts of them, alone."""
        stretches = tuple(stretches)
        seeds = tuple(stretch.cells[0].seed for stretch in stretches)
        config = replace(self.config, seeds=seeds)
        return replace(self, config=config, stretches=stretches, **changes)


def described(task: Task, cell: Cell) -> dict[str, Any]:
    """The columns of a cell's row that are known before it is trained."""
    config, model = task.config, task.config.model
    return {
        "key": cell.key,
        "data": sources.label(config.data),
        "n_train": cell.n_train,
        "seed": cell.seed,
        "grid_size": cell.size if config.kind.on_grid else None,
        "k": model.order,
        "width": "-".join(map(str, layer_widths(config, cell.size))),
        "model": model.name,
        "solver": config.solver.name,
        "dtype": config.dtype,
        "device": config.device,
        "version": __version__,
        "size": cell.size,
    }


# ------------------------------------------------------------------------- what is left to do


def missing(plan: Plan, store: Store, mode: str) -> list[Stretch]:
    """What ``run.mode`` asks for and is not on disk, in the order of the plan."""
    census = store.census()
    statuses = {} if mode == "force" else census.column("status")
    sound = {key for key, status in statuses.items() if status == OK}
    kept = set(statuses)
    if mode == "retry":
        starts = census.column("start_grid")
        kept = sound - {key for chain in plan.chains for key in _spoilt(chain.cells, sound, starts)}
    found: list[Stretch] = []
    for chain in plan.chains:
        if not all(cell.key in kept for cell in chain.cells):
            wanted = _wanted(chain.cells, kept, sound, store)
            found += _stretches(chain.cells, wanted, sound)
    return found


def _spoilt(
    cells: tuple[Cell, ...], sound: set[str], starts: Mapping[str, int | None]
) -> Iterator[str]:
    """Sound cells whose numbers are not those of an undisturbed chain: it began anew behind a cell
    that failed."""
    for cell in cells:
        if cell.key in sound and starts[cell.key] not in (None, cells[0].size):
            yield cell.key


def _wanted(cells: tuple[Cell, ...], kept: set[str], sound: set[str], store: Store) -> set[str]:
    """Cells that are not kept, and those that the next one extends but whose weights are gone."""
    wanted = {cell.key for cell in cells if cell.key not in kept}
    for cell, after in reversed(list(itertools.pairwise(cells))):
        extended = after.key in wanted and cell.key in sound
        if extended and store.read_state(cell.key) is None:
            wanted.add(cell.key)
    return wanted


def _stretches(cells: tuple[Cell, ...], wanted: set[str], sound: set[str]) -> Iterator[Stretch]:
    before: str | None = None
    for is_wanted, group in itertools.groupby(cells, lambda cell: cell.key in wanted):
        part = tuple(group)
        if is_wanted:
            yield Stretch(part, before)
        before = part[-1].key if part[-1].key in sound else None


# ----------------------------------------------------------------------------- as tasks


def tasks(
    stretches: list[Stretch], config: RunConfig, store: Store, workers: int | None
) -> list[Task]:
    """Batches of the stretches that are alike; with ``workers`` None, one chain a task.

    Each kind of stretch is shared out equally among the workers, and what takes longest comes
    first, so that all end at about the same time.
    """
    run = store.holder().get("run")
    found = []
    for members in batches(stretches):
        most = 1 if workers is None else _largest(members[0], config)
        share = workers or 1
        parts = min(len(members), share * -(-len(members) // (share * most)))
        for part in _shared_out(members, parts):
            keys = [cell.key for stretch in part for cell in stretch.cells]
            replaces = {key: stamp for key in keys if (stamp := store.stamp(key)) is not None}
            seeds = tuple(stretch.cells[0].seed for stretch in part)
            small = _sized(replace(config, seeds=seeds), part[0].alike[1:])  # each is sent alone
            found.append(Task(small, tuple(part), run, replaces))
    return found if workers == 1 else sorted(found, key=_cost, reverse=True)


def _shared_out(members: list[Stretch], parts: int) -> Iterator[list[Stretch]]:
    ends = [len(members) * part // parts for part in range(parts + 1)]
    return (members[a:b] for a, b in itertools.pairwise(ends))


def _sized(config: RunConfig, sizes: tuple[int, ...]) -> RunConfig:
    """The configuration with these sizes alone."""
    if isinstance(config.model, MLPConfig):
        return replace(config, model=replace(config.model, widths=sizes))
    return replace(config, grid=GridConfig(sizes))


def _largest(stretch: Stretch, config: RunConfig) -> int:
    """How many such stretches one batch may hold."""
    n_train, *_, size = stretch.alike
    per_point, n_params = config.model.footprint(layer_widths(config, size), size)
    points = max(n_train, (config.data.n_test or 0) // 4)
    most = BATCH_WORK // (points * per_point)
    if n_params:
        most = min(most, BATCH_SQUARES // min(n_params, DIRECT_LIMIT) ** 2)
    return max(1, most)


def _cost(task: Task) -> float:
    """What a task takes, roughly and relative to others of the same sweep."""
    n_train, *sizes = task.stretches[0].alike
    return len(task.stretches) * sum(n_train + 25 * size + 2000 for size in sizes)


def remaining(task: Task, store: Store) -> list[Stretch]:
    """What of a task is not written yet, each chain from the first such cell on."""
    left = []
    for stretch in task.stretches:
        before, cells = stretch.before, list(stretch.cells)
        while cells and (row := written(cells[0].key, task, store)) is not None:
            before = row["key"] if row["status"] == OK else None
            del cells[0]
        if cells:
            left.append(Stretch(tuple(cells), before))
    return left


def written(key: str, task: Task, store: Store) -> dict[str, Any] | None:
    """The row that was written for the task, None where it is only to be, or to be replaced."""
    return None if store.stamp(key) in (None, task.replaces.get(key)) else store.row(key)


def batches(stretches: Iterable[Stretch]) -> list[list[Stretch]]:
    """The stretches that are alike, together."""
    alike: dict[tuple[int, ...], list[Stretch]] = defaultdict(list)
    for stretch in stretches:
        alike[stretch.alike].append(stretch)
    return list(alike.values())
