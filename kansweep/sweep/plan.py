"""What a configuration asks for: cells, the chains they form, and the keys that identify them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from kansweep.config.keys import identity
from kansweep.config.rules import ConfigError
from kansweep.config.run import RunConfig
from kansweep.data import sources
from kansweep.data.sampling import REVISIONS

FORMAT = 2  # raised when the same configuration would give another row; methods have revisions too

MOST_CELLS = 2_000_000  # planned in some ten seconds and a gigabyte


@dataclass(frozen=True)
class Cell:
    """One training: a data size, a seed and a size, at the end of its chain so far."""

    key: str
    n_train: int
    seed: int
    size: int


@dataclass(frozen=True)
class Chain:
    """The cells of one data size and seed in ascending size, each warm-started by the last; of a
    kind of network that is not extended a single one."""

    n_train: int
    seed: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Plan:
    """All chains of a sweep, and the configuration as it is stored."""

    chains: tuple[Chain, ...]
    config_record: dict[str, Any]

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        return tuple(cell for chain in self.chains for cell in chain.cells)


def planned(config: RunConfig) -> Plan:
    """The sweep of a checked and resolved configuration: data sizes, then seeds, then sizes."""
    config.solver.check_width(layer_widths(config, config.sizes[0]))
    _check_number(config)
    record = recorded(config)
    if record["model"].get("hidden", ()) is None:
        record["model"]["hidden"] = list(layer_widths(config, config.sizes[0])[1:-1])
    cells = _cells(record, config)
    chains = [
        Chain(n_train, seed, cells(n_train, seed, sizes))
        for n_train in config.data.sizes or ()
        for sizes in _extended(config, n_train)
        for seed in config.seeds
    ]
    if not chains:
        raise ConfigError(
            f"`grid.points` must leave a grid of `grid.sizes`; {config.grid.points:g} training"
            f" points a parameter leave none of them with {max(config.data.sizes or ())} points."
        )
    return Plan(tuple(chains), record)


def _extended(config: RunConfig, n_train: int) -> list[tuple[int, ...]]:
    """The sizes that are trained on that many points, those of each chain together."""
    sizes, least = config.sizes, config.grid.points
    if config.kind.on_grid and least is not None:
        params = {size: config.model.n_params(layer_widths(config, size), size) for size in sizes}
        sizes = tuple(size for size in sizes if least * params[size] <= n_train)
    return [sizes] * bool(sizes) if config.extended else [(size,) for size in sizes]


def recorded(config: RunConfig) -> dict[str, Any]:
    """A configuration as it is stored, but for hidden widths that are not said."""
    record: dict[str, Any] = _plain(asdict(config))
    if config.seeds == tuple(range(len(config.seeds))):
        record["seeds"] = len(config.seeds)
    return record


def layer_widths(config: RunConfig, size: int) -> tuple[int, ...]:
    """[n_inputs, *hidden, n_outputs] of the network of one size."""
    n_inputs, suggested, n_outputs = sources.shape(config.data)
    return (n_inputs, *config.model.hidden_widths(suggested, size), n_outputs)


def _check_number(config: RunConfig) -> None:
    asked = len(config.seeds) * len(config.data.sizes or ()) * len(config.sizes)
    if asked > MOST_CELLS:
        raise ConfigError(
            f"`seeds`, `data.sizes` and `{config.kind.axis}` may make {MOST_CELLS:,} cells;"
            f" got {asked:,}."
        )


def _cells(
    record: dict[str, Any], config: RunConfig
) -> Callable[[int, int, tuple[int, ...]], tuple[Cell, ...]]:
    """What makes the cells of a chain. The content of a key is written out once for all cells,
    since there may be many."""
    shared, letter = identity(record), config.kind.letter
    slots = {"n_train": "\0n", "seed": "\0s", "grids": "\0g"}  # no setting holds a null character
    text = json.dumps(
        {**shared, **slots, "revisions": {"format": FORMAT, **revisions(config)}}, sort_keys=True
    )
    n_slot, seed_slot, grids_slot = map(json.dumps, slots.values())

    def cells(n_train: int, seed: int, sizes: tuple[int, ...]) -> tuple[Cell, ...]:
        chain = text.replace(n_slot, str(n_train)).replace(seed_slot, str(seed))
        made = []
        for last, size in enumerate(sizes):
            content = chain.replace(grids_slot, json.dumps(sizes[: last + 1]))
            digest = hashlib.sha256(content.encode()).hexdigest()[:16]
            key = f"n{n_train}-s{seed}-{letter}{size}-{digest}"
            made.append(Cell(key, n_train, seed, size))
        return tuple(made)

    return cells


def revisions(config: RunConfig) -> dict[str, int]:
    """What is raised when the same configuration gives other numbers: its method's revision and,
    where there is one, its sampling's."""
    sampling = config.data.sampling
    known = {sampling: REVISIONS[sampling]} if sampling in REVISIONS else {}
    return {config.method.name: config.method.revision, **known}


def _plain(value: Any) -> Any:
    """Tuples as lists, as YAML and JSON have them."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
