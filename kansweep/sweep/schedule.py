"""A plan less what is on disk: the tasks that are left, each a batch of chains for one worker.

Nothing here trains, and nothing imports torch: a finished sweep is found to be one at once.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kansweep import __version__
from kansweep.config.run import RunConfig
from kansweep.data import sources
from kansweep.sweep.columns import Status
from kansweep.sweep.plan import Cell, Plan, layer_widths
from kansweep.sweep.rows import Stamp
from kansweep.sweep.store import Store

# What one batch may hold: points times edges, which the Jacobian grows with, and squared
# parameters, which normal equations do where they are formed; a few hundred megabytes either way.
# A test point has no row in the Jacobian, and takes a quarter of a training point.
BATCH_WORK, BATCH_SQUARES = 400_000, 4_000_000


@dataclass(frozen=True)
class PartialChain:
    """Consecutive cells of a chain to train, and the key of the cell before them, which the first
    of them extends; None where it starts from nothing."""

    cells: tuple[Cell, ...]
    before: str | None

    @property
    def seed(self) -> int:
        return self.cells[0].seed

    @property
    def batch_key(self) -> tuple[int, ...]:
        """Data size and sizes: those that share them can be trained in lockstep."""
        return (self.cells[0].n_train, *(cell.size for cell in self.cells))


@dataclass(frozen=True)
class Task:
    """Chains, or parts of them, of one batch key, for one worker, with all that their rows and
    resumption need.

    A task that was cut off goes on when it is given to a worker again: ``remaining`` tells what of
    it is not written yet.
    """

    config: RunConfig  # the sweep's; which of its seeds and sizes are meant, the chains say
    chains: tuple[PartialChain, ...]
    run: str | None  # which run it belongs to: it is void once another one has the folder
    replaces: Mapping[str, Stamp] = field(default_factory=dict)  # rows that are there, but not kept
    suspects: frozenset[str] = frozenset()  # cells in progress when a worker died
    stillborn: int = 0  # how often a worker died before it had begun

    @property
    def name(self) -> str:
        return self.chains[0].cells[0].key

    @property
    def cells(self) -> tuple[Cell, ...]:
        return tuple(cell for chain in self.chains for cell in chain.cells)

    @property
    def n_train(self) -> int:
        return self.chains[0].cells[0].n_train

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(chain.seed for chain in self.chains)

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(cell.size for cell in self.chains[0].cells)


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
        "spacing": config.grid.spacing if config.kind.on_grid else None,
    }


# ------------------------------------------------------------------------- what is left to do


def missing(plan: Plan, store: Store, mode: str) -> list[PartialChain]:
    """What ``run.mode`` asks for and is not on disk, in the order of the plan."""
    index = store.index()
    statuses = {} if mode == "force" else index.column("status")
    sound = {key for key, status in statuses.items() if status == Status.OK}
    kept = set(statuses)
    if mode == "retry":
        starts = index.column("start_grid")
        kept = sound - {key for chain in plan.chains for key in _spoilt(chain.cells, sound, starts)}
    partial: list[PartialChain] = []
    for chain in plan.chains:
        if not all(cell.key in kept for cell in chain.cells):
            wanted = _wanted(chain.cells, kept, sound, store)
            partial += _parts(chain.cells, wanted, sound)
    return partial


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


def _parts(cells: tuple[Cell, ...], wanted: set[str], sound: set[str]) -> Iterator[PartialChain]:
    """The longest runs of cells that are wanted."""
    before: str | None = None
    for is_wanted, group in itertools.groupby(cells, lambda cell: cell.key in wanted):
        part = tuple(group)
        if is_wanted:
            yield PartialChain(part, before)
        before = part[-1].key if part[-1].key in sound else None


# ----------------------------------------------------------------------------- as tasks


def tasks(
    chains: list[PartialChain], config: RunConfig, store: Store, workers: int | None
) -> list[Task]:
    """Batches of the chains that can be trained in lockstep; with ``workers`` None, one a task.

    Those of one batch key are shared out equally among the workers, and what takes longest comes
    first, so that all end at about the same time.
    """
    run, made = store.holder(), []
    for members in batches(chains):
        most = 1 if workers is None else _largest(members[0], config)
        share = workers or 1
        parts = min(len(members), share * -(-len(members) // (share * most)))
        for part in _shared_out(members, parts):
            keys = [cell.key for chain in part for cell in chain.cells]
            replaces = {key: stamp for key in keys if (stamp := store.stamp(key)) is not None}
            made.append(Task(config, tuple(part), run, replaces))
    return made if workers == 1 else sorted(made, key=_cost, reverse=True)


def _shared_out(members: list[PartialChain], parts: int) -> Iterator[list[PartialChain]]:
    ends = [len(members) * part // parts for part in range(parts + 1)]
    return (members[a:b] for a, b in itertools.pairwise(ends))


def _largest(chain: PartialChain, config: RunConfig) -> int:
    """How many such chains one batch may hold."""
    n_train, *_, size = chain.batch_key
    per_point, n_params = config.model.footprint(layer_widths(config, size), size)
    points = max(n_train, (config.data.n_test or 0) // 4)
    most = BATCH_WORK // (points * per_point)
    if n_params:
        most = min(most, BATCH_SQUARES // n_params**2)
    return max(1, most)


def _cost(task: Task) -> float:
    """What a task takes, roughly and relative to others of the same sweep."""
    return len(task.chains) * sum(task.n_train + 25 * size + 2000 for size in task.sizes)


def remaining(task: Task, store: Store) -> list[PartialChain]:
    """What of a task is not written yet, each chain from the first such cell on."""
    left = []
    for chain in task.chains:
        before, cells = chain.before, list(chain.cells)
        while cells and (row := written(cells[0].key, task, store)) is not None:
            before = row["key"] if row["status"] == Status.OK else None
            del cells[0]
        if cells:
            left.append(PartialChain(tuple(cells), before))
    return left


def written(key: str, task: Task, store: Store) -> dict[str, Any] | None:
    """The row that was written for the task, None where it is only to be, or to be replaced."""
    return None if store.stamp(key) in (None, task.replaces.get(key)) else store.row(key)


def batches(chains: Iterable[PartialChain]) -> list[list[PartialChain]]:
    """The chains that can be trained in lockstep, together."""
    members: dict[tuple[int, ...], list[PartialChain]] = defaultdict(list)
    for chain in chains:
        members[chain.batch_key].append(chain)
    return list(members.values())
