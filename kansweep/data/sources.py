"""From a configuration's section ``data`` to what is learned: a target, a source, their shape."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from kansweep.config.data import N_TEST, DataConfig
from kansweep.config.rules import ConfigError, one_of
from kansweep.data import functions, targets
from kansweep.data.sampling import Sampled, Source, Tabled, check_grid
from kansweep.data.targets import TARGETS, Array, Target


def source(data: DataConfig) -> Source:
    """What a resolved configuration describes; raises ConfigError where there is none."""
    if data.is_table:
        from kansweep.data import tables

        if data.n_test is None:
            raise ValueError("a table's configuration is resolved before it is used")
        table = tables.read(data.path, data.inputs, data.columns)
        if table.sha256 != data.sha256:
            raise ConfigError(
                f"`data.path` must hold what it held when this sweep began; {data.path} has"
                " changed. Give what it holds now a name of its own with name=…"
            )
        return Tabled(table, data.n_test)
    function = target(data)
    return Sampled(function, noise(data, function), data.sampling)


def noise(data: DataConfig, function: Target) -> Array:
    """The noise's standard deviation in the outputs' units, (n_outputs,): as given, or in % of the
    spread of each."""
    if isinstance(data.noise, str):
        share: Array = float(data.noise.rstrip("%")) / 100 * targets.moments(function)[1]
        return share
    return np.full(function.n_outputs, float(data.noise))


def spread(data: DataConfig) -> float:
    """Standard deviation of the outputs, of several in their units together, as far as their source
    can be had; or 1."""
    with suppress(ConfigError):
        if not data.is_table:
            return targets.spread(target(data))
        outputs = source(data).outputs
        return outputs.together(outputs.scale)
    return 1.0


def target(data: DataConfig) -> Target:
    """The function that a configuration names, writes or imports; not for tables."""
    if data.formula is not None:
        return functions.from_formula(data.formulas, label(data), data.domain, data.hidden)
    if data.target is not None:
        return functions.imported(data.target, label(data), data.domain, data.hidden, os.getcwd())
    return TARGETS[data.name]


def known(data: DataConfig) -> dict[str, Target]:
    """The targets of which all is known that there is to know, by what rows call them: those of
    kansweep, and a formula. A user's module is not imported for it."""
    return TARGETS | ({label(data): target(data)} if data.formula is not None else {})


def label(data: DataConfig) -> str:
    """What rows and figures call it: its name, unless that is the one of the target overridden."""
    if data.is_table:
        return Path(str(data.path)).stem
    if data.name not in TARGETS:
        return data.name
    if data.formula is not None:
        return ", ".join(name or text for name, text in data.formulas)
    return data.target or data.name


def shape(data: DataConfig) -> tuple[int, tuple[int, ...], int]:
    """Number of inputs, suggested hidden widths and number of outputs; reads no table."""
    if data.is_table:
        inputs = len(data.inputs or ())
        outputs = len(data.columns) or 1
        usual = () if inputs == 1 else (outputs,)
        return inputs, usual if data.hidden is None else data.hidden, outputs
    function = target(data)
    return function.n_inputs, function.hidden, function.n_outputs


def structures(data: DataConfig) -> list[tuple[int, ...]]:
    """Hidden widths of which a formula's or a target's structure is known to be; none of tables."""
    if data.is_table:
        return []
    from kansweep.data import structure  # which takes SciPy

    return structure.widths(target(data))


def check(data: DataConfig) -> None:
    """Refuse what no source can be made of, as far as that shows without reading a table.

    A function is looked at on its domain: one that a user wrote runs here.
    """
    if data.is_table:
        return
    if data.formula is None and data.target is None:
        names = one_of(*TARGETS)
        if not names.holds(data.name):
            raise names.refusal("data.name", data.name)
        for key in ("domain", "hidden"):
            if getattr(data, key) is not None:
                raise ConfigError(
                    f"`data.{key}` goes with data.formula or data.target; {data.name} has its own"
                    f"{'; model.hidden changes it' if key == 'hidden' else ''}."
                )
    if data.target is None or data.sha256 is None:  # what is resolved may be read anywhere
        function = target(data)
        if data.sampling == "grid":
            check_grid(data.sizes or (), function.n_inputs)


def resolved(data: DataConfig) -> DataConfig:
    """The configuration with everything that the data themselves decide: a table's columns, sizes
    and test set, and what tells its content, or that of a user's code, from another.

    Reads the table; raises ConfigError where it is of no use.
    """
    if not data.is_table:
        sha256 = None if data.target is None else functions.fingerprint(target(data))
        given = replace(data, n_test=data.n_test or N_TEST)
    else:
        from kansweep.data import tables

        table = tables.read(data.path, data.inputs, data.columns)
        n_test = data.n_test or max(1, len(table.x) // 5)
        sizes = data.sizes or tables.sizes(len(table.x) - n_test)
        if max(sizes, default=0) + n_test > len(table.x) or not sizes:
            raise ConfigError(
                f"`data.path` must have the rows that `data.sizes` and `data.n_test` ask for,"
                f" {max(sizes, default=2)} + {n_test}; {data.path} has {len(table.x)}."
            )
        sha256 = table.sha256
        given = replace(data, inputs=table.inputs, output=table.outputs, n_test=n_test, sizes=sizes)
    if data.sha256 not in (None, sha256):
        what = data.target or data.path
        raise ConfigError(f"`data.sha256` must be that of {what}, {sha256}; got {data.sha256}.")
    return replace(given, sha256=sha256)
